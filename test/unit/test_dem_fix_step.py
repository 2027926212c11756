"""A drive over true ground with the orbital map: fixes come, and the error stays bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from ground_swaths import Site, site

from ilrs_robots.core.localization.ground_mosaic import (
    GroundMosaic,
    GroundMosaicConfig,
    points_of_map,
)
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.dem_fix_step import DemFixConfig, DemFixStep

LOOK_M = 4.0


@dataclass
class Drive:
    """A vehicle with 0.5 % odometry that takes fixes into a filter of x and y."""

    place: Site
    start_m: np.ndarray
    heading_rad: float
    rng: np.random.Generator
    off_m: np.ndarray = field(default_factory=lambda: np.zeros(2))
    carried_m: np.ndarray = field(default_factory=lambda: np.zeros(2))
    sigma_m: float = 4.0

    def __post_init__(self) -> None:
        self.step = DemFixStep(self.place.prior, DemFixConfig())
        self.at, self.odom = self.start_m.copy(), np.eye(4)
        self.T_map_odom = np.eye(4)
        self.T_map_odom[:2, 3] = self.start_m + self.off_m
        self.covariance = self.sigma_m**2 * np.eye(2)
        self.scale, self.yaw = 1.0 + self.rng.normal(0.0, 0.003), self.rng.normal(0.0, 0.002)
        self.fixes: list[tuple[float, float]] = []
        self.way_m = 0.0

    @property
    def error_m(self) -> float:
        """Of the believed place, beside the prior's own shift."""
        believed = (self.T_map_odom @ self.odom)[:2, 3]
        return float(np.hypot(*(believed - self.at - self.place.shift_m)))

    def go(self, metres: float) -> None:
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        R = np.array(((c, -s), (s, c)))
        for _ in range(round(metres / LOOK_M)):
            self.heading_rad += self.rng.normal(0.0, 0.02)
            ahead = LOOK_M * np.array([np.cos(self.heading_rad), np.sin(self.heading_rad)])
            self.at = self.at + ahead
            self.way_m += LOOK_M
            self.odom = self.odom.copy()
            self.odom[:2, 3] += self.scale * R @ ahead
            self.covariance = self.covariance + (0.02 * LOOK_M) ** 2 * np.eye(2)
            self._look(R)

    def _look(self, R: np.ndarray) -> None:
        rng = self.rng
        reach, turn = 40.0 * np.sqrt(rng.random(900)), rng.uniform(0.0, 2.0 * np.pi, 900)
        around = np.column_stack((reach * np.cos(turn), reach * np.sin(turn)))
        z = self.place.surface.height(self.at + around) + rng.normal(0.0, 0.03, 900)
        points = np.column_stack((self.odom[:2, 3] + around @ R.T, z + 0.002 * self.way_m))
        fix = self.step.on_points(0, points, self.odom, self.T_map_odom, self.covariance)
        if fix is None:
            return
        gain = self.covariance @ np.linalg.inv(self.covariance + fix.covariance[:2, :2])
        self.T_map_odom = self.T_map_odom.copy()
        self.T_map_odom[:2, 3] += gain @ fix.match.shift_m[:2]
        self.covariance = (np.eye(2) - gain) @ self.covariance
        self.fixes.append((self.way_m, self.error_m))


def drive_of(seed: int, metres: float, slope_deg: float = 5.0, **how) -> Drive:
    place, rng = site(seed, slope_deg, 1280.0), np.random.default_rng(seed)
    off = rng.normal(0.0, 3.0, 2)
    drive = Drive(place, np.full(2, -0.37 * metres - 20.0), np.pi / 4.0, rng, off, **how)
    drive.go(metres)
    return drive


