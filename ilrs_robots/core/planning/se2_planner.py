"""Local planning in SE(2): poses that a vehicle can drive through, from here to the goal.

A plane cost-to-go field bounds what is left from every place; it is kept between plans and only
repaired where the map has changed (``se2_field``). The last path is kept as long as it is free
and nothing that the field knows has become better; otherwise poses are searched again under the
repaired field. A replan therefore costs what has changed, and where ground has only become
dearer and the path still keeps to the old bound, not even the repair.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning import se2_field, se2_grid, se2_kernels
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.planning.local_terrain import Discs, LocalTerrain, footprint_discs
from ilrs_robots.core.planning.se2_config import Se2Config, moves_of, table_of
from ilrs_robots.core.planning.se2_field import CostToGo
from ilrs_robots.core.planning.se2_types import (
    LastPlan,
    Pose,
    Se2Path,
    cell_at,
    check_ends,
    same_pose,
    straight_to,
)
from ilrs_robots.core.planning.search import PAD
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

__all__ = ["Se2Config", "Se2Path", "Se2Planner", "warm_up"]

_BESIDE_M = 0.4
Box = tuple[int, int, int, int]
_TURNED_RAD = 0.35


class Se2Planner:
    """Plans for one vehicle; remembers field and path of the last goal."""

    def __init__(
        self, config: Se2Config, footing: Footing, footprint_m: tuple[float, float]
    ) -> None:
        """Prepare the moves.

        Args:
            config: see Se2Config.
            footing: how the vehicle stands.
            footprint_m: its length and width.
        """
        self.config = config
        self.discs: Discs = footprint_discs(*footprint_m)
        self._footing, self._table = footing.table, table_of(config)
        self._moves = moves_of(config)
        self._field = CostToGo()
        nothing = np.zeros((0, 0), np.float32)
        self._spec: GridSpec | None = None
        self._coarse = GridSpec(0.0, 0.0, 1.0, 0, 0)
        self._layers, self._factors = (nothing, nothing), nothing
        self._changed: Box | None = None
        self._last: LastPlan | None = None

    @property
    def field(self) -> CostToGo:
        """The heuristic's field of the last plan."""
        return self._field

    def forget(self) -> None:
        """Plan anew from nothing."""
        self._field.forget()
        self._last = None

    def plan(
        self,
        terrain: LocalTerrain,
        start: Pose,
        goal: tuple[float, float, float | None],
    ) -> Se2Path:
        """Plan from a pose to a place, or to a pose.

        Args:
            terrain: the ground.
            start: x, y (m), yaw (rad).
            goal: x, y (m), and yaw (rad) or None for any.

        Raises:
            PlanningError: a number is not finite or outside the map, or nothing near the goal can
                be reached.
        """
        wanted = (goal[0], goal[1], math.nan if goal[2] is None else float(goal[2]))
        check_ends(terrain.spec, start, wanted)
        coarse, factor = self._factor(terrain)
        target, note = self._target(factor, coarse, wanted)
        map_now = factor, cell_at(coarse, target), self.config.change_share, self._changed
        if self._field.bounds_still(*map_now):
            kept = self._keep(terrain, self._field.label, coarse, start, wanted)
            if kept is not None:
                return kept
        label, self._changed = self._field.update(*map_now), None
        kept = self._keep(terrain, label, coarse, start, wanted)
        if kept is not None:
            return kept
        if not math.isfinite(self._bound(label, coarse, np.array([start]))[0]):
            label = self._free_start(label, coarse, start)
        path = self._search(terrain, label, coarse, start, target, note)
        left = self._way_cost(terrain, path)
        with np.errstate(invalid="ignore"):
            excess = left - self._bound(label, coarse, path.poses)
        self._last = LastPlan(path, wanted, excess)
        return path

    def _factor(self, terrain: LocalTerrain) -> tuple[GridSpec, Float32Array]:
        """Coarse grid, and padded factors that no pose in a coarse cell is cheaper than.

        What is alike in the last terrain is not computed again.
        """
        spec, by, table = terrain.spec, self.config.coarseness, terrain.table
        box = (0, spec.rows, 0, spec.cols)
        if spec == self._spec:
            box = se2_grid.take_changes(table.cost, table.clearance, *self._layers)
        else:
            rows, cols = -(-spec.rows // by), -(-spec.cols // by)
            shift, res = 0.5 * (by - 1) * spec.resolution_m, by * spec.resolution_m
            origin = (spec.origin_x_m + shift, spec.origin_y_m + shift)
            self._spec, self._coarse = spec, GridSpec(*origin, res, rows, cols)
            self._layers = table.cost.copy(), table.clearance.copy()
            self._factors = np.full((rows + 2 * PAD, cols + 2 * PAD), np.inf, np.float32)
            self.forget()
        if box[0] < box[1]:
            layers = table.cost, table.clearance
            radius = self.discs.radius
            se2_grid.fill(*layers, by, self._table, radius, box, self._factors)
        here = box[0] // by, -(-box[1] // by), box[2] // by, -(-box[3] // by)
        self._changed = _joined(self._changed, here)
        return self._coarse, self._factors

    def _target(self, factor: Float32Array, coarse: GridSpec, goal: Pose) -> tuple[Pose, str]:
        """The goal, or the free place nearest to it with a note."""
        row, col = cell_at(coarse, goal)
        if np.isfinite(factor[row + PAD, col + PAD]):
            return goal, ""
        rows, cols = np.nonzero(np.isfinite(factor[PAD:-PAD, PAD:-PAD]))
        xy = coarse.xy_of(rows, cols)
        away = np.hypot(xy[:, 0] - goal[0], xy[:, 1] - goal[1])
        where = f"goal ({goal[0]:.2f}, {goal[1]:.2f}) m lies in closed ground"
        limit = self.config.goal_tolerance_m
        if len(away) == 0 or away.min() > limit:
            raise PlanningError(f"{where}: no free ground within {limit:.1f} m")
        best = int(np.argmin(away))
        note = f"{where}, the path ends {away[best]:.1f} m away"
        return (float(xy[best, 0]), float(xy[best, 1]), math.nan), note

    def _free_start(self, label: Float32Array, coarse: GridSpec, start: Pose) -> Float32Array:
        """A field that also leads out of closed ground around the start."""
        row, col = cell_at(coarse, start)
        reach = math.ceil(self.config.escape_m / coarse.resolution_m)
        window = (
            slice(max(row + PAD - reach, PAD), row + PAD + reach + 1),
            slice(max(col + PAD - reach, PAD), col + PAD + reach + 1),
        )
        part = label[window]
        finite = np.isfinite(part)
        if not finite.any():
            raise PlanningError(
                f"from ({start[0]:.2f}, {start[1]:.2f}) m the goal cannot be reached: no way out "
                f"of closed ground within {self.config.escape_m:.1f} m"
            )
        rows, cols = np.nonzero(finite)
        made = label.copy()
        rr, cc = np.meshgrid(np.arange(part.shape[0]), np.arange(part.shape[1]), indexing="ij")
        away = np.hypot(
            rr[..., np.newaxis] - rows[:: max(len(rows) // 400, 1)],
            cc[..., np.newaxis] - cols[:: max(len(cols) // 400, 1)],
        )
        ends = part[finite][:: max(len(rows) // 400, 1)]
        out = (away + ends).min(axis=-1).astype(np.float32)
        made[window] = np.where(finite, part, out)
        return made

    def _bound(self, label: Float32Array, coarse: GridSpec, poses: FloatArray) -> FloatArray:
        return np.asarray(se2_grid.bounds(label, self._place(coarse), np.ascontiguousarray(poses)))

    def _place(self, coarse: GridSpec) -> tuple[float, float, float, float]:
        res = coarse.resolution_m
        return res, coarse.origin_x_m, coarse.origin_y_m, res

    def _way_cost(self, terrain: LocalTerrain, path: Se2Path) -> FloatArray:
        left: FloatArray = se2_kernels.way_cost(
            path.poses, path.reverse, terrain.table, self._table, self.discs, self._footing,
            self.config.escape_m,
        )  # fmt: skip
        return left

    def _keep(
        self,
        terrain: LocalTerrain,
        label: Float32Array,
        coarse: GridSpec,
        start: Pose,
        goal: Pose,
    ) -> Se2Path | None:
        """What is left of the last path, if it is free and nothing has become better."""
        last = self._last
        if last is None or not last.path.reached or not same_pose(last.goal, goal):
            return None
        poses = last.path.poses
        away = np.hypot(poses[:, 0] - start[0], poses[:, 1] - start[1])
        turned = np.abs((poses[:, 2] - start[2] + np.pi) % (2.0 * np.pi) - np.pi)
        near = int(np.argmin(away + 0.5 * turned))
        if away[near] > _BESIDE_M or turned[near] > _TURNED_RAD or near >= len(poses) - 1:
            return None
        rest = np.concatenate((np.array([start], dtype=np.float64), poses[near + 1 :]))
        reverse = np.concatenate(([False], last.path.reverse[near + 1 :]))
        path = Se2Path(rest, reverse, 0.0, True, last.path.reason, kept=True)
        left = self._way_cost(terrain, path)
        fair = self._bound(label, coarse, rest[:1])[0] + last.excess_m[near]
        slack = self.config.keep_share * left[0] + coarse.resolution_m
        if not left[0] <= fair + slack:
            return None
        excess = last.excess_m[near:]
        path = Se2Path(rest, reverse, float(left[0]), True, path.reason, kept=True)
        self._last = LastPlan(path, goal, excess)
        return path

    def _search(
        self,
        terrain: LocalTerrain,
        label: Float32Array,
        coarse: GridSpec,
        start: Pose,
        goal: Pose,
        note: str,
    ) -> Se2Path:
        pool, family, last, reached, cost, count = se2_kernels.search(
            np.array(start), np.array(goal), terrain.table, self._table, self._moves,
            self.discs, self._footing, label, self._place(coarse),
        )  # fmt: skip
        poses, reverse = self._trace(pool, family, int(last), start)
        if reached:
            ends = straight_to(poses[-1], goal, self.config.sample_m)
            poses = np.concatenate((poses, ends))
            reverse = np.concatenate((reverse, np.zeros(len(ends), np.bool_)))
            return Se2Path(poses, reverse, float(cost), not note, note, looked_at=int(count))
        away = math.dist(poses[-1, :2], goal[:2])
        full = count >= self.config.max_nodes
        why = f"{count} poses were looked at" if full else "the vehicle does not fit through"
        text = f"goal ({goal[0]:.2f}, {goal[1]:.2f}) m cannot be reached, {why}"
        if away > self.config.goal_tolerance_m:
            raise PlanningError(
                f"{text}: the nearest pose is {away:.1f} m away, "
                f"limit {self.config.goal_tolerance_m:.1f} m"
            )
        text = f"{text}, the path ends {away:.1f} m away"
        return Se2Path(poses, reverse, float(pool[last, 2]), False, text, looked_at=int(count))

    def _trace(
        self,
        pool: FloatArray,
        family: NDArray[np.int32],
        last: int,
        start: Pose,
    ) -> tuple[FloatArray, BoolArray]:
        """Every sample on the way to a pose of the pool."""
        chain, moves = [last], self._moves
        while family[chain[-1], 0] >= 0:
            chain.append(int(family[chain[-1], 0]))
        chain.reverse()
        part = 2.0 * math.pi / self.config.headings
        parts, back = [np.array([start], dtype=np.float64)], [np.zeros(1, np.bool_)]
        for node, following in pairwise(chain):
            move = family[following, 1]
            local = moves.place[move, : moves.samples[move]]
            yaw = start[2] + pool[node, 3] * part
            c, s = math.cos(yaw), math.sin(yaw)
            x = pool[node, 0] + c * local[:, 0] - s * local[:, 1]
            y = pool[node, 1] + s * local[:, 0] + c * local[:, 1]
            parts.append(np.column_stack((x, y, yaw + local[:, 2])))
            back.append(np.full(len(local), bool(local[-1, 0] < -1e-9)))
        return np.concatenate(parts), np.concatenate(back)


def _joined(a: Box | None, b: Box) -> Box:
    """The least box around two, each first and end row and column; an empty one has no place."""
    if a is None or a[0] >= a[1]:
        return b
    if b[0] >= b[1]:
        return a
    return min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), max(a[3], b[3])


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    se2_field.warm_up()
    wheels = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]])
    weights = np.array([[0.25] * 4, [0.5, 0.5, -0.5, -0.5], [0.5, -0.5, 0.5, -0.5]])
    planner = Se2Planner(Se2Config(), Footing(wheels, weights, 0.3, 0.4, 0.3), (1.0, 1.0))
    spec = GridSpec(-4.0, -4.0, 0.5, 17, 17)
    level = np.zeros(spec.shape, np.float32)
    terrain = LocalTerrain(spec, level, level + 5.0)
    for x in (0.0, 0.1):
        planner.plan(terrain, (x, 0.0, 0.0), (2.0, 0.0, None))
