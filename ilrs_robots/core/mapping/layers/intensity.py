"""Brightness of the returns as the sensor gives it."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, in the unit of the sensor."""
    return context.of_map("intensity")


LAYER = LayerSpec(
    "intensity", "", 0.0, 1e6, "mean brightness of the returns, in the sensor's own unit", compute
)
