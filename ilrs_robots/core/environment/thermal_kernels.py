"""Heat in columns of regolith: one implicit step for many columns."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.constants import STEFAN_BOLTZMANN_WPM2K4

_C0, _C1, _C2, _C3, _C4 = -3.6125, 2.7431, 2.3616e-3, -1.2340e-5, 8.9093e-9
"""Heat capacity in J/kg/K as a polynomial of K; Hayne et al. 2017, table A1."""
_COLDEST_K: Final = 10.0
"""The polynomial is negative near 0 K; below this it is held."""
_CHI: Final = 2.7 / 350.0**3
"""Radiative share of the conductivity; Hayne et al. 2017, equation A5."""


@njit(cache=True, nogil=True, error_model="numpy")
def capacity(t: float) -> float:
    """Heat capacity, J/kg/K, of regolith at a temperature in K."""
    t = max(t, _COLDEST_K)
    value: float = _C0 + t * (_C1 + t * (_C2 + t * (_C3 + t * _C4)))
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def enthalpy(t: float) -> float:
    """Heat held since 0 K, J/kg: the integral of ``capacity``."""
    if t < _COLDEST_K:
        low: float = capacity(_COLDEST_K) * (t - _COLDEST_K) + enthalpy(_COLDEST_K)
        return low
    value: float = t * (_C0 + t * (_C1 / 2.0 + t * (_C2 / 3.0 + t * (_C3 / 4.0 + t * _C4 / 5.0))))
    return value


@njit(cache=True, nogil=True, error_model="numpy")
def _newton(
    now: np.ndarray,
    old: np.ndarray,
    bridge: np.ndarray,
    weight: np.ndarray,
    gain: float,
    emissivity: float,
    interior: float,
    work: np.ndarray,
) -> float:
    """One Newton step on surface and layers; returns the largest change in K.

    ``work`` holds the diagonals and the right side. The heat that leaves one layer enters the
    next, so none is lost.
    """
    layers = bridge.shape[0]
    diagonal, upper, right = work[0], work[1], work[2]
    t = now[0]
    out = emissivity * STEFAN_BOLTZMANN_WPM2K4 * t * t * t * t
    flow = bridge[0] * (t - now[1])
    right[0] = gain - out - flow
    diagonal[0] = 4.0 * out / t + bridge[0]
    upper[0] = -bridge[0]
    for k in range(layers):
        into, flow, below = flow, -interior, 0.0
        if k + 1 < layers:
            below = bridge[k + 1]
            flow = below * (now[k + 1] - now[k + 2])
        stored = weight[k] * (enthalpy(now[k + 1]) - old[k])
        factor = -bridge[k] / diagonal[k]
        diagonal[k + 1] = weight[k] * capacity(now[k + 1]) + bridge[k] + below - factor * upper[k]
        right[k + 1] = into - flow - stored - factor * right[k]
        upper[k + 1] = -below
    change, largest = 0.0, 0.0
    for k in range(layers, -1, -1):
        change = (right[k] - upper[k] * change) / diagonal[k]
        largest = max(largest, abs(change))
        now[k] = max(now[k] + change, 1.0)
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def step_columns(
    profile: np.ndarray,
    surface: np.ndarray,
    absorbed: np.ndarray,
    first: int,
    last: int,
    dt: float,
    thickness: np.ndarray,
    density: np.ndarray,
    contact: np.ndarray,
    emissivity: float,
    interior: float,
) -> None:
    """Advance columns ``first`` to ``last`` by one backward Euler step, in place.

    The unknowns are the surface, which holds no heat, and the layers; conductivities are those of
    the step's beginning.

    Args:
        profile: (N, L) layer temperatures, K.
        surface: (N,) K.
        absorbed: (N,) W/m2 absorbed at the surface during the step.
        first: column.
        last: column after the last one.
        dt: seconds.
        thickness: (L,) of the layers, m.
        density: (L,) kg/m3.
        contact: (L,) conductivity without its radiative share, W/m/K, layer by layer.
        emissivity: of the surface.
        interior: heat from below, W/m2.
    """
    layers = thickness.shape[0]
    work = np.empty((3, layers + 1))
    bridge, old, now = np.empty(layers), np.empty(layers), np.empty(layers + 1)
    weight = density * thickness / dt
    for n in range(first, last):
        now[0] = surface[n]
        above = 0.0
        for k in range(layers):
            t = profile[n, k]
            now[k + 1] = t
            old[k] = enthalpy(t)
            half = 0.5 * thickness[k] / (contact[k] * (1.0 + _CHI * t * t * t))
            bridge[k] = 1.0 / (above + half)
            above = half
        for _ in range(20):
            if _newton(now, old, bridge, weight, absorbed[n], emissivity, interior, work) < 1e-7:
                break
        surface[n] = now[0]
        profile[n] = now[1:]


@njit(cache=True, nogil=True, error_model="numpy")
def absorbed_map(
    share: np.ndarray,
    normal: np.ndarray,
    toward: np.ndarray,
    irradiance: float,
    out: np.ndarray,
) -> None:
    """Sunlight that falls on sloping cells, W/m2.

    Args:
        share: (rows, cols) visible share of the Sun's disc.
        normal: (rows, cols, 3) float32 unit normals in map.
        toward: (3,) unit vector to the Sun in map.
        irradiance: at right angles to the light, W/m2.
        out: (rows, cols) float64, filled; NaN where the share is.
    """
    for i in range(share.shape[0]):
        for j in range(share.shape[1]):
            incidence = (
                normal[i, j, 0] * toward[0]
                + normal[i, j, 1] * toward[1]
                + normal[i, j, 2] * toward[2]
            )
            part = share[i, j]
            if math.isnan(part) or math.isnan(incidence):
                out[i, j] = np.nan
            else:
                out[i, j] = irradiance * part * max(incidence, 0.0)
