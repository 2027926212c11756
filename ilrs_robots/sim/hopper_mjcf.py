"""MuJoCo model of a hopper, made from its ``HopperModel`` and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.robots.model import HopperModel
from ilrs_robots.sim.inertia import ball_inertia, rods_inertia
from ilrs_robots.sim.mjcf_parts import add_base, add_ground_pair, add_slide, child, text
from ilrs_robots.sim.rover_layout import ContactBits
from ilrs_robots.sim.thrusters import add_thrusters


def add_hopper(
    root: ET.Element, model: HopperModel, prefix: str, bits: ContactBits, ground_geom: str
) -> None:
    """Append the bodies of one hopper to an ``<mujoco>`` element.

    Args:
        root: an ``<mujoco>`` element; missing children are added.
        model: the vehicle.
        prefix: put before every name, for example ``hopper/``.
        bits: of the vehicle's own ground patch and rocks.
        ground_geom: name of the patch's geom; each foot gets its own contact pair with it.

    Raises:
        ConfigError: impossible geometry.
    """
    base = add_base(child(root, "worldbody"), model, prefix, bits)
    tank = model.tank
    if tank.propellant_kg > 0.0:
        ball = ET.SubElement(base, "body", name=f"{prefix}tank", pos=text(np.array(tank.centre_m)))
        inertia = text(ball_inertia(tank.propellant_kg, tank.radius_m))
        ET.SubElement(
            ball, "inertial", pos="0 0 0", mass=repr(tank.propellant_kg), diaginertia=inertia
        )
    add_thrusters(root, base, model, prefix)
    for name in model.legs.names:
        _add_leg(base, model, prefix, name, bits)
        add_ground_pair(root, prefix, name, ground_geom, model.legs.friction)


def leg_joint(leg: str) -> str:
    """Name of a leg's slide, as published in ``joint_states``."""
    return f"{leg}_leg"


def _add_leg(
    base: ET.Element, model: HopperModel, prefix: str, name: str, bits: ContactBits
) -> None:
    """A rod from hip to foot that slides upwards against its spring; origin at the foot."""
    legs = model.legs
    foot, hip = np.array(legs.feet_m[name]), np.array(legs.hips_m[name])
    body = ET.SubElement(base, "body", name=f"{prefix}{name}", pos=text(foot))
    add_slide(
        body, f"{prefix}{leg_joint(name)}", legs.stiffness_npm, legs.damping_nspm,
        legs.preload_n, (legs.droop_m, legs.bump_m),
    )  # fmt: skip
    centre, inertia = rods_inertia(legs.mass_kg, foot, [hip], legs.thickness_m)
    full = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    ET.SubElement(
        body,
        "inertial",
        pos=text(centre - foot),
        mass=repr(legs.mass_kg),
        fullinertia=text(full),
    )
    ET.SubElement(
        body,
        "geom",
        name=f"{prefix}{name}",
        type="sphere",
        size=repr(legs.foot_radius_m),
        contype="0",
        conaffinity=str(bits.rocks),
        condim="3",
    )
