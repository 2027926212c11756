"""The actuator end: what steering and wheels are told while a command wavers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.robots.model import RoverModel, load_robot
from ilrs_robots.robots.settings import wheel_drive_of

PERIOD_S = 0.02


@pytest.mark.parametrize("inside", [1.0, 0.87])
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("robot", ["long_range", "crewed_rover"])
def test_a_curve_about_a_wheel_that_wavers_is_driven(
    robot: str, side: float, inside: float
) -> None:
    """Its wheels swung to and fro for ever: halfway there the other way was the nearer one."""
    model = load_robot(robot)
    assert isinstance(model, RoverModel)
    drive = wheel_drive_of(model)
    wheels, limit_mps = model.wheels, model.limits.max_speed_mps
    steered = np.array([name in wheels.steered for name in wheels.positions])
    y_m = max(abs(y) for _, y in wheels.positions.values())
    turn = math.radians(wheels.steer_rate_deg_s) * PERIOD_S
    angles = np.zeros(len(steered))
    radius_m = (0.65 * y_m, inside * y_m, 1.09 * y_m)  # as it begins; then the two in turn
    way_m = 0.0
    for tick in range(round(14.0 / PERIOD_S)):
        now_ns = round(tick * PERIOD_S * 1e9)
        if tick % 10 == 0:
            radius = radius_m[0 if tick < 50 else 1 + (tick // 10) % 2]
            v = min(0.22, limit_mps)
            drive.command(VelocityCommand(0, v, side * v / radius), now_ns)
        point = drive.step(now_ns, PERIOD_S, angles)
        assert point.steer_rad is not None
        angles = angles + np.where(steered, np.clip(point.steer_rad - angles, -turn, turn), 0.0)
        way_m += drive.v_mps * PERIOD_S
    assert way_m > 0.22 * 5.0


@pytest.mark.parametrize("robot", ["long_range", "crewed_rover"])
def test_wheels_that_swing_round_are_not_taken_for_being_stuck(robot: str) -> None:
    wheels = load_robot(robot).wheels
    swing_s = 2.0 * wheels.max_steer_deg / wheels.steer_rate_deg_s
    assert NavigatorConfig().stuck_s > swing_s + 2.0
