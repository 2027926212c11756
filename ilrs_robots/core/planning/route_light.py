"""Light and power over the hours of a route: maps of the Sun, and what a vehicle makes of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core.energy.sources import SolarArrayConfig
from ilrs_robots.core.environment.horizon import HorizonMap
from ilrs_robots.core.environment.illumination import visible_share
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.environment.thermal import irradiance_wpm2
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.route_graph import RouteGraph
from ilrs_robots.core.types import FloatArray, GridSpec

UInt8Array = NDArray[np.uint8]
UInt16Array = NDArray[np.uint16]
Progress = Callable[[int, int], None]
FULL: Final = 255
"""Of a map of light, where the whole disc is in sight."""
DIRECTIONS: Final = 8
_PARK_YAWS: Final = 72
_STEPS_AT_ONCE: Final = 12


@dataclass(frozen=True)
class LightSeries:
    """Maps of the Sun's visible share, one for each step of time.

    Attributes:
        share: (K, rows, cols) uint8, 0 dark (or unknown) to 255.
        step_s: length of a step.
        start_utc_s: POSIX seconds at which the first begins.
        spec: where the cells are.
    """

    share: UInt8Array
    step_s: float
    start_utc_s: float
    spec: GridSpec

    def __post_init__(self) -> None:
        """Check shapes and the step.

        Raises:
            PlanningError: the maps are of another grid, there is none, or the step is not above
                0 s.
        """
        if self.share.ndim != 3 or self.share.shape[1:] != self.spec.shape or not len(self.share):
            raise PlanningError(
                f"light maps have shape {self.share.shape}: must be (steps, rows, cols) of "
                f"{self.spec.shape}"
            )
        if not (math.isfinite(self.step_s) and self.step_s > 0.0):
            raise PlanningError(f"step of the light maps = {self.step_s} s: must be above 0 s")

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.share)

    @property
    def span_s(self) -> float:
        """All steps together."""
        return self.steps * self.step_s

    def mean(self) -> NDArray[np.float32]:
        """Mean share, (rows, cols) float32 0 to 1, of at most 64 of the steps."""
        every = max(1, -(-self.steps // 64))
        some = self.share[::every]
        total = np.zeros(self.spec.shape, np.uint32)
        for one in some:
            total += one
        return (total / np.float32(FULL * len(some))).astype(np.float32)


def light_series(
    horizon: HorizonMap, sky: SiteSky, start_utc_s: float, steps: int, step_s: float,
    on_progress: Progress | None = None,
) -> LightSeries:  # fmt: skip
    """Maps of light over time; a step is as light as the darker of its two ends.

    Args:
        horizon: for the height of the panel.
        sky: of the same grid.
        start_utc_s: POSIX seconds.
        steps: how many, at least 1.
        step_s: seconds of each, above 0.
        on_progress: called with maps done and maps in all.

    Raises:
        EphemerisError: a time outside 2020 to 2060.
        TerrainError: horizon and sky are of different grids.
        PlanningError: no step.
    """
    if steps < 1:
        raise PlanningError(f"{steps} steps of light: needs at least 1")
    share = np.empty((steps, *horizon.spec.shape), np.uint8)
    before = _counted(visible_share(horizon, sky, start_utc_s))
    for k in range(steps):
        after = _counted(visible_share(horizon, sky, start_utc_s + (k + 1) * step_s))
        np.minimum(before, after, out=share[k])
        before = after
        if on_progress is not None:
            on_progress(k + 1, steps)
    return LightSeries(share, step_s, start_utc_s, horizon.spec)


def _counted(share: NDArray[np.float32]) -> UInt8Array:
    return (np.nan_to_num(share) * np.float32(FULL)).astype(np.uint8)


@dataclass(frozen=True)
class SunPower:
    """What a vehicle's sources give at a wholly visible Sun, for each step of time.

    Attributes:
        parked_w: (K,) with the heading that gives most.
        driven_w: (K, 8) driving towards eighths of a turn from x of map.
        park_yaw_rad: (K,) that heading.
        steady_w: of sources that need no Sun.
    """

    parked_w: FloatArray
    driven_w: FloatArray
    park_yaw_rad: FloatArray
    steady_w: float = 0.0


def sun_power(
    arrays: Sequence[SolarArrayConfig], sky: SiteSky, start_utc_s: float, steps: int,
    step_s: float, steady_w: float = 0.0,
) -> SunPower:  # fmt: skip
    """Power of a vehicle's arrays at the middle of each step, on level ground.

    Args:
        arrays: of the vehicle.
        sky: over the site.
        start_utc_s: POSIX seconds.
        steps: how many.
        step_s: seconds of each.
        steady_w: of other sources.

    Raises:
        EphemerisError: a time outside 2020 to 2060.
    """
    track = sky.track("sun", start_utc_s + step_s * (np.arange(steps) + 0.5))
    yaw = track.yaw_rad.mean(axis=(1, 2))
    up = track.elevation_rad.mean(axis=(1, 2))
    light = irradiance_wpm2(track.distance_m)
    turns = np.linspace(0.0, 2.0 * math.pi, _PARK_YAWS, endpoint=False)
    parked = _array_power(arrays, yaw, up, light, turns)
    heading = np.arange(DIRECTIONS) * (2.0 * math.pi / DIRECTIONS)
    best = np.argmax(parked, axis=1)
    return SunPower(
        parked[np.arange(steps), best], _array_power(arrays, yaw, up, light, heading),
        turns[best], steady_w,
    )  # fmt: skip


def _array_power(
    arrays: Sequence[SolarArrayConfig], yaw: FloatArray, up: FloatArray, light: FloatArray,
    heading: ArrayLike,
) -> FloatArray:  # fmt: skip
    """(K, H) W at headings (H,) radians in map under suns (K,)."""
    seen = yaw[:, None] - np.asarray(heading, np.float64)[None, :]
    flat = np.cos(up)[:, None]
    high = np.broadcast_to(np.sin(up)[:, None], seen.shape)
    toward = np.stack((flat * np.cos(seen), flat * np.sin(seen), high), axis=-1)
    total = np.zeros(seen.shape)
    for array in arrays:
        total += array.power_w(light[:, None], 1.0, array.light_on(toward))
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    share: np.ndarray, first: int, last: int, place: np.ndarray, start: np.ndarray,
    cells: np.ndarray, parts: np.ndarray, turn: np.ndarray, driven: np.ndarray,
    trail: np.ndarray, back: np.ndarray, steady: float, stand: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Light of places and income of ways for some steps of time.

    Args:
        share: (K, cells) of light.
        first: step.
        last: step after the last one.
        place: (N,) flat cells.
        start: (E + 1,) where trails begin.
        cells: (C,) flat cells of trails.
        parts: (C, 2) share of a trail's time that a step takes, there and back.
        turn: (C,) direction of each step.
        driven: (K, 8) W of a whole Sun.
        trail: (M,) of each way.
        back: (M,) taken from its end.
        steady: W of other sources.
        stand: (K, N) filled.
        out: (K, M) filled, tenths of a watt.
    """
    ahead, behind = np.empty(start.size - 1), np.empty(start.size - 1)
    for k in range(first, last):
        plane, power = share[k], driven[k]
        for n in range(place.size):
            stand[k, n] = plane[place[n]]
        for e in range(start.size - 1):
            w0 = w1 = 0.0
            before = float(plane[cells[start[e]]])
            for i in range(start[e], start[e + 1] - 1):
                after = float(plane[cells[i + 1]])
                light = before + after
                before = after
                w0 += light * parts[i, 0] * power[turn[i]]
                w1 += light * parts[i, 1] * power[(turn[i] + 4) & 7]
            ahead[e] = 10.0 * (w0 / 510.0 + steady)
            behind[e] = 10.0 * (w1 / 510.0 + steady)
        for m in range(trail.size):
            tenths = behind[trail[m]] if back[m] else ahead[trail[m]]
            out[k, m] = min(tenths, 65_535.0)


