"""Elevation with every hole filled."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import filled_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres in odom."""
    return filled_of(context)


LAYER = LayerSpec(
    "elevation_filled",
    "m",
    -100000.0,
    100000.0,
    "elevation, and where nothing was seen what surrounds it suggests; see filled_confidence",
    compute,
)
