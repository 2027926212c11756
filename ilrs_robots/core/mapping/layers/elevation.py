"""Fused height of the ground."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres in odom."""
    return context.of_map("elevation")


LAYER = LayerSpec("elevation", "m", -1e5, 1e5, "fused height of the ground in odom", compute)
