"""Number of points that were fused."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, points."""
    return context.of_map("count")


LAYER = LayerSpec(
    "count", "", 0.0, 1e9, "points fused into the cell; 0 where nothing was seen", compute
)
