"""Places on the ground and the ways between neighbours: what space-time is searched over.

Every block of cells has a place, the best lit open cell near its middle. Places share out the
ground by cost; where two regions touch, the cheapest crossing joins their places. So whatever
can be reached over cells can be reached over places, through gaps one cell wide as well, and
with blocks of one cell the places are the cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.planning.route_ground import Closed, Int8Array, RouteGround
from ilrs_robots.core.planning.route_kernels import FAR, offsets, padded, spread
from ilrs_robots.core.planning.route_trails import borders, measure, ways
from ilrs_robots.core.planning.search import STEPS
from ilrs_robots.core.types import Float32Array, FloatArray, IntArray

Int32Array = NDArray[np.int32]
_OFF_MIDDLE: Final = 0.3
"""Share of light that a place half a block off the middle must gain."""


@dataclass(frozen=True)
class RouteGraph:
    """Places and directed ways between them.

    Attributes:
        ground: whose.
        place: (N, 2) int64 row and column of each place.
        first: (N + 1,) where the ways out of each place begin.
        to: (M,) int32 place at the end of each way.
        time_s: (M,) to drive it.
        energy_j: (M,) of the wheels, from the bus.
        length_m: (M,) over the ground, as planned.
        trail: (M,) int64 which undirected way; ways there and back share its cells.
        back: (M,) bool, the trail is taken from its end.
        start: (E + 1,) where each trail's cells begin.
        cells: (C,) int64 padded cells of all trails.
        seconds: (C, 2) of the step that leaves a cell, there and back.
        turn: (C,) its direction in eighths of a turn.
        width: of a padded row.
    """

    ground: RouteGround
    place: IntArray
    first: IntArray
    to: Int32Array
    time_s: FloatArray
    energy_j: FloatArray
    length_m: FloatArray
    trail: IntArray
    back: NDArray[np.bool_]
    start: IntArray
    cells: IntArray
    seconds: FloatArray
    turn: Int8Array
    width: int

    @property
    def places(self) -> int:
        """How many."""
        return len(self.place)

    def xy_m(self) -> FloatArray:
        """(N, 2) metres of every place."""
        return self.ground.spec.xy_of(self.place[:, 0], self.place[:, 1])

    def way_cells(self, way: int) -> IntArray:
        """(K, 2) rows and columns of a way, in the order of driving."""
        trail = int(self.trail[way])
        cells = self.cells[self.start[trail] : self.start[trail + 1]]
        if self.back[way]:
            cells = cells[::-1]
        return np.stack((cells // self.width - 2, cells % self.width - 2), axis=-1)


def block_of(ground: RouteGround) -> int:
    """Edge of a block in cells."""
    wanted = max(1, round(ground.config.place_m / ground.spec.resolution_m))
    few = math.ceil(math.sqrt(ground.spec.rows * ground.spec.cols / ground.config.max_places))
    return max(wanted, few)


def route_graph(
    ground: RouteGround, fixed: Sequence[tuple[int, int]] = (), lit: Float32Array | None = None
) -> RouteGraph:
    """Choose places and find the ways between neighbours.

    Args:
        ground: of one vehicle.
        fixed: cells that are places whatever else is, such as start, goal and chargers; closed
            ones are left out.
        lit: (rows, cols) mean share of light, 0 to 1, or None.
    """
    place = _places(ground, fixed, lit)
    height, rough, free, width = ground.flat_arrays()
    numbers = ground.numbers
    label = np.full(free.size, FAR, np.float32)
    owner = np.full(free.size, -1, np.int32)
    came = np.full(free.size, -1, np.int8)
    seeds = padded(place, width)
    spread(
        height, rough, free, width, STEPS, seeds, -1, ground.table, numbers, 8, True, label,
        owner, came,
    )  # fmt: skip
    pairs = borders(
        owner, label, height, rough, free, width, STEPS, ground.table, numbers, len(place)
    )
    start, cells = ways(pairs, came, offsets(width, STEPS))
    sums = np.empty((len(pairs), 5))
    seconds, turn = np.zeros((len(cells), 2)), np.zeros(len(cells), np.int8)
    measure(start, cells, height, rough, width, ground.table, numbers, sums, seconds, turn)
    both = np.concatenate((pairs[:, 0], pairs[:, 1]))
    order = np.argsort(both, kind="stable")
    count = len(pairs)
    trail = np.concatenate((np.arange(count), np.arange(count)))
    energy, time = (np.concatenate((sums[:, a], sums[:, a + 2])) for a in (0, 1))
    usable = order[np.isfinite(energy[order]) & np.isfinite(time[order])]
    first = np.searchsorted(both[usable], np.arange(len(place) + 1))
    to = np.concatenate((pairs[:, 1], pairs[:, 0]))
    return RouteGraph(
        ground, place, first.astype(np.int64), to[usable].astype(np.int32), time[usable],
        energy[usable], sums[trail[usable], 4], trail[usable], usable >= count, start, cells,
        seconds, turn, width,
    )  # fmt: skip


def _places(
    ground: RouteGround, fixed: Sequence[tuple[int, int]], lit: Float32Array | None
) -> IntArray:
    """(N, 2) rows and columns: the fixed ones first, then the best of each block."""
    block = block_of(ground)
    rows, cols = ground.spec.shape
    open_ = ground.closed == Closed.NO
    middle = 0.5 * (block - 1)
    row = np.arange(rows) % block - middle
    col = np.arange(cols) % block - middle
    off = np.hypot(row[:, None], col[None, :]) / max(block / 2.0, 1.0)
    score = (0.0 if lit is None else np.asarray(lit, np.float64)) - _OFF_MIDDLE * off
    score = np.where(open_, score, -np.inf)
    down, across = -(-rows // block), -(-cols // block)
    whole = np.full((down * block, across * block), -np.inf)
    whole[:rows, :cols] = score
    blocks = whole.reshape(down, block, across, block).transpose(0, 2, 1, 3)
    flat = blocks.reshape(down * across, block * block)
    best = np.argmax(flat, axis=1)
    good = np.isfinite(flat[np.arange(len(flat)), best])
    at = np.flatnonzero(good)
    r = at // across * block + best[good] // block
    c = at % across * block + best[good] % block
    kept = list(dict.fromkeys(cell for cell in fixed if open_[cell]))
    seen = set(kept)
    others = [(int(i), int(j)) for i, j in zip(r, c, strict=True) if (int(i), int(j)) not in seen]
    return np.array(kept + others, dtype=np.int64).reshape(-1, 2)
