"""MuJoCo model of a rover, made from its ``RobotModel`` and nothing else.

Reference: rocker-bogie with a differential, Bickler 1989 (US patent 4840394).
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.sim.inertia import box_inertia, rods_inertia, wheel_inertia
from ilrs_robots.sim.rover_layout import VEHICLE_BIT, ContactBits, WheelPlace, wheel_places

_DRIVE_BANDWIDTH_RPS = 8.0
_DRIVE_DAMPING = 0.9
_STEER_BANDWIDTH_RPS = 30.0
_GEAR_INERTIA_SHARE = 0.5
_PIVOT_DAMPING_SHARE = 0.04
_BELLY_SHARE = 0.98


def add_rover(
    root: ET.Element, model: RobotModel, prefix: str, bits: ContactBits, ground_geom: str
) -> None:
    """Append bodies, actuators and the differential of one rover to an ``<mujoco>`` element.

    Args:
        root: an ``<mujoco>`` element; missing children are added.
        model: the vehicle.
        prefix: put before every name, for example ``long_range/``.
        bits: of the vehicle's own ground patch and rocks.
        ground_geom: name of the patch's geom; each wheel gets its own contact pair with it, so
            that its shear can be set by itself.

    Raises:
        ConfigError: a suspension that cannot be built yet, or impossible geometry.
    """
    if model.suspension.kind == "independent":
        raise ConfigError("suspension kind 'independent' cannot be simulated yet")
    base = _add_base(_child(root, "worldbody"), model, prefix, bits)
    carriers = {"base": (base, np.zeros(3))}
    places = wheel_places(model)
    if model.suspension.kind == "rocker_bogie":
        _add_suspension(root, carriers, model, prefix, places)
    for place in places:
        body, origin = carriers[place.carrier]
        _add_wheel(body, origin, model, prefix, place, bits)
        _add_servos(_child(root, "actuator"), model, prefix, place)
        friction = f"{model.wheels.friction!r} {model.wheels.friction!r} 0.005 0.0001 0.0001"
        ET.SubElement(
            _child(root, "contact"),
            "pair",
            name=f"{prefix}{place.name}",
            condim="3",
            geom1=ground_geom,
            geom2=f"{prefix}{place.name}",
            friction=friction,
        )


def _add_base(world: ET.Element, model: RobotModel, prefix: str, bits: ContactBits) -> ET.Element:
    body, centre = model.body, np.array(model.body.centre_m)
    base = ET.SubElement(world, "body", name=f"{prefix}base")
    ET.SubElement(base, "freejoint", name=f"{prefix}free")
    sx, sy, sz = body.size_m
    ET.SubElement(
        base,
        "inertial",
        pos=_text(centre),
        mass=repr(body.mass_kg),
        diaginertia=_text(box_inertia(body.mass_kg, body.size_m)),
    )
    bottom, top = centre[2] - 0.5 * sz, centre[2] + 0.5 * sz
    if not 0.0 < body.clearance_m < top:
        raise ConfigError(
            f"body.clearance_m = {body.clearance_m} m: must lie between the ground and the "
            f"box top at {top} m"
        )
    contact = {
        "type": "box",
        "contype": str(VEHICLE_BIT),
        "conaffinity": str(VEHICLE_BIT | bits.ground | bits.rocks),
        "friction": "0.4 0.005 0.0001",
    }
    ET.SubElement(
        base,
        "geom",
        name=f"{prefix}body",
        pos=_text(centre),
        size=_text(0.5 * np.array(body.size_m)),
        **contact,
    )
    if bottom > body.clearance_m + 1e-6:
        middle = np.array([centre[0], centre[1], 0.5 * (body.clearance_m + bottom)])
        half = np.array(
            [0.5 * _BELLY_SHARE * sx, 0.5 * _BELLY_SHARE * sy, 0.5 * (bottom - body.clearance_m)]
        )
        ET.SubElement(
            base, "geom", name=f"{prefix}belly", pos=_text(middle), size=_text(half), **contact
        )
    return base


def _add_suspension(
    root: ET.Element,
    carriers: dict[str, tuple[ET.Element, FloatArray]],
    model: RobotModel,
    prefix: str,
    places: tuple[WheelPlace, ...],
) -> None:
    """Rockers on the base, bogies on the rockers, and left = -right by the differential."""
    base = carriers["base"][0]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        mirror = np.array([1.0, sign, 1.0])
        rocker_pivot = mirror * np.array(model.suspension.rocker_pivot_m)
        bogie_pivot = mirror * np.array(model.suspension.bogie_pivot_m)
        ends = [place.centre_m for place in places if place.carrier == f"rocker_{side}"]
        rocker = _add_arm(
            base,
            np.zeros(3),
            f"{prefix}rocker_{side}",
            rocker_pivot,
            [*ends, bogie_pivot],
            model.suspension.rocker_mass_kg,
            model,
        )
        ends = [place.centre_m for place in places if place.carrier == f"bogie_{side}"]
        bogie = _add_arm(
            rocker,
            rocker_pivot,
            f"{prefix}bogie_{side}",
            bogie_pivot,
            ends,
            model.suspension.bogie_mass_kg,
            model,
        )
        carriers[f"rocker_{side}"] = (rocker, rocker_pivot)
        carriers[f"bogie_{side}"] = (bogie, bogie_pivot)
    ET.SubElement(
        _child(root, "equality"),
        "joint",
        name=f"{prefix}differential",
        joint1=f"{prefix}rocker_left",
        joint2=f"{prefix}rocker_right",
        polycoef="0 -1 0 0 0",
        solref="0.01 1",
    )


def _add_arm(
    parent: ET.Element,
    parent_origin_m: FloatArray,
    name: str,
    pivot_m: FloatArray,
    ends_m: list[FloatArray],
    mass_kg: float,
    model: RobotModel,
) -> ET.Element:
    """A lever of thin rods from its pivot to its ends, turning about y."""
    body = ET.SubElement(parent, "body", name=name, pos=_text(pivot_m - parent_origin_m))
    stop = math.radians(model.suspension.max_angle_deg)
    share = model.total_mass_kg / len(model.wheels.positions)
    ET.SubElement(
        body,
        "joint",
        name=name,
        type="hinge",
        axis="0 1 0",
        range=f"{-stop!r} {stop!r}",
        damping=repr(_PIVOT_DAMPING_SHARE * share),
    )
    centre, inertia = rods_inertia(mass_kg, pivot_m, ends_m)
    ET.SubElement(
        body,
        "inertial",
        pos=_text(centre - pivot_m),
        mass=repr(mass_kg),
        fullinertia=_text(
            np.array(
                [
                    inertia[0, 0],
                    inertia[1, 1],
                    inertia[2, 2],
                    inertia[0, 1],
                    inertia[0, 2],
                    inertia[1, 2],
                ]
            )
        ),
    )
    return body


def _add_wheel(
    parent: ET.Element,
    origin_m: FloatArray,
    model: RobotModel,
    prefix: str,
    place: WheelPlace,
    bits: ContactBits,
) -> None:
    """Steering about z, then rolling about y, in one body; the contact shape is an ellipsoid."""
    wheels = model.wheels
    body = ET.SubElement(
        parent, "body", name=f"{prefix}{place.name}", pos=_text(place.centre_m - origin_m)
    )
    across, spin = wheel_inertia(wheels.mass_kg, wheels.radius_m, wheels.width_m)
    ET.SubElement(
        body,
        "inertial",
        pos="0 0 0",
        mass=repr(wheels.mass_kg),
        diaginertia=_text(np.array([across, spin, across])),
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
        size=_text(np.array([wheels.radius_m, 0.5 * wheels.width_m, wheels.radius_m])),
        contype="0",
        conaffinity=str(bits.rocks),
        condim="3",
    )


def _add_servos(actuators: ET.Element, model: RobotModel, prefix: str, place: WheelPlace) -> None:
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


def _child(root: ET.Element, tag: str) -> ET.Element:
    found = root.find(tag)
    return ET.SubElement(root, tag) if found is None else found


def _text(values: FloatArray) -> str:
    return " ".join(repr(float(v)) for v in values)
