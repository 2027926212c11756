"""Pieces of MuJoCo models that every vehicle has, made from ``RobotModel`` and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.sim.inertia import body_inertia
from ilrs_robots.sim.rover_layout import VEHICLE_BIT, ContactBits

_BELLY_SHARE = 0.98


def add_base(world: ET.Element, model: RobotModel, prefix: str, bits: ContactBits) -> ET.Element:
    """A free body with the mass of the vehicle's body, its solid, and a plate at the clearance.

    Raises:
        ConfigError: the clearance lies below the ground or above the body.
    """
    body, centre = model.body, np.array(model.body.centre_m)
    base = ET.SubElement(world, "body", name=f"{prefix}base")
    ET.SubElement(base, "freejoint", name=f"{prefix}free")
    sx, sy, sz = body.size_m
    ET.SubElement(
        base,
        "inertial",
        pos=text(centre),
        mass=repr(body.mass_kg),
        diaginertia=text(body_inertia(body.mass_kg, body.size_m, body.shape)),
    )
    bottom, top = centre[2] - 0.5 * sz, centre[2] + 0.5 * sz
    if not 0.0 < body.clearance_m < top:
        raise ConfigError(
            f"body.clearance_m = {body.clearance_m} m: must lie between the ground and the "
            f"box top at {top} m"
        )
    contact = {
        "type": body.shape,
        "contype": str(VEHICLE_BIT),
        "conaffinity": str(VEHICLE_BIT | bits.ground | bits.rocks),
        "friction": "0.4 0.005 0.0001",
    }
    ET.SubElement(
        base,
        "geom",
        name=f"{prefix}body",
        pos=text(centre),
        size=_size(body.shape, 0.5 * np.array(body.size_m)),
        **contact,
    )
    if bottom > body.clearance_m + 1e-6:
        middle = np.array([centre[0], centre[1], 0.5 * (body.clearance_m + bottom)])
        half = np.array(
            [0.5 * _BELLY_SHARE * sx, 0.5 * _BELLY_SHARE * sy, 0.5 * (bottom - body.clearance_m)]
        )
        ET.SubElement(
            base,
            "geom",
            name=f"{prefix}belly",
            pos=text(middle),
            size=_size(body.shape, half),
            **contact,
        )
    return base


def add_ground_pair(
    root: ET.Element, prefix: str, name: str, ground_geom: str, friction: float
) -> None:
    """Give one wheel or foot its own contact with the ground, so that it can be set by itself."""
    ET.SubElement(
        child(root, "contact"),
        "pair",
        name=f"{prefix}{name}",
        condim="3",
        geom1=ground_geom,
        geom2=f"{prefix}{name}",
        friction=f"{friction!r} {friction!r} 0.005 0.0001 0.0001",
    )


def add_slide(
    body: ET.Element, name: str, stiffness_npm: float, damping_nspm: float, preload_n: float,
    reach_m: tuple[float, float],
) -> None:  # fmt: skip
    """An upright slide, positive upwards, whose spring carries ``preload_n`` at zero.

    Args:
        body: gets the joint.
        name: of the joint.
        stiffness_npm: spring, N/m.
        damping_nspm: damper, N s/m.
        preload_n: load at zero, N.
        reach_m: way down and way up from zero, m, both positive.
    """
    down, up = reach_m
    ET.SubElement(
        body,
        "joint",
        name=name,
        type="slide",
        axis="0 0 1",
        range=f"{-down!r} {up!r}",
        stiffness=repr(stiffness_npm),
        springref=repr(-preload_n / stiffness_npm),
        damping=repr(damping_nspm),
    )


def _size(shape: str, half_m: FloatArray) -> str:
    """MuJoCo's size of a solid with these half sides."""
    return text(half_m[[0, 2]]) if shape == "cylinder" else text(half_m)


def child(root: ET.Element, tag: str) -> ET.Element:
    """The child element of that name, made where it is missing."""
    found = root.find(tag)
    return ET.SubElement(root, tag) if found is None else found


def text(values: FloatArray) -> str:
    """Numbers as XML wants them, (N,), to the last bit."""
    return " ".join(repr(float(v)) for v in values)
