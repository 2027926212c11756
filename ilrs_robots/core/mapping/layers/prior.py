"""Orbital terrain, bent to meet what was seen."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import blend_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres in odom."""
    return blend_of(context).height_m


LAYER = LayerSpec(
    "prior",
    "m",
    -100000.0,
    100000.0,
    "what was seen, and elsewhere the orbital terrain, shifted and bent to meet it",
    compute,
)
