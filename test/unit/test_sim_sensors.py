"""Sensors fed with motions that have formulas."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from ilrs_robots.core.geometry.se3 import quat_from_rpy, quat_multiply
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.sensors import BodyState, Imu, JointEncoders, StarTracker


@pytest.fixture
def model():
    return load_robot("long_range")


def noiseless(imu, **changes):
    quiet = {
        "gyro_noise_rps_sqrt_hz": 0.0,
        "gyro_bias_rps": 0.0,
        "accel_noise_mps2_sqrt_hz": 0.0,
        "accel_bias_mps2": 0.0,
    }
    return dataclasses.replace(imu, **quiet, **changes)


def state(stamp_s, yaw=0.0, velocity=(0.0, 0.0, 0.0), rate=0.0, joints=()):
    return BodyState(
        round(stamp_s * 1e9),
        np.zeros(3),
        quat_from_rpy(0.0, 0.0, yaw),
        np.array(velocity),
        np.array([0.0, 0.0, rate]),
        np.array(joints),
    )


def test_imu_on_an_arm_feels_the_turn(model):
    config = noiseless(model.imu, position_m=(0.5, 0.0, 0.3), rpy_deg=(0.0, 0.0, 90.0))
    imu = Imu(config, 1.62, np.random.default_rng(0))
    rate, step = 0.8, 0.005
    sample = imu.sample(state(0.0, 0.0, rate=rate), state(step, rate * step, rate=rate))
    np.testing.assert_allclose(sample.angular_velocity_rps, [0.0, 0.0, rate], atol=1e-12)
    inward = -(rate**2) * 0.5
    np.testing.assert_allclose(sample.specific_force_mps2, [0.0, -inward, 1.62], atol=1e-5)
    assert sample.stamp_ns == round(step * 1e9)


def test_imu_averages_what_happens_within_its_period(model):
    imu = Imu(noiseless(model.imu), 1.62, np.random.default_rng(0))
    sample = imu.sample(state(0.0), state(0.02, velocity=(0.004, 0.0, -0.01)))
    np.testing.assert_allclose(sample.specific_force_mps2, [0.2, 0.0, 1.12], atol=1e-12)


def test_imu_noise_has_the_stated_density_and_one_bias(model):
    imu = Imu(model.imu, 1.62, np.random.default_rng(3))
    period = 1.0 / model.imu.rate_hz
    states = [state(k * period) for k in range(3001)]
    pairs = itertools.pairwise(states)
    rates = np.array([imu.sample(a, b).angular_velocity_rps for a, b in pairs])
    sigma = model.imu.gyro_noise_rps_sqrt_hz * np.sqrt(model.imu.rate_hz)
    np.testing.assert_allclose(rates.std(axis=0), sigma, rtol=0.1)
    np.testing.assert_allclose(rates.mean(axis=0), imu.gyro_bias_rps, atol=5 * sigma / 3000**0.5)
    assert np.abs(imu.gyro_bias_rps).max() < 5 * model.imu.gyro_bias_rps


def test_encoders_quantise_angles_and_give_the_mean_speed(model):
    config = dataclasses.replace(model.joint_states, encoder_resolution_rad=0.01)
    encoders = JointEncoders(config, ("a", "b"))
    sample = encoders.sample(state(1.0, joints=(0.0, 1.0)), state(1.02, joints=(0.0149, 0.9)))
    np.testing.assert_allclose(sample.position_rad, [0.01, 0.9], atol=1e-12)
    np.testing.assert_allclose(sample.velocity_rps, [0.745, -5.0])
    assert sample.names == ("a", "b")


def test_star_tracker_scatters_about_the_truth(model):
    config = dataclasses.replace(model.star_tracker, rpy_deg=(10.0, 20.0, 30.0), sigma_deg=0.1)
    tracker = StarTracker(config, np.random.default_rng(1))
    true = quat_multiply(quat_from_rpy(0.0, 0.0, 0.7), quat_from_rpy(*config.rpy_rad))
    inverse = true * (1.0, -1.0, -1.0, -1.0)
    samples = [tracker.sample(state(k, 0.7)) for k in range(2000)]
    errors = np.array([2.0 * quat_multiply(inverse, s.quat_wxyz)[1:] for s in samples])
    np.testing.assert_allclose(errors.std(axis=0), np.radians(0.1), rtol=0.1)
    assert np.abs(errors.mean(axis=0)).max() < np.radians(0.1) * 0.12
    assert samples[0].sigma_rad == pytest.approx(np.radians(0.1))
