"""Cost to go over a plane grid, kept from plan to plan: the heuristic of SE(2) planning.

The field is spread once from the goal. Where the map changes, only the cells whose cheapest way
leads through the change are taken back and filled again from their neighbours: a change near the
vehicle reaches few of them, because ways lead to the goal. What comes out is what a new field
would be, to the last bit.

References: Dial 1969 for the first fill (``search``); Ramalingam and Reps 1996 (dynamic shortest
paths) for taking back and filling; Koenig and Likhachev 2002 (D* Lite) for searching from the
goal, so that changes near the vehicle are cheap.
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.planning import search
from ilrs_robots.core.planning.search import PAD, STEPS
from ilrs_robots.core.types import BoolArray, Float32Array

_SQRT2 = np.float32(0.5 * 2.0**0.5)
_SQRT5 = np.float32(0.25 * 5.0**0.5)
_HALF = np.float32(0.5)
_REACH = 2
"""Cells from a changed one to the farthest end of an edge that it is part of."""


@njit(cache=True, error_model="numpy", inline="always")
def _edge(factor, node, k, offset, side_a, side_b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost of the step ``k`` from a cell, as in ``search``; infinite where it cuts a corner."""
    here, there = factor[node], factor[node + offset[k]]
    if k < 4:
        return _HALF * (here + there)
    if k < 8:
        if factor[node + side_a[k]] == np.inf and factor[node + side_b[k]] == np.inf:
            return np.float32(np.inf)
        return _SQRT2 * (here + there)
    between = factor[node + side_a[k]] + factor[node + side_b[k]]
    return _SQRT5 * (here + between + there)


