"""Sun, horizon, light and heat on synthetic terrain, beside a march over every sample."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit, prange

from ilrs_robots.core.environment import horizon as horizon_module
from ilrs_robots.core.environment.ephemeris import sun, utc_seconds
from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.illumination import (
    illumination,
    permanent_shadow,
    visible_share,
)
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.environment.thermal import RegolithColumns
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

START = "2035-05-15T00:00:00Z"


def terrain(size: int, resolution_m: float = 5.0, seed: int = 0) -> Dem:
    """A fractal field with slopes like those of LOLA at 5 m."""
    rng = np.random.default_rng(seed)
    k = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    k[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * k**-1.95, s=(size, size))
    slope = np.median(np.hypot(*np.gradient(field, resolution_m)))
    heights = (field * math.tan(math.radians(4.3)) / slope).astype(np.float32)
    half = 0.5 * resolution_m * (size - 1)
    return Dem(heights, GridSpec(-half, -half, resolution_m, size, size))


def seconds(work: Callable[[], object], repeats: int) -> np.ndarray:
    """Median wall time of one call, and of the processor's over all threads."""
    times = []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start, time.process_time() - used))
    return np.median(times, axis=0)


def row(work: str, ours: np.ndarray, **more: Any) -> dict[str, Any]:
    return {
        "work": work, "ours_s": round(float(ours[0]), 5), "ours_cpu_s": round(float(ours[1]), 5),
        **more,
    }  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def march(heights: np.ndarray, yaw: float, resolution: float, eye: float, out: np.ndarray) -> None:
    """The plain way: every cell looks at every grid line its ray crosses, linear between."""
    rows, cols = heights.shape
    dx, dy = math.cos(yaw), math.sin(yaw)
    lead = max(abs(dx), abs(dy))
    sx, sy = dx / lead, dy / lead
    step = resolution / lead
    for i in prange(rows):
        for j in range(cols):
            best, x, y, far = -1e9, float(j), float(i), 0.0
            base = heights[i, j] + eye
            while True:
                x, y, far = x + sx, y + sy, far + step
                if x < 0.0 or y < 0.0 or x > cols - 1 or y > rows - 1:
                    break
                a, b = min(int(y), rows - 2), min(int(x), cols - 2)
                v, u = y - a, x - b
                low = heights[a, b] * (1.0 - u) + heights[a, b + 1] * u
                high = heights[a + 1, b] * (1.0 - u) + heights[a + 1, b + 1] * u
                rise = low + (high - low) * v - base - far * far / 3_474_800.0
                best = max(best, rise / far)
            out[i, j] = math.atan(best)


_YAWS = np.linspace(0.1, 6.2, 6)


def _march_all(heights: np.ndarray, out: np.ndarray) -> None:
    for yaw in _YAWS:
        march(heights, float(yaw), 5.0, 2.0, out)


def horizon_rows(sizes: tuple[int, ...], azimuths: int, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        dem = terrain(size)
        settings = HorizonConfig(azimuths=azimuths)
        ours = seconds(lambda d=dem, s=settings: horizon_map(d, s), repeats) / azimuths
        out = np.empty(dem.spec.shape)
        heights = dem.heights_m.astype(np.float64)
        march(heights, 0.4, 5.0, 2.0, out)
        peer = seconds(partial(_march_all, heights, out), 1) / len(_YAWS)
        found = row(f"horizon of {size} x {size} cells, 360 directions", 360.0 * ours)
        found["ours_cpu_ns_per_value"] = round(1e9 * float(ours[1]) / size**2, 1)
        found["peer"] = "march over every crossing, numba"
        found["peer_s"] = round(360.0 * float(peer[0]), 3)
        found["ratio"] = round(float(peer[1] / ours[1]), 1)
        rows.append(found)
    return rows


def light_rows(size: int, quick: bool) -> list[dict[str, Any]]:
    """The light of a map whose horizon is that of a real field, tiled to the size."""
    small = horizon_map(terrain(size // 4), HorizonConfig())
    counts = np.tile(small.counts, (1, 4, 4))
    half = 2.5 * (size - 1)
    held = HorizonMap(counts, GridSpec(-half, -half, 5.0, size, size), 2.0)
    sky = SiteSky(SiteFrame.of_site(math.radians(-89.45), math.radians(-137.49)), held.spec)
    start = utc_seconds(START)
    visible_share(held, sky, start)
    name = f"{size} x {size} cells"
    one = seconds(lambda: visible_share(held, sky, start + 7200.0), 5 if quick else 21)
    rows = [row(f"map of the Sun's visible share, {name}", one)]
    hours = 72 if quick else 720
    times = start + 3600.0 * np.arange(hours)
    illumination(held, sky, times[:2])
    month = seconds(lambda: illumination(held, sky, times), 1) * 720 / hours
    rows.append(row(f"a month of hourly illumination, {name}", month))
    permanent_shadow(held, sky, start)  # the ephemeris of 18.6 years is held from here on
    rows.append(row(f"permanent shadow, 18.6 years, {name}",
                    seconds(lambda: permanent_shadow(held, sky, start), 1)))  # fmt: skip
    return rows


def other_rows() -> list[dict[str, Any]]:
    times = utc_seconds(START) + 3600.0 * np.arange(8766.0)
    sun(times, -1.5, 0.3)
    year = seconds(lambda: sun(times, -1.5, 0.3), 5)
    columns = RegolithColumns(np.full(65_536, 120.0))
    light = np.abs(np.sin(np.arange(65_536.0))) * 200.0
    columns.advance(light, 21_600.0)
    heat = seconds(lambda: columns.advance(light, 21_600.0), 5)
    return [
        row("a year of hourly Sun at one place, ephemeris held", year),
        row("one step of 65536 columns of regolith", heat),
    ]


def run(quick: bool = False) -> dict[str, Any]:
    """Rows for the table."""
    horizon_module.warm_up()
    rows = horizon_rows((256, 512, 1024), 36 if quick else 90, 1 if quick else 3)
    rows += light_rows(1024, quick)
    rows += other_rows()
    return {
        "name": "Sun, horizon, light, heat",
        "rows": rows,
        "note": "Horizons are timed on some of their directions, evenly spread, and the marching "
        "peer on six; both are scaled to 360. The peer looks at the same terrain, one line per "
        "cell, on all cores; ours runs four lines per cell. The ratio is that of processor time, "
        "which other work on the machine disturbs least.",
    }