def test_a_drive_stays_within_five_metres_and_finds_its_place_every_300_m() -> None:
    drive = drive_of(63, 500.0)
    assert max(error for _, error in drive.fixes) < 5.0
    stations = np.array([0.0, *(way for way, _ in drive.fixes), drive.way_m])
    assert np.diff(stations).max() <= 300.0
    assert drive.step.outcomes["fix"] == len(drive.fixes)
    assert drive.step.fix_way_m < 300.0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(300, 308))
def test_nine_hundred_metres(seed: int) -> None:
    drive = drive_of(seed, 900.0, (4.3, 6.0)[seed % 2])
    assert max(error for _, error in drive.fixes) < 5.0
    stations = np.array([0.0, *(way for way, _ in drive.fixes), drive.way_m])
    assert np.diff(stations).max() <= 300.0


def test_a_vehicle_that_believes_to_be_elsewhere_takes_no_fix_and_is_called_lost() -> None:
    place, rng = site(62, 6.0, 1280.0), np.random.default_rng(5)
    start, off = np.full(2, -150.0), np.array([60.0, -80.0])
    drive = Drive(place, start, np.pi / 4.0, rng, off, sigma_m=3.0)
    drive.go(260.0)
    assert not drive.fixes
    assert drive.step.outcomes["elsewhere"] >= 3
    lost = drive.step.lost_by_m
    assert lost is not None
    np.testing.assert_allclose(lost[:2], place.shift_m - off, atol=8.0)


def flat_points(rng: np.random.Generator, at: tuple[float, float], height: float) -> np.ndarray:
    xy = np.array(at) + rng.uniform(-30.0, 30.0, (4000, 2))
    return np.column_stack((xy, np.full(4000, height)))


def test_a_cell_tells_where_its_points_lie_and_how_high() -> None:
    """On a slope of which half a cell was seen: the pair of place and height is on the slope."""
    rng, mosaic = np.random.default_rng(1), GroundMosaic(GroundMosaicConfig())
    xy = rng.uniform((0.0, 0.0), (2.0, 5.0), (400, 2))
    mosaic.add(np.column_stack((xy, 0.3 * xy[:, 0] - 0.1 * xy[:, 1])), np.array([1.0, 2.0]))
    (x, y, z), *rest = mosaic.cells()
    assert not rest
    assert x == pytest.approx(1.0, abs=0.1)
    assert z == pytest.approx(0.3 * x - 0.1 * y, abs=1e-9)


def test_the_mosaic_forgets_what_is_far_behind_and_follows_without_end() -> None:
    rng = np.random.default_rng(2)
    mosaic = GroundMosaic(GroundMosaicConfig(size_cells=40, memory_m=100.0))
    for x in np.arange(0.0, 700.0, 10.0):
        mosaic.add(flat_points(rng, (x, -x), 1.0), np.array([x, -x]))
    cells = mosaic.cells()
    away = np.hypot(*(cells[:, :2] - (690.0, -690.0)).T)
    assert 90.0 < away.max() < 150.0
    np.testing.assert_allclose(cells[:, 2], 1.0)
    assert mosaic.way_m == pytest.approx(np.sqrt(2.0) * 690.0)


def test_ground_that_changes_under_the_vehicle_tears_the_mosaic() -> None:
    rng, step = np.random.default_rng(2), DemFixStep(site(62, 6.0, 1280.0).prior)
    pose, covariance = np.eye(4), np.eye(2)
    for height in (0.0, 0.1, 3.0):
        points = flat_points(rng, (0.0, 0.0), height)
        assert step.on_points(0, points, pose, np.eye(4), covariance) is None
    assert step.torn == 1
    assert len(step.mosaic.cells()) == 0
    assert step.due(pose)


def test_an_elevation_map_gives_its_known_cells_as_points() -> None:
    heights = np.array([[1.0, np.nan], [3.0, 4.0]], np.float32)
    found = points_of_map(heights, GridSpec(10.0, 20.0, 0.5, 2, 2))
    np.testing.assert_allclose(found, [[10, 20, 1], [10, 20.5, 3], [10.5, 20.5, 4]])
