"""Suspension of a rover's MuJoCo model.

Reference: rocker-bogie with a differential, Bickler 1989 (US patent 4840394).
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.sim.inertia import box_inertia, rods_inertia
from ilrs_robots.sim.mjcf_parts import add_slide, child, text
from ilrs_robots.sim.rover_layout import WheelPlace

Carriers = dict[str, tuple[ET.Element, FloatArray]]
"""Body that carries wheels, and its origin (3,) in base_link on flat ground, metres; by name."""


def add_struts(
    carriers: Carriers, model: RoverModel, prefix: str, places: tuple[WheelPlace, ...]
) -> None:
    """An upright slide with a spring and a damper for each wheel, on the base."""
    base, springs = carriers["base"][0], model.suspension.independent
    assert springs is not None
    for place in places:
        name = f"{prefix}{place.carrier}"
        strut = ET.SubElement(base, "body", name=name, pos=text(place.centre_m))
        add_slide(
            strut, name, springs.stiffness_npm, springs.damping_nspm, springs.preload_n,
            (springs.droop_m, springs.bump_m),
        )  # fmt: skip
        above = np.array([0.0, 0.0, model.wheels.kingpin_z_m - place.centre_m[2]])
        ET.SubElement(
            strut,
            "inertial",
            pos=text(above),
            mass=repr(springs.strut_mass_kg),
            diaginertia=text(box_inertia(springs.strut_mass_kg, springs.strut_size_m)),
        )
        carriers[place.carrier] = (strut, place.centre_m)


def add_rocker_bogie(
    root: ET.Element,
    carriers: Carriers,
    model: RoverModel,
    prefix: str,
    places: tuple[WheelPlace, ...],
) -> None:
    """Rockers on the base, bogies on the rockers, and left = -right by the differential."""
    base, arms = carriers["base"][0], model.suspension.rocker_bogie
    assert arms is not None
    for side, sign in (("left", 1.0), ("right", -1.0)):
        mirror = np.array([1.0, sign, 1.0])
        rocker_pivot = mirror * np.array(arms.rocker_pivot_m)
        bogie_pivot = mirror * np.array(arms.bogie_pivot_m)
        ends = [place.centre_m for place in places if place.carrier == f"rocker_{side}"]
        rocker = _add_arm(
            base,
            np.zeros(3),
            f"{prefix}rocker_{side}",
            rocker_pivot,
            [*ends, bogie_pivot],
            arms.rocker_mass_kg,
            model,
        )
        ends = [place.centre_m for place in places if place.carrier == f"bogie_{side}"]
        bogie = _add_arm(
            rocker,
            rocker_pivot,
            f"{prefix}bogie_{side}",
            bogie_pivot,
            ends,
            arms.bogie_mass_kg,
            model,
        )
        carriers[f"rocker_{side}"] = (rocker, rocker_pivot)
        carriers[f"bogie_{side}"] = (bogie, bogie_pivot)
    ET.SubElement(
        child(root, "equality"),
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
    model: RoverModel,
) -> ET.Element:
    """A lever of thin rods from its pivot to its ends, turning about y."""
    body = ET.SubElement(parent, "body", name=name, pos=text(pivot_m - parent_origin_m))
    arms = model.suspension.rocker_bogie
    assert arms is not None
    stop = math.radians(arms.max_angle_deg)
    ET.SubElement(
        body,
        "joint",
        name=name,
        type="hinge",
        axis="0 1 0",
        range=f"{-stop!r} {stop!r}",
        damping=repr(arms.pivot_damping_nms_per_rad),
    )
    centre, inertia = rods_inertia(mass_kg, pivot_m, ends_m, arms.arm_thickness_m)
    ET.SubElement(
        body,
        "inertial",
        pos=text(centre - pivot_m),
        mass=repr(mass_kg),
        fullinertia=text(
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
