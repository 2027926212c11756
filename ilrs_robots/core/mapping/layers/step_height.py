"""Height above the lowest ground within reach."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import hazards_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, metres."""
    return hazards_of(context).step_m


LAYER = LayerSpec(
    "step_height",
    "m",
    0.0,
    1e4,
    "height above the lowest ground within reach, the wider slope taken off",
    compute,
)
