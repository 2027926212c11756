"""Lowest surface that was measured in a cell."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres in odom."""
    return context.of_map("lower_bound")


LAYER = LayerSpec("lower_bound", "m", -1e5, 1e5, "lowest surface measured in the cell", compute)
