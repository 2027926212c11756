"""Which of the safe places to land on: risk by dispersion against the delta-v of getting there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from ilrs_robots.core.planning.landing_map import LandingMap
from ilrs_robots.core.types import Float32Array, FloatArray

_FINEST = 16.0
"""Cells of a standard deviation that are told apart."""


@dataclass(frozen=True)
class LandingChoice:
    """A place to land.

    Attributes:
        xy_m: (2,) in the map's frame.
        risk: share of landings aimed there that end on a cell not called safe.
        room_m: distance to the nearest such cell.
        divert_m: distance from the place that was asked for.
        cost_mps: delta-v of the divert with the price of the risk.
    """

    xy_m: FloatArray
    risk: float
    room_m: float
    divert_m: float
    cost_mps: float


def best_landing(
    places: LandingMap, target_xy_m: FloatArray, *, dispersion_m: float, reach_m: float,
    mps_per_m: float = 0.3, risk_mps: float = 60.0, max_risk: float = 0.3,
) -> LandingChoice | None:  # fmt: skip
    """The safe place within reach that costs least, or None where there is none.

    Args:
        places: judged map.
        target_xy_m: (2,) place asked for, the map's frame.
        dispersion_m: standard deviation of where a landing ends, along each axis.
        reach_m: farthest divert.
        mps_per_m: delta-v that a metre of divert takes.
        risk_mps: delta-v that certainty of an unsafe end would be worth.
        max_risk: places beyond it are not taken.
    """
    spec, safe = places.spec, places.safe
    x, y = np.meshgrid(spec.x_m() - target_xy_m[0], spec.y_m() - target_xy_m[1])
    away = np.hypot(x, y)
    risk = _risk((~safe).astype(np.float32), dispersion_m / spec.resolution_m)
    cost = np.where(
        safe & (away <= reach_m) & (risk <= max_risk), mps_per_m * away + risk_mps * risk, np.inf
    )
    best = int(np.argmin(cost))
    row, col = divmod(best, spec.cols)
    if not math.isfinite(cost[row, col]):
        return None
    framed = cv2.copyMakeBorder(safe.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    room = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[row + 1, col + 1] * spec.resolution_m
    place = np.array([spec.x_m()[col], spec.y_m()[row]])
    return LandingChoice(
        place, float(risk[row, col]), float(room), float(away[row, col]), float(cost[row, col])
    )


def _risk(unsafe: Float32Array, sigma: float) -> Float32Array:
    """Share of unsafe ends around each cell, a wide deviation on fewer cells."""
    if sigma <= 0.0:
        return unsafe
    rows, cols = unsafe.shape
    coarse = math.ceil(sigma / _FINEST)
    small = cv2.resize(
        unsafe, (max(cols // coarse, 1), max(rows // coarse, 1)), interpolation=cv2.INTER_AREA
    )
    # Beyond the map nothing is known, so nothing is safe.
    wide = math.ceil(4.0 * sigma / coarse) + 1
    padded = cv2.copyMakeBorder(small, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=1.0)
    padded = cv2.GaussianBlur(padded, (2 * wide + 1, 2 * wide + 1), sigma / coarse)
    blurred = cv2.resize(padded[wide:-wide, wide:-wide], (cols, rows))
    return np.asarray(np.clip(blurred, 0.0, 1.0), dtype=np.float32)
