"""The mapping step: several sensors, every per-point time, and every way a clock can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.cloud.self_filter import OwnBox, own_points
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.io.pointcloud2 import PointField, decode_cloud
from ilrs_robots.core.mapping.sensor_noise import SensorNoise
from ilrs_robots.core.paths import config_file
from ilrs_robots.core.types import Cloud
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.steps import (
    MappingConfig,
    MappingStep,
    limits_of,
    new_tree,
    noises_of,
    own_boxes_of,
)

S = 1_000_000_000
START = 1_700_000_000 * S
HEIGHT_M = 1.5
STEP_M = 0.4
LIMITS = limits_of(load_robot("long_range"))


def step_of(**more: Any) -> MappingStep:
    return MappingStep("r", LIMITS, **more)


def pose_at(stamps_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A body that drives at 2 m/s and turns at 1.5 rad/s."""
    t = (np.asarray(stamps_ns) - START) * 1e-9
    position = np.stack((2.0 * t - 1.0, 0.5 * t, np.zeros_like(t)), axis=1)
    return position, np.array([se3.quat_from_rpy(0.0, 0.0, 0.3 + 1.5 * s) for s in t])


MOUNTS = {
    "r/front": se3.from_rpy((0.7, 0.0, HEIGHT_M), (0.0, 0.2, 0.0)),
    "r/rear": se3.from_rpy((-0.7, 0.1, 0.8), (0.1, 0.0, 3.0)),
}


def tree_until(stamp_ns: int, since_ns: int = START - S // 2) -> TransformTree:
    tree = TransformTree(max_gap_s=2.0)
    for frame, mount in MOUNTS.items():
        tree.set_static("r/base_link", frame, mount)
    feed(tree, since_ns, stamp_ns)
    return tree


def feed(tree: TransformTree, since_ns: int, until_ns: int) -> None:
    stamps = np.arange(since_ns, until_ns + 1, S // 50)
    for stamp, position, quat in zip(stamps, *pose_at(stamps), strict=True):
        tree.set("r/odom", "r/base_link", int(stamp), position, quat)


def ground_m(xy: np.ndarray) -> np.ndarray:
    """Steps up and down every metre along x."""
    return np.where(np.floor(xy[:, 0]) % 2 == 0, STEP_M, 0.0)


def seen(stamps_ns: np.ndarray, frame: str, seed: int = 0) -> np.ndarray:
    """Ground, each point in the sensor's frame at its own time."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform((-2.0, -5.0), (8.0, 5.0), (stamps_ns.size, 2))
    odom = np.column_stack((xy, ground_m(xy)))
    position, quat = pose_at(stamps_ns)
    base = se3.quat_rotate(se3.quat_conjugate(quat), odom - position)
    mount = se3.invert(MOUNTS[frame])
    return (base @ mount[:3, :3].T + mount[:3, 3]).astype(np.float32)


def scan(stamp_ns: int, frame: str = "r/front", count: int = 4000, span_ns: int = 0) -> Cloud:
    stamps = np.linspace(stamp_ns, stamp_ns + span_ns, count).astype(np.int64)
    return Cloud(stamp_ns, frame, seen(stamps, frame), stamps - stamp_ns if span_ns else None)


def wrong_share(step: MappingStep) -> float:
    """Share of known cells, away from edges, whose height is not the ground's."""
    spec, height = step.map.spec, step.map.layer("elevation")
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    known = np.isfinite(height) & (np.abs(x - np.rint(x)) > 0.1)
    assert known.sum() > 1000
    truth = ground_m(np.column_stack((x[known], y[known])))
    return float(np.mean(np.abs(height[known] - truth) > 0.05))


# -- per-point time ----------------------------------------------------------------------------
CONVENTIONS = {
    "ouster": ("t", "u4", 6, 1.0, False),
    "velodyne": ("time", "f4", 7, 1e-9, False),
    "hesai": ("timestamp", "f8", 8, 1e-9, True),
    "livox": ("timestamp", "f8", 8, 1.0, True),
    "livox_offset": ("offset_time", "u4", 6, 1.0, False),
    "nebula": ("time_stamp", "u4", 6, 1.0, False),
}


def message(stamp_ns: int, stamps_ns: np.ndarray, xyz: np.ndarray, maker: str) -> Cloud:
    """Bytes as a driver lays them out, and what the decoder makes of them."""
    name, kind, code, unit, absolute = CONVENTIONS[maker]
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), (name, f"<{kind}")])
    points = np.zeros(len(xyz), dtype)
    for k, axis in enumerate("xyz"):
        points[axis] = xyz[:, k]
    points[name] = (stamps_ns if absolute else stamps_ns - stamp_ns) * unit
    fields = [PointField(axis, 4 * k, 7, 1) for k, axis in enumerate("xyz")]
    fields.append(PointField(name, 12, code, 1))
    size = dtype.itemsize
    return decode_cloud(
        points.tobytes(), 1, len(xyz), fields, size, size * len(xyz), False, stamp_ns, "r/front"
    )


