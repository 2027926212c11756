"""Many samples at once into the error-state filter: what they give one by one, but for the eye
that a batch has for the inertial sample behind a wheel's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from batch_drives import (
    CONFIG,
    IMU_HZ,
    MODEL,
    START_NS,
    WHEELS,
    YAW_RAD,
    Drive,
    S,
    at_once,
    disorder,
    holes,
    nonsense,
    nothing,
    one,
)

from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.inertial_batch import InertialBatch
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.reckoning_batch import SampleBatch
from ilrs_robots.robots.settings import filter_config_of, kinematics_of


def odometry() -> InertialOdometry:
    own: FilterConfig = filter_config_of(MODEL)
    made = InertialOdometry(CONFIG, own, kinematics_of(MODEL), WHEELS.names, WHEELS.steered)
    level = np.array([1.0, 0.0, 0.0, 0.0])
    made.reset(np.array([1.0, 2.0, 3.0]), level, START_NS - S // IMU_HZ, YAW_RAD)
    return made


def all_at_once(batch: SampleBatch) -> tuple[InertialOdometry, dict[int, tuple], int]:
    made = odometry()
    return made, *at_once(made, InertialBatch(made), batch)


@pytest.mark.parametrize("change", [nothing, holes, nonsense, disorder])
def test_a_batch_gives_what_its_samples_give(change: Callable[[Drive], None]) -> None:
    drive = Drive(smooth=True)
    change(drive)
    batch = drive.batch()
    singly = odometry()
    expected = {n: one(singly, batch, n) for n in range(len(batch.kinds))}
    expected = {n: estimate for n, estimate in expected.items() if estimate is not None}
    end, found, alone = all_at_once(batch)
    assert list(found) == list(expected)
    assert len(found) > 1000
    assert alone < 0.1 * len(batch.kinds)
    apart_m, turned_rad, wider = (np.empty(len(expected)) for _ in range(3))
    for k, (n, estimate) in enumerate(expected.items()):
        position, quat, spread = found[n]
        apart_m[k] = np.abs(position - estimate.position_m).max()
        turned_rad[k] = 2.0 * np.arccos(min(abs(float(quat @ estimate.quat_wxyz)), 1.0))
        wide = np.sqrt(np.diagonal(spread) / np.diagonal(estimate.pose_covariance))
        wider[k] = np.abs(wide - 1.0).max()
    # When it comes to stand, one of the two knows so a sample earlier. After three seconds without
    # an IMU, in the dark, the heading is known to some degrees, and small things make it another.
    place_m, turn_rad = (0.06, 0.02) if change is holes else (0.01, 1e-3)
    assert np.percentile(apart_m, 98) < place_m
    assert np.percentile(turned_rad, 98) < turn_rad
    assert np.percentile(wider, 95) < 0.1
    assert apart_m.max() < 0.2
    assert apart_m[-1] < place_m
    assert end.stars_hold == singly.stars_hold
    assert np.abs(end.bias_rps - singly.bias_rps).max() < 1e-5
    for what in ("imu_stamp", "joints_stamp", "imu_not_finite", "time_went_back", "encoder_dead"):
        assert end.refused[what] == singly.refused[what], what


def test_where_a_batch_is_cut_matters_little() -> None:
    batch = Drive(seed=2, smooth=True).batch()
    _, whole, _ = all_at_once(batch)
    made = odometry()
    many, n, last = InertialBatch(made), 0, None
    while n < len(batch.kinds):
        step = many.advance(batch, n, min(n + 37, len(batch.kinds)))
        last = step.last or last
        n = step.end
        if step.end < min(n + 37, len(batch.kinds)) and not len(step.at):
            one(made, batch, n)
            n += 1
    assert last is not None
    position, quat, _ = whole[max(whole)]
    assert np.abs(last.position_m - position).max() < 0.01
    assert 1.0 - abs(float(last.quat_wxyz @ quat)) < 1e-7
