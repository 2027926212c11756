"""Hazards of a rolling map, kept from scan to scan: only what can have changed is computed anew.

What moved out of the window, came into it or was altered changes the ground around it as far as
``halo_cells``. That part is computed again, with its own surroundings, and is the same to the last
bit as if the whole window had been. Hidden edges reach far and cost little: they are looked for in
the whole window each time.
"""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.local_ground import LocalGround, halo_cells, local_ground
from ilrs_robots.core.mapping.plane_fit import zero_level_m
from ilrs_robots.core.mapping.traversability import TraversabilityLayers, judged
from ilrs_robots.core.mapping.traversability_config import TraversabilityConfig
from ilrs_robots.core.types import Float32Array, GridSpec

Rect = tuple[int, int, int, int]
"""First row, row behind the last, first column, column behind the last."""
_WORTH_WHILE = 0.7
"""Share of the window beyond which all of it is computed."""


class HazardTracker:
    """Hazards of the window of a rolling map.

    Attributes:
        computed_cells: cells of the last update whose ground was computed, surroundings included.
    """

    def __init__(self, limits: VehicleLimits, config: TraversabilityConfig | None = None) -> None:
        """Start with nothing known."""
        self.computed_cells = 0
        self._limits = limits
        self._config = config or TraversabilityConfig()
        self._ground: LocalGround | None = None
        self._layers: TraversabilityLayers | None = None
        self._heights: tuple[Float32Array, Float32Array | None] | None = None
        self._spec: GridSpec | None = None
        self._zero_m = 0.0

    @property
    def limits(self) -> VehicleLimits:
        """The vehicle's."""
        return self._limits

    @property
    def config(self) -> TraversabilityConfig:
        """Scales and policy."""
        return self._config

    def reconfigure(self, config: TraversabilityConfig) -> None:
        """Take other parameters; what is held is forgotten."""
        self._config = config
        self.forget()

    def forget(self) -> None:
        """Forget what is held: the next update computes everything."""
        self._ground = self._layers = self._heights = self._spec = None

    def update(
        self, elevation_m: Float32Array, upper_bound_m: Float32Array | None, spec: GridSpec
    ) -> TraversabilityLayers:
        """Hazards of the map as it is now; what changed is found by comparing.

        Args:
            elevation_m: (rows, cols) float32, NaN unknown; kept and not altered.
            upper_bound_m: (rows, cols) float32, or None; likewise.
            spec: the window, on the lattice of multiples of its resolution.

        Returns:
            What was returned before where nothing changed, else new arrays; not to be altered.

        Raises:
            TerrainError: the arrays are not on the window's cells; nothing held changes.
        """
        heights = np.ascontiguousarray(elevation_m, dtype=np.float32)
        for grid in (heights, upper_bound_m):
            if grid is not None and grid.shape != spec.shape:
                raise TerrainError(f"heights are {grid.shape}: the window is {spec.shape}")
        first = first_cell(spec)
        zero_m = float(zero_level_m(heights))
        move = self._move(spec, first, zero_m, upper_bound_m)
        stale = None if move is None else self._stale(heights, upper_bound_m, move)
        if stale == [] and self._layers is not None:
            self.computed_cells = 0
            return self._layers
        if move is None or stale is None:
            ground = local_ground(
                heights, spec.resolution_m, self._config, upper_bound_m, first, zero_m
            )
            self.computed_cells = heights.size
        else:
            ground = self._shifted(move)
            self._renew(ground, stale, heights, upper_bound_m, spec, first, zero_m)
        self._ground, self._spec, self._zero_m = ground, spec, zero_m
        self._heights = heights, upper_bound_m
        self._layers = judged(ground, upper_bound_m, spec.resolution_m, self._limits, self._config)
        return self._layers

    def _move(
        self,
        spec: GridSpec,
        first: tuple[int, int],
        zero_m: float,
        upper_m: Float32Array | None,
    ) -> tuple[int, int] | None:
        """Rows and columns that the window moved by; None where nothing held is of use."""
        old, held = self._spec, self._heights
        if old is None or held is None or zero_m != self._zero_m:
            return None
        if (old.shape, old.resolution_m) != (spec.shape, spec.resolution_m):
            return None
        if (held[1] is None) != (upper_m is None):
            return None
        was = first_cell(old)
        move = first[0] - was[0], first[1] - was[1]
        inside = abs(move[0]) < spec.rows and abs(move[1]) < spec.cols
        return move if inside else None

    def _stale(
        self, heights: Float32Array, upper_m: Float32Array | None, move: tuple[int, int]
    ) -> list[Rect] | None:
        """What must be computed again, halo included; None where it is nearly everything."""
        assert self._heights is not None
        assert self._spec is not None
        rows, cols = heights.shape
        reach = halo_cells(self._config, self._spec.resolution_m)
        new, old = _overlap(rows, move[0]), _overlap(rows, -move[0])
        new_c, old_c = _overlap(cols, move[1]), _overlap(cols, -move[1])
        changed = np.zeros((new.stop - new.start, new_c.stop - new_c.start), np.bool_)
        for now, before in zip((heights, upper_m), self._heights, strict=True):
            if now is not None and before is not None:
                a, b = now[new, new_c], before[old, old_c]
                changed |= (a != b) & ((a == a) | (b == b))
        rects = _edges(rows, cols, move, reach)
        found = _bounds(changed)
        if found is not None:
            at_row, at_col = new.start, new_c.start
            rects.append(
                (found[0] + at_row - reach, found[1] + at_row + reach,
                 found[2] + at_col - reach, found[3] + at_col + reach)
            )  # fmt: skip
        clipped = [
            (max(top, 0), min(end, rows), max(left, 0), min(right, cols))
            for top, end, left, right in rects
        ]
        work = sum(
            (end - top + 2 * reach) * (right - left + 2 * reach)
            for top, end, left, right in clipped
        )
        return clipped if work < _WORTH_WHILE * heights.size else None

    def _shifted(self, move: tuple[int, int]) -> LocalGround:
        """The ground that is held, in the new window; what comes in is left as it may be."""
        assert self._ground is not None
        rows, cols = self._ground.surface_m.shape
        target = _overlap(rows, move[0]), _overlap(cols, move[1])
        source = _overlap(rows, -move[0]), _overlap(cols, -move[1])
        grids = {}
        for name, old in self._ground._asdict().items():
            grids[name] = np.empty_like(old)
            grids[name][target] = old[source]
        return LocalGround(**grids)

    def _renew(
        self,
        ground: LocalGround,
        stale: list[Rect],
        heights: Float32Array,
        upper_m: Float32Array | None,
        spec: GridSpec,
        first: tuple[int, int],
        zero_m: float,
    ) -> None:
        """Compute the stale parts, each with its surroundings, and write them to ``ground``."""
        reach = halo_cells(self._config, spec.resolution_m)
        self.computed_cells = 0
        for top, end, left, right in stale:
            r, c = max(top - reach, 0), max(left - reach, 0)
            crop = (slice(r, end + reach), slice(c, right + reach))
            upper = None if upper_m is None else np.ascontiguousarray(upper_m[crop])
            part = local_ground(
                np.ascontiguousarray(heights[crop]), spec.resolution_m, self._config, upper,
                (first[0] + r, first[1] + c), zero_m,
            )  # fmt: skip
            self.computed_cells += part.surface_m.size
            for grid, fresh in zip(ground, part, strict=True):
                grid[top:end, left:right] = fresh[top - r : end - r, left - c : right - c]


def first_cell(spec: GridSpec) -> tuple[int, int]:
    """Row and column of a window's cell [0, 0] in the lattice of multiples of its resolution."""
    step = spec.resolution_m
    return round(spec.origin_y_m / step), round(spec.origin_x_m / step)


def _overlap(size: int, move: int) -> slice:
    """Where in a window that moved by ``move`` the cells are that it had before."""
    return slice(max(-move, 0), size - max(move, 0))


def _edges(rows: int, cols: int, move: tuple[int, int], reach: int) -> list[Rect]:
    """Bands along the edges of a window that moved: what came in, and what lost neighbours."""
    out: list[Rect] = []
    for axis, (size, by) in enumerate(((rows, move[0]), (cols, move[1]))):
        if by == 0:
            continue
        low = reach + max(-by, 0)
        high = size - reach - max(by, 0)
        for band in ((0, low), (high, size)):
            out.append((*band, 0, cols) if axis == 0 else (0, rows, *band))
    return out


def _bounds(changed: np.ndarray) -> Rect | None:
    """Smallest rectangle around what is true."""
    rows = np.flatnonzero(changed.any(axis=1))
    if rows.size == 0:
        return None
    cols = np.flatnonzero(changed.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
