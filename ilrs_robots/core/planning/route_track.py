"""From labels to a track: every cell's light, slope and energy, and ways made straighter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numba import njit

from ilrs_robots.core.planning.route_graph import RouteGraph, block_of
from ilrs_robots.core.planning.route_kernels import (
    FAR,
    eighth,
    padded,
    spread,
    step_cost,
    unpadded,
)
from ilrs_robots.core.planning.route_light import FULL, LightSeries, SunPower
from ilrs_robots.core.planning.route_survive import stored
from ilrs_robots.core.planning.route_types import RouteLeg, RouteTrack
from ilrs_robots.core.planning.search import STEPS
from ilrs_robots.core.types import FloatArray, IntArray

_LONGEST_LEG_M: Final = 1000.0
_LOSS: Final = 0.01
Enough = Callable[[IntArray, float, float], bool]


@dataclass(frozen=True)
class Part:
    """A drive over cells, or a wait at one.

    Attributes:
        cells: (K, 2) rows and columns; one for a wait.
        start_s: seconds after the first light map begins.
        end_s: likewise.
        charged_w: of a charger there.
    """

    cells: IntArray
    start_s: float
    end_s: float
    charged_w: float = 0.0

    @property
    def drives(self) -> bool:
        """Whether it moves."""
        return len(self.cells) > 1


@njit(cache=True, nogil=True, error_model="numpy")
def _follow(
    height: np.ndarray, rough: np.ndarray, share: np.ndarray, driven: np.ndarray,
    steady: float, hotel: float, table: np.ndarray, numbers: np.ndarray, step_s: float,
    cell: np.ndarray, cells: np.ndarray, t: float, wh: float, out: np.ndarray,
) -> None:  # fmt: skip
    """Time, energy, bus energy used and offered (Wh) at each cell of a drive, into (K, 4)."""
    out[0] = t, wh, 0.0, 0.0
    used = offered = 0.0
    for i in range(cells.shape[0] - 1):
        r, c, r1, c1 = cells[i, 0], cells[i, 1], cells[i + 1, 0], cells[i + 1, 1]
        flat = numbers[0] * math.sqrt(float((r1 - r) ** 2 + (c1 - c) ** 2))
        factor = 0.5 * (rough[r, c] + rough[r1, c1])
        energy, time = step_cost(
            height[r1, c1] - height[r, c], flat, factor, table, numbers[1], numbers[2]
        )
        turn = eighth(r1 - r, c1 - c)
        end = t + time
        while t < end:
            k = min(int(t / step_s + 1e-9), share.shape[0] - 1)
            until = min(end, (k + 1) * step_s) if k < share.shape[0] - 1 else end
            light = (0.5 / 255.0) * (float(share[k, r, c]) + float(share[k, r1, c1]))
            income = light * driven[k, turn] + steady
            load = hotel + energy / time
            wh = stored(wh, income - load, until - t, cell)
            used += load * (until - t) / 3600.0
            offered += income * (until - t) / 3600.0
            t = until
        t = end
        out[i + 1] = t, wh, used, offered


class Tracker:
    """Follows parts of a route through light and time.

    Args:
        graph: of the ground.
        light: over it.
        sun: what it gives.
        battery: (5,) of ``stored``.
        leave_by_s: (rows, cols) seconds after the first light map until which a cell may be
            passed, or None.
        enough: whether a cell (row, col) at a time with an energy in Wh may be the end.
    """

    def __init__(
        self, graph: RouteGraph, light: LightSeries, sun: SunPower, battery: FloatArray,
        leave_by_s: FloatArray | None, enough: Enough | None = None,
    ) -> None:  # fmt: skip
        self.graph, self.light, self.sun = graph, light, sun
        self.battery, self.leave_by_s, self.enough = battery, leave_by_s, enough
        ground = graph.ground
        self._height = np.nan_to_num(ground.dem.heights_m).astype(np.float64)
        weight = ground.config.roughness_weight_pm
        self._rough = 1.0 + weight * np.nan_to_num(ground.roughness_m).astype(np.float64)
        self._numbers = ground.numbers

    def follow(self, cells: IntArray, start_s: float, energy_wh: float) -> FloatArray:
        """(K, 4) time s, battery Wh, used and offered Wh at each of (K, 2) cells of a drive."""
        out = np.empty((len(cells), 4))
        ground = self.graph.ground
        _follow(
            self._height, self._rough, self.light.share, self.sun.driven_w, self.sun.steady_w,
            ground.vehicle.hotel_w, ground.table, self._numbers, self.light.step_s,
            self.battery, np.ascontiguousarray(cells, dtype=np.int64), start_s, energy_wh, out,
        )  # fmt: skip
        return out

    def stand(self, part: Part, energy_wh: float) -> FloatArray:
        """(K, 4) as ``follow``, at the begin, at every step of time and at the end of a wait."""
        row, col = (int(v) for v in part.cells[0])
        hotel, step = self.graph.ground.vehicle.hotel_w, self.light.step_s
        t, wh, used, offered = part.start_s, energy_wh, 0.0, 0.0
        rows = [(t, wh, used, offered)]
        while t < part.end_s - 1e-6:
            k = min(int(t / step + 1e-9), self.light.steps - 1)
            until = min(part.end_s, (k + 1) * step) if k < self.light.steps - 1 else part.end_s
            lit = float(self.light.share[k, row, col]) / FULL
            income = lit * float(self.sun.parked_w[k]) + self.sun.steady_w + part.charged_w
            wh = float(stored(wh, income - hotel, until - t, self.battery))
            used += hotel * (until - t) / 3600.0
            offered += income * (until - t) / 3600.0
            t = until
            rows.append((t, wh, used, offered))
        return np.array(rows)

    def straightened(self, parts: Sequence[Part], energy_wh: float) -> list[Part]:
        """The same parts with each drive over the cheapest way near it, where that is no loss.

        A new way is taken where it arrives no later, the rest of the route still keeps to the
        floor and to every cell's time, and the route ends with energy enough, at most a hundredth
        of the battery below what it was. So from every point the rest can be driven as planned.
        """
        made = list(parts)
        for n, part in enumerate(made):
            if not part.drives:
                continue
            cells = self._cheapest(part.cells)
            if cells is None:
                continue
            before = self._run(made, energy_wh)
            start = before[n][0]
            new = self.follow(cells, float(start[0]), float(start[1]))
            tried = [*made[:n], Part(cells, float(start[0]), float(new[-1, 0])), *made[n + 1 :]]
            if n + 1 < len(made):
                tried[n + 1] = replace(made[n + 1], start_s=float(new[-1, 0]))
            if new[-1, 0] <= before[n][-1, 0] + 1e-6 and self._holds(tried, before, energy_wh):
                made = tried
        return made

    def _run(self, parts: Sequence[Part], energy_wh: float) -> list[FloatArray]:
        """Rows of every part, one after the other."""
        rows, wh = [], energy_wh
        for part in parts:
            rows.append(
                self.follow(part.cells, part.start_s, wh) if part.drives else self.stand(part, wh)
            )
            wh = float(rows[-1][-1, 1])
        return rows

    def _holds(self, parts: list[Part], before: list[FloatArray], energy_wh: float) -> bool:
        """Whether changed parts keep all that ``straightened`` promises."""
        after = self._run(parts, energy_wh)
        least = min(float(rows[:, 1].min()) for rows in before)
        if min(float(rows[:, 1].min()) for rows in after) < min(self.battery[1], least):
            return False
        end, old = after[-1][-1], before[-1][-1]
        if end[1] < old[1] - _LOSS * self.battery[0]:
            return False
        if self.leave_by_s is not None:
            for part, rows in zip(parts, after, strict=True):
                by = self.leave_by_s[part.cells[:, 0], part.cells[:, 1]]
                if (rows[-1, 0] > by[-1]) if not part.drives else bool((rows[:, 0] > by).any()):
                    return False
        return self.enough is None or self.enough(
            parts[-1].cells[-1], float(end[0]), float(end[1])
        )

    def _cheapest(self, cells: IntArray) -> IntArray | None:
        """Cheapest way over 16 neighbours within a block of the old one."""
        ground, width = self.graph.ground, self.graph.width
        beside = np.zeros(ground.spec.shape, np.uint8)
        beside[cells[:, 0], cells[:, 1]] = 1
        wide = 2 * block_of(ground) + 1
        beside = np.asarray(cv2.dilate(beside, np.ones((wide, wide), np.uint8)))
        height, rough, free, _ = ground.flat_arrays()
        free = np.ascontiguousarray(free * np.pad(beside, 2).ravel())
        label = np.full(free.size, FAR, np.float32)
        owner, came = np.full(free.size, -1, np.int32), np.full(free.size, -1, np.int8)
        ends = padded(cells[[0, -1]], width)
        spread(
            height, rough, free, width, STEPS, ends[:1], int(ends[1]), ground.table,
            self._numbers, 16, False, label, owner, came,
        )  # fmt: skip
        if label[ends[1]] >= FAR:
            return None
        here, found = int(ends[1]), [int(ends[1])]
        while came[here] >= 0:
            row, col = STEPS[came[here]]
            here -= int(row) * width + int(col)
            found.append(here)
        return np.asarray(unpadded(np.array(found[::-1]), width))

    def track(
        self, parts: Sequence[Part], energy_wh: float, begin_s: float
    ) -> tuple[RouteTrack, list[RouteLeg]]:
        """The whole track and its legs; times count from ``begin_s``."""
        rows, places, kinds = self._run(parts, energy_wh), [], []
        for part, made in zip(parts, rows, strict=True):
            places.append(part.cells if part.drives else np.repeat(part.cells, len(made), axis=0))
            gained = made[-1, 1] > made[0, 1] + 1e-6
            kinds.append("drive" if part.drives else ("charge" if gained else "wait"))
        return self._joined(rows, places, kinds, begin_s)

    def _joined(
        self, rows: list[FloatArray], places: list[IntArray], kinds: list[str], begin_s: float
    ) -> tuple[RouteTrack, list[RouteLeg]]:
        every, cells = np.concatenate(rows), np.concatenate(places)
        spec, ground = self.graph.ground.spec, self.graph.ground
        step = np.clip((every[:, 0] / self.light.step_s).astype(int), 0, self.light.steps - 1)
        height = self._height[cells[:, 0], cells[:, 1]]
        flat = np.hypot(*np.diff(cells, axis=0).T) * spec.resolution_m
        rise = np.diff(height)
        track = RouteTrack(
            spec.xy_of(cells[:, 0], cells[:, 1]), height, every[:, 0] - begin_s, every[:, 1],
            self.light.share[step, cells[:, 0], cells[:, 1]] / float(FULL),
            np.arctan(ground.tangent[cells[:, 0], cells[:, 1]].astype(np.float64)),
            np.append(np.arctan2(rise, np.where(flat > 0.0, flat, np.inf)), 0.0),
        )  # fmt: skip
        way = np.append(0.0, np.cumsum(np.hypot(flat, rise)))
        up = np.append(0.0, np.cumsum(np.maximum(rise, 0.0)))
        legs, at = [], 0
        for made, kind in zip(rows, kinds, strict=True):
            last = at + len(made) - 1
            length = way[last] - way[at]
            pieces = max(1, math.ceil(length / _LONGEST_LEG_M)) if kind == "drive" else 1
            marks = way[at] + length * np.arange(pieces + 1) / pieces
            ends = np.searchsorted(way[at : last + 1], marks[1:-1]) + at
            bounds = [at, *ends.tolist(), last]
            for a, b in itertools.pairwise(bounds):
                legs.append(self._leg(kind, a, b, at, made, track, way, up))
            at = last + 1
        return track, legs

    def _leg(
        self, kind: str, a: int, b: int, at: int, made: FloatArray, track: RouteTrack,
        way: FloatArray, up: FloatArray,
    ) -> RouteLeg:  # fmt: skip
        part = made[a - at : b - at + 1]
        span = np.diff(part[:, 0])
        light = track.light[a : b + 1]
        mean = float((span * light[:-1]).sum() / span.sum()) if span.sum() > 0.0 else light[0]
        step = min(int(part[0, 0] / self.light.step_s + 1e-9), self.light.steps - 1)
        yaw = None if kind == "drive" else float(self.sun.park_yaw_rad[step])
        return RouteLeg(
            kind, a, b, float(track.time_s[a]), float(track.time_s[b]), float(way[b] - way[a]),
            float(up[b] - up[a]), float(part[-1, 2] - part[0, 2]),
            float(part[-1, 3] - part[0, 3]), float(part[0, 1]), float(part[-1, 1]),
            float(part[:, 1].min()), float(mean), float(track.slope_rad[a : b + 1].max()), yaw,
        )  # fmt: skip
