"""Large grids in strips: evaluated in threads, handed on in order, never all in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import Float32Array, GridSpec

STRIP_ROWS: Final = 256
"""Rows of a strip: a whole number of a GeoTIFF's tiles."""
_STRIP_CELLS: Final = 4_000_000
"""Cells that one thread holds at a time as float64; wider grids get lower strips."""


def strips_from_north(spec: GridSpec, rows: int = STRIP_ROWS) -> Iterator[GridSpec]:
    """Cut a grid into strips of full width, the northernmost (last rows) first."""
    last = spec.rows
    while last > 0:
        first = max(last - rows, 0)
        y = spec.origin_y_m + spec.resolution_m * first
        yield replace(spec, origin_y_m=y, rows=last - first)
        last = first


def surface_strips(
    surface: Surface, spec: GridSpec, *, rocks: bool, workers: int = 0
) -> Iterator[tuple[GridSpec, Float32Array]]:
    """Heights of a terrain on a grid, a strip at a time from the north.

    Args:
        surface: the terrain.
        spec: the whole grid.
        rocks: whether the rocks' tops are in the heights.
        workers: threads; 0 takes one per core.

    Yields:
        Grid of the strip and its heights, (rows, cols) float32 metres, row 0 southernmost.
    """
    threads = workers if workers > 0 else os.cpu_count() or 1
    evaluate = surface.top_grid if rocks else surface.grid
    rows = STRIP_ROWS
    while rows > 16 and rows * spec.cols > _STRIP_CELLS:
        rows //= 2
    waiting: deque[tuple[GridSpec, Future[Float32Array]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for strip in strips_from_north(spec, rows):
            waiting.append((strip, pool.submit(evaluate, strip)))
            if len(waiting) > threads:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
