"""Light and sight from a horizon map: discs, averages, nights, permanent shadow.

One code serves the Sun and the Earth. A disc meets the straight line between the two horizon
angles beside its centre; the share above it is a circular segment.

Reference: Mazarico et al. 2011, Icarus 211, 1066 (illumination of the Moon's poles from horizon
maps, the Sun as a disc).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.environment.ephemeris import FIRST_UTC, LAST_UTC, EphemerisError
from ilrs_robots.core.environment.horizon import HorizonMap
from ilrs_robots.core.environment.horizon_kernels import UNKNOWN
from ilrs_robots.core.environment.light_kernels import (
    disc_share,
    follow,
    never_reached,
    share_map,
)
from ilrs_robots.core.environment.site_sky import Body, SiteSky, SkyTrack
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec, IntArray

Progress = Callable[[int, int], None]
YEAR_S: Final = 365.25 * 86_400.0
NODAL_YEARS: Final = 18.6
"""The Moon's axis turns about the ecliptic's pole once in this time (Ward 1975, Science 189)."""
_BAND_CELLS: Final = 150_000


@dataclass(frozen=True)
class Illumination:
    """What a span of time brings each cell; NaN where the ground is unknown.

    Attributes:
        average: (rows, cols) float32 mean visible share of the disc, 0 to 1.
        longest_night_s: (rows, cols) float64 longest time below the share that counts as lit.
        lit_until_s: (rows, cols) float64 seconds from the first time on for which the cell stays
            lit; the whole span where it is never dark.
    """

    average: Float32Array
    longest_night_s: FloatArray
    lit_until_s: FloatArray


def visible_share(
    horizon: HorizonMap, sky: SiteSky, utc_s: float, body: Body = "sun"
) -> Float32Array:
    """Visible share of a body's disc at one time, (rows, cols) 0 to 1, NaN where unknown.

    Raises:
        EphemerisError: the time is outside 2020 to 2060.
        TerrainError: horizon and sky are of different grids.
    """
    _require_same(horizon, sky.spec)
    out = np.empty(horizon.spec.shape, dtype=np.float32)
    with _Bands(horizon.spec) as bands:
        _draw(bands, horizon, sky.track(body, utc_s), 0, out)
    return out


def share_series(
    horizon: HorizonMap, sky: SiteSky, cell: tuple[int, int], utc_s: ArrayLike, body: Body = "sun"
) -> FloatArray:
    """Visible share seen from one cell (row, col) at (T,) POSIX seconds: (T,) 0 to 1 or NaN.

    Raises:
        EphemerisError: a time outside 2020 to 2060.
        TerrainError: the cell is not in the map.
    """
    _require_same(horizon, sky.spec)
    rows, cols = horizon.spec.shape
    if not (0 <= cell[0] < rows and 0 <= cell[1] < cols):
        raise TerrainError(f"cell {cell}: the horizon map has {rows} x {cols} cells")
    track = sky.track(body, utc_s)
    down, across = (c / max(n - 1, 1) for c, n in zip(cell, (rows, cols), strict=True))
    yaw, up = (_at_node(v, down, across) for v in (track.yaw_rad, track.elevation_rad))
    profile = np.asarray(horizon.counts[:, cell[0], cell[1]])
    azimuths = len(profile)
    at = yaw / (2.0 * math.pi / azimuths)
    whole = np.floor(at)
    k = whole.astype(np.int64) % azimuths
    return np.array([
        disc_share(int(profile[a]), int(profile[(a + 1) % azimuths]), p, 2.0 * math.pi / azimuths,
                   e, r)
        for a, p, e, r in zip(k, at - whole, up, track.radius_rad, strict=True)
    ])  # fmt: skip


def illumination(
    horizon: HorizonMap,
    sky: SiteSky,
    utc_s: ArrayLike,
    body: Body = "sun",
    *,
    lit_share: float = 0.5,
    on_progress: Progress | None = None,
) -> Illumination:
    """Average, longest night and lit-until over evenly spaced times.

    Args:
        horizon: of the site, for the height of the panel or antenna.
        sky: of the same grid.
        utc_s: (T,) POSIX seconds, evenly spaced, at least 2.
        body: ``sun`` or ``earth``; for the Earth a night is a gap in sight.
        lit_share: share of the disc from which a cell counts as lit, above 0 to 1.
        on_progress: called with steps done and steps in all.

    Raises:
        EphemerisError: times outside 2020 to 2060, too few or not evenly spaced.
        TerrainError: horizon and sky are of different grids, or the share is out of range.
    """
    _require_same(horizon, sky.spec)
    times = np.asarray(utc_s, dtype=np.float64)
    step_s = _spacing(times)
    if not 0.0 < lit_share <= 1.0:
        raise TerrainError(f"lit_share = {lit_share}: must be above 0 and at most 1")
    track = sky.track(body, times)
    shape = horizon.spec.shape
    total, share = np.zeros(shape), np.empty(shape, dtype=np.float32)
    dark, longest = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    until = np.full(shape, -1, dtype=np.int32)
    with _Bands(horizon.spec) as bands:
        for n in range(len(times)):
            _draw(bands, horizon, track, n, share)
            bands.each(partial(_follow, share, n, lit_share, (total, dark, longest, until)))
            if on_progress is not None:
                on_progress(n + 1, len(times))
    until[until < 0] = len(times)
    known = np.asarray(horizon.counts[0]) != UNKNOWN
    night, lit = (np.where(known, steps * step_s, np.nan) for steps in (longest, until))
    return Illumination((total / len(times)).astype(np.float32), night, lit)


def permanent_shadow(
    horizon: HorizonMap,
    sky: SiteSky,
    centre_utc_s: float,
    *,
    years: float = NODAL_YEARS,
    step_s: float = 7_200.0,
) -> BoolArray:
    """Cells that no edge of the Sun reaches in years about a time, (rows, cols).

    The span is moved, and cut if it must be, to lie within 2020 to 2060. For ground that is
    never lit the horizon map must be of observer height 0.

    Raises:
        EphemerisError: the time is outside 2020 to 2060.
        TerrainError: horizon and sky are of different grids, or years or step are not above 0.
    """
    _require_same(horizon, sky.spec)
    if not (years > 0.0 and step_s > 0.0):
        raise TerrainError(f"years = {years}, step = {step_s} s: must be above 0")
    sky.track("sun", centre_utc_s)
    low, high = FIRST_UTC.timestamp(), LAST_UTC.timestamp()
    span = min(years * YEAR_S, high - low)
    start = min(max(centre_utc_s - 0.5 * span, low), high - span)
    track = sky.track("sun", np.arange(start, start + span, step_s))
    highest = _highest(track, horizon.counts.shape[0])
    out = np.empty(horizon.spec.shape, dtype=np.bool_)
    never_reached(horizon.counts, highest, out)
    return out


def _highest(track: SkyTrack, azimuths: int) -> FloatArray:
    """(azimuths, L, M) highest upper edge seen in each direction, -inf where it never is."""
    edge = track.elevation_rad + track.radius_rad[:, None, None]
    layer: IntArray = np.round(track.yaw_rad / (2.0 * math.pi / azimuths)).astype(np.int64)
    layer %= azimuths
    nodes = edge.shape[1] * edge.shape[2]
    out = np.full((azimuths, nodes), -np.inf)
    for n in range(nodes):
        np.maximum.at(out[:, n], layer.reshape(-1, nodes)[:, n], edge.reshape(-1, nodes)[:, n])
    return np.where(np.isfinite(out), out, -10.0).reshape(azimuths, *edge.shape[1:])


def _draw(bands: _Bands, horizon: HorizonMap, track: SkyTrack, n: int, out: Float32Array) -> None:
    yaw, up, radius = track.yaw_rad[n], track.elevation_rad[n], float(track.radius_rad[n])
    bands.each(lambda a, b: share_map(horizon.counts, a, b, yaw, up, radius, out))


def _follow(
    share: Float32Array, n: int, least: float, sums: tuple[Any, ...], first: int, last: int
) -> None:
    follow(share, first, last, n, least, *sums)


def _at_node(values: FloatArray, down: float, across: float) -> FloatArray:
    """Bilinear between the nodes, (T,) of (T, L, M)."""
    a, b = down * (values.shape[1] - 1), across * (values.shape[2] - 1)
    i, j = min(int(a), values.shape[1] - 2), min(int(b), values.shape[2] - 2)
    f, g = a - i, b - j
    low = (1.0 - f) * values[:, i, j] + f * values[:, i + 1, j]
    high = (1.0 - f) * values[:, i, j + 1] + f * values[:, i + 1, j + 1]
    mixed: FloatArray = (1.0 - g) * low + g * high
    return mixed


def _spacing(times: FloatArray) -> float:
    if times.ndim != 1 or len(times) < 2:
        raise EphemerisError(f"times have shape {times.shape}: needs at least 2 in a row")
    step = float(times[1] - times[0])
    if not (step > 0.0 and np.allclose(np.diff(times), step, rtol=0.0, atol=1e-3)):
        raise EphemerisError(f"times are not evenly spaced forward by {step} s")
    return step


def _require_same(horizon: HorizonMap, spec: GridSpec) -> None:
    if horizon.spec != spec:
        raise TerrainError(f"horizon map on {horizon.spec}, sky on {spec}: must be the same grid")


class _Bands:
    """Rows shared out among threads; small grids stay in the caller's."""

    def __init__(self, spec: GridSpec) -> None:
        parts = min(os.cpu_count() or 1, max(1, spec.rows * spec.cols // _BAND_CELLS))
        edges = np.linspace(0, spec.rows, parts + 1).astype(int)
        self._ranges = [(int(a), int(b)) for a, b in itertools.pairwise(edges)]
        self._pool = ThreadPoolExecutor(parts) if parts > 1 else None

    def __enter__(self) -> _Bands:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def each(self, work: Callable[[int, int], None]) -> None:
        """Call with first row and row after the last, for every band."""
        if self._pool is None:
            for first, last in self._ranges:
                work(first, last)
            return
        for job in [self._pool.submit(work, *band) for band in self._ranges]:
            job.result()
