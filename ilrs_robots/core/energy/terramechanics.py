"""A wheel on soft soil: sinkage, drawbar pull and torque from slip and load.

Normal stress follows Bekker's pressure and sinkage in the shape that Wong and Reece measured:
rising from the entry angle to a peak before the axle, falling to the exit angle. Shear stress
follows Janosi and Hanamoto. The stresses are integrated over the contact; the sinkage is the one
that carries the load.

Reference: Bekker 1969, Introduction to Terrain-Vehicle Systems; Wong and Reece 1967, J.
Terramechanics 4(1), 81 and 4(2), 7; Janosi and Hanamoto 1961; Ishigami et al. 2007, J. Field
Robotics 24(3), 233, equations 6 to 14 without slip angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core.energy.soil import SoilConfig, WheelShape
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)
_ITERATIONS: Final = 100
_TOLERANCE: Final = 1e-11
"""Of the load."""


@dataclass(frozen=True)
class WheelForces:
    """What the soil does to a rolling wheel; arrays of one shape, NaN where it is buried.

    Attributes:
        sinkage_m: depth of the rut under the axle.
        pull_n: drawbar pull, forward; thrust less resistance.
        torque_nm: that the axle needs, positive forward.
    """

    sinkage_m: FloatArray
    pull_n: FloatArray
    torque_nm: FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def contact_forces(
    soil: np.ndarray, radius: float, width: float, slip: float, sinkage: float
) -> tuple[float, float, float]:
    """Pull, load and torque of a wheel at a slip ratio and a sinkage; N, N, N m."""
    entry = math.acos(max(1.0 - sinkage / radius, -1.0))
    leave = -math.acos(max(1.0 - soil[8] * sinkage / radius, -1.0))
    peak = (soil[6] + soil[7] * slip) * entry
    modulus = (soil[2] / width + soil[3]) * radius ** soil[4]
    per_turn = 1.0 - slip if slip >= 0.0 else 1.0 / (1.0 + slip)
    back = (entry - peak) / (peak - leave) if peak > leave else 0.0
    pull = load = turn = 0.0
    for part in range(2):
        low, high = (peak, entry) if part == 0 else (leave, peak)
        half, middle = 0.5 * (high - low), 0.5 * (high + low)
        for k in range(_NODES.size):
            a = middle + half * _NODES[k]
            like = a if part == 0 else entry - (a - leave) * back
            normal = max(math.cos(like) - math.cos(entry), 0.0)
            normal = modulus * (normal if soil[4] == 1.0 else normal ** soil[4])
            sheared = radius * (entry - a - per_turn * (math.sin(entry) - math.sin(a)))
            shear = (soil[0] + normal * soil[1]) * (1.0 - math.exp(-abs(sheared) / soil[5]))
            shear = shear if sheared >= 0.0 else -shear
            weight = half * _WEIGHTS[k]
            pull += weight * (shear * math.cos(a) - normal * math.sin(a))
            load += weight * (shear * math.sin(a) + normal * math.cos(a))
            turn += weight * shear
    area = radius * width
    return area * pull, area * load, area * radius * turn


@njit(cache=True, nogil=True, error_model="numpy")
def loaded_wheel(
    soil: np.ndarray, radius: float, width: float, slip: float, load: float
) -> tuple[float, float, float]:
    """Sinkage, pull and torque of a wheel at a slip ratio that carries a load; m, N, N m."""
    low, high = 0.0, radius
    below, above = -load, contact_forces(soil, radius, width, slip, radius)[1] - load
    if above < 0.0:
        return np.nan, np.nan, np.nan
    depth = high
    for _ in range(_ITERATIONS):  # false position, the standing end halved (Illinois)
        depth = (low * above - high * below) / (above - below)
        wrong = contact_forces(soil, radius, width, slip, depth)[1] - load
        if abs(wrong) <= _TOLERANCE * load:
            break
        if wrong < 0.0:
            low, below, above = depth, wrong, 0.5 * above
        else:
            high, above, below = depth, wrong, 0.5 * below
    pull, _, torque = contact_forces(soil, radius, width, slip, depth)
    return depth, pull, torque


@njit(cache=True, nogil=True, error_model="numpy")
def _many(
    soil: np.ndarray, radius: float, width: float, slip: np.ndarray, load: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    for n in range(slip.size):
        out[0, n], out[1, n], out[2, n] = loaded_wheel(soil, radius, width, slip[n], load[n])


def wheel_forces(
    soil: SoilConfig, wheel: WheelShape, slip: ArrayLike, load_n: ArrayLike
) -> WheelForces:
    """Forces on wheels that roll with given slip under given loads.

    Args:
        soil: under the wheel.
        wheel: its shape.
        slip: (...) slip ratio of each, -0.99 to 0.99, a pure unit: 1 - v / (omega r) driving,
            omega r / v - 1 braking.
        load_n: (...) carried by each, newtons, above 0; broadcast with slip.

    Raises:
        ConfigError: a slip or a load is out of its range.
    """
    s, w = np.broadcast_arrays(
        np.asarray(slip, dtype=np.float64), np.asarray(load_n, dtype=np.float64)
    )
    for name, values, good in (("slip", s, np.abs(s) <= 0.99), ("load", w, w > 0.0)):
        if not np.all(good & np.isfinite(values)):
            wrong = float(values[~(good & np.isfinite(values))].flat[0])
            limit = "-0.99 to 0.99" if name == "slip" else "above 0 N"
            raise ConfigError(f"{name} of a wheel = {wrong}: must be {limit}")
    out = np.empty((3, s.size))
    _many(soil.array(), wheel.radius_m, wheel.width_m, s.ravel(), w.ravel(), out)
    sinkage, pull, torque = out.reshape(3, *s.shape)
    return WheelForces(sinkage, pull, torque)


def warm_up() -> None:
    """Compile the kernels."""
    wheel_forces(SoilConfig(), WheelShape(0.3, 0.2), np.zeros(1), np.ones(1))
