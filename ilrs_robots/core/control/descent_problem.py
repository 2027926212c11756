"""Powered descent as a second-order cone programme, in the form that Clarabel takes.

Lossless convexification: the size of thrust gets a slack of its own, mass its logarithm, and the
bounds of thrust per mass are taken around the mass of the largest thrust. Accelerations are
linear between nodes. Landing error, landing speed and height under the glide slope have slacks
with exact penalties, so that one solve finds the least fuel where the place can be reached and the
least error where it cannot.

Every entry is a constant times one number of the problem: new numbers fill the same matrix without
assembling it again.

Reference: Acikmese and Ploen 2007; Blackmore, Acikmese and Scharf 2010.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from ilrs_robots.core.types import FloatArray

WIDTH = 11
"""Variables of a node: place, speed, acceleration by thrust, its size, logarithm of mass."""

SCALARS = (
    "one", "dt", "dt2", "dt_burn", "dt_g", "dt2_g", "tilt", "glide", "log_dry",
    "place_x", "place_y", "place_z", "speed_x", "speed_y", "speed_z",
    "goal_x", "goal_y", "goal_z", "goal_vx", "goal_vy", "goal_vz", "glide_x", "glide_y",
)  # fmt: skip
PER_NODE = ("high", "high_right", "low", "low_right", "root", "root_right")

Terms = Sequence[tuple[str | tuple[str, int], float]]


class DescentProblem:
    """Pattern of the rows b - A x in cones, filled with numbers by ``fill``."""

    def __init__(self, nodes: int, glide: bool) -> None:
        """Build the pattern.

        Args:
            nodes: from the start to the ground.
            glide: whether there is a glide slope.
        """
        self.nodes = nodes
        self._index = {name: n for n, name in enumerate(SCALARS)}
        self._entries: list[tuple[int, int, int, float]] = []
        self._right: list[tuple[int, int, float]] = []
        self.rows = 0
        self.slacks = WIDTH * nodes
        self._dynamics()
        self.zero = self.rows
        self._linear()
        self.positive = self.rows - self.zero
        self.cones = self._cones(glide)
        row, column, number, factor = (np.array(part) for part in zip(*self._entries, strict=True))
        order = sparse.csc_matrix(
            (np.arange(1, len(row) + 1, dtype=np.float64), (row, column)),
            shape=(self.rows, WIDTH * nodes + 3),
        )
        pick = order.data.astype(np.int64) - 1
        self._number, self._factor = number[pick], factor[pick].astype(np.float64)
        self.matrix = order
        self._right_row, self._right_number, self._right_factor = (
            np.array(part) for part in zip(*self._right, strict=True)
        )

    def objective(self, miss: float, speed: float, slope: float) -> FloatArray:
        """Cost vector: the last logarithm of mass as large as can be, and prices of the slacks."""
        cost = np.zeros(WIDTH * self.nodes + 3)
        cost[WIDTH * self.nodes - 1] = -1.0
        cost[-3:] = miss, speed, slope
        return cost

    def fill(
        self, scalars: Mapping[str, float], per_node: Mapping[str, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Values of A in the order of ``matrix`` and the right side b.

        Args:
            scalars: all of ``SCALARS``.
            per_node: all of ``PER_NODE``, each (nodes,) in units of the scaled problem.
        """
        numbers = np.concatenate(
            [[scalars[name] for name in SCALARS], *(per_node[name] for name in PER_NODE)]
        )
        right: FloatArray = np.zeros(self.rows)
        np.add.at(right, self._right_row, self._right_factor * numbers[self._right_number])
        return self._factor * numbers[self._number], right

    def _of(self, name: str | tuple[str, int]) -> int:
        if isinstance(name, str):
            return self._index[name]
        return len(SCALARS) + PER_NODE.index(name[0]) * self.nodes + name[1]

    def _row(
        self, entries: Sequence[tuple[int, str | tuple[str, int], float]], right: Terms = ()
    ) -> None:
        for column, name, factor in entries:
            self._entries.append((self.rows, column, self._of(name), factor))
        for name, factor in right:
            self._right.append((self.rows, self._of(name), factor))
        self.rows += 1

    def _dynamics(self) -> None:
        for axis, letter in enumerate("xyz"):
            self._row([(axis, "one", 1.0)], [(f"place_{letter}", 1.0)])
            self._row([(3 + axis, "one", 1.0)], [(f"speed_{letter}", 1.0)])
        self._row([(10, "one", 1.0)])
        for k in range(self.nodes - 1):
            here, there = WIDTH * k, WIDTH * (k + 1)
            for axis in range(3):
                r, v, u = axis, 3 + axis, 6 + axis
                self._row(
                    [(there + r, "one", 1.0), (here + r, "one", -1.0), (here + v, "dt", -1.0),
                     (here + u, "dt2", -1.0 / 3.0), (there + u, "dt2", -1.0 / 6.0)],
                    [("dt2_g", -0.5)] if axis == 2 else [],
                )  # fmt: skip
                self._row(
                    [(there + v, "one", 1.0), (here + v, "one", -1.0),
                     (here + u, "dt", -0.5), (there + u, "dt", -0.5)],
                    [("dt_g", -1.0)] if axis == 2 else [],
                )  # fmt: skip
            self._row(
                [(there + 10, "one", 1.0), (here + 10, "one", -1.0),
                 (here + 9, "dt_burn", 0.5), (there + 9, "dt_burn", 0.5)],
            )  # fmt: skip
        self._row([(WIDTH * (self.nodes - 1) + 2, "one", 1.0)], [("goal_z", 1.0)])

    def _linear(self) -> None:
        for k in range(self.nodes):
            at = WIDTH * k
            self._row([(at + 9, "one", 1.0), (at + 10, ("high", k), 1.0)],
                      [(("high_right", k), 1.0)])  # fmt: skip
            self._row([(at + 8, "one", -1.0), (at + 9, "tilt", 1.0)])
        self._row([(WIDTH * self.nodes - 1, "one", -1.0)], [("log_dry", -1.0)])
        for slack in range(3):
            self._row([(self.slacks + slack, "one", -1.0)])

    def _cones(self, glide: bool) -> list[int]:
        sizes = []
        for k in range(self.nodes):
            at = WIDTH * k
            for variable in (9, 6, 7, 8):
                self._row([(at + variable, "one", -1.0)])
            sizes.append(4)
            # size >= low (1 - q + q^2 / 2) with q = z - z0, as |(y - 1/2, root q)| <= y + 1/2.
            for half in (0.5, -0.5):
                self._row(
                    [(at + 9, "one", -1.0), (at + 10, ("low", k), -1.0)],
                    [(("low_right", k), -1.0), ("one", half)],
                )
            self._row([(at + 10, ("root", k), -1.0)], [(("root_right", k), -1.0)])
            sizes.append(3)
            if glide and 0 < k < self.nodes - 1:
                self._row([(at + 2, "one", -1.0), (self.slacks + 2, "one", -1.0)],
                          [("goal_z", -1.0)])  # fmt: skip
                for axis, letter in enumerate("xy"):
                    self._row([(at + axis, "glide", -1.0)], [(f"glide_{letter}", -1.0)])
                sizes.append(3)
        last = WIDTH * (self.nodes - 1)
        self._row([(self.slacks, "one", -1.0)])
        for axis, letter in enumerate("xy"):
            self._row([(last + axis, "one", -1.0)], [(f"goal_{letter}", -1.0)])
        self._row([(self.slacks + 1, "one", -1.0)])
        for axis, letter in enumerate("xyz"):
            self._row([(last + 3 + axis, "one", -1.0)], [(f"goal_v{letter}", -1.0)])
        return [*sizes, 3, 4]
