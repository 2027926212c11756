"""A hopper's file in the terms of planning and control: masses, layout, moments of inertia."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.thruster_allocation import ThrusterLayout
from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import HopperModel


def layout_of(model: HopperModel) -> ThrusterLayout:
    """Thrusters in the order of the vehicle's file."""
    thrusters = list(model.thrusters.values())
    least = [model.thruster_groups[t.group].min_share * t.max_thrust_n for t in thrusters]
    return ThrusterLayout(
        np.array([t.position_m for t in thrusters]),
        np.array([t.force_direction for t in thrusters]),
        np.array([t.max_thrust_n for t in thrusters]),
        np.array(least),
        np.array([t.group == "main" for t in thrusters]),
    )


def dry_mass_kg(model: HopperModel) -> float:
    """Mass with an empty tank."""
    return model.total_mass_kg - model.tank.propellant_kg


def hop_vehicle_of(model: HopperModel, max_tilt_rad: float) -> HopVehicle:
    """What hop planning knows of a vehicle: masses and the bounds of its main engines.

    Args:
        model: the vehicle.
        max_tilt_rad: how far the thrust may lean.
    """
    layout = layout_of(model)
    return HopVehicle(
        dry_kg=dry_mass_kg(model),
        isp_s=model.tank.isp_s,
        max_thrust_n=float(layout.max_n[layout.main].sum()),
        min_thrust_n=float(layout.min_n[layout.main].sum()),
        max_tilt_rad=max_tilt_rad,
    )


def balance_of(model: HopperModel, propellant_kg: float) -> tuple[FloatArray, FloatArray]:
    """Centre of mass (3,) m in base_link and moments (3,) kg m2 about it, with so much propellant.

    The body is an even solid, the tank a ball, a leg a rod from hip to foot; products of inertia
    are left out.
    """
    body, tank, legs = model.body, model.tank, model.legs
    sx, sy, sz = body.size_m
    if body.shape == "cylinder":
        across = body.mass_kg * (sx * sx / 16.0 + sz * sz / 12.0)
        own = np.array([across, across, body.mass_kg * sx * sx / 8.0])
    else:
        own = body.mass_kg / 12.0 * np.array([sy**2 + sz**2, sx**2 + sz**2, sx**2 + sy**2])
    parts = [(body.mass_kg, np.array(body.centre_m))]
    parts.append((propellant_kg, np.array(tank.centre_m)))
    own = own + 0.4 * propellant_kg * tank.radius_m**2
    for name in legs.names:
        rod = np.array(legs.hips_m[name]) - np.array(legs.feet_m[name])
        parts.append((legs.mass_kg, np.array(legs.feet_m[name]) + 0.5 * rod))
        own = own + legs.mass_kg / 12.0 * (rod @ rod - rod**2)
    masses = np.array([m for m, _ in parts])
    places = np.array([p for _, p in parts])
    centre: FloatArray = masses @ places / masses.sum()
    arms = places - centre
    own = own + masses @ (np.sum(arms**2, axis=1, keepdims=True) - arms**2)
    return centre, own


def tipping_angle_rad(model: HopperModel) -> float:
    """Lean at which an empty vehicle falls over the line through two neighbouring feet."""
    feet = np.array(list(model.legs.feet_m.values()))[:, :2]
    feet = feet[np.argsort(np.arctan2(feet[:, 1], feet[:, 0]))]
    nearest = np.linalg.norm(0.5 * (feet + np.roll(feet, -1, axis=0)), axis=1).min()
    return math.atan2(float(nearest), float(balance_of(model, 0.0)[0][2]))
