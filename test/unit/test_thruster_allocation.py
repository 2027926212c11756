"""Thrust shared out among engines: what is asked for is given, within bounds, also with faults."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from ilrs_robots.core.control.hop_attitude import (
    AttitudeConfig,
    AttitudeControl,
    pointing,
    within_tilt,
)
from ilrs_robots.core.control.thruster_allocation import ThrusterAllocator
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import quat_rotate
from ilrs_robots.core.localization.error_state import quat_exp, quat_product
from ilrs_robots.robots.hop_vehicle import balance_of, hop_vehicle_of, layout_of
from ilrs_robots.robots.model import load_robot

WEIGHT = np.array([0.1, 0.1, 1.0, 30.0, 30.0, 30.0])


@pytest.fixture(scope="module")
def model():
    return load_robot("hopper")


@pytest.fixture
def allocator(model):
    return ThrusterAllocator(layout_of(model), balance_of(model, 50.0)[0])


def test_what_is_within_reach_is_given_without_pushing_sideways(allocator):
    rng = np.random.default_rng(1)
    for _ in range(50):
        torque = rng.uniform(-1.0, 1.0, 3) * (20.0, 20.0, 5.0)
        done = allocator.allocate(rng.uniform(300.0, 600.0), torque)
        np.testing.assert_allclose(done.short, np.zeros(6), atol=5e-3)
        layout = allocator.layout
        assert (done.thrust_n >= -1e-9).all()
        assert (done.thrust_n <= layout.max_n + 1e-9).all()
        lit = done.thrust_n[layout.main]
        assert ((lit == 0.0) | (lit >= layout.min_n[layout.main] - 1e-9)).all()


def test_beyond_its_reach_it_is_nearly_as_good_as_bounded_least_squares(model):
    """scipy's own, without the gap between nothing and the least thrust."""
    layout = layout_of(model)
    free = dataclasses.replace(layout, min_n=np.zeros(len(layout.max_n)))
    allocator = ThrusterAllocator(free, balance_of(model, 30.0)[0])
    wrenches = free.wrenches(balance_of(model, 30.0)[0])
    rng = np.random.default_rng(2)
    for _ in range(40):
        asked = np.r_[0.0, 0.0, rng.uniform(50.0, 1100.0), rng.uniform(-90.0, 90.0, 3)]
        best = lsq_linear(WEIGHT[:, None] * wrenches, WEIGHT * asked, (0.0, free.max_n))
        done = allocator.allocate(asked[2], asked[3:])
        ours, theirs = np.sum((WEIGHT * done.short) ** 2), 2.0 * best.cost
        assert ours <= 1.25 * theirs + 1.0


def test_without_main_engines_the_small_ones_turn_it_alone(allocator):
    torque = np.array([2.0, -3.0, 4.0])
    done = allocator.allocate(0.0, torque)
    assert not done.thrust_n[allocator.layout.main].any()
    np.testing.assert_allclose(done.wrench[3:], torque, rtol=0.1)


def test_one_engine_off_leaves_a_pair_that_carries_it_level(allocator, model):
    """Its opposite falls silent with it; two of 200 N lift what weighs 324 N."""
    names = list(model.thrusters)
    allocator.set_stuck({names.index("main_left"): "off"})
    done = allocator.allocate(330.0, np.zeros(3))
    assert done.thrust_n[names.index("main_right")] < 15.0
    assert done.wrench[2] == pytest.approx(330.0, rel=0.03)
    assert np.abs(done.wrench[3:]).max() < 0.5


def test_a_small_thruster_stuck_on_is_balanced(allocator, model):
    names = list(model.thrusters)
    allocator.set_stuck({names.index("yaw_left_front"): "on"})
    done = allocator.allocate(330.0, np.zeros(3))
    assert done.thrust_n[names.index("yaw_left_front")] == 10.0
    assert np.abs(done.wrench[3:]).max() < 0.1
    assert done.wrench[2] == pytest.approx(330.0, rel=0.01)


def test_an_engine_stuck_on_still_allows_to_sink_level(allocator, model):
    names = list(model.thrusters)
    allocator.set_stuck({names.index("main_front"): "on"})
    done = allocator.allocate(330.0, np.zeros(3))
    assert np.abs(done.wrench[3:]).max() < 1.0
    assert done.wrench[2] > 330.0


def test_a_layout_that_does_not_fit_is_an_error(model):
    layout = layout_of(model)
    with pytest.raises(ConfigError, match="thrusters: places and directions"):
        dataclasses.replace(layout, max_n=layout.max_n[:3])


def test_mass_centre_and_moments_follow_the_file(model):
    centre, moments = balance_of(model, 50.0)
    assert 0.6 < centre[2] < model.body.centre_m[2]
    assert moments[0] == pytest.approx(moments[1], rel=1e-3)
    assert (balance_of(model, 0.0)[1] < moments).all()
    vehicle = hop_vehicle_of(model, 1.0)
    assert vehicle.dry_kg == pytest.approx(150.0)
    assert (vehicle.min_thrust_n, vehicle.max_thrust_n) == pytest.approx((160.0, 800.0))


@pytest.mark.parametrize(
    "up", [(0.0, 0.0, 1.0), (0.6, -0.3, 1.0), (1.0, 0.0, 0.0), (0.2, 0.1, -1.0)]
)
def test_pointing_puts_the_axis_along_the_force(up):
    quat = pointing(np.array(up), 0.7)
    np.testing.assert_allclose(
        quat_rotate(quat, np.array([0.0, 0.0, 1.0])), np.array(up) / np.linalg.norm(up), atol=1e-9
    )


def test_tilt_is_held_at_its_limit_in_the_same_direction():
    held = within_tilt(np.array([3.0, 4.0, 0.1]), 0.5)
    assert np.arccos(held[2]) == pytest.approx(0.5)
    assert held[1] / held[0] == pytest.approx(4.0 / 3.0)
    np.testing.assert_allclose(within_tilt(np.zeros(3), 0.5), [0.0, 0.0, 1.0])


@pytest.mark.parametrize("powered", [True, False])
def test_it_turns_to_where_it_shall_point_without_swinging_past(powered):
    """A rigid body under the torque it asks for, limited to what the thrusters have."""
    cfg = AttitudeConfig()
    control, inertia = AttitudeControl(cfg), np.array([31.0, 31.0, 32.0])
    wanted = pointing(np.array([0.6, 0.3, 1.0]), 0.0)
    quat, rate, step, most = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3), 0.02, 25.0
    up = quat_rotate(wanted, np.array([0.0, 0.0, 1.0]))
    furthest = -1.0
    for _ in range(500):
        torque = control.torque_nm(quat, rate, wanted, inertia, powered)
        rate = rate + np.clip(torque, -most, most) / inertia * step
        quat = quat_product(quat, quat_exp(rate * step))
        seen = quat_rotate(quat, np.array([0.0, 0.0, 1.0]))
        furthest = max(furthest, float(seen[:2] @ up[:2]) / float(np.linalg.norm(up[:2])))
        assert np.abs(rate).max() < 1.1 * cfg.max_rate_rps
    assert np.arccos(min(float(seen @ up), 1.0)) < 0.02
    assert furthest < np.linalg.norm(up[:2]) + 0.05
