"""Which wheel hangs where, and which contact bits a vehicle has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RoverModel

VEHICLE_BIT = 1 << 30
"""Contact bit of vehicle bodies, so that vehicles feel one another."""


@dataclass(frozen=True)
class ContactBits:
    """Which ground and rocks a vehicle feels: its own copies only."""

    ground: int
    rocks: int

    @staticmethod
    def of_vehicle(index: int) -> ContactBits:
        """Bits of the vehicle with this number, from 0.

        Raises:
            ConfigError: more vehicles than MuJoCo has contact bits for.
        """
        if not 0 <= index < 15:
            raise ConfigError(f"vehicle number {index}: a world holds at most 15 vehicles")
        return ContactBits(1 << (2 * index), 1 << (2 * index + 1))


@dataclass(frozen=True)
class WheelPlace:
    """Where one wheel hangs.

    Attributes:
        name: as in the YAML.
        carrier: name of the body that carries it, without the prefix.
        centre_m: (3,) in base_link on flat ground.
        steered: whether it has a steering joint.
    """

    name: str
    carrier: str
    centre_m: FloatArray
    steered: bool


def wheel_places(model: RoverModel) -> tuple[WheelPlace, ...]:
    """Assign each wheel to what carries it.

    In a rocker-bogie that is the rocker (ahead of its pivot) or the bogie (behind it), with
    independent suspension a strut of its own, else the base.

    Raises:
        ConfigError: a side of a rocker-bogie does not have one wheel ahead and two behind.
    """
    arms = model.suspension.rocker_bogie
    places = []
    for name, (x, y) in model.wheels.positions.items():
        carrier = "base"
        if arms is not None:
            ahead = x > arms.rocker_pivot_m[0]
            carrier = f"{'rocker' if ahead else 'bogie'}_{'left' if y > 0 else 'right'}"
        elif model.suspension.independent is not None:
            carrier = suspension_joint(name)
        centre = np.array([x, y, model.wheels.radius_m])
        places.append(WheelPlace(name, carrier, centre, name in model.wheels.steered))
    if arms is not None:
        found = sorted(place.carrier for place in places)
        if found != ["bogie_left"] * 2 + ["bogie_right"] * 2 + ["rocker_left", "rocker_right"]:
            raise ConfigError(
                "a rocker-bogie needs, on each side, one wheel ahead of the rocker pivot and two "
                f"behind it; got {', '.join(found)}"
            )
    return tuple(places)


def suspension_joint(wheel: str) -> str:
    """Name of the slide that carries a wheel of an independent suspension."""
    return f"{wheel}_suspension"


def suspension_joints(model: RoverModel) -> tuple[str, ...]:
    """Names of the suspension joints, as published in ``joint_states``."""
    if model.suspension.rocker_bogie is not None:
        return "rocker_left", "rocker_right", "bogie_left", "bogie_right"
    if model.suspension.independent is not None:
        return tuple(suspension_joint(name) for name in model.wheels.names)
    return ()
