"""MuJoCo model of a rover, made from its ``RoverModel`` and nothing else."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.sim.inertia import box_inertia, wheel_inertia
from ilrs_robots.sim.mjcf_parts import add_base, add_ground_pair, child, text
from ilrs_robots.sim.rover_layout import ContactBits, WheelPlace, wheel_places
from ilrs_robots.sim.suspension_mjcf import Carriers, add_rocker_bogie, add_struts

_DRIVE_BANDWIDTH_RPS = 8.0
_DRIVE_DAMPING = 0.9
_STEER_BANDWIDTH_RPS = 30.0
_GEAR_INERTIA_SHARE = 0.5


def add_rover(
    root: ET.Element, model: RoverModel, prefix: str, bits: ContactBits, ground_geom: str
) -> None:
    """Append bodies, actuators and the suspension of one rover to an ``<mujoco>`` element.

    Args:
        root: an ``<mujoco>`` element; missing children are added.
        model: the vehicle.
        prefix: put before every name, for example ``long_range/``.
        bits: of the vehicle's own ground patch and rocks.
        ground_geom: name of the patch's geom; each wheel gets its own contact pair with it, so
            that its shear can be set by itself.

    Raises:
        ConfigError: impossible geometry.
    """
    base = add_base(child(root, "worldbody"), model, prefix, bits)
    _add_crew(base, model, prefix)
    carriers: Carriers = {"base": (base, np.zeros(3))}
    places = wheel_places(model)
    if model.suspension.rocker_bogie is not None:
        add_rocker_bogie(root, carriers, model, prefix, places)
    elif model.suspension.independent is not None:
        add_struts(carriers, model, prefix, places)
    for place in places:
        body, origin = carriers[place.carrier]
        _add_wheel(body, origin, model, prefix, place, bits)
        _add_servos(child(root, "actuator"), model, prefix, place)
        add_ground_pair(root, prefix, place.name, ground_geom, model.wheels.friction)


def _add_crew(base: ET.Element, model: RoverModel, prefix: str) -> None:
    """People on their seats, each a body of its own without a joint."""
    if model.crew is None:
        return
    mass = model.crew.suited_mass_kg
    for name, seat in model.crew.seats_m.items():
        person = ET.SubElement(base, "body", name=f"{prefix}{name}", pos=text(np.array(seat)))
        inertia = text(box_inertia(mass, model.crew.size_m))
        ET.SubElement(person, "inertial", pos="0 0 0", mass=repr(mass), diaginertia=inertia)


def _add_wheel(
    parent: ET.Element,
    origin_m: FloatArray,
    model: RoverModel,
    prefix: str,
    place: WheelPlace,
    bits: ContactBits,
) -> None:
    """Steering about z, then rolling about y, in one body; the contact shape is an ellipsoid."""
    wheels = model.wheels
    body = ET.SubElement(
        parent, "body", name=f"{prefix}{place.name}", pos=text(place.centre_m - origin_m)
    )
    across, spin = wheel_inertia(wheels.mass_kg, wheels.radius_m, wheels.width_m)
    ET.SubElement(
        body,
        "inertial",
        pos="0 0 0",
        mass=repr(wheels.mass_kg),
        diaginertia=text(np.array([across, spin, across])),
    )
    if place.steered:
        ET.SubElement(
            body,
            "joint",
            name=f"{prefix}{place.name}_steer",
            type="hinge",
            axis="0 0 1",
            armature=repr(_GEAR_INERTIA_SHARE * across),
        )
    ET.SubElement(
        body,
        "joint",
        name=f"{prefix}{place.name}_wheel",
        type="hinge",
        axis="0 1 0",
        armature=repr(_GEAR_INERTIA_SHARE * spin),
    )
    ET.SubElement(
        body,
        "geom",
        name=f"{prefix}{place.name}",
        type="ellipsoid",
        size=text(np.array([wheels.radius_m, 0.5 * wheels.width_m, wheels.radius_m])),
        contype="0",
        conaffinity=str(bits.rocks),
        condim="3",
    )


def _add_servos(actuators: ET.Element, model: RoverModel, prefix: str, place: WheelPlace) -> None:
    """Servos that integrate a commanded speed, so that they are rate-limited and hold at rest."""
    wheels = model.wheels
    share = model.total_mass_kg / len(wheels.positions) * wheels.radius_m**2
    _intvelocity(
        actuators,
        f"{prefix}{place.name}_wheel",
        _DRIVE_BANDWIDTH_RPS,
        _DRIVE_DAMPING,
        share,
        wheels.max_speed_rps,
        wheels.max_torque_nm,
    )
    if place.steered:
        across, _ = wheel_inertia(wheels.mass_kg, wheels.radius_m, wheels.width_m)
        inertia = (1.0 + _GEAR_INERTIA_SHARE) * across
        _intvelocity(
            actuators,
            f"{prefix}{place.name}_steer",
            _STEER_BANDWIDTH_RPS,
            1.0,
            inertia,
            math.radians(wheels.steer_rate_deg_s),
            wheels.max_torque_nm,
        )


def _intvelocity(
    actuators: ET.Element,
    name: str,
    bandwidth_rps: float,
    damping: float,
    inertia: float,
    max_speed_rps: float,
    max_torque_nm: float,
) -> None:
    ET.SubElement(
        actuators,
        "intvelocity",
        name=name,
        joint=name,
        kp=repr(bandwidth_rps**2 * inertia),
        kv=repr(2.0 * damping * bandwidth_rps * inertia),
        ctrlrange=f"{-max_speed_rps!r} {max_speed_rps!r}",
        actrange="-1e9 1e9",
        forcerange=f"{-max_torque_nm!r} {max_torque_nm!r}",
    )
