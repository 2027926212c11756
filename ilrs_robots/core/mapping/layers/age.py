"""Time since a cell was last seen."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, seconds."""
    idle: Float32Array = np.float32(context.now_s) - context.of_map("last_seen_s")
    idle[idle < 0.0] = 0.0
    return idle


LAYER = LayerSpec("age", "s", 0.0, 1e9, "time since the cell was last seen", compute)
