"""Steepness of the plane under the vehicle."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import hazards_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, radians."""
    return hazards_of(context).slope_rad


LAYER = LayerSpec(
    "slope", "rad", 0.0, 1.5708, "steepness of the plane at the scale of the vehicle", compute
)
