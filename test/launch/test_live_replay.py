"""A bag played live into the real nodes, at two speeds, gives what replay without ROS gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.replay import metrics
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.ground_judge import GroundJudge
from ilrs_robots.replay.rescue import replay_bag
from ilrs_robots.replay.tracks import (
    GridMapSample,
    grid_map_sample,
    occupancy_sample,
    read_odometry,
    read_transforms,
)

pytestmark = [pytest.mark.launch, pytest.mark.replay]
ROBOT = "crewed_rover"
BAG = Path(__file__).resolve().parents[1] / "replay" / "suite" / "bags" / ROBOT
SITE = f"""
name: field
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-01-15T00:00:00Z"
terrain: {{kind: procedural, seed: 3, size_m: 320.0, resolution_m: 5.0}}
robots:
  - {{name: {ROBOT}, model: {ROBOT}}}
"""
S = 1_000_000_000
POSITION_M, YAW_RAD = 0.03, np.radians(0.3)
"""What is between a sample's way through DDS and its place in the bag; driven are 5 m."""
MAP_RMSE_M, KNOWN_SHARE = 0.01, 0.02
TRUTH_RMSE_M, HAZARD_SHARE = 0.005, 0.05


@dataclass
class Outcome:
    """Pose and map at the end, by whichever way.

    Attributes:
        stamps_ns: (N,).
        positions_m: (N, 3) of the body in ``map``.
        yaw_rad: (N,).
        elevation_m: (rows, cols) odom frame.
        lethal: (rows, cols).
        spec: window of both.
        T_map_odom: (4, 4).
    """

    stamps_ns: Any
    positions_m: FloatArray
    yaw_rad: FloatArray
    elevation_m: Any
    lethal: Any
    spec: GridSpec
    T_map_odom: FloatArray

    def judged(self, truth: GridMapSample) -> dict[str, float]:
        """As ``ilrs replay`` judges maps."""
        judge = GroundJudge(truth)
        base = self.positions_m[-1, :2] - self.T_map_odom[:2, 3]
        judge.look(self.elevation_m, self.lethal, self.spec, self.T_map_odom, base)
        return judge.numbers()


