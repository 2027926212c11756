"""Which pixels of an orbital DEM a laser altimeter has hit, and what interpolation makes of it.

LOLA fires 28 times a second at 1.6 km/s over ground: a shot every 57 m, each of five spots, one in
the middle and four 25 m away in a cross that is turned by 26 degrees against the track. Tracks
run along the meridians, near a pole almost in parallel over a tile of some kilometres. Tracks are
added until the share of measured pixels is reached; the rest is linear between the measured ones.

Reference: Smith et al. 2010, Space Sci. Rev. 150, 209 (spots, rates); Barker et al. 2021, Planet.
Space Sci. 203, 105119 (about 90 % of the 5 m pixels are interpolated).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec

_SHOT_M: Final = 57.0
_SPOT_M: Final = 25.0
_SPOT_TURN_RAD: Final = math.radians(26.0)
_SPREAD_RAD: Final = math.radians(4.0)  # of the tracks' directions
_MOST_TRACKS: Final = 200_000


def measured_pixels(
    rng: np.random.Generator, spec: GridSpec, share: float, along_rad: float
) -> BoolArray:
    """Pixels that hold a spot, (rows, cols) bool.

    Args:
        rng: draws the tracks.
        spec: of the DEM.
        share: of the pixels that are to be measured, 0 to 1.
        along_rad: mean direction of the tracks from x.
    """
    hit = np.zeros(spec.shape, dtype=np.bool_)
    wanted = share * hit.size
    reach = 0.5 * spec.resolution_m * math.hypot(spec.rows, spec.cols) + _SPOT_M
    middle = np.array([
        spec.origin_x_m + 0.5 * spec.resolution_m * (spec.cols - 1),
        spec.origin_y_m + 0.5 * spec.resolution_m * (spec.rows - 1),
    ])  # fmt: skip
    turns = _SPOT_TURN_RAD + 0.5 * math.pi * np.arange(4)
    cross = _SPOT_M * np.stack((np.cos(turns), np.sin(turns)), axis=-1)
    spots = np.concatenate((np.zeros((1, 2)), cross))
    shots = np.arange(-reach, reach, _SHOT_M)
    for _ in range(_MOST_TRACKS):
        if hit.sum() >= wanted:
            break
        turn = along_rad + rng.normal(0.0, _SPREAD_RAD)
        c, s = math.cos(turn), math.sin(turn)
        ahead = (shots + rng.uniform(0.0, _SHOT_M))[:, None] + spots[:, 0]
        aside = rng.uniform(-reach, reach) + np.broadcast_to(spots[:, 1], ahead.shape)
        xy = middle + np.stack((c * ahead - s * aside, s * ahead + c * aside), -1).reshape(-1, 2)
        row, col = spec.cell_of(xy[spec.contains(xy)])
        hit[row, col] = True
    return hit


def interpolated(heights_m: FloatArray, measured: BoolArray) -> FloatArray:
    """Heights known at measured pixels only, linear between them, nearest beyond their hull.

    Args:
        heights_m: (rows, cols) metres, NaN unknown, which stays unknown.
        measured: (rows, cols) bool.

    Raises:
        TerrainError: fewer than four pixels were measured.
    """
    known = measured & ~np.isnan(heights_m)
    points = np.argwhere(known)
    if len(points) < 4 or np.ptp(points, axis=0).min() == 0:
        raise TerrainError(f"{len(points)} measured pixels: at least 4, not in a line, are needed")
    values = heights_m[known]
    rows, cols = np.nonzero(~known & ~np.isnan(heights_m))
    # 13 MB of modules that a vehicle's processes have no use for otherwise.
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    between = LinearNDInterpolator(points, values)(rows, cols)
    beyond = np.isnan(between)
    if beyond.any():
        between[beyond] = NearestNDInterpolator(points, values)(rows[beyond], cols[beyond])
    out = heights_m.copy()
    out[rows, cols] = between
    return out
