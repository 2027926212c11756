"""Variance of the fused height."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, square metres, as of when the cell was last seen."""
    return context.of_map("variance")


LAYER = LayerSpec(
    "variance",
    "m2",
    0.0,
    1e4,
    "variance of the elevation, as of when the cell was last seen",
    compute,
)
