"""How well measured ground fits a map from orbit, at each of many shifts: fast and coarse."""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.types import Float32Array, FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def _bilinear(prior: Float32Array, col: float, row: float) -> float:
    """Height between samples, NaN outside."""
    rows, cols = prior.shape
    j, i = int(np.floor(col)), int(np.floor(row))
    if j < 0 or i < 0 or j > cols - 2 or i > rows - 2:
        return np.nan
    u, v = col - j, row - i
    low = prior[i, j] * (1.0 - u) + prior[i, j + 1] * u
    high = prior[i + 1, j] * (1.0 - u) + prior[i + 1, j + 1] * u
    height: float = low * (1.0 - v) + high * v
    return height


@njit(cache=True, nogil=True, error_model="numpy")
def left_over(
    xy: FloatArray, z: FloatArray, prior: Float32Array, geo: FloatArray, shifts: FloatArray,
    scale_m: float, out: FloatArray, covered: FloatArray,
) -> None:  # fmt: skip
    """Variance of ground less prior after offset and tilt, for each shift; m2.

    ``xy`` are about their middle, ``geo`` = x, y of the middle on the prior's grid and its step;
    ``covered`` is the share of the cells where the prior knows a height.
    """
    for s in range(shifts.shape[0]):
        n = 0
        e0 = ex = ey = ee = 0.0
        sx = sy = sxx = sxy = syy = 0.0
        for k in range(xy.shape[0]):
            x, y = xy[k, 0], xy[k, 1]
            p = _bilinear(
                prior, (geo[0] + x + shifts[s, 0]) / geo[2], (geo[1] + y + shifts[s, 1]) / geo[2]
            )
            if np.isnan(p):
                continue
            e = z[k] - p
            x /= scale_m
            y /= scale_m
            n += 1
            e0 += e
            ex += e * x
            ey += e * y
            ee += e * e
            sx += x
            sy += y
            sxx += x * x
            sxy += x * y
            syy += y * y
        covered[s] = n / xy.shape[0]
        if n < 8:
            out[s] = np.nan
            continue
        # Normal equations of (1, x, y) about the mean, by elimination.
        mx, my, me = sx / n, sy / n, e0 / n
        cxx, cxy, cyy = sxx / n - mx * mx, sxy / n - mx * my, syy / n - my * my
        bx, by = ex / n - mx * me, ey / n - my * me
        det = cxx * cyy - cxy * cxy
        fitted = 0.0
        if det > 1e-9 * (cxx + cyy) ** 2:
            fitted = (bx * (cyy * bx - cxy * by) + by * (cxx * by - cxy * bx)) / det
        out[s] = max(ee / n - me * me - fitted, 0.0)


def lowest(shifts_m: FloatArray, left_m2: FloatArray, apart_m: float, most: int) -> list[int]:
    """The shifts that leave least, each farther than ``apart_m`` from those before.

    Args:
        shifts_m: (S, 2) metres.
        left_m2: (S,) m2, NaN for what does not count.
        apart_m: metres.
        most: how many at most.
    """
    rest = np.array(left_m2, dtype=np.float64)
    found: list[int] = []
    while len(found) < most and np.isfinite(rest).any():
        best = int(np.nanargmin(rest))
        found.append(best)
        rest[np.hypot(*(shifts_m - shifts_m[best]).T) <= apart_m] = np.nan
    return found
