"""Residual to the local plane at the scale of the footprint."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import hazards_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres, root mean square."""
    return hazards_of(context).roughness_m


LAYER = LayerSpec(
    "roughness",
    "m",
    0.0,
    1e3,
    "root mean square residual to the plane at the scale of the vehicle",
    compute,
)
