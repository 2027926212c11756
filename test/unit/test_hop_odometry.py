"""A hop through all its phases, and what standing still before it shows."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.geometry.se3 import quat_from_rpy, quat_multiply
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import (
    quat_exp,
    quat_inverse_product,
    quat_log,
    rotation_matrix,
)
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.hop_odometry import HopConfig, HopOdometry, HopPhase
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.localization.static_start import NotStandingError, static_start
from ilrs_robots.core.types import ImuSample

S, HZ, G = 1_000_000_000, 100, 1.62
SHARED = DeadReckoningConfig(
    imu_averages=True, initial_attitude_sigma_rad=0.005, gyro_bias_sigma_rps=5e-6
)
OWN = FilterConfig(initial_speed_sigma_mps=0.01)
DOWN = np.array([0.0, 0.0, -1.0])
MOUNT = np.array([0.2, 0.0, 0.3])


def thrust(t: float) -> tuple[float, float]:
    """Force along the body (None of it in flight) and pitch: up, ballistic, brake."""
    if t < 3.0:
        return G, 0.0
    if t < 6.0:
        return 2.8, 0.25
    if t < 6.0 + FLIGHT:
        return 0.0, 0.25 - 0.5 * min((t - 6.0) / FLIGHT, 1.0)
    return 2.8, -0.25


UP_MPS = 3.0 * (2.8 * np.cos(0.25) - G)
FLIGHT = 2.0 * UP_MPS / G
IMPACT = 6.0 + FLIGHT + 2.7


def ground(place: np.ndarray) -> tuple[float, np.ndarray, float]:
    return -2.0 + 0.05 * float(place[0]), np.array([0.05, 0.0]), 0.05


class Hop:
    """The truth of a hop, sample by sample."""

    def __init__(self, seed: int, end_s: float) -> None:
        rng = np.random.default_rng(seed)
        dt = 1.0 / HZ
        self.samples, self.places, self.speeds, self.quats = [], [], [], []
        gyro, accel = 5e-6 * rng.standard_normal(3), 5e-4 * rng.standard_normal(3)
        p, v, q = np.zeros(3), np.zeros(3), quat_from_rpy(0.0, 0.0, 0.4)
        for k in range(round(end_s * HZ)):
            t = (k + 0.5) * dt
            force, pitch = thrust(t)
            new = quat_multiply(quat_from_rpy(0.0, 0.0, 0.4), quat_from_rpy(0.0, pitch, 0.0))
            turn = quat_log(quat_inverse_product(q, new)) if t > 3.0 else np.zeros(3)
            turn = np.clip(turn, -0.3 * dt, 0.3 * dt)
            middle = rotation_matrix(quat_multiply(q, quat_exp(0.5 * turn)))
            body = np.array([0.0, 0.0, force])
            if t > IMPACT:  # the legs stop it within a tenth of a second, then carry it
                stop = -v / 0.1 if t < IMPACT + 0.1 else -v / dt
                body = middle.T @ (stop - G * DOWN)
                turn = np.zeros(3)
            gain = middle @ body - [0.0, 0.0, G] if t > 3.0 else np.zeros(3)
            p, v = p + v * dt + 0.5 * gain * dt * dt, v + gain * dt
            q = quat_multiply(q, quat_exp(turn))
            noise = rng.standard_normal(6)
            rate = turn / dt + gyro + 2e-5 * np.sqrt(HZ) * noise[:3]
            felt = body + accel + 5e-4 * np.sqrt(HZ) * noise[3:]
            self.samples.append(ImuSample((k + 1) * S // HZ, rate, felt))
            self.places.append(p)
            self.speeds.append(v)
            self.quats.append(q)


def test_a_hop_is_carried_through_all_phases_with_altimetry() -> None:
    hop = Hop(2, IMPACT + 4.0)
    rng = np.random.default_rng(3)
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), quat_from_rpy(0.001, -0.001, 0.401), 0)
    made = HopOdometry(inner, HopConfig())
    phases: list[HopPhase] = []
    for k, sample in enumerate(hop.samples):
        phase = made.on_imu(sample)
        if not phases or phases[-1] is not phase:
            phases.append(phase)
        if k % 10 == 9:
            R, p = rotation_matrix(hop.quats[k]), hop.places[k]
            beam, origin = R @ DOWN, p + R @ MOUNT
            # origin + r beam lies on the plane z = -2 + 0.05 x
            reach = (origin[2] + 2.0 - 0.05 * origin[0]) / (0.05 * beam[0] - beam[2])
            seen = reach + rng.normal(0.0, 0.05)
            made.on_altimeter(sample.stamp_ns, seen, 0.05, MOUNT, DOWN, ground)
    wanted = [HopPhase.STANDING, HopPhase.THRUST, HopPhase.FLIGHT, HopPhase.THRUST]
    assert phases == [*wanted, HopPhase.CONTACT, HopPhase.STANDING]
    assert made.hops == 1
    assert np.linalg.norm(hop.places[-1][:2]) > 10.0
    state = inner.state()
    error = state.position_m - hop.places[-1]
    sigma = np.sqrt(np.diag(state.covariance)[:3])
    assert (np.abs(error) < 3.5 * sigma + 0.01).all()
    assert np.linalg.norm(error) < 1.0
    assert abs(error[2]) < 0.15
    assert np.linalg.norm(state.velocity_mps - hop.speeds[-1]) < 0.02
    turn = quat_log(quat_inverse_product(state.quat_wxyz, hop.quats[-1]))
    assert np.linalg.norm(turn) < np.radians(0.6)
    assert inner.health()["altitude"].refused < 3


def test_in_free_flight_the_fall_is_known_without_any_altimeter() -> None:
    hop = Hop(4, 6.0 + 0.9 * FLIGHT)
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), quat_from_rpy(0.0, 0.0, 0.4), 0)
    made = HopOdometry(inner, HopConfig())
    for sample in hop.samples:
        made.on_imu(sample)
    assert made.phase is HopPhase.FLIGHT
    error = inner.state().position_m - hop.places[-1]
    assert np.linalg.norm(error) < 0.5


def test_an_altimeter_that_sees_no_known_ground_is_refused() -> None:
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), 0)
    made = HopOdometry(inner, HopConfig())
    made.on_imu(ImuSample(S // HZ, np.zeros(3), np.array([0.0, 0.0, G])))
    unknown = lambda _place: (float("nan"), np.zeros(2), 1.0)  # noqa: E731
    sideways = np.array([1.0, 0.0, 0.0])
    assert not made.on_altimeter(S // HZ, 2.0, 0.1, MOUNT, DOWN, unknown)
    assert not made.on_altimeter(S // HZ, 2.0, 0.1, MOUNT, sideways, ground)
    assert not made.on_altimeter(S // HZ, float("inf"), 0.1, MOUNT, DOWN, ground)
    assert sum(inner.refused.values()) == 3


def test_what_still_rocks_a_little_leaves_the_biases_known() -> None:
    """A launch soon after a landing: legs that settle must make no doubt that a flight grows."""
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), 0)
    made = HopOdometry(inner, HopConfig())
    most = HopConfig().standing_rate_rps
    for k in range(600):
        rock = 0.95 * most * np.sin(0.1 * k)
        made.on_imu(ImuSample((k + 1) * S // HZ, np.array([rock, rock, 0.0]), G * -DOWN))
    assert made.phase is HopPhase.STANDING
    assert inner.health()["stand"].refused == 0
    spread = np.sqrt(np.diagonal(inner.state().covariance))
    assert (spread[12:15] <= 1.01 * OWN.accel_bias_sigma_mps2).all()
    assert (spread[9:12] <= 1.01 * SHARED.gyro_bias_sigma_rps).all()


def test_height_over_its_own_map_moves_it_up_and_down_only() -> None:
    """A doubted accelerometer makes place and height go together; a beam must not use that."""
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), quat_from_rpy(0.0, 0.2, 0.0), 0, 0.5)
    made = HopOdometry(inner, HopConfig())
    lean = rotation_matrix(quat_from_rpy(0.0, 0.2, 0.0)).T @ (-G * DOWN)
    push = np.array([0.3, 0.0, 0.3])
    for k in range(4000):
        if k == 1000:
            inner.doubt(k * S // HZ, np.array([0.0, 0.0, 0.0, 0.0, 0.02, 0.0]))
        made.on_imu(ImuSample((k + 1) * S // HZ, np.zeros(3), lean + push))
    before, stamp = inner.state(), 4000 * S // HZ
    level = before.position_m[2] - 1.0 - 5.0  # the ground lies 5 m below where it really is
    flat = lambda _place: (level, np.zeros(2), 0.05)  # noqa: E731
    reach = 5.0 / rotation_matrix(before.quat_wxyz)[2, 2]
    assert made.on_altimeter(stamp, reach, 0.05, np.zeros(3), DOWN, flat)
    inner.advance()
    after = inner.state()
    assert inner.health()["altitude"].taken == 1
    assert after.position_m[2] - before.position_m[2] == pytest.approx(-1.0, abs=0.1)
    np.testing.assert_array_equal(after.position_m[:2], before.position_m[:2])
    np.testing.assert_array_equal(after.velocity_mps[:2], before.velocity_mps[:2])
    np.testing.assert_array_equal(after.accel_bias_mps2, before.accel_bias_mps2)
    spread = after.covariance
    assert np.linalg.eigvalsh(spread).min() > -1e-9
    assert spread[2, 2] < 0.1 * before.covariance[2, 2]
    assert spread[0, 0] == pytest.approx(before.covariance[0, 0])


# -- static start ------------------------------------------------------------------------------
def standing(seed: int, roll: float, pitch: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    gyro, accel = 5e-6 * rng.standard_normal(3), 5e-4 * rng.standard_normal(3)
    up = rotation_matrix(quat_from_rpy(roll, pitch, 0.3)).T @ np.array([0.0, 0.0, G])
    rates = gyro + 2e-5 * np.sqrt(50) * rng.standard_normal((500, 3))
    forces = up + accel + 5e-4 * np.sqrt(50) * rng.standard_normal((500, 3))
    return rates, forces, gyro, accel


def test_standing_gives_tilt_and_biases_as_sure_as_they_are() -> None:
    scores = []
    for seed in range(60):
        roll, pitch = 0.1 * np.sin(seed), 0.1 * np.cos(seed)
        rates, forces, gyro, accel = standing(seed, roll, pitch)
        start = static_start(rates, forces, 0.3, 0.01, 0.02, SHARED, OWN)
        truth = quat_from_rpy(roll, pitch, 0.3)
        turn = quat_log(quat_inverse_product(start.quat_wxyz, truth))
        assert np.linalg.norm(turn) < 2e-3
        np.testing.assert_allclose(start.gyro_bias_rps, gyro, atol=4e-5)
        error = np.r_[turn, gyro - start.gyro_bias_rps, accel - start.accel_bias_mps2]
        spread = start.covariance[6:, 6:] + np.diag(np.r_[np.full(3, 1e-12), np.zeros(6)])
        scores.append(error @ np.linalg.solve(spread, error))
    assert 6.5 < np.mean(scores) < 9.5  # 9 less the heading, which was given exactly
    inner = StateFilter(SHARED, OWN)
    inner.reset(np.zeros(3), start.quat_wxyz, 0)
    inner.begin_with(start.gyro_bias_rps, start.accel_bias_mps2, start.covariance)
    np.testing.assert_allclose(inner.gyro_bias_rps, start.gyro_bias_rps)


def test_a_vehicle_that_moves_gives_no_static_start() -> None:
    rates, forces, _, _ = standing(1, 0.0, 0.0)
    with pytest.raises(NotStandingError, match="scatter"):
        static_start(
            rates + 0.1 * np.sin(np.arange(500))[:, None], forces, 0.0, 0.1, 0.02, SHARED, OWN
        )
    with pytest.raises(NotStandingError, match="gravity"):
        static_start(rates, 1.5 * forces, 0.0, 0.1, 0.02, SHARED, OWN)
    with pytest.raises(NotStandingError, match="at least 2"):
        static_start(rates[:1], forces[:1], 0.0, 0.1, 0.02, SHARED, OWN)
