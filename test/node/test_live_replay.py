"""A bag played live into the real nodes, at two speeds, gives what replay without ROS gives."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ilrs_robots.cli.child import command_line, program
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.bag_player import PlayOptions, PlayState, play
from ilrs_robots.replay import metrics
from ilrs_robots.replay.bag import Bag, stamp_ns
from ilrs_robots.replay.ground_judge import GroundJudge
from ilrs_robots.replay.playback import Playback
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.rescue import replay_bag
from ilrs_robots.replay.tracks import (
    GridMapSample,
    PoseTrack,
    grid_map_sample,
    occupancy_sample,
    read_odometry,
    read_transforms,
)
from ilrs_robots.robots.assembly import robot_processes

pytestmark = [pytest.mark.node, pytest.mark.replay]
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
    replay = replay_bag(bag, ReplayProfile(localization="dead_reckoning"))
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


def heard(odom: PoseTrack, map_odom: PoseTrack, elevation: Any, traversability: Any) -> Outcome:
    """What the nodes said: poses, and the last maps."""
    at = (odom.positions_m, odom.quats_wxyz)
    positions, quats = metrics.compose(map_odom.at_or_hold(odom.stamps_ns), at)
    sample, costs = grid_map_sample(elevation), occupancy_sample(traversability)
    assert (sample.stamp_ns, sample.spec.shape) == (costs.stamp_ns, costs.spec.shape)
    T_map_odom = np.eye(4)
    T_map_odom[:3, 3] = map_odom.positions_m[-1]
    turned = metrics.rpy_of(map_odom.quats_wxyz[-1:])[0]
    assert np.abs(turned).max() < 1e-6
    return Outcome(
        odom.stamps_ns, positions, metrics.rpy_of(quats)[:, 2],
        sample.layers["elevation"], costs.cost >= 1.0, sample.spec, T_map_odom,
    )  # fmt: skip


def recorded(folder: Path) -> Outcome:
    """What a bag holds of the nodes' words."""
    with Bag(folder) as bag:
        odom = read_odometry(bag, f"/{ROBOT}/odom")
        map_odom = read_transforms(bag)["map", f"{ROBOT}/odom"]
        (*_, elevation) = bag.messages(f"/{ROBOT}/elevation_map")
        (*_, traversability) = bag.messages(f"/{ROBOT}/traversability")
    return heard(odom, map_odom, elevation.msg, traversability.msg)


class Listener:
    """Takes what the nodes say while a bag is played."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        node = graph.add(rclpy.create_node("listener"))
        self.odom: list[Any] = []
        self.edges: list[Any] = []
        self.maps: dict[str, Any] = {}
        self._heard = node.create_subscription(
            Odometry, f"/{ROBOT}/odom", self.odom.append, qos.STREAM
        )
        node.create_subscription(TFMessage, "/tf", self._on_tf, qos.TF)
        for name, kind in (("elevation_map", GridMap), ("traversability", OccupancyGrid)):
            keep = partial(self.maps.__setitem__, name)
            node.create_subscription(kind, f"/{ROBOT}/{name}", keep, qos.MAP)

    def _on_tf(self, message: TFMessage) -> None:
        self.edges += [e for e in message.transforms if e.header.frame_id == "map"]

    def wait_for_nodes(self) -> None:
        """Until they are heard: what they say before, on a busy machine seconds of it, is lost."""
        self._graph.until(self._heard.get_publisher_count, "somebody who tells the odometry")

    def spin(self, _state: Any = None) -> None:
        self._graph.spin(20)

    def outcome(self) -> Outcome:
        """All of it; forgotten afterwards."""
        edges = [(stamp_ns(e.header), e.transform.translation, e.transform.rotation)
                 for e in self.edges]  # fmt: skip
        poses = [(stamp_ns(m.header), m.pose.pose.position, m.pose.pose.orientation)
                 for m in self.odom]  # fmt: skip
        found = heard(_track(poses), _track(edges), *(self.maps[n] for n in sorted(self.maps)))
        self.odom.clear()
        self.edges.clear()
        self.maps.clear()
        return found


def _track(rows: list[tuple[int, Any, Any]]) -> PoseTrack:
    rows = sorted(rows, key=lambda row: row[0])
    unknown = np.full((len(rows), 3), np.nan)
    return PoseTrack(
        "", "", np.array([t for t, _, _ in rows], np.int64),
        np.array([(p.x, p.y, p.z) for _, p, _ in rows]),
        np.array([(q.w, q.x, q.y, q.z) for _, _, q in rows]), unknown, unknown,
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
def robot_node(domain_id: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The vehicle's own program, with the nodes that hear its sensors."""
    site = tmp_path / "field.yaml"
    site.write_text(SITE)
    wanted = ("state_publisher", "localization", "terrain_mapping")
    spec = robot_processes(str(site), 3, ROBOT, use_sim_time=True)[0]
    # Both reckon by wheels and gyro: the filter's node has an orbital map, replay has none.
    same = {"nodes": ",".join(wanted), "method": "dead_reckoning"}
    spec = replace(spec, parameters={**spec.parameters, **same})
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command_line(spec), stdout=said, stderr=said)
    yield process
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    finally:
        process.kill()
        process.wait()


