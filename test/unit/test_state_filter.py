"""The error-state filter: consistent, indifferent to the order of arrival, hard to fool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from filter_drives import (
    NOISE,
    OWN,
    SHAPE,
    SHARED,
    attitude_error,
    error_of,
    filtered,
    position_error,
    started,
    wheel_values,
)
from scipy.stats import chi2

from ilrs_robots.core.errors import TransformError
from ilrs_robots.core.localization.filter_types import (
    BeaconRange,
    GroundHeight,
    PositionFix,
    RelativePose,
    SunDirection,
)
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.replay.measured_drive import MeasuredDrive, make_drive

S = 1_000_000_000
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
UP = np.array([0.0, 0.0, 1.62])


@pytest.fixture(scope="module")
def drive() -> MeasuredDrive:
    return make_drive(3, replace(SHAPE, duration_s=30.0), NOISE)


@pytest.mark.parametrize("drives", [12, pytest.param(50, marks=pytest.mark.soak)])
def test_errors_are_as_large_as_it_believes(drives: int) -> None:
    """NEES and NIS inside their bounds; slip as the filter models it."""
    noise = replace(NOISE, slip_mean=0.0, slip_sigma=0.2)
    shape = replace(SHAPE, duration_s=30.0, imu_hz=25.0)
    squares, nis = [], {"wheels": [], "stars": [], "scan": []}
    for seed in range(drives):
        drive = make_drive(seed, shape, noise)
        made = filtered(drive, seed=seed)
        error, spread = error_of(made, drive), made.state().covariance
        squares.append(float(error @ np.linalg.solve(spread, error)))
        for name, row in made.health().items():
            nis[name].append(row.nis_mean)
    low, high = chi2.ppf([0.025, 0.975], 15 * drives) / drives
    assert low < np.mean(squares) < high
    for name in ("stars", "scan"):
        # 5 % is two standard deviations over fifty drives with 30 stars each
        assert abs(np.mean(nis[name]) - 1.0) < 0.05 * np.sqrt(50 / drives), name
    assert np.mean(nis["wheels"]) < 1.0  # their speed across the ground is trusted less


# -- order of arrival --------------------------------------------------------------------------
def samples_of(drive: MeasuredDrive) -> list[tuple[int, str, int]]:
    found = [(int(t), "imu", k) for k, t in enumerate(drive.stamps_ns)]
    found += [(int(t), "wheels", k) for k, t in enumerate(drive.wheel_stamps_ns)]
    found += [(s.stamp_ns, "star", k) for k, s in enumerate(drive.stars)]
    found += [(s.stamp_ns, "scan", k) for k, s in enumerate(drive.scans)]
    return sorted(found)


def feed(made: StateFilter, drive: MeasuredDrive, kind: str, k: int) -> None:
    values = wheel_values(drive)
    if kind == "imu":
        made.imu(int(drive.stamps_ns[k]), drive.rates_rps[k], drive.forces_mps2[k])
    elif kind == "wheels":
        made.wheels(int(drive.wheel_stamps_ns[k]), values[k, :3], values[k, 3:6])
    elif kind == "star":
        star = drive.stars[k]
        made.stars(star.stamp_ns, star.quat_wxyz, star.sigma_rad)
    else:
        made.scan(drive.scans[k])


@pytest.mark.parametrize("averages", [True, False])
def test_late_and_shuffled_measurements_change_nothing(
    drive: MeasuredDrive, averages: bool
) -> None:
    shared = replace(SHARED, imu_averages=averages)
    in_order, late = StateFilter(shared, OWN), StateFilter(shared, OWN)
    rng = np.random.default_rng(1)
    samples = samples_of(drive)[:1500]
    delays = {"imu": 0.0, "wheels": 0.1, "star": 1.5, "scan": 0.5}
    arrival = [t + rng.uniform(0.0, delays[kind]) * S for t, kind, _ in samples]
    for made, order in ((in_order, range(len(samples))), (late, np.argsort(arrival))):
        made.reset(drive.positions_m[0], drive.quats_wxyz[0], 0)
        for place in order:
            _, kind, k = samples[place]
            feed(made, drive, kind, k)
            made.advance()
    assert late.redone > 1000
    first, second = in_order.state(), late.state()
    np.testing.assert_allclose(second.position_m, first.position_m, atol=1e-9)
    np.testing.assert_allclose(second.quat_wxyz, first.quat_wxyz, atol=1e-9)
    np.testing.assert_allclose(second.covariance, first.covariance, atol=1e-12)
    assert late.health() == in_order.health()


def test_one_by_one_and_all_at_once_are_the_same(drive: MeasuredDrive) -> None:
    single = started(drive)
    for _, kind, k in samples_of(drive):
        feed(single, drive, kind, k)
        single.advance()
    batch = filtered(drive)
    np.testing.assert_allclose(single.state().position_m, batch.state().position_m, atol=1e-9)
    assert single.health() == batch.health()


def test_what_is_too_late_or_there_already_is_refused(drive: MeasuredDrive) -> None:
    made = filtered(drive)
    before = made.state()
    assert not made.stars(drive.stars[2].stamp_ns, drive.stars[2].quat_wxyz, 1e-4)
    assert not made.stars(drive.stars[-1].stamp_ns, drive.stars[-1].quat_wxyz, 1e-4)
    assert not made.imu(int(drive.stamps_ns[-1]), np.zeros(3), UP)
    assert not made.imu(int(drive.stamps_ns[-1]) + 1, np.full(3, np.nan), UP)
    made.advance()
    np.testing.assert_array_equal(made.state().position_m, before.position_m)
    assert made.refused["stars_stamp"] == 2
    assert made.refused["imu_stamp"] == 1
    assert made.refused["imu_not_finite"] == 1


# -- single measurements -----------------------------------------------------------------------
def coasting(seconds: float = 1.0, **own: float) -> StateFilter:
    """At rest, level, with an IMU that is right."""
    made = StateFilter(SHARED, replace(OWN, **own))
    made.reset(np.zeros(3), LEVEL, 0, 5.0, 0.05)
    stamps = (np.arange(round(50 * seconds)) + 1) * S // 50
    made.propagate(stamps, np.zeros((len(stamps), 3)), np.tile(UP, (len(stamps), 1)))
    return made


def test_a_place_moves_map_to_odom_and_leaves_odom_smooth() -> None:
    made = coasting()
    at = np.array([3.0, -2.0, 1.0])
    assert made.fix(PositionFix(S, at, np.diag([0.01, 0.01, 0.01])))
    made.advance()
    state, (origin, yaw) = made.state(), made.anchor_from_odom
    np.testing.assert_allclose(state.position_m, at, atol=0.02)
    c, s = np.cos(-yaw), np.sin(-yaw)
    in_odom = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ (state.position_m - origin)
    assert np.linalg.norm(in_odom) < 0.03  # tilt turns the lever a little
    in_map = np.sqrt(np.diag(made.pose_covariance(in_odom=False))[:3])
    still = np.sqrt(np.diag(made.pose_covariance(in_odom=True))[:3])
    assert (in_map < 0.15).all()
    assert (still > 4.9).all()


def test_a_place_may_lack_a_coordinate() -> None:
    made = coasting()
    flat = np.array([1.0, 2.0, np.nan])
    made.fix(PositionFix(S, flat, np.diag([0.01, 0.01, np.nan])))
    made.advance()
    np.testing.assert_allclose(made.state().position_m[:2], [1.0, 2.0], atol=0.02)
    assert np.sqrt(made.state().covariance[2, 2]) > 4.9
    assert not made.fix(PositionFix(S, np.full(3, np.nan), np.eye(3)))


def test_three_beacons_give_the_place() -> None:
    made = coasting()
    truth, antenna = np.array([2.0, -3.0, 0.5]), np.array([0.0, 0.0, 1.6])
    for beacon in ([50.0, 0.0, 5.0], [0.0, 60.0, 3.0], [-30.0, -30.0, 8.0], [10.0, -9.0, 20.0]):
        away = float(np.linalg.norm(truth + antenna - beacon))
        for _ in range(3):
            made.beacon(BeaconRange(S, np.array(beacon), away, 0.05, antenna))
    made.advance()
    assert np.linalg.norm(made.state().position_m - truth) < 0.3
    assert made.health()["range"].taken == 12


def test_the_sun_gives_two_angles_and_leaves_the_third() -> None:
    made = coasting()
    known = np.array([np.cos(0.4), np.sin(0.4), 0.03])
    known /= np.linalg.norm(known)
    turn = 0.03
    c, s = np.cos(-turn), np.sin(-turn)
    seen = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ known
    made.sun(SunDirection(S, seen, known, 1e-3), known)
    made.advance()
    q = made.state().quat_wxyz
    assert 2.0 * np.arcsin(q[3]) == pytest.approx(turn, abs=2e-3)
    spread = made.state().covariance[6:9, 6:9]
    assert float(known @ spread @ known) > 0.5 * 0.05**2


def test_height_over_a_slope_gives_the_height() -> None:
    made = coasting()
    ground = np.array([10.0, 0.0, 4.0])
    made.ground(GroundHeight(S, 2.0, ground, np.array([0.1, 0.0]), 0.02))
    made.advance()
    x, _, z = made.state().position_m
    assert z - (4.0 + 0.1 * (x - 10.0)) == pytest.approx(2.0, abs=0.01)


def test_directions_that_scans_do_not_see_stay_unknown() -> None:
    """On a plain the scan says nothing of x, y and yaw, whatever numbers it gives for them."""
    spread = np.diag([1e6, 1e6, 1e-4, 1e-6, 1e-6, 1e6])
    made = coasting(0.5)
    before = np.diag(made.state().covariance)[:2].copy()
    made.scan(RelativePose(S // 10, S // 2, np.array([3.0, -2.0, 0.0]), LEVEL, spread))
    made.advance()
    assert np.linalg.norm(made.state().position_m[:2]) < 1e-3
    assert (np.diag(made.state().covariance)[:2] > 0.99 * before).all()
    assert made.health()["scan"].taken == 1


def test_a_relative_pose_whose_start_is_not_kept_is_refused(drive: MeasuredDrive) -> None:
    made = started(drive)
    made.propagate(drive.stamps_ns, drive.rates_rps, drive.forces_mps2)
    old = drive.scans[3]
    assert not made.scan(old)
    assert not made.scan(replace(drive.scans[-1], since_ns=drive.scans[-1].stamp_ns))
    assert made.refused["scan_not_valid"] == 1


# -- gates and sanity --------------------------------------------------------------------------
def test_a_wild_answer_is_refused_and_a_lasting_one_believed_with_hysteresis() -> None:
    made = coasting(1.0)
    made.stars(S, LEVEL, 3e-4)
    made.advance()
    turned = np.array([np.cos(0.15), 0.0, 0.0, np.sin(0.15)])
    k = 1
    doubted = []
    for k in range(1, 41):
        stamp = S + k * S // 50
        made.stars(stamp, turned if k != 40 else LEVEL, 3e-4)
        made.imu(stamp, np.zeros(3), UP)
        made.advance()
        doubted.append(made.health()["stars"].doubted)
    row = made.health()["stars"]
    assert not doubted[1]
    assert doubted[2]
    assert row.lost >= 1
    assert not doubted[-2]
    yaw = 2.0 * np.arctan2(made.state().quat_wxyz[3], made.state().quat_wxyz[0])
    assert yaw == pytest.approx(0.3, abs=2e-3)
    assert row.taken > 15


def test_numbers_beyond_all_bounds_end_in_doubt_not_in_nan(drive: MeasuredDrive) -> None:
    made = filtered(drive)
    at = made.state().position_m
    stamp = int(drive.stamps_ns[-1])
    made.imu(stamp + S // 50, np.full(3, 1e300), np.full(3, 1e300))
    made.advance()
    assert made.refused["insane"] == 1
    state = made.state()
    assert np.isfinite(state.covariance).all()
    assert np.linalg.norm(state.position_m - at) < 5.0
    assert made.lost
    made.imu(stamp + 2 * S // 50, np.zeros(3), UP)
    made.fix(PositionFix(stamp + 2 * S // 50, at, np.eye(3)))
    made.advance()
    assert not made.lost


def test_a_start_that_is_none_is_refused() -> None:
    made = StateFilter(SHARED, OWN)
    with pytest.raises(ValueError, match="three finite"):
        made.reset(np.array([0.0, np.nan, 0.0]), LEVEL, 0)
    with pytest.raises(TransformError):
        made.reset(np.zeros(3), np.zeros(4), 0)


def test_without_any_aid_it_knows_how_fast_it_is_lost(drive: MeasuredDrive) -> None:
    blind, aided = filtered(drive, ""), filtered(drive, "stars scans")
    assert position_error(blind, drive) < 4.0 * np.sqrt(np.trace(blind.state().covariance[:3, :3]))
    assert position_error(aided, drive) < 0.5
    assert attitude_error(aided, drive) < np.radians(0.3)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(k, marks=pytest.mark.soak) for k in range(1, 20))]
)
def test_a_kilometre_with_slip_ends_within_half_a_percent(seed: int) -> None:
    """Slip of 10 to 30 %, of which the filter is told nothing but how far it may go."""
    drive = make_drive(seed, replace(SHAPE, duration_s=2020.0, imu_hz=25.0), NOISE)
    made = filtered(drive, seed=seed)
    assert drive.driven_m > 1000.0
    assert position_error(made, drive) < 0.005 * drive.driven_m
    assert attitude_error(made, drive) < np.radians(0.3)
    assert position_error(made, drive) < 4.0 * np.sqrt(np.trace(made.state().covariance[:3, :3]))
