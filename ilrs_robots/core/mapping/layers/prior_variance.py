"""Variance of the layer prior."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import blend_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, square metres."""
    return blend_of(context).variance_m2


LAYER = LayerSpec("prior_variance", "m2", 0.0, 10000.0, "variance of the layer prior", compute)