@njit(cache=True)
def sift_up(keys, nodes, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Restore a binary heap after its entry ``at`` was put there."""
    key, node = keys[at], nodes[at]
    while at > 0:
        above = (at - 1) >> 1
        if keys[above] <= key:
            break
        keys[at], nodes[at] = keys[above], nodes[above]
        at = above
    keys[at], nodes[at] = key, node


@njit(cache=True)
def sift_down(keys, nodes, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Restore a binary heap of ``count`` entries after its first was replaced."""
    key, node = keys[0], nodes[0]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= count:
            break
        if below + 1 < count and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        keys[at], nodes[at] = keys[below], nodes[below]
        at = below
    keys[at], nodes[at] = key, node


@njit(cache=True)
def _with_room(keys, nodes, queued):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A heap that takes one entry more."""
    if queued < keys.size:
        return keys, nodes
    return np.concatenate((keys, np.empty_like(keys))), np.concatenate(
        (nodes, np.empty_like(nodes))
    )


@njit(cache=True, error_model="numpy")
def _repair(factor, width, changed, goal, steps, label, came, void):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take back what leads through ``changed`` cells and fill it again; how many cells."""
    offset, side_a, side_b = search._offsets(width, steps)
    moves = steps.shape[0]
    gone = np.empty(label.size, np.int32)
    count = 0
    for node in changed:
        if node != goal and not void[node]:
            void[node] = True
            gone[count] = node
            count += 1
    done = 0
    while done < count:
        node = gone[done]
        done += 1
        for k in range(moves):
            other = node + offset[k]
            if 0 <= other < label.size and came[other] == k and not void[other] and other != goal:
                void[other] = True
                gone[count] = other
                count += 1
    for n in range(count):
        label[gone[n]], came[gone[n]] = np.inf, -1
    keys, nodes = np.empty(1024, np.float32), np.empty(1024, np.int32)
    queued = 0
    for n in range(count):
        node = gone[n]
        if factor[node] == np.inf:
            continue
        best, step = np.float32(np.inf), -1
        for k in range(moves):
            other = node - offset[k]
            if 0 <= other < label.size and not void[other] and label[other] < np.inf:
                reach = label[other] + _edge(factor, other, k, offset, side_a, side_b)
                if reach < best:
                    best, step = reach, k
        if step >= 0:
            label[node], came[node] = best, step
            keys, nodes = _with_room(keys, nodes, queued)
            keys[queued], nodes[queued] = best, node
            sift_up(keys, nodes, queued)
            queued += 1
    for n in range(count):
        void[gone[n]] = False
    while queued > 0:
        own, node = keys[0], nodes[0]
        queued -= 1
        keys[0], nodes[0] = keys[queued], nodes[queued]
        sift_down(keys, nodes, queued)
        if own > label[node]:
            continue
        for k in range(moves):
            other = node + offset[k]
            reach = own + _edge(factor, node, k, offset, side_a, side_b)
            if reach < label[other]:
                label[other], came[other] = reach, k
                keys, nodes = _with_room(keys, nodes, queued)
                keys[queued], nodes[queued] = reach, other
                sift_up(keys, nodes, queued)
                queued += 1
    return count


@njit(cache=True, error_model="numpy")
def _none_cheaper(new, old, tolerance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether no factor has fallen by more than a share of what it was, nor from infinity."""
    for r in range(new.shape[0]):
        for c in range(new.shape[1]):
            one, other = new[r, c], old[r, c]
            if other - one > tolerance * other or (other == np.inf and one != np.inf):
                return False
    return True


class CostToGo:
    """Cost from every cell to one goal cell, in cells of free ground.

    Attributes:
        label: (rows + 4, cols + 4) float32, infinite where the goal cannot be reached.
        repaired: cells that were filled again for the last map; all of them after a first fill.
    """

    def __init__(self) -> None:
        """Start without a field."""
        self.label: Float32Array = np.zeros((0, 0), np.float32)
        self.repaired = 0
        self._came: NDArray[np.int8] = np.zeros((0, 0), np.int8)
        self._factor: Float32Array = np.zeros((0, 0), np.float32)
        self._void: BoolArray = np.zeros(0, np.bool_)
        self._goal: tuple[int, int] | None = None

    def forget(self) -> None:
        """Fill anew at the next ``update``."""
        self._goal = None

    def update(
        self,
        factor: Float32Array,
        goal: tuple[int, int],
        tolerance: float = 0.0,
        box: tuple[int, int, int, int] | None = None,
    ) -> Float32Array:
        """The field for a map; what is left of the last one is used where it can be.

        Args:
            factor: (rows + 4, cols + 4) float32 padded factors, as ``search.factors`` gives them.
            goal: row, col (unpadded).
            tolerance: share by which a factor may change without being taken over.
            box: first and end row and column (unpadded) outside of which nothing has changed since
                the last call; None where nobody knows.

        Returns:
            ``label``.
        """
        if goal != self._goal or factor.shape != self._factor.shape:
            self._factor, self._goal = factor.copy(), goal
            self.label, self._came = search.search(factor, goal, None, len(STEPS))
            self._void = np.zeros(factor.size, np.bool_)
            self.repaired = factor.size
            return self.label
        self.repaired = 0
        where = self._taken_over(factor, tolerance, box)
        if len(where) == 0:
            return self.label
        old, width = self._factor, factor.shape[1]
        first = (goal[0] + PAD) * width + goal[1] + PAD
        flat = old.ravel(), width, where, first, STEPS, self.label.ravel(), self._came.ravel()
        self.repaired = int(_repair(*flat, self._void))
        return self.label

    def bounds_still(
        self,
        factor: Float32Array,
        goal: tuple[int, int],
        tolerance: float = 0.0,
        box: tuple[int, int, int, int] | None = None,
    ) -> bool:
        """Whether ``label``, as it is, is not above the field of another map.

        It is so while nothing has become cheaper; what then does for it does for the field as
        well, and the repair may wait.

        Args:
            factor: (rows + 4, cols + 4) float32 padded factors, as ``search.factors`` gives them.
            goal: as there.
            tolerance: as there.
            box: as there.
        """
        if goal != self._goal or factor.shape != self._factor.shape:
            return False
        self.repaired = 0
        window = _window(factor, box)
        return bool(_none_cheaper(factor[window], self._factor[window], tolerance))

    def _taken_over(
        self, factor: Float32Array, tolerance: float, box: tuple[int, int, int, int] | None
    ) -> NDArray[np.int32]:
        """Take what has changed; (N,) indices of all cells whose edges that concerns."""
        window = _window(factor, box)
        new, old = factor[window], self._factor[window]
        with np.errstate(invalid="ignore"):
            changed = np.abs(new - old) > tolerance * old
        changed |= np.isinf(new) != np.isinf(old)
        if not changed.any():
            return np.zeros(0, np.int32)
        np.copyto(old, new, where=changed)
        side = 2 * _REACH + 1
        reached = cv2.dilate(changed.view(np.uint8), np.ones((side, side), np.uint8))
        row, col = np.nonzero(reached)
        row, col = row + window[0].start, col + window[1].start
        return np.asarray(row * factor.shape[1] + col, dtype=np.int32)


def _window(factor: Float32Array, box: tuple[int, int, int, int] | None) -> tuple[slice, slice]:
    """Rows and columns of padded (rows + 4, cols + 4) factors that a box's edges reach."""
    rows, cols = (n - PAD for n in factor.shape)
    first_row, end_row, first_col, end_col = box or (0, rows - PAD, 0, cols - PAD)
    return (
        slice(max(first_row + PAD - _REACH, PAD), min(end_row + PAD + _REACH, rows)),
        slice(max(first_col + PAD - _REACH, PAD), min(end_col + PAD + _REACH, cols)),
    )


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    factor = search.factors(np.zeros((8, 8), np.float32), 1.0, 0.99)
    field = CostToGo()
    field.update(factor, (1, 1))
    factor[6, 6] = np.inf
    field.update(factor, (1, 1))
