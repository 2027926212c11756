"""Score a terrain map along a drive against the true ground: heights, rocks missed, false alarms.

* **Heights** are compared with the mean of the true top surface over each cell.
* **A rock** counts when it stands higher above the ground than the clearance and comes within
  the warning distance of the footprint. It is flagged in time when, at the last map before that,
  a lethal cell lay on it. One that is that near at the first map was never approached and does
  not count.
* **A truly safe cell** has slope, roughness and step below the vehicle's limits, each from the
  true surface on a grid four times as fine as the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec
from ilrs_robots.replay.terrain_truth import ScoreConfig, TrueGround, outlines_of, true_cells


@dataclass(frozen=True)
class _Look:
    """A map as it was at one time."""

    spec: GridSpec
    elevation: Float32Array
    lethal: BoolArray
    driven: int


@dataclass(frozen=True)
class DriveScore:
    """What came of a drive.

    Attributes:
        rmse_m: of the heights of known cells near the path, over the maps that were looked at.
        bias_m: their mean error, map minus truth.
        error_p95_m: 95th percentile of the absolute error.
        cells: how many cells that were.
        safe_cells: truly safe known cells among them.
        false_share: share of these that were called lethal.
        rocks: ids of the rocks that came near, with whether each was flagged in time.
        hidden: those not flagged of which no cell was known either: others stood before them.
    """

    rmse_m: float
    bias_m: float
    error_p95_m: float
    cells: int
    safe_cells: int
    false_share: float
    rocks: dict[int, bool]
    hidden: frozenset[int] = frozenset()

    @property
    def flagged_share(self) -> float:
        """Share of the rocks that were flagged in time; NaN where none came near."""
        return sum(self.rocks.values()) / len(self.rocks) if self.rocks else float("nan")


class DriveScorer:
    """Collects maps along a drive, then judges them.

    Maps and poses are in ``map`` and true: what is scored is the terrain map, not the pose.

    Args:
        ground: the truth.
        limits: of the vehicle.
        clearance_m: rocks that stand higher count.
        settings: what counts.
    """

    def __init__(
        self,
        ground: TrueGround,
        limits: VehicleLimits,
        clearance_m: float,
        settings: ScoreConfig | None = None,
    ) -> None:
        self._ground, self._limits, self._clearance_m = ground, limits, clearance_m
        self._settings = settings or ScoreConfig()
        self._path: list[tuple[float, float]] = []
        self._looks: list[_Look] = []
        self._flagged: set[int] = set()
        self._rocks: dict[int, bool] = {}
        self._hidden: set[int] = set()
        self._first: set[int] | None = None

    def observe(
        self,
        lethal: BoolArray,
        spec: GridSpec,
        T_map_base: FloatArray,
        known: BoolArray | None = None,
    ) -> None:
        """Take the hazards of one map; call it for every map.

        Args:
            lethal: (rows, cols).
            spec: its grid in ``map``.
            T_map_base: (4, 4) true pose of the vehicle.
            known: (rows, cols) cells with a height; tells hidden rocks from overlooked ones.
        """
        x, y = (float(v) for v in T_map_base[:2, 3])
        self._path.append((x, y))
        reach = self._settings.warning_m + self._limits.footprint_length_m + 3.0
        near = self._ground.rocks(x - reach, y - reach, x + reach, y + reach)
        tall = near.taller_than(self._clearance_m)
        outlines = outlines_of(tall)
        away = _distance_to_footprint(outlines, T_map_base, self._limits)
        close = set(tall.ids[away < self._settings.warning_m].tolist())
        if self._first is None:
            self._first = close
        shapes = dict(zip(tall.ids.tolist(), outlines, strict=True))
        for rock in close - self._first - self._rocks.keys():
            self._rocks[rock] = rock in self._flagged
            unseen = known is not None and not _any_inside(known, spec, shapes[rock])
            if unseen and not self._rocks[rock]:
                self._hidden.add(rock)
        for rock, outline in shapes.items():
            if _any_inside(lethal, spec, outline):
                self._flagged.add(rock)

    def look(self, elevation: Float32Array, lethal: BoolArray, spec: GridSpec) -> None:
        """Keep a map for the heights and the false alarms; call it now and then.

        Args:
            elevation: (rows, cols) metres in ``map``, NaN unknown.
            lethal: (rows, cols).
            spec: their grid in ``map``.
        """
        self._looks.append(_Look(spec, elevation.copy(), lethal.copy(), len(self._path)))

    def score(self) -> DriveScore:
        """Judge what was collected.

        Raises:
            TerrainError: no map was looked at.
        """
        if not self._looks:
            raise TerrainError("no map was looked at")
        path = np.array(self._path)
        margin = self._settings.near_path_m
        step = self._looks[0].spec.resolution_m
        low, high = path.min(axis=0) - margin, path.max(axis=0) + margin
        col, row = (int(v) for v in np.floor(low / step))
        cols, rows = (int(v) for v in np.ceil((high - low) / step) + 1)
        truth = true_cells(
            self._ground, GridSpec(col * step, row * step, step, rows, cols), self._settings
        )
        safe = truth.safe(self._limits)
        errors, known_safe, false = [], 0, 0
        for look in self._looks:
            ours, theirs = overlap(look.spec, truth.spec)
            elevation, lethal = look.elevation[ours], look.lethal[ours]
            seen = np.isfinite(elevation) & _near(truth.spec, theirs, path[: look.driven], margin)
            errors.append((elevation - truth.top_m[theirs])[seen])
            known_safe += int((seen & safe[theirs]).sum())
            false += int((seen & safe[theirs] & lethal).sum())
        error = np.concatenate(errors)
        if error.size == 0:
            raise TerrainError("no cell near the path is known")
        return DriveScore(
            rmse_m=float(np.sqrt(np.mean(error**2))),
            bias_m=float(np.mean(error)),
            error_p95_m=float(np.percentile(np.abs(error), 95)),
            cells=int(error.size),
            safe_cells=known_safe,
            false_share=false / known_safe if known_safe else float("nan"),
            rocks=dict(self._rocks),
            hidden=frozenset(self._hidden),
        )


def _distance_to_footprint(
    outlines: FloatArray, T_map_base: FloatArray, limits: VehicleLimits
) -> FloatArray:
    """(N,) distance of the nearest outline point to the vehicle's rectangle."""
    forward = T_map_base[:2, 0] / np.linalg.norm(T_map_base[:2, 0])
    away = outlines - T_map_base[:2, 3]
    along = np.abs(away @ forward) - 0.5 * limits.footprint_length_m
    across = np.abs(away @ np.array([-forward[1], forward[0]])) - 0.5 * limits.footprint_width_m
    distance = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
    nearest: FloatArray = distance.min(axis=1, initial=np.inf)
    return nearest


