"""Where the filled elevation is no measurement."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, 0 or 1."""
    measured = np.isfinite(context["elevation"])
    invented = ~measured & np.isfinite(context["elevation_filled"])
    return invented.astype(np.float32)


LAYER = LayerSpec(
    "filled",
    "",
    0.0,
    1.0,
    "1 where elevation_filled was not measured, else 0",
    compute,
    inputs=("elevation", "elevation_filled"),
)
