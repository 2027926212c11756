"""What several layers share, made once per context."""

from __future__ import annotations

from typing import Final

from ilrs_robots.core.mapping.layer_spec import LayerContext
from ilrs_robots.core.mapping.traversability import TraversabilityLayers, traversability

HAZARDS: Final = "hazards"
"""Key under which a context takes hazards that are already known (``LayerContext.share``)."""


def hazards_of(context: LayerContext) -> TraversabilityLayers:
    """Hazards of the map for the vehicle."""
    return context.shared(
        HAZARDS,
        lambda: traversability(
            context.of_map("elevation"),
            context.resolution_m,
            context.limits,
            context.config,
            context.state.get("upper_bound"),
        ),
    )
