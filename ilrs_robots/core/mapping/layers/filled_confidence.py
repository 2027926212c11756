"""How far the filled elevation is to be trusted."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.mapping.layer_shared import distance_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, 0 to 1."""
    fade = np.float32(-1.0 / context.config.fill_scale_m)
    confidence: Float32Array = np.exp(distance_of(context) * fade)
    return confidence


LAYER = LayerSpec(
    "filled_confidence",
    "",
    0.0,
    1.0,
    "1 where the ground was measured, less with distance from there: 1 / e at fill_scale_m",
    compute,
)