def test_live_at_two_rates_and_offline_agree(
    tmp_path: Path, graph: Any, robot_node: subprocess.Popen[bytes]
) -> None:
    """The second time the nodes' time is set back, as by a simulation that starts again."""
    folder = cut(BAG, tmp_path / "bag", 5.0)
    expected, truth = offline(folder)
    listener = Listener(graph)
    listener.wait_for_nodes()
    with Bag(folder) as bag:
        playback = Playback(bag, ReplayProfile())
        for rate in (3.0, 1.0):
            begin_s = time.monotonic()
            state = play(playback, PlayOptions(rate, patience_s=120.0), listener.spin)
            assert time.monotonic() - begin_s > 5.0 / rate
            assert state.share == 1.0
            assert state.published == sum(bag.counts[name] for name in playback.topics)
            assert robot_node.poll() is None, (tmp_path / "said").read_text()
            graph.until(lambda: len(listener.maps) == 2, "both maps")
            assert_agree(listener.outcome(), expected, truth)


def test_time_stands_while_paused_and_goes_on(graph: Any) -> None:
    times: list[int] = []
    node = graph.add(rclpy.create_node("listener"))
    node.create_subscription(Imu, f"/{ROBOT}/imu/data", lambda _m: None, qos.STREAM)
    node.create_subscription(Clock, "/clock", lambda m: times.append(stamp_ns_of(m)), qos.STATE)
    pause = node.create_client(SetBool, "/replay/pause")
    asked: list[Any] = []
    with Bag(BAG) as bag:
        playback = Playback(bag, ReplayProfile(), start_s=11.0)

        def on_turn(state: PlayState) -> None:
            graph.spin(5)
            if state.paused and not asked and pause.service_is_ready() and len(times) == 1:
                assert state.published == 0
                asked.append(pause.call_async(SetBool.Request(data=False)))

        state = play(playback, PlayOptions(0.0, paused=True), on_turn)
    graph.spin(200)
    assert asked
    assert not state.paused
    assert times == sorted(times)
    assert times[0] == playback.first_ns
    assert times[-1] >= playback.last_ns
    assert 0 < state.published < 200


def stamp_ns_of(message: Clock) -> int:
    return int(message.clock.sec) * S + int(message.clock.nanosec)


def test_a_bag_that_nobody_hears_is_one_sentence(domain_id: int) -> None:
    with Bag(BAG) as bag, pytest.raises(IlrsError, match="nobody has listened to"):
        play(Playback(bag, ReplayProfile()), PlayOptions(patience_s=0.2))


@pytest.mark.soak
@pytest.mark.parametrize("rate", [1, 3, 0])
def test_the_command_starts_nodes_plays_and_records(
    tmp_path: Path, domain_id: int, rate: int
) -> None:
    site, into = tmp_path / "field.yaml", tmp_path / "heard"
    folder = cut(BAG, tmp_path / "bag", 6.0)
    site.write_text(SITE)
    options = ("--live", "--site", site, "--rate", rate, "--record", into)
    command = [*program("ilrs"), "replay", folder, *options, "--record-profile", "everything"]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "played to the end" in done.stdout
    expected, truth = offline(folder)
    assert_agree(recorded(into), expected, truth)
