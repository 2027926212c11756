"""y of the normal of the ground."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import normals_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, a pure number."""
    return normals_of(context).y


LAYER = LayerSpec(
    "normal_y",
    "",
    -1.0,
    1.0,
    "y in odom of the unit normal of the ground, which points up",
    compute,
)
