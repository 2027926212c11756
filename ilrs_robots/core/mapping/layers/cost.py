"""Cost of a cell for the vehicle, 1 is closed."""

from __future__ import annotations

from ilrs_robots.core.mapping.layer_shared import hazards_of
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array


def compute(context: LayerContext) -> Float32Array:
    """(rows, cols) float32, 0 to 1."""
    return hazards_of(context).cost


LAYER = LayerSpec(
    "cost",
    "",
    0.0,
    1.0,
    "0 free to 1 closed, of the cell itself, not inflated; the reason stands in the layer reason",
    compute,
)
