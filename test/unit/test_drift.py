"""A scan that is too high or too low as a whole is put onto the map; nothing in the map moves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lidar_scenes import Box, Plane, Post, scan_of

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig

S = 1_000_000_000
CONFIG = ElevationMapConfig(size_cells=160)
SCENE = (Plane(), Box((3.0, -1.0, 0.0), (3.6, 0.0, 0.5)))


def at(position, lift_m: float = 0.0) -> np.ndarray:
    x, y, z = position
    return se3.from_rpy((x, y, z + lift_m), (0.0, 0.0, 0.0))


def mapped(config=CONFIG, scans: int = 6) -> ElevationMap:
    built = ElevationMap(config)
    for k in range(scans):
        position = (0.05 * k, 0.0, 1.6)
        report = built.update(scan_of(SCENE, position, k), at(position), k * S // 5)
    assert abs(report.drift_m or 0.0) < 0.002
    assert report.shift_m == 0.0
    return built


@pytest.mark.parametrize("lift_m", [0.06, -0.06])
def test_a_jump_of_odometry_height_is_found_and_does_not_double_the_ground(lift_m):
    built, plain = mapped(), mapped(dataclasses.replace(CONFIG, drift_compensation=False))
    position = (0.3, 0.0, 1.6)
    gated = {}
    for name, which in (("with", built), ("without", plain)):
        report = which.update(scan_of(SCENE, position, 9), at(position, lift_m), 2 * S)
        gated[name] = report.dropped["gated"]
    found = built.update(scan_of(SCENE, position, 10), at(position, lift_m), 3 * S)
    assert found.drift_m == pytest.approx(lift_m, abs=0.012)
    assert gated["with"] < 0.1 * gated["without"]
    error = built.layer("elevation")[:, :100]
    assert np.sqrt(np.nanmean(error**2)) < 0.015


def test_unseen_ground_keeps_every_bit_and_new_ground_continues_the_old():
    built = mapped()
    before = built.to_arrays()
    half = scan_of(SCENE, (0.3, 0.0, 1.6), 20)
    half = half[half[:, 0] > 1.0]
    report = built.update(half, at((0.3, 0.0, 1.6), 0.08), 2 * S)
    assert report.shift_m == pytest.approx(-0.07, abs=0.005)
    unseen = built.layer("last_seen_s") < 1.9
    assert unseen.sum() > 5000
    for name in ("elevation", "variance", "upper_bound", "lower_bound", "count"):
        after = built.to_arrays()[name]
        np.testing.assert_array_equal(after[unseen], before[name][unseen])
    new = np.isnan(before["elevation"]) & np.isfinite(built.layer("elevation"))
    low = new & (built.layer("elevation") < 0.2)
    assert low.sum() > 50
    assert np.median(built.layer("elevation")[low]) == pytest.approx(0.01, abs=0.006)


def test_a_lasting_offset_pulls_the_ground_that_is_seen_after_the_odometry():
    built = mapped()
    offsets = []
    for k in range(40):
        position = (0.3, 0.0, 1.6)
        report = built.update(scan_of(SCENE, position, k % 8), at(position, 0.05), (10 + k) * S)
        offsets.append(report.drift_m)
    assert offsets[0] == pytest.approx(0.05, abs=0.005)
    assert abs(offsets[-1]) < 0.012


def test_what_moves_and_what_is_steep_is_no_drift():
    built = mapped()
    scene = (*SCENE, *(Post(2.5, 0.6 * k, 0.3, 1.0) for k in range(-4, 5)))
    report = built.update(scan_of(scene, (0.3, 0.0, 1.6), 30), at((0.3, 0.0, 1.6)), 2 * S)
    assert abs(report.drift_m) < 0.003
    steep = ElevationMap(CONFIG)
    slope = (Plane(gx=0.5),)
    for k in range(4):
        report = steep.update(scan_of(slope, (0.0, 0.0, 1.6), k), at((0.0, 0.0, 1.6)), k * S)
    assert abs(report.drift_m or 0.0) < 0.003


def test_an_offset_that_is_too_large_or_too_little_known_is_left_alone():
    built = mapped()
    points = scan_of(SCENE, (0.3, 0.0, 1.6), 31)
    far = built.update(points, at((0.3, 0.0, 1.6), 0.5), 2 * S)
    assert (far.drift_m, far.shift_m) == (None, 0.0)
    few = mapped().update(points[:60], at((0.3, 0.0, 1.6), 0.05), 2 * S)
    assert (few.drift_m, few.shift_m) == (None, 0.0)


def test_the_offset_does_not_depend_on_the_order_of_the_points():
    first, second = mapped(), mapped()
    points = scan_of(SCENE, (0.3, 0.0, 1.6), 32)
    order = np.random.default_rng(0).permutation(len(points))
    one = first.update(points, at((0.3, 0.0, 1.6), 0.05), 2 * S)
    two = second.update(points[order], at((0.3, 0.0, 1.6), 0.05), 2 * S)
    assert one.drift_m == two.drift_m
    np.testing.assert_allclose(second.layer("elevation"), first.layer("elevation"), atol=1e-4)