@dataclass(frozen=True)
class Incomes:
    """What standing and driving bring, for each step of time.

    Attributes:
        standing_w: (K, N) float32 sources at each place, chargers included, less constant loads.
        driving_w10: (K, M) uint16 sources along each way, tenths of a watt, rounded down.
        share: (K, N) uint8 light of each place.
        step_s: of time.
    """

    standing_w: NDArray[np.float32]
    driving_w10: UInt16Array
    share: UInt8Array
    step_s: float


def incomes(
    graph: RouteGraph, light: LightSeries, sun: SunPower, charged_w: ArrayLike | None = None
) -> Incomes:
    """Look light up at every place and along every way.

    Args:
        graph: places and ways.
        light: of the same grid.
        sun: what it gives.
        charged_w: (N,) W of a charger at each place, or None.

    Raises:
        PlanningError: light, sun and ground do not belong together.
    """
    if light.spec != graph.ground.spec:
        raise PlanningError(f"light maps on {light.spec}, ground on {graph.ground.spec}")
    if len(sun.parked_w) != light.steps:
        raise PlanningError(f"{len(sun.parked_w)} steps of power, {light.steps} of light")
    steps, cols = light.steps, light.spec.cols
    share = np.empty((steps, graph.places), np.uint8)
    driving = np.empty((steps, len(graph.to)), np.uint16)
    flat = (graph.cells // graph.width - 2) * cols + graph.cells % graph.width - 2
    place = graph.place[:, 0] * cols + graph.place[:, 1]
    planes = light.share.reshape(steps, -1)
    parts = _parts(graph)

    def some(first: int) -> None:
        _gather(
            planes, first, min(first + _STEPS_AT_ONCE, steps), place, graph.start, flat, parts,
            graph.turn, sun.driven_w, graph.trail, graph.back, sun.steady_w, share, driving,
        )  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(some, range(0, steps, _STEPS_AT_ONCE)))
    standing = (share * (sun.parked_w / FULL)[:, None]).astype(np.float32)
    standing += np.float32(sun.steady_w - graph.ground.vehicle.hotel_w)
    if charged_w is not None:
        standing += np.asarray(charged_w, dtype=np.float32)
    return Incomes(standing, driving, share, light.step_s)


def _parts(graph: RouteGraph) -> FloatArray:
    """(C, 2) share of its trail's time that the step out of each cell takes, there and back."""
    if not len(graph.cells):
        return np.empty((0, 2))
    whole = np.add.reduceat(graph.seconds, graph.start[:-1], axis=0)
    long = np.repeat(whole, np.diff(graph.start), axis=0)
    usable = np.isfinite(long) & (long > 0.0)
    return np.where(usable, graph.seconds, 0.0) / np.where(usable, long, 1.0)
