"""Height of an arc over the ground, with the error of navigation taken off.

The error of the place grows along the arc. The ground that counts at a moment is the highest
within the vehicle's radius and that error; near both ends the margins taper, as the vehicle
stands there.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray


@njit(cache=True, error_model="numpy")
def highest_within(
    heights: np.ndarray, x0: float, y0: float, res: float, xy: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """Highest sample within a radius and the cell around of each point; NaN where any is unknown.

    Bilinear ground is never higher than the samples around it.
    """
    rows, cols = heights.shape
    out = np.empty(xy.shape[0])
    for n in range(xy.shape[0]):
        reach = radius[n] / res
        col, row = (xy[n, 0] - x0) / res, (xy[n, 1] - y0) / res
        left, right = math.floor(col - reach), math.ceil(col + reach)
        low, high = math.floor(row - reach), math.ceil(row + reach)
        if left < 0 or low < 0 or right >= cols or high >= rows:
            out[n] = np.nan
            continue
        top = -np.inf
        for i in range(low, high + 1):
            for j in range(left, right + 1):
                away = max(math.hypot(i - row, j - col) - 1.5, 0.0)
                if away <= reach:
                    value = heights[i, j]
                    if value != value:
                        top = np.nan
                    elif not value <= top:
                        top = value if top == top else top
        out[n] = top
    return out


def clearance(
    dem: Dem, time_s: FloatArray, position_m: FloatArray, settings: HopPlanConfig
) -> tuple[float, int]:
    """Least clearance along a path and the sample where it is.

    Args:
        dem: the ground, NaN unknown.
        time_s: (N,) s after launch.
        position_m: (N, 3) base_link in map, m.
        settings: margins.

    Returns:
        Metres left after all margins (negative: too low), NaN where ground under the path is
        unknown; index of the sample.
    """
    s, spec = settings, dem.spec
    place = np.ascontiguousarray(position_m, dtype=np.float64)
    near = np.minimum(
        np.linalg.norm(place - place[0], axis=1), np.linalg.norm(place - place[-1], axis=1)
    )
    side = s.sigmas * np.hypot(s.sigma_m, s.sigma_mps * time_s)
    radius = s.body_m * (near > s.body_m) + np.minimum(side, s.taper * near)
    ground = highest_within(
        dem.heights_m, spec.origin_x_m, spec.origin_y_m, spec.resolution_m, place[:, :2], radius
    )
    error = s.sigmas * np.sqrt(s.sigma_m**2 + (s.sigma_mps * time_s) ** 2 + s.ground_sigma_m**2)
    left = place[:, 2] - ground - np.minimum(s.margin_m + error, s.taper * near)
    judged = near > max(4.0 * spec.resolution_m, 4.0 * s.body_m)
    if not judged.any():
        return math.inf, 0
    left = np.where(judged, left, np.inf)
    if np.isnan(left).any():
        return math.nan, int(np.argmax(np.isnan(left)))
    k = int(np.argmin(left))
    return float(left[k]), k


def warm_up() -> None:
    """Compile the kernel."""
    heights = np.zeros((2, 2), dtype=np.float32)
    heights.flags.writeable = False
    highest_within(heights, 0.0, 0.0, 1.0, np.zeros((1, 2)), np.zeros(1))
