"""The map that planning works on: prior and observed cost in the map frame, inflated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.planning.costmap_config import CostmapConfig, region
from ilrs_robots.core.planning.costmap_kernels import inflate, pool
from ilrs_robots.core.planning.costmap_prior import prior_cost
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

__all__ = ["CostmapConfig", "NavigationCostmap", "prior_cost", "region", "warm_up"]


@dataclass
class _Layers:
    """Layers of one grid, all (rows, cols)."""

    prior: Float32Array
    observed: Float32Array
    marked: BoolArray
    nearest_m: Float32Array
    left: BoolArray
    cost: Float32Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    clearance: Float32Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))


class NavigationCostmap:
    """Prior and observed cost of the ground in the map frame.

    Where something was seen the newest observation counts, elsewhere the prior. Input is not
    inflated; ``cost`` is, for the vehicle's footprint, and is computed anew when it is asked for
    after a change.
    """

    def __init__(self, config: CostmapConfig, spec: GridSpec) -> None:
        """Start with nothing seen and no prior.

        Raises:
            ConfigError: the grid has more cells than ``max_cells``.
        """
        if spec.rows * spec.cols > config.max_cells:
            raise ConfigError(
                f"costmap of {spec.rows} x {spec.cols} = {spec.rows * spec.cols} cells: "
                f"above the limit {config.max_cells} cells"
            )
        self.config = config
        self.spec = spec
        self._layers = _Layers(
            prior=np.full(spec.shape, np.nan, np.float32),
            observed=np.full(spec.shape, np.nan, np.float32),
            marked=np.zeros(spec.shape, np.bool_),
            nearest_m=np.full(spec.shape, np.inf, np.float32),
            left=np.zeros(spec.shape, np.bool_),
        )
        self._stale = True
        self._keep_outs: tuple[tuple[float, float, float], ...] = ()
        self._narrow = False
        self._trust_m = config.trust_m
        self._visited_cells = 0
        self._scratch = np.empty(spec.shape, np.float32)
        self._hits = np.zeros(spec.shape, np.uint16)

    @property
    def seen(self) -> BoolArray:
        """(rows, cols) cells that were observed at least once."""
        return ~np.isnan(self._layers.observed)

    @property
    def observed(self) -> Float32Array:
        """(rows, cols) float32 newest observation, NaN where there is none; not to be altered."""
        return self._layers.observed

    @property
    def cost(self) -> Float32Array:
        """(rows, cols) float32, 0 to 1, inflated; closed cells are 1; not to be altered."""
        self._refresh()
        return self._layers.cost

    @property
    def clearance_m(self) -> Float32Array:
        """(rows, cols) float32 distance to the nearest closed cell, at most 1000 m."""
        self._refresh()
        return self._layers.clearance

    def base_cost(self) -> Float32Array:
        """(rows, cols) float32 cost before inflation."""
        layers, floor = self._layers, np.float32(self.config.unseen_cost)
        unseen = np.fmax(layers.prior, floor)
        base = np.where(np.isnan(layers.observed), unseen, layers.observed)
        base[self._closed_beyond(self._trust_m)] = self.config.doubt_cost
        base[layers.marked] = 1.0
        for disc in self._keep_outs:
            self._disc(base, *disc)
        return base

    @property
    def visited_m2(self) -> float:
        """Ground that the vehicle has come within ``recheck_m`` of, square metres."""
        return self._visited_cells * self.spec.resolution_m**2

    def _closed_beyond(self, trust_m: float) -> BoolArray:
        """(rows, cols) closed cells that the vehicle never was within a distance (m) of."""
        layers = self._layers
        closed = layers.observed >= np.float32(self.config.lethal_cost)
        return np.asarray(closed & (layers.nearest_m > np.float32(trust_m)))

    def set_prior(self, cost: Float32Array) -> None:
        """Set the prior.

        Args:
            cost: (rows, cols) float32, 0 to 1; NaN where nothing is known.

        Raises:
            ConfigError: wrong shape.
        """
        if cost.shape != self.spec.shape:
            raise ConfigError(f"prior {cost.shape}: the costmap is {self.spec.shape}")
        self._layers.prior = np.array(cost, dtype=np.float32)
        self._stale = True

    def fuse_observation(
        self, cost: Float32Array, obs_spec: GridSpec, T_map_odom: FloatArray
    ) -> None:
        """Take over what a traversability grid shows.

        A cell takes the highest cost of the observed cells that fall into it; a closed one closes
        every cell it touches. Cells that the observation does not know stay as they are. Where it
        knows less than half of a cell it can raise that cell's cost but not lower it.

        The observation is taken to be centred on the vehicle. What it shows beyond ``trust_m``
        was seen sparsely and at a grazing angle: closed ground there is only doubted until the
        vehicle has come nearer, so that no goal is given up for what was seen from far away.
        The other way round, ground that is closed by a look from near stays so when it has left
        the observation and comes back into it far away: otherwise a vehicle goes to and fro
        between dead ends, each of which opens again while it looks at another.

        Args:
            cost: (r, c) float32, 0 to 1, NaN unknown, not inflated.
            obs_spec: its grid in odom.
            T_map_odom: (4, 4).

        Raises:
            ConfigError: wrong shape, or the transform is not finite.
        """
        if cost.shape != obs_spec.shape:
            raise ConfigError(f"observation {cost.shape}: its grid is {obs_spec.shape}")
        if T_map_odom.shape != (4, 4) or not np.isfinite(T_map_odom).all():
            raise ConfigError("T_map_odom: expected a finite 4 x 4 matrix")
        yaw = math.atan2(T_map_odom[1, 0], T_map_odom[0, 0])
        first = T_map_odom @ [obs_spec.origin_x_m, obs_spec.origin_y_m, 0.0, 1.0]
        layers = self._layers
        known = (layers.observed >= self.config.lethal_cost) & (
            layers.nearest_m <= np.float32(self.config.trust_m)
        )
        res, step = self.spec.resolution_m, obs_spec.resolution_m / self.spec.resolution_m
        pool(
            np.ascontiguousarray(cost, dtype=np.float32),
            (first[0] - self.spec.origin_x_m) / res,
            (first[1] - self.spec.origin_y_m) / res,
            step * math.cos(yaw),
            step * math.sin(yaw),
            np.float32(self.config.lethal_cost),
            max(int(0.5 / step**2), 1),
            self._scratch,
            self._hits,
            self._layers.observed,
        )
        middle = T_map_odom @ [*_middle(obs_spec), 0.0, 1.0]
        self._keep_closed(known, middle)
        self._note_near(middle)
        self._stale = True

    def _keep_closed(self, known: BoolArray, middle: FloatArray) -> None:
        """Keep what was known to be closed, left the observation and is seen from afar again.

        Args:
            known: (rows, cols) cells that were closed, and looked at from near, before.
            middle: (4,) where the vehicle is, m in map.
        """
        left, seen = self._layers.left, self._hits > 0
        left |= known & ~seen
        row, col = np.nonzero(left & seen)
        away = np.hypot(self.spec.x_m()[col] - middle[0], self.spec.y_m()[row] - middle[1])
        near = away <= self.config.trust_m
        left[row[near], col[near]] = False
        self._layers.observed[row[~near], col[~near]] = 1.0

    def _note_near(self, middle: FloatArray) -> None:
        """Keep how near the vehicle, whose place (m) is given in map, has been to each cell."""
        reach_m = max(self.config.trust_m, self.config.recheck_m)
        xs, ys = self.spec.x_m(), self.spec.y_m()
        col = slice(*np.searchsorted(xs, (middle[0] - reach_m, middle[0] + reach_m)))
        row = slice(*np.searchsorted(ys, (middle[1] - reach_m, middle[1] + reach_m)))
        held = self._layers.nearest_m[row, col]
        away = np.hypot(xs[col][None] - middle[0], ys[row][:, None] - middle[1])
        fresh = (away <= self.config.recheck_m) & (held > self.config.recheck_m)
        self._visited_cells += int(np.count_nonzero(fresh))
        np.minimum(held, away, out=held)

    def set_keep_outs(self, discs: Sequence[tuple[float, float, float]]) -> None:
        """Close discs (x, y and radius of each, metres, map) for good."""
        self._keep_outs = tuple(discs)
        self._stale = True

    def _disc(self, base: Float32Array, x_m: float, y_m: float, radius_m: float) -> None:
        dx, dy = self.spec.x_m() - x_m, self.spec.y_m() - y_m
        base[dx[np.newaxis] ** 2 + dy[:, np.newaxis] ** 2 <= radius_m**2] = 1.0

    def mark_disc(self, x_m: float, y_m: float, radius_m: float) -> None:
        """Close a disc whatever is observed there, until ``clear_marks``."""
        dx, dy = self.spec.x_m() - x_m, self.spec.y_m() - y_m
        self._layers.marked |= dx[np.newaxis] ** 2 + dy[:, np.newaxis] ** 2 <= radius_m**2
        self._stale = True

    def narrow(self) -> None:
        """Keep less distance from closed ground, until ``clear_marks``: there is no other way."""
        self._stale |= not self._narrow
        self._narrow = True

    def recheck(self) -> None:
        """Doubt closed ground that was not looked at from near, until ``clear_marks``.

        Where no way is left, the one that may be is where the least of such ground is in it: a
        shadow or a grazing look closes gaps that are open when the vehicle stands before them.
        """
        trust_m = min(self.config.recheck_m, self.config.trust_m)
        self._stale |= self._trust_m != trust_m
        self._trust_m = trust_m

    def clear_marks(self) -> None:
        """Open what ``mark_disc`` closed; keep the whole distance and trust again."""
        self._layers.marked[:] = False
        self._narrow = False
        self._trust_m = self.config.trust_m
        self._stale = True

    def moved_to(self, spec: GridSpec) -> NavigationCostmap:
        """A costmap on another grid of the same lattice that keeps what was seen in common.

        Raises:
            ConfigError: another resolution, cells that do not coincide, or too many cells.
        """
        shift_c = (spec.origin_x_m - self.spec.origin_x_m) / self.spec.resolution_m
        shift_r = (spec.origin_y_m - self.spec.origin_y_m) / self.spec.resolution_m
        off = max(abs(shift_c - round(shift_c)), abs(shift_r - round(shift_r)))
        if spec.resolution_m != self.spec.resolution_m or off > 1e-6:
            raise ConfigError("the new grid's cells do not coincide with the old one's")
        made = NavigationCostmap(self.config, spec)
        low_r, low_c = max(round(shift_r), 0), max(round(shift_c), 0)
        high_r = min(round(shift_r) + spec.rows, self.spec.rows)
        high_c = min(round(shift_c) + spec.cols, self.spec.cols)
        if high_r > low_r and high_c > low_c:
            source = (slice(low_r, high_r), slice(low_c, high_c))
            target = (
                slice(low_r - round(shift_r), high_r - round(shift_r)),
                slice(low_c - round(shift_c), high_c - round(shift_c)),
            )
            made._layers.observed[target] = self._layers.observed[source]
            made._layers.marked[target] = self._layers.marked[source]
            made._layers.nearest_m[target] = self._layers.nearest_m[source]
            made._layers.left[target] = self._layers.left[source]
        made._narrow, made._trust_m = self._narrow, self._trust_m
        made._keep_outs = self._keep_outs
        made._visited_cells = self._visited_cells
        return made

    def _refresh(self) -> None:
        if not self._stale:
            return
        base = self.base_cost()
        cost, clearance = self._inflated(base)
        if self._trust_m < self.config.trust_m:
            base[
                self._closed_beyond(self._trust_m) & ~self._closed_beyond(self.config.trust_m)
            ] = 1.0
            strict, _ = self._inflated(base)
            doubted = (strict >= self.config.lethal_cost) & (cost < self.config.doubt_cost)
            cost[doubted] = self.config.doubt_cost
        self._layers.cost, self._layers.clearance = cost, clearance
        self._stale = False

    def _inflated(self, base: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Cost and distance to closed cells (m), both (rows, cols), of (rows, cols) cost."""
        settings = self.config
        radius_m = settings.lethal_radius_m - settings.narrow_m * self._narrow
        free = (base < settings.lethal_cost).astype(np.uint8)
        distance = np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
        cost = np.empty(self.spec.shape, np.float32)
        clearance = np.empty(self.spec.shape, np.float32)
        inflate(
            base,
            distance,
            self.spec.resolution_m,
            (radius_m, settings.decay_radius_m, settings.decay_length_m),
            settings.near_cost,
            cost,
            clearance,
        )
        return cost, clearance


def _middle(spec: GridSpec) -> tuple[float, float]:
    """Centre of a grid, metres."""
    x_min, y_min, x_max, y_max = spec.bounds_m
    return 0.5 * (x_min + x_max), 0.5 * (y_min + y_max)


def warm_up() -> None:
    """Compile every kernel of this module."""
    spec = GridSpec(0.0, 0.0, 0.25, 8, 8)
    costmap = NavigationCostmap(CostmapConfig(), spec)
    costmap.fuse_observation(np.zeros(spec.shape, np.float32), spec, np.eye(4))
    _ = costmap.cost
