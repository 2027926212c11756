"""How a robot stands on the ground, from what its file says of wheels, suspension and body."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.planning.footing import Footing, plane_weights, rocker_bogie_weights
from ilrs_robots.robots.model import RobotModel, require_rover

_BOGIE_ORDER = (
    "front_left",
    "middle_left",
    "rear_left",
    "front_right",
    "middle_right",
    "rear_right",
)


def footing_of(model: RobotModel) -> Footing:
    """Wheels, suspension and underside of a rover.

    The underside is taken as wide as the room between the wheels, and as long as body or wheels.

    Raises:
        ConfigError: the vehicle has no wheels.
    """
    rover = require_rover(model, "predicting the attitude")
    wheels, arms = rover.wheels, rover.suspension.rocker_bogie
    positions = np.array(list(wheels.positions.values()), dtype=np.float64)
    if arms is not None:
        positions = np.array([wheels.positions[name] for name in _BOGIE_ORDER])
        weights = rocker_bogie_weights(positions, arms.rocker_pivot_m[0], arms.bogie_pivot_m[0])
    else:
        weights = plane_weights(positions)
    return Footing(
        positions,
        weights,
        rover.body.clearance_m,
        max(float(np.abs(positions[:, 0]).max()), 0.5 * rover.body.size_m[0]),
        float(np.abs(positions[:, 1]).min()) - 0.5 * wheels.width_m,
    )
