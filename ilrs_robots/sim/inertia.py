"""Inertias of simple bodies."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.types import FloatArray


def box_inertia(mass_kg: float, size_m: tuple[float, float, float]) -> FloatArray:
    """(3,) principal moments of a solid box about its centre, kg m2."""
    sx, sy, sz = size_m
    return mass_kg / 12.0 * np.array([sy**2 + sz**2, sx**2 + sz**2, sx**2 + sy**2])


def wheel_inertia(mass_kg: float, radius_m: float, width_m: float) -> tuple[float, float]:
    """Moments of a solid cylinder across and about its axle, kg m2."""
    across = mass_kg * (radius_m**2 / 4.0 + width_m**2 / 12.0)
    return across, 0.5 * mass_kg * radius_m**2


def rods_inertia(
    mass_kg: float, pivot_m: FloatArray, ends_m: list[FloatArray], thickness_m: float
) -> tuple[FloatArray, FloatArray]:
    """Centre of mass (3,) and inertia (3, 3) about it of equal square rods from a pivot."""
    spans = [end - pivot_m for end in ends_m]
    total = sum(float(np.linalg.norm(span)) for span in spans)
    masses = [mass_kg * float(np.linalg.norm(span)) / total for span in spans]
    middles = [pivot_m + 0.5 * span for span in spans]
    centre = sum((m * c for m, c in zip(masses, middles, strict=True)), np.zeros(3)) / mass_kg
    inertia = np.zeros((3, 3))
    for mass, span, middle in zip(masses, spans, middles, strict=True):
        arm = middle - centre
        thick = mass * thickness_m**2 / 6.0
        inertia += mass / 12.0 * (span @ span * np.eye(3) - np.outer(span, span))
        inertia += mass * (arm @ arm * np.eye(3) - np.outer(arm, arm)) + thick * np.eye(3)
    return centre, inertia


def body_inertia(mass_kg: float, size_m: tuple[float, float, float], shape: str) -> FloatArray:
    """(3,) principal moments of a vehicle's body, a solid box or upright cylinder, kg m2."""
    if shape == "cylinder":
        across, about = wheel_inertia(mass_kg, 0.5 * size_m[0], size_m[2])
        return np.array([across, across, about])
    return box_inertia(mass_kg, size_m)


def ball_inertia(mass_kg: float, radius_m: float) -> FloatArray:
    """(3,) moments of a solid ball, kg m2."""
    return np.full(3, 0.4 * mass_kg * radius_m**2)