@pytest.mark.parametrize("maker", CONVENTIONS)
def test_every_makers_time_gives_a_sharp_map(maker: str) -> None:
    span = S // 10
    stamps = np.linspace(START, START + span, 20_000).astype(np.int64)
    header = START + span if maker == "velodyne" else START  # velodyne stamps a scan's end
    step = step_of()
    step.add(message(header, stamps, seen(stamps, "r/front"), maker))
    updates = step.process(tree_until(START + S), START + S)
    assert len(updates) == 1
    assert abs(updates[0].stamp_ns - START - span) < 300  # float64 resolves 240 ns since 1970
    assert wrong_share(step) < 0.005
    blurred = step_of()
    blurred.add(Cloud(header, "r/front", seen(stamps, "r/front")))
    assert blurred.process(tree_until(START + S), START + S)
    assert wrong_share(blurred) > 0.05


# -- several sensors ---------------------------------------------------------------------------
def test_each_sensor_goes_by_its_own_frame_and_is_counted_by_itself() -> None:
    step = step_of()
    step.add(scan(START, "r/front", span_ns=S // 10), "front")
    step.add(scan(START + S // 50, "r/rear", span_ns=S // 10), "rear")
    step.add(Cloud(START, "r/nowhere", np.ones((5, 3), np.float32)), "third")
    tree = tree_until(START + S // 5)
    assert [u.source for u in step.process(tree, START + S // 5)] == ["front", "rear"]
    assert wrong_share(step) < 0.005
    assert step.process(tree, START + 2 * S) == []
    step.drop("truncated", "short", "rear")
    tallies = {name: (t.fused, dict(t.dropped)) for name, t in step.tallies.items()}
    assert tallies == {
        "front": (1, {}),
        "rear": (1, {"truncated": 1}),
        "third": (0, {"missing_transform": 1}),
    }
    assert step.dropped == {"truncated": 1, "missing_transform": 1}


def test_a_sensor_that_waits_does_not_hold_up_the_others() -> None:
    step = step_of(cfg=MappingConfig(max_pending=2))
    tree = tree_until(START + S // 10)
    for k in range(5):
        step.add(Cloud(START + k, "r/nowhere", np.ones((5, 3), np.float32)), "blind")
        step.add(scan(START + k * S // 50, count=200), "front")
        assert len(step.process(tree, START + S // 10)) == 1
    assert dict(step.tally("blind").dropped) == {"waited_too_long": 3}


def test_a_late_sensor_does_not_make_cells_older() -> None:
    step = step_of()
    tree = tree_until(START + S)
    for stamp, frame in ((START + S // 2, "r/front"), (START, "r/rear")):
        step.add(scan(stamp, frame), frame)
        assert len(step.process(tree, START + S)) == 1
    last_seen = step.map.layer("last_seen_s")
    assert np.nanmin(last_seen) == np.nanmax(last_seen) == 0.0
    assert step.last_stamp_ns == START + S // 2


# -- time --------------------------------------------------------------------------------------
def test_a_repeated_scan_is_counted_and_not_fused_twice() -> None:
    step, tree = step_of(), tree_until(START + S)
    for _ in range(3):
        step.add(scan(START), "front")
        step.process(tree, START + S // 2)
    count = step.map.layer("count").sum()
    assert count <= 4000
    assert step.tally("front").dropped == {"repeated": 2}
    step.add(scan(START), "other")  # another sensor may have the same stamp
    assert len(step.process(tree, START + S // 2)) == 1


def test_a_scan_a_little_ahead_waits_and_one_far_ahead_is_dropped() -> None:
    step, tree = step_of(), tree_until(START)
    step.add(scan(START + S // 2), "front")
    step.add(scan(START + 5 * S), "front")
    assert step.process(tree, START) == []
    assert step.dropped == {"from_the_future": 1}
    assert step.last_error == "front: the scan of 1700000005.000 s is 5.000 s ahead, limit 1.0 s"
    feed(tree, START, START + S)
    assert [u.stamp_ns for u in step.process(tree, START + S)] == [START + S // 2]


def test_the_wait_for_a_transform_is_bounded() -> None:
    step, tree = step_of(), tree_until(START)
    step.add(scan(START + S // 2), "front")
    assert step.process(tree, START + 3 * S // 2) == []
    assert step.dropped == {}
    assert step.process(tree, START + 3 * S // 2 + 1) == []
    assert step.dropped == {"stale_transform": 1}


def test_what_is_older_than_the_transforms_is_dropped_at_once() -> None:
    step, tree = step_of(), tree_until(START + S, START)
    step.add(scan(START - S // 10), "front")
    step.add(scan(START - 11 * S), "front")
    assert step.process(tree, START + S // 10) == []
    assert step.dropped == {"stale_transform": 1, "too_old": 1}


def test_stamps_of_another_clock_are_refused_in_a_sentence_that_names_use_sim_time() -> None:
    step, tree = step_of(simulated_time=False), tree_until(START)
    step.add(Cloud(12 * S, "r/front", np.ones((5, 3), np.float32)), "lidar/points")
    assert step.process(tree, START) == []
    assert step.dropped == {"other_clock": 1}
    assert "lidar/points: the scan is stamped 12.0 s" in step.last_error
    assert "set use_sim_time of this node to true" in step.last_error


def test_a_simulation_that_is_reset_clears_the_map_and_what_waits() -> None:
    step, tree = step_of(), tree_until(START + S)
    step.add(scan(START), "front")
    assert step.process(tree, START + S)
    step.add(scan(START + S), "front")
    step.add(scan(START + 2 * S), "front")
    assert step.process(tree, START + S)
    tree.clear()
    assert step.process(tree, START - 100 * S) == []
    assert (step.resets, step.last_stamp_ns) == (1, None)
    assert np.isnan(step.map.layer("elevation")).all()
    assert step.dropped == {"time_reset": 1}
    # the same stamps come again, and are new
    feed(tree, START - S // 2, START + S)
    step.process(tree, START - S)
    step.add(scan(START), "front")
    assert len(step.process(tree, START + S)) == 1
    assert np.nanmax(step.map.layer("last_seen_s")) == 0.0


def test_a_wall_clock_that_is_set_back_keeps_the_map() -> None:
    step, tree = step_of(simulated_time=False), tree_until(START + S)
    step.add(scan(START), "front")
    assert step.process(tree, START + S)
    before, origin = step.map.layer("elevation"), step.map.time_origin_ns
    assert step.process(tree, START - 99 * S) == []
    assert step.resets == 1
    np.testing.assert_array_equal(step.map.layer("elevation"), before)
    assert step.map.time_origin_ns == origin - 100 * S
    assert step.last_stamp_ns == START - 100 * S
    # slewed back by less than a second: nothing happens
    assert step.process(tree, START - 99 * S - S // 2) == []
    assert step.resets == 1


def test_while_the_clock_stands_scans_wait_and_go_on_after() -> None:
    step, tree = step_of(), tree_until(START)
    step.add(scan(START + S // 10), "front")
    for _ in range(100):
        assert step.process(tree, START) == []
    feed(tree, START, START + S // 5)
    assert len(step.process(tree, START)) == 1
    assert step.dropped == {}


# -- the vehicle itself ------------------------------------------------------------------------
def inside(xyz: np.ndarray, T_base_sensor: np.ndarray, boxes: tuple[OwnBox, ...]) -> np.ndarray:
    """Array form."""
    base = xyz.astype(np.float64) @ T_base_sensor[:3, :3].T + T_base_sensor[:3, 3]
    return np.any(
        [np.all((base >= box.low_m) & (base <= box.high_m), axis=1) for box in boxes], axis=0
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 400))
def test_the_self_filter_agrees_with_its_array_form(seed: int, boxes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-3.0, 2.0, (boxes, 3))
    high = low + rng.uniform(0.01, 2.0, (boxes, 3))
    own = tuple(
        OwnBox(tuple(a), tuple(b)) for a, b in zip(low.tolist(), high.tolist(), strict=True)
    )
    pose = se3.from_rpy(rng.uniform(-2.0, 2.0, 3), rng.uniform(-3.0, 3.0, 3))
    xyz = rng.normal(0.0, 3.0, (count, 3)).astype(np.float32)
    xyz[rng.random(count) < 0.05] = np.nan
    mask, marked = own_points(xyz, pose, own)
    expected = inside(xyz, pose, own)
    np.testing.assert_array_equal(mask, expected)
    assert marked == expected.sum()


def test_a_lidar_that_sees_the_body_does_not_map_it() -> None:
    model = load_robot("long_range")
    body = own_boxes_of(model, 0.05)
    rng = np.random.default_rng(4)
    deck = rng.uniform((-0.9, -0.5, 0.85), (0.9, 0.5, 0.87), (500, 3))
    wheel = rng.uniform((0.9, 0.8, 0.3), (1.1, 0.9, 0.5), (100, 3))
    ground = rng.uniform((-3.0, -3.0, 0.0), (3.0, 3.0, 0.0), (5000, 3))
    mount = se3.invert(MOUNTS["r/front"])
    xyz = np.concatenate((deck, wheel, ground)) @ mount[:3, :3].T + mount[:3, 3]
    tree = tree_until(START)
    heights = {}
    for boxes in ((), body):
        step = step_of(boxes=boxes)
        step.add(Cloud(START, "r/front", xyz.astype(np.float32)), "front")
        (update,) = step.process(tree, START)
        heights[bool(boxes)] = np.nanmax(step.map.layer("upper_bound"))
        assert update.own_points == (600 if boxes else 0)
    assert heights[False] > 0.8
    assert heights[True] < 0.05
    blind = step_of(boxes=body)
    blind.add(Cloud(START, "r/front", xyz[:600].astype(np.float32)), "front")
    assert blind.process(tree, START) == []
    assert blind.dropped == {"own_body": 1}


def test_a_box_has_a_size() -> None:
    with pytest.raises(ConfigError, match="low y = 1"):
        OwnBox((0.0, 1.0, 0.0), (1.0, 1.0, 1.0))


# -- what goes wrong ---------------------------------------------------------------------------
def still_tree(*at: tuple[int, tuple[float, float, float]]) -> TransformTree:
    """A body that stands at places at times."""
    tree = TransformTree()
    for frame, mount in MOUNTS.items():
        tree.set_static("r/base_link", frame, mount)
    for stamp, place in at:
        tree.set("r/odom", "r/base_link", stamp, place, (1.0, 0.0, 0.0, 0.0))
    return tree


def flat_scan(stamp_ns: int, seed: int, frame: str = "r/front") -> Cloud:
    """Level ground two metres around a body, in the sensor's frame."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack((rng.uniform(1.5, 6.0, (3000, 2)), np.zeros(3000)))
    mount = se3.invert(MOUNTS[frame])
    return Cloud(stamp_ns, frame, (ground @ mount[:3, :3].T + mount[:3, 3]).astype(np.float32))


def test_a_pose_that_jumps_20_m_and_comes_back_leaves_the_map_as_it_was() -> None:
    step, here, there = step_of(), (0.0, 0.0, 0.0), (14.0, 14.0, 3.0)
    places = [here] * 5 + [there] * 5 + [here] * 3
    for k, place in enumerate(places):
        stamp = START + k * S // 5
        before = step.map.to_arrays()
        step.add(flat_scan(stamp, k), "front")
        updates = step.process(still_tree((stamp, place)), stamp)
        assert len(updates) == (place == here)
        if place != here:
            after = step.map.to_arrays()
            assert all(after[name].tobytes() == before[name].tobytes() for name in before)
    assert step.dropped == {"pose_jump": 5}
    assert "the pose in odom jumped by 20.02 m, limit" in step.last_error
    assert step.jumps == 0


def test_a_jump_that_stays_is_believed_after_a_while_and_counted() -> None:
    step = step_of()
    step.add(flat_scan(START, 0), "front")
    step.process(still_tree((START, (0.0, 0.0, 0.0))), START)
    used = []
    for k in range(1, 16):
        stamp = START + k * S // 5
        step.add(flat_scan(stamp, k), "front")
        used.append(len(step.process(still_tree((stamp, (20.0, 0.0, 0.0))), stamp)))
    assert used == [0] * 11 + [1] * 4
    assert step.jumps == 1
    assert step.map.spec.x_m().mean() == pytest.approx(20.0, abs=0.1)


def test_a_fast_vehicle_with_rare_scans_does_not_jump() -> None:
    step = step_of()
    for k in range(4):
        stamp = START + k * 4 * S
        step.add(flat_scan(stamp, k), "front")
        assert step.process(still_tree((stamp, (8.0 * k, 0.0, 0.0))), stamp)
    assert step.dropped == {}


def test_a_sensor_that_repeats_one_scan_for_ever_is_named_and_another_goes_on() -> None:
    step = step_of(cfg=MappingConfig(frozen_after=5))
    for k in range(40):
        stamp = START + k * S // 10
        step.add(flat_scan(stamp, 0), "front")
        step.add(flat_scan(stamp, k, "r/rear"), "rear")
        step.process(still_tree((stamp, (0.0, 0.0, 0.0))), stamp)
    assert step.frozen == ["front"]
    assert step.tally("front").fused == 5
    assert step.tally("front").dropped == {"frozen": 35}
    assert step.tally("rear").fused == 40
    assert "the same 3000 points came 40 times in a row" in step.last_error
    step.add(flat_scan(START + 5 * S, 9), "front")
    assert step.frozen == []


EMPTY = {
    "no scans": "no scan has come on front",
    "no transform": "the only scan was dropped (1 missing_transform); front: frame 'r/nowhere'",
    "waits": "1 scans wait for their transforms",
    "far": "no point of the last scan could be used: of 3000 points 3000 out of range (0.6 to",
    "outside": "of 3000 points 3000 out of the window (20.0 m to each side)",
    "own body": "(1 own_body); front: all of 3000 points are on the vehicle itself",
}


@pytest.mark.parametrize("why", EMPTY)
def test_an_empty_map_says_why_in_one_sentence(why: str) -> None:
    step = step_of(boxes=own_boxes_of(load_robot("long_range"), 0.05))
    step.tally("front")
    at = {"far": 100.0, "outside": 30.0, "own body": 0.0}.get(why, 3.0)
    xyz = np.tile(np.array([at, 0.0, -0.9], np.float32), (3000, 1))
    frame = "r/nowhere" if why in ("no transform", "waits") else "r/front"
    stamp = START
    if why != "no scans":
        step.add(Cloud(stamp, frame, xyz), "front")
    later = stamp + (5 * S if why == "no transform" else 0)
    step.process(still_tree((stamp, (0.0, 0.0, 0.0))), later)
    assert EMPTY[why] in step.why_empty()
    step.add(flat_scan(later + S, 1), "front")
    step.process(still_tree((later + S, (0.0, 0.0, 0.0))), later + S)
    assert step.why_empty() == ""


# -- noise and the pose's uncertainty ----------------------------------------------------------
def variance_after(step: MappingStep, frame: str, covariances: list[float]) -> float:
    for k, z_variance in enumerate(covariances):
        stamp = START + k * S // 5
        covariance = np.zeros((6, 6))
        covariance[2, 2] = z_variance
        step.on_odometry(stamp, covariance)
        step.add(flat_scan(stamp, k, frame), "front")
        assert step.process(still_tree((stamp, (0.0, 0.0, 0.0))), stamp)
    return float(np.nanmedian(step.map.layer("variance")))


def test_each_sensor_is_fused_by_its_own_noise() -> None:
    noises = {"r/rear": SensorNoise(height_sigma_m=0.1)}
    sure = variance_after(step_of(noises=noises), "r/front", [0.0])
    unsure = variance_after(step_of(noises=noises), "r/rear", [0.0])
    assert unsure > 20.0 * sure


def test_a_robots_file_gives_each_sensor_its_place_and_its_noise(tmp_path: Path) -> None:
    text = config_file("robots", "long_range").read_text(encoding="utf-8")
    more = """
range_sensors:
  mast_camera:
    frame: mast_camera_link
    position_m: [0.4, 0.1, 1.2]
    rpy_deg: [0.0, 30.0, 90.0]
    range_sigma_m: 0.03
    angle_sigma_deg: 0.1
"""
    file = tmp_path / "other.yaml"
    file.write_text(text + more, encoding="utf-8")
    model = load_robot(str(file))
    noises = noises_of(model, "r")
    assert noises["r/lidar_link"].range_sigma_m == model.lidar.range_sigma_m
    assert noises["r/lidar_link"].view_top_rad == pytest.approx(np.radians(18.0))
    camera = noises["r/mast_camera_link"]
    assert (camera.range_sigma_m, camera.angle_sigma_rad) == (0.03, pytest.approx(0.001745, 1e-3))
    mount = new_tree(model, "r").lookup("r/base_link", "r/mast_camera_link", START)
    np.testing.assert_allclose(mount[:3, 3], (0.4, 0.1, 1.2))
    file.write_text(text + more.replace("0.03\n", "3.0\n"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"range_sensors.mast_camera.*range_sigma_m = 3.0 m"):
        load_robot(str(file))


def test_only_what_the_pose_has_lost_since_the_last_scan_counts() -> None:
    exact = variance_after(step_of(), "r/front", [0.0])
    assert variance_after(step_of(), "r/front", [4.0]) == pytest.approx(exact)
    assert variance_after(step_of(), "r/front", [4.0] * 3) <= exact
    loose = step_of()
    variance_after(loose, "r/front", [4.0])
    loose.clear()  # the second scan alone, with what was lost before it
    stamp, covariance = START + S // 5, np.zeros((6, 6))
    covariance[2, 2] = 4.01
    loose.on_odometry(stamp, covariance)
    loose.add(flat_scan(stamp, 7), "front")
    loose.process(still_tree((stamp, (0.0, 0.0, 0.0))), stamp)
    assert np.nanmedian(loose.map.layer("variance")) == pytest.approx(0.01 + exact, rel=0.01)


def test_a_covariance_that_is_no_number_or_of_another_time_is_left_out() -> None:
    exact = variance_after(step_of(), "r/front", [0.0])
    step = step_of()
    step.on_odometry(START, np.full((6, 6), np.nan))
    step.on_odometry(START - 10 * S, 5.0 * np.eye(6))
    assert variance_after(step, "r/front", [0.0]) == pytest.approx(exact)


def test_intensity_follows_its_points_through_the_self_filter() -> None:
    body = own_boxes_of(load_robot("long_range"), 0.05)
    cloud = flat_scan(START, 0)
    mount = se3.invert(MOUNTS["r/front"])
    deck = np.tile(mount[:3, :3] @ np.array([0.0, 0.0, 0.8]) + mount[:3, 3], (500, 1))
    xyz = np.concatenate((deck, cloud.xyz_m)).astype(np.float32)
    bright = np.concatenate((np.full(500, 200.0), np.full(3000, 30.0))).astype(np.float32)
    step = step_of(boxes=body)
    step.add(Cloud(START, "r/front", xyz, None, bright), "front")
    (update,) = step.process(still_tree((START, (0.0, 0.0, 0.0))), START)
    assert update.own_points == 500
    seen = step.map.layer("intensity")
    np.testing.assert_allclose(seen[np.isfinite(seen)], 30.0, atol=1e-3)
