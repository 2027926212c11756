"""Where a stretch of measured ground lies on a map from orbit.

The measured heights are shifted over the prior map. At every shift the difference is taken, an
offset and a tilt are fitted to it and taken out, and what remains is judged. The best few places
are then compared, and refined below the cell, by their likelihood under the prior's own errors
(``dem_likelihood``). Light plays no part.

A match counts only where it is the one place in a wide surrounding that fits (much wider than
the covariance asks for, so that a vehicle that is lost does not take the second best), where the
prior explains the relief, and where the place lies where the covariance allows.

Reference: Golden 1980, Terrain contour matching (TERCOM), SPIE 238 (mean squared difference over
a window); Hinrichs 1976, for false fixes and the uniqueness of the minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization.dem_likelihood import YAW, GroundLikelihood, Place, X, Y, Z
from ilrs_robots.core.localization.dem_search import left_over, lowest
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, GridSpec

CHI2_2_999: Final = 13.8
"""99.9 % of two squared normal variables together are below."""
_LEAST_CELLS: Final = 50
_COVERED: Final = 0.95
"""Share of the ground that the prior must know at a shift for it to count."""
_OFFSET_SIGMA_M: Final = 100.0


@dataclass(frozen=True)
class DemMatchConfig:
    """What is searched, and when a match is taken."""

    guard_m: float = param(
        150.0, doc="radius that is searched at least, for places that fit as well", unit="m",
        low=10.0, high=2000.0,
    )  # fmt: skip
    most_radius_m: float = param(
        400.0, doc="radius that is searched at most", unit="m", low=10.0, high=5000.0
    )
    step_m: float = param(5.0, doc="step of the search", unit="m", low=0.5, high=100.0)
    prior_sigma_m: float = param(
        0.4, doc="correlated height error of the prior", unit="m", low=0.01, high=100.0
    )
    correlation_m: float = param(
        15.0, doc="distance at which that error's correlation is exp(-1/2)", unit="m",
        low=0.1, high=1e3,
    )  # fmt: skip
    white_sigma_m: float = param(
        0.3, doc="height error from cell to cell: what lies between the prior's samples",
        unit="m", low=0.01, high=100.0,
    )  # fmt: skip
    inflation: float = param(
        3.0, doc="factor on both of these errors: interpolation errs more where there is relief",
        low=1.0, high=100.0,
    )  # fmt: skip
    candidates: int = param(
        6, doc="places of the search that are compared by likelihood", low=2, high=100
    )
    most_cells: int = param(
        1200, doc="cells that are compared; of more, every second, third ...", low=100, high=5000
    )
    most_rms_m: float = param(
        0.8, doc="a fit that leaves more is refused", unit="m", low=0.05, high=100.0
    )
    least_explained: float = param(
        0.6, doc="share of the relief's variance that the prior must explain", low=0.0, high=1.0
    )
    least_area_m2: float = param(
        15_000.0, doc="ground that must have been seen", unit="m2", low=10.0, high=1e8
    )
    apart_m: float = param(
        25.0, doc="places nearer to the best one are the same place", unit="m", low=1.0, high=1e3
    )
    least_odds: float = param(
        5.0, doc="log of the likelihood of the best place over that of any other", low=0.0,
        high=1e3,
    )  # fmt: skip
    most_sigma_m: float = param(
        2.6, doc="a fix that is less certain along any direction is refused", unit="m",
        low=0.1, high=100.0,
    )  # fmt: skip
    tilt_sigma: float = param(
        0.01, doc="slope that odometry may have given level ground", unit="m/m", low=1e-5, high=1.0
    )
    yaw_sigma_rad: float = param(
        0.003, doc="how well the heading is known", unit="rad", low=1e-5, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class DemMatch:
    """What came of a comparison.

    Attributes:
        reason: why it is no fix, ``""`` where it is one: ``area``, ``outside`` (the prior does
            not cover the ground), ``flat``, ``rms``, ``uncertain``, ``ambiguous``, ``elsewhere``.
        shift_m: (3,) to add to the place that was believed, map axes; NaN where nothing was
            searched.
        yaw_rad: to add to the heading that was believed, about the vehicle.
        covariance: (3, 3) of ``shift_m``, m2.
        yaw_sigma_rad: of ``yaw_rad``.
        rms_m: what remains between ground and prior.
        explained: share of the relief's variance that the prior explains.
        odds: log of the likelihood of this place over that of the second.
        second_m: (2,) shift of the second.
        cells: how many were compared.
    """

    reason: str
    shift_m: FloatArray
    yaw_rad: float
    covariance: FloatArray
    yaw_sigma_rad: float
    rms_m: float
    explained: float
    odds: float
    second_m: FloatArray
    cells: int

    @property
    def accepted(self) -> bool:
        """Whether it is a fix."""
        return not self.reason


def match(
    xy_m: FloatArray,
    z_m: FloatArray,
    at_m: FloatArray,
    covariance: FloatArray,
    prior: Dem,
    cfg: DemMatchConfig,
    cell_m: float = 5.0,
) -> DemMatch:
    """Compare measured ground with a prior map.

    Args:
        xy_m: (N, 2) centres of measured cells where they are believed to be, map frame.
        z_m: (N,) their heights, map frame.
        at_m: (2,) where the vehicle is believed to be, map frame; the fix is for this place.
        covariance: (2, 2) of that place, m2, without the match.
        prior: the map from orbit, map frame.
        cfg: the rules.
        cell_m: edge of the measured cells.
    """
    xy = np.ascontiguousarray(xy_m, dtype=np.float64)
    known = np.isfinite(z_m)
    xy, z = xy[known], np.ascontiguousarray(np.asarray(z_m, np.float64)[known])
    if len(xy) < _LEAST_CELLS or len(xy) * cell_m**2 < cfg.least_area_m2:
        return _refused("area", len(xy))
    every = -(-len(xy) // cfg.most_cells)
    xy, z = np.ascontiguousarray(xy[::every]), np.ascontiguousarray(z[::every])
    spread = np.asarray(covariance, dtype=np.float64)
    shifts, left, relief = _search(xy, z, prior, _radius(spread, cfg), cfg)
    starts = lowest(shifts, left, cfg.apart_m, cfg.candidates)
    if not starts:
        return _refused("outside", len(xy))
    likelihood = GroundLikelihood(
        xy, z, np.asarray(at_m, np.float64), prior,
        (cfg.inflation * cfg.prior_sigma_m, cfg.correlation_m, cfg.inflation * cfg.white_sigma_m),
        (cfg.yaw_sigma_rad, _OFFSET_SIGMA_M, cfg.tilt_sigma),
    )  # fmt: skip
    places = [likelihood.best_near(shifts[start]) for start in starts]
    if not any(place.complete for place in places):
        return _refused("outside", len(xy))
    best = min((place for place in places if place.complete), key=lambda place: place.cost)
    odds, second = _odds(likelihood, best, places, shifts[starts], cfg)
    state, within = best.state, best.covariance
    pick = (X, Y, Z)
    found = DemMatch(
        "", state[list(pick)], float(state[YAW]), within[np.ix_(pick, pick)],
        math.sqrt(within[YAW, YAW]), best.rms_m,
        1.0 - best.rms_m**2 / relief if relief > 0.0 else 0.0, odds, second, len(xy),
    )  # fmt: skip
    return replace(found, reason=_why_not(found, spread, cfg))


def _odds(
    likelihood: GroundLikelihood,
    best: Place,
    places: list[Place],
    starts: FloatArray,
    cfg: DemMatchConfig,
) -> tuple[float, FloatArray]:
    """Log of the likelihood of the best place over that of the next, and the next one's shift.

    A candidate that slides into the best place counts as it was before it slid.
    """
    odds, second = math.inf, np.full(2, np.nan)
    for place, start in zip(places, starts, strict=True):
        other = place
        if math.hypot(*(place.state[:2] - best.state[:2])) < cfg.apart_m:
            if math.hypot(*(start - best.state[:2])) < cfg.apart_m:
                continue
            other = likelihood.best_near(start, held=True)
        found = 0.5 * (other.cost - best.cost)
        if found < odds:
            odds, second = found, other.state[:2].copy()
    return odds, second


def _radius(spread: FloatArray, cfg: DemMatchConfig) -> float:
    """How far to search: as the covariance asks, and wide enough to find what fits as well."""
    sigma = math.sqrt(max(float(np.linalg.eigvalsh(spread)[-1]), 0.0))
    wanted = math.sqrt(CHI2_2_999) * sigma + cfg.apart_m
    return min(max(cfg.guard_m, wanted), cfg.most_radius_m)


def _search(
    xy: FloatArray, z: FloatArray, prior: Dem, radius_m: float, cfg: DemMatchConfig
) -> tuple[FloatArray, FloatArray, float]:
    """Shifts (S, 2) within a radius, what each leaves (S,) m2, and the relief's own variance."""
    count = math.floor(radius_m / cfg.step_m)
    steps = cfg.step_m * np.arange(-count, count + 1)
    x, y = np.meshgrid(steps, steps)
    keep = x * x + y * y <= radius_m * radius_m
    shifts = np.column_stack((x[keep], y[keep]))
    left, covered = np.empty(len(shifts)), np.empty(len(shifts))
    middle = xy.mean(axis=0)
    about = np.ascontiguousarray(xy - middle)
    scale = max(float(np.abs(about).max()), 1.0)
    s = prior.spec
    geo = np.array([middle[0] - s.origin_x_m, middle[1] - s.origin_y_m, s.resolution_m])
    left_over(about, z, prior.heights_m, geo, shifts, scale, left, covered)
    left[covered < _COVERED] = np.nan
    design = np.column_stack((np.ones(len(about)), about / scale))
    rest = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
    return shifts, left, float(np.mean(rest**2))


