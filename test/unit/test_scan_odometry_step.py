"""Scan odometry as a robot runs it: deskewed by odometry, waiting for it, own body left out."""

from __future__ import annotations

import numpy as np
import pytest
from lidar_scenes import Box, Plane
from registration_scenes import scan

from ilrs_robots.core.cloud.self_filter import OwnBox
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.types import Cloud
from ilrs_robots.robots.scan_odometry_step import ScanOdometryStep

LIDAR, SPEED, RATE = "r/lidar", 1.0, 0.3
T_BASE_LIDAR = se3.from_rpy((0.4, 0.0, 1.5), (0.0, 0.1, 0.0))
YARD = [
    Plane(),
    Box((6, 2, 0), (7, 6, 3)),
    Box((-5, -8, 0), (-4, -4, 2.5)),
    Box((9, -5, 0), (10, -3, 2)),
    Box((-8, 3, 0), (-6, 6, 2)),
]


def pose_at(stamp_ns: int, slip: float = 0.0) -> np.ndarray:
    t = stamp_ns * 1e-9
    return se3.from_rpy((SPEED * t * (1.0 + slip), 0.0, 0.0), (0.0, 0.0, RATE * t))


def tree_until(end_ns: int, slip: float = 0.0) -> TransformTree:
    tree = TransformTree(max_gap_s=2.0)
    tree.set_static("r/base_link", LIDAR, T_BASE_LIDAR)
    for stamp in range(0, end_ns + 1, 20_000_000):
        tree.set("r/odom", "r/base_link", stamp, *se3.split_transform(pose_at(stamp, slip)))
    return tree


def turning_scan(stamp_ns: int, seed: int) -> Cloud:
    """A scan over 0.1 s in ten pieces, each seen from where the lidar was then."""
    pieces, offsets = [], []
    for k in range(10):
        offset = k * 10_000_000
        points = scan(YARD, pose_at(stamp_ns + offset) @ T_BASE_LIDAR, seed + k)
        azimuth = np.arctan2(points[:, 1], points[:, 0])
        points = points[np.floor((azimuth + np.pi) / (0.2 * np.pi)).astype(int) == k]
        pieces.append(points)
        offsets.append(np.full(len(points), offset, np.int64))
    return Cloud(stamp_ns, LIDAR, np.concatenate(pieces), np.concatenate(offsets))


def test_motion_is_found_from_scans_that_turn_while_the_vehicle_does() -> None:
    """Odometry slips by a fifth; the scans, deskewed by it, say how far the vehicle went."""
    step, tree = ScanOdometryStep("r"), tree_until(1_000_000_000, slip=0.2)
    for stamp in (0, 200_000_000, 400_000_000):
        step.add(turning_scan(stamp, stamp // 10**7))
        motions = step.process(tree, stamp + 150_000_000)
        assert len(motions) == (1 if stamp else 0)
        for motion in motions:
            true = se3.invert(pose_at(motion.from_ns)) @ pose_at(motion.to_ns)
            assert motion.to_ns == stamp + 90_000_000
            assert np.linalg.norm(motion.T_from_to[:3, 3] - true[:3, 3]) < 0.015
    assert step.matched == 2
    assert not step.dropped


def test_a_scan_waits_for_odometry_but_not_for_ever() -> None:
    step = ScanOdometryStep("r", max_wait_s=0.5)
    step.add(turning_scan(200_000_000, 1))
    assert step.process(tree_until(100_000_000), 300_000_000) == []
    assert not step.dropped
    step.process(tree_until(1_000_000_000), 350_000_000)
    assert step.odometry.planes.count > 0
    step.add(turning_scan(400_000_000, 2))
    assert step.process(tree_until(300_000_000), 2_000_000_000) == []
    assert step.dropped == {"stale_transform": 1}


def test_what_cannot_be_used_is_counted_by_reason() -> None:
    step, tree = ScanOdometryStep("r"), tree_until(1_000_000_000)
    good = turning_scan(200_000_000, 1)
    step.add(good)
    step.process(tree, 10**9)
    step.add(good)
    step.add(Cloud(500_000_000, "r/unknown", good.xyz_m))
    step.add(Cloud(600_000_000, LIDAR, np.full((4, 3), np.nan, np.float32)))
    step.process(tree, 10**9)
    assert step.dropped == {"out_of_order": 1, "missing_transform": 1, "empty": 1}
    step.reset()
    assert step.odometry.planes.count == 0


def test_the_vehicles_own_body_does_not_hold_it_in_place() -> None:
    """A mast in view that moves along would tell that nothing moves."""
    body = OwnBox((-2.0, -2.0, 0.3), (2.0, 2.0, 3.0))
    mast = np.random.default_rng(1).uniform((-1.6, -1.5, -1.0), (-1.2, 1.5, 1.0), (6000, 3))
    step, tree = ScanOdometryStep("r", boxes=(body,)), tree_until(1_000_000_000)
    motions = []
    for stamp in (0, 200_000_000, 400_000_000):
        cloud = turning_scan(stamp, stamp // 10**7)
        xyz = np.concatenate((cloud.xyz_m, mast.astype(np.float32)))
        times = np.concatenate((cloud.time_offset_ns, np.full(len(mast), 0, np.int64)))
        step.add(Cloud(stamp, LIDAR, xyz, times))
        motions += step.process(tree, stamp + 150_000_000)
    assert motions[-1].T_last_to[0, 3] == pytest.approx(0.2, abs=0.01)
