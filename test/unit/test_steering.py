"""Behaviour of SteeringKinematics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.errors import ConfigError

POSITIONS = np.array(
    [[0.98, 0.86], [0.98, -0.86], [0.0, 0.92], [0.0, -0.92], [-0.98, 0.86], [-0.98, -0.86]]
)
STEERED = np.array([True, True, False, False, True, True])
RADIUS_M = 0.28
ROVER = SteeringKinematics(POSITIONS, STEERED, RADIUS_M, np.radians(95.0))

speeds = st.floats(-2.0, 2.0, allow_nan=False)
angles = st.lists(st.floats(-1.6, 1.6), min_size=6, max_size=6).map(np.array)


@given(speeds, speeds)
def test_forward_undoes_inverse(v: float, w: float) -> None:
    vx, vy, rate = ROVER.forward(*ROVER.inverse(v, w))
    assert (vx, vy, rate) == pytest.approx((v, 0.0, w), abs=1e-8)


@given(speeds, speeds, angles)
def test_forward_undoes_inverse_from_any_angles(v: float, w: float, start: np.ndarray) -> None:
    assume(abs(v) > 1e-6 or abs(w) > 1e-6)
    steer, speed = ROVER.inverse(v, w, previous_steer=start)
    assert np.all(np.abs(steer) <= ROVER.max_steer_rad + 1e-12)
    assert ROVER.forward(steer, speed) == pytest.approx((v, 0.0, w), abs=1e-6)


@given(speeds, speeds)
def test_a_wheel_reverses_rather_than_turns_round(v: float, w: float) -> None:
    steer, _ = ROVER.inverse(v, w)
    assert np.all(np.abs(steer) <= np.pi / 2 + 1e-12)
    assert np.all(steer[~STEERED] == 0.0)


@given(st.floats(0.05, 1.0), st.floats(-0.5, 0.5))
def test_driving_backwards_reverses_the_wheels_only(v: float, w: float) -> None:
    ahead, ahead_speed = ROVER.inverse(v, w)
    back, back_speed = ROVER.inverse(-v, -w)
    assert np.allclose(np.exp(2j * ahead), np.exp(2j * back))
    heading = np.cos(ahead - back)
    assert np.allclose(ahead_speed, -heading * back_speed, atol=1e-9)


@given(st.floats(0.05, 1.0), st.floats(0.01, 1.0))
def test_wheel_axles_meet_on_the_middle_axle_line(v: float, w: float) -> None:
    steer, _ = ROVER.inverse(v, w)
    centre = np.array([0.0, v / w])
    arm = POSITIONS - centre
    heading = np.stack((np.cos(steer), np.sin(steer)), axis=-1)
    assert np.allclose(np.sum(arm * heading, axis=1), 0.0, atol=1e-9 * (1.0 + v / w))


def test_straight_drive_turns_all_wheels_alike() -> None:
    steer, speed = ROVER.inverse(0.56, 0.0)
    assert np.allclose(steer, 0.0)
    assert np.allclose(speed, 2.0)


def test_point_turn_sets_wheels_tangentially() -> None:
    steer, speed = ROVER.inverse(0.0, 0.2)
    expected = np.arctan2(0.98, 0.86)
    assert np.allclose(steer[[0, 1, 4, 5]], [-expected, expected, expected, -expected])
    assert speed[3] == pytest.approx(0.2 * 0.92 / RADIUS_M)
    assert np.allclose(np.sign(speed), [-1, 1, -1, 1, -1, 1])


def test_zero_command_keeps_the_angles() -> None:
    start = np.array([0.3, 0.2, 0.0, 0.0, -0.3, -0.2])
    steer, speed = ROVER.inverse(0.0, 0.0, previous_steer=start)
    assert np.array_equal(steer, start)
    assert np.array_equal(speed, np.zeros(6))


def test_a_wheel_near_a_quarter_turn_does_not_swing_to_the_other_side() -> None:
    before, _ = ROVER.inverse(0.2 * 0.85, 0.2)
    after, _ = ROVER.inverse(0.2 * 0.87, 0.2, previous_steer=before)
    assert np.max(np.abs(after - before)) < np.radians(5.0)
    assert np.max(np.abs(ROVER.inverse(0.2 * 0.87, 0.2)[0] - before)) > np.radians(170.0)


def test_narrow_limits_clamp_the_angle_and_project_the_speed() -> None:
    narrow = SteeringKinematics(POSITIONS, STEERED, RADIUS_M, np.radians(20.0))
    steer, speed = narrow.inverse(0.0, 0.3)
    assert np.max(np.abs(steer)) == pytest.approx(np.radians(20.0))
    assert np.allclose(speed, narrow.wheel_speeds(0.0, 0.3, steer))


def test_speeds_while_wheels_still_turn_are_projections() -> None:
    speed = ROVER.wheel_speeds(0.0, 0.2, np.zeros(6))
    assert np.allclose(speed, -0.2 * POSITIONS[:, 1] / RADIUS_M)


def test_known_yaw_rate_shows_slip_as_residual() -> None:
    steer, speed = ROVER.inverse(0.5, 0.1)
    vx, vy, residual = ROVER.forward_given_yaw_rate(steer, speed, 0.1)
    assert (vx, vy, residual) == pytest.approx((0.5, 0.0, 0.0), abs=1e-9)
    speed[0] *= 1.6
    assert ROVER.forward_given_yaw_rate(steer, speed, 0.1)[2] > 0.05


def test_one_spinning_wheel_hardly_carries_the_others_along() -> None:
    steer, speed = ROVER.inverse(0.5, 0.0)
    speed[2] += 3.0
    plain = ROVER.forward_given_yaw_rate(steer, speed, 0.0)
    robust = ROVER.forward_given_yaw_rate(steer, speed, 0.0, huber_mps=0.02)
    assert abs(plain[0] - 0.5) > 0.1
    assert abs(robust[0] - 0.5) < 0.01


def test_speed_scale_keeps_the_fastest_wheel_within_its_limit() -> None:
    scale = ROVER.speed_scale(1.0, 0.5, 3.2)
    _, speed = ROVER.inverse(scale * 1.0, scale * 0.5)
    assert np.max(np.abs(speed)) == pytest.approx(3.2)
    assert ROVER.speed_scale(0.1, 0.0, 3.2) == 1.0


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ROVER.inverse(float("nan"), 0.0)
    with pytest.raises(ValueError, match="expected"):
        ROVER.forward(np.zeros(5), np.zeros(6))
    with pytest.raises(ConfigError, match="axle line"):
        SteeringKinematics(POSITIONS, np.zeros(6, dtype=bool), RADIUS_M, 1.0)
    with pytest.raises(ConfigError, match="radius"):
        SteeringKinematics(POSITIONS, STEERED, 0.0, 1.0)