def _why_not(found: DemMatch, spread: FloatArray, cfg: DemMatchConfig) -> str:
    """Why a match is no fix; empty where it is one."""
    plane, shift = found.covariance[:2, :2], found.shift_m[:2]
    if found.rms_m > cfg.most_rms_m:
        return "rms"
    if found.explained < cfg.least_explained:
        return "flat"
    if math.sqrt(max(float(np.linalg.eigvalsh(plane)[-1]), 0.0)) > cfg.most_sigma_m:
        return "uncertain"
    if found.odds < cfg.least_odds:
        return "ambiguous"
    if shift @ np.linalg.solve(spread + plane, shift) > CHI2_2_999:
        return "elsewhere"
    return ""


def _refused(reason: str, cells: int) -> DemMatch:
    nothing = np.full(3, np.nan)
    return DemMatch(
        reason, nothing, math.nan, np.full((3, 3), np.nan), math.nan, math.nan, math.nan, 0.0,
        nothing[:2], cells,
    )  # fmt: skip


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    x, y = np.meshgrid(5.0 * np.arange(60), 5.0 * np.arange(60))
    heights = 5.0 * np.sin(x / 30.0) * np.cos(y / 40.0)
    dem = Dem(heights.astype(np.float32), GridSpec(0.0, 0.0, 5.0, 60, 60))
    xy = np.column_stack((x[20:40, 20:40].ravel(), y[20:40, 20:40].ravel()))
    match(xy, dem.height(xy), np.array([150.0, 150.0]), np.eye(2), dem, DemMatchConfig(), 5.0)