def _any_inside(lethal: BoolArray, spec: GridSpec, outline: ArrayLike) -> bool:
    """Whether a lethal cell lies within an outline (convex), or is cut by it."""
    points = np.asarray(outline, dtype=np.float64)
    row, col = spec.cell_of(points)
    r0, r1 = max(int(row.min()), 0), min(int(row.max()), spec.rows - 1)
    c0, c1 = max(int(col.min()), 0), min(int(col.max()), spec.cols - 1)
    if r0 > r1 or c0 > c1:
        return False
    inside = (row >= r0) & (row <= r1) & (col >= c0) & (col <= c1)
    if lethal[row[inside], col[inside]].any():
        return True
    rows, cols = np.nonzero(lethal[r0 : r1 + 1, c0 : c1 + 1])
    centres = spec.xy_of(rows + r0, cols + c0)
    edge = np.roll(points, -1, axis=0) - points
    away = centres[:, None, :] - points
    left = edge[:, 0] * away[..., 1] - edge[:, 1] * away[..., 0]
    return bool((left >= 0.0).all(axis=1).any())


def overlap(first: GridSpec, second: GridSpec) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The common part of two windows of one lattice, as indices of each."""
    step = first.resolution_m
    dr = round((first.origin_y_m - second.origin_y_m) / step)
    dc = round((first.origin_x_m - second.origin_x_m) / step)
    r0, r1 = max(0, dr), min(second.rows, first.rows + dr)
    c0, c1 = max(0, dc), min(second.cols, first.cols + dc)
    r1, c1 = max(r0, r1), max(c0, c1)
    theirs = slice(r0, r1), slice(c0, c1)
    return (slice(r0 - dr, r1 - dr), slice(c0 - dc, c1 - dc)), theirs


def _near(
    spec: GridSpec, part: tuple[slice, slice], path: FloatArray, reach_m: float
) -> BoolArray:
    """Cells of a part of a grid that are near a path."""
    driven = np.ones((part[0].stop - part[0].start, part[1].stop - part[1].start), np.bool_)
    row, col = spec.cell_of(path)
    row, col = row - part[0].start, col - part[1].start
    inside = (row >= 0) & (row < driven.shape[0]) & (col >= 0) & (col < driven.shape[1])
    driven[row[inside], col[inside]] = False
    if driven.all():
        return np.zeros_like(driven)
    near: BoolArray = ndimage.distance_transform_edt(driven) * spec.resolution_m <= reach_m
    return near
