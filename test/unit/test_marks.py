"""Sun and masts as a vehicle sees them: what hides them, and what the filter makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filter_drives import MODEL

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    FloatArray,
    GridSpec,
    ImuSample,
    OdometryEstimate,
    RangeSample,
    SunSample,
)
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.settings import dead_reckoning_config_of
from ilrs_robots.robots.site import SiteConfig, read_site
from ilrs_robots.sim.marks import MarkSensors

S = 1_000_000_000


@pytest.fixture(scope="module")
def site() -> SiteConfig:
    return read_site("shackleton")


def ground(wall_m: float = 0.0, at_x_m: float = -15.0) -> Dem:
    """Level, with a wall along y."""
    spec = GridSpec(-400.0, -400.0, 5.0, 161, 161)
    heights = np.zeros((161, 161), np.float32)
    heights[:, round((at_x_m + 400.0) / 5.0)] = wall_m
    return Dem(heights, spec)


def pose(stamp_ns: int, quat: FloatArray, at: tuple[float, float, float]) -> OdometryEstimate:
    return OdometryEstimate(stamp_ns, np.array(at), quat, np.zeros(3), np.zeros(3))


def test_a_wall_hides_masts_and_a_reach_ends(site: SiteConfig) -> None:
    level = np.array([1.0, 0.0, 0.0, 0.0])
    seen = {}
    for name, wall in (("open", 0.0), ("walled", 60.0)):
        sensors = MarkSensors(site, ground(wall), ground(), MODEL, [1])
        found = list(sensors.sense(pose(S, level, (0.0, 0.0, 0.0))))
        seen[name] = {s.beacon: s.range_m for s in found if isinstance(s, RangeSample)}
    places = KnownMarks(site, ground(), MODEL).beacons
    assert set(seen["open"]) == set(places)
    assert set(seen["walled"]) == {n for n, p in places.items() if p[0] > -15.0}
    antenna = np.array([0.0, 0.0, MODEL.comms.antenna_m])
    for name, measured in seen["open"].items():
        far = float(np.linalg.norm(places[name] - antenna))
        assert measured == pytest.approx(far, abs=5.0 * MODEL.ranging.sigma_m)
    near = replace(MODEL, ranging=replace(MODEL.ranging, reach_m=10.0))
    blind = MarkSensors(site, ground(), ground(), near, [1])
    found = blind.sense(pose(S, level, (0.0, 0.0, 0.0)))
    assert not [s for s in found if isinstance(s, RangeSample)]


def test_ranges_find_a_wrong_place_and_the_sun_a_wrong_heading(site: SiteConfig) -> None:
    prior = ground()
    marks, step = (
        KnownMarks(site, prior, MODEL),
        InertialStep(MODEL, "r", dead_reckoning_config_of(MODEL)),
    )
    turned = se3.from_rpy((6.0, -4.0, 0.0), (0.0, 0.0, 0.01))
    step.start(turned, 0)
    step.relocate(turned, 64.0 * np.eye(3))
    sensors = MarkSensors(site, prior, prior, MODEL, [2])
    level = np.array([1.0, 0.0, 0.0, 0.0])
    suns = 0
    for k in range(1, 61 * 10):
        stamp = k * S // 10
        force = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])
        step.on_imu(ImuSample(stamp, np.zeros(3), force))
        for sample in sensors.sense(pose(stamp, level, (0.0, 0.0, 0.0))):
            assert marks.tell(step, sample)
            suns += isinstance(sample, SunSample)
        step.odometry.filter.stands(stamp, 1e-4, 1e-8)
        step.odometry.filter.advance()
    believed = step.T_map_odom @ step.newest()[1]
    assert np.hypot(*believed[:2, 3]) < 1.5
    assert step.health["range"].taken > 100
    assert suns > 30
    assert abs(se3.yaw_of(se3.split_transform(believed)[1])) < 0.002
    assert not marks.tell(step, RangeSample(61 * S, "nobody", 3.0, 0.5))
    assert marks.unknown == 1