def cut(source: Path, into: Path, seconds: float) -> Path:
    """The beginning of a bag, with its true ground."""
    with Bag(source) as bag, Writer(into, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics: dict[str, Any] = {}
        last = bag.info.start_ns + round(seconds * S)
        for raw in bag.raw():
            if raw.log_ns > last and not raw.topic.endswith("truth/ground"):
                continue
            if raw.topic not in topics:
                topics[raw.topic] = writer.add_connection(
                    raw.topic, raw.msgtype, typestore=bag.typestore
                )
            writer.write(topics[raw.topic], min(raw.log_ns, last), raw.data)
        writer.set_custom_data("ilrs_robot", ROBOT)
    return into


def offline(bag: Path) -> tuple[Outcome, GridMapSample]:
    replay = replay_bag(bag)
    assert replay.segment is not None
    assert replay.saved is not None
    assert replay.segment.judge.truth is not None
    poses, saved = replay.segment.poses, replay.saved
    assert saved.T_map_odom is not None
    found = Outcome(
        poses.stamps_ns, poses.positions_m, metrics.rpy_of(poses.quats_wxyz)[:, 2],
        saved.layers["elevation"], saved.layers["cost"] >= 1.0, saved.spec, saved.T_map_odom,
    )  # fmt: skip
    return found, replay.segment.judge.truth


def live(recorded: Path) -> Outcome:
    """What the nodes said."""
    with Bag(recorded) as bag:
        odom = read_odometry(bag, f"/{ROBOT}/odom")
        map_odom = read_transforms(bag)["map", f"{ROBOT}/odom"]
        (*_, elevation) = bag.messages(f"/{ROBOT}/elevation_map")
        (*_, traversability) = bag.messages(f"/{ROBOT}/traversability")
    at = (odom.positions_m, odom.quats_wxyz)
    positions, quats = metrics.compose(map_odom.at_or_hold(odom.stamps_ns), at)
    sample, costs = grid_map_sample(elevation.msg), occupancy_sample(traversability.msg)
    assert (sample.stamp_ns, sample.spec.shape) == (costs.stamp_ns, costs.spec.shape)
    T_map_odom = np.eye(4)
    T_map_odom[:3, 3] = map_odom.positions_m[-1]
    turned = metrics.rpy_of(map_odom.quats_wxyz[-1:])[0]
    assert np.abs(turned).max() < 1e-6
    return Outcome(
        odom.stamps_ns, positions, metrics.rpy_of(quats)[:, 2],
        sample.layers["elevation"], costs.cost >= 1.0, sample.spec, T_map_odom,
    )  # fmt: skip


def assert_agree(one: Outcome, other: Outcome, truth: GridMapSample) -> None:
    """Pose, map and hazards of two ways agree within the tolerances above."""
    inside = (one.stamps_ns >= other.stamps_ns[0]) & (one.stamps_ns <= other.stamps_ns[-1])
    assert inside.sum() > 0.8 * 25 * (other.stamps_ns[-1] - other.stamps_ns[0]) / S
    when = one.stamps_ns[inside]
    there = [np.interp(when, other.stamps_ns, column) for column in other.positions_m.T]
    apart = np.linalg.norm(one.positions_m[inside] - np.column_stack(there), axis=1)
    assert apart.max() < POSITION_M
    turn = one.yaw_rad[inside] - np.interp(when, other.stamps_ns, np.unwrap(other.yaw_rad))
    assert np.abs(metrics.wrap_rad(turn)).max() < YAW_RAD

    def heights(spec: GridSpec) -> FloatArray:
        xy = np.stack(np.meshgrid(spec.x_m(), spec.y_m()), axis=-1) - other.T_map_odom[:2, 3]
        return metrics.bilinear(other.elevation_m, other.spec, xy) + other.T_map_odom[2, 3]

    errors = metrics.map_errors(one.elevation_m, one.spec, one.T_map_odom, heights)
    known = np.isfinite(one.elevation_m).sum(), np.isfinite(other.elevation_m).sum()
    assert errors.rmse_m < MAP_RMSE_M
    assert abs(known[0] - known[1]) < KNOWN_SHARE * known[1]
    mine, theirs = one.judged(truth), other.judged(truth)
    assert abs(mine["map_rmse_m"] - theirs["map_rmse_m"]) < TRUTH_RMSE_M
    assert theirs["hazards_found"] > 0.5
    for name in ("hazards_found", "false_alarms", "lethal_share"):
        assert abs(mine[name] - theirs[name]) < HAZARD_SHARE, name


@pytest.fixture
def played(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Iterator[Path]]:
    """Play a bag at several rates at the same time; gives the bags of what the nodes said."""

    def play(bag: Path, rates: tuple[int, ...]) -> Iterator[Path]:
        site = tmp_path / "field.yaml"
        site.write_text(SITE)
        runs = []
        for rate in rates:
            options = ("--live", "--site", site, "--rate", rate, "--record-profile", "everything")
            into = tmp_path / f"at_{rate}"
            command = ("replay", bag, *options, "--record", into)
            runs.append((start(*map(str, command), domain=None), into))
        for run, into in runs:
            assert run.process.wait(timeout=240) == 0, run.said()
            assert "played to the end" in run.said()
            yield into

    return play


def test_live_at_two_rates_and_offline_agree(tmp_path: Path, played: Any) -> None:
    bag = cut(BAG, tmp_path / "bag", 6.0)
    expected, truth = offline(bag)
    for recorded in played(bag, (1, 3)):
        assert_agree(live(recorded), expected, truth)


@pytest.mark.soak
def test_a_whole_drive_agrees_at_many_rates(tmp_path: Path, played: Any) -> None:
    expected, truth = offline(BAG)
    for rate in (1, 2, 3, 0):
        for recorded in played(BAG, (rate,)):
            assert_agree(live(recorded), expected, truth)
