"""What dominates the cost: index into REASONS."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.mapping.layer_shared import hazards_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, index into REASONS."""
    return hazards_of(context).reason.astype(np.float32)


LAYER = LayerSpec(
    "reason", "", 0.0, 255.0, "index into REASONS of what dominates the cost", compute
)
