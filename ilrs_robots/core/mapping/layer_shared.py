"""What several layers share, made once per context."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ilrs_robots.core.mapping import filling
from ilrs_robots.core.mapping import normals as normal_kernels
from ilrs_robots.core.mapping.filling import distance_to_known_m, fill_holes
from ilrs_robots.core.mapping.layer_spec import LayerContext
from ilrs_robots.core.mapping.normals import Normals, normals
from ilrs_robots.core.mapping.traversability import TraversabilityLayers, traversability
from ilrs_robots.core.types import Float32Array

HAZARDS: Final = "hazards"
"""Key under which a context takes hazards that are already known (``LayerContext.share``)."""


class Blend(NamedTuple):
    """Orbital terrain bent to meet what was seen; (rows, cols) float32, NaN is unknown."""

    height_m: Float32Array
    variance_m2: Float32Array


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


def normals_of(context: LayerContext) -> Normals:
    """Normals of the elevation."""
    return context.shared(
        "normals",
        lambda: normals(
            context.of_map("elevation"), context.resolution_m, context.config.normal_window_m
        ),
    )


def filled_of(context: LayerContext) -> Float32Array:
    """(rows, cols) float32 elevation in metres, filled wherever anything is known."""
    return context.shared("filled", lambda: fill_holes(context.of_map("elevation")))


def distance_of(context: LayerContext) -> Float32Array:
    """(rows, cols) float32 distance in metres to the nearest seen cell, infinite without any."""
    return context.shared(
        "distance",
        lambda: distance_to_known_m(
            np.isfinite(context.of_map("elevation")), context.resolution_m
        ),
    )


def blend_of(context: LayerContext) -> Blend:
    """What was seen, and elsewhere the orbital terrain, shifted and bent to meet it."""
    return context.shared("blend", lambda: _blend(context))


def _blend(context: LayerContext) -> Blend:
    """Blend; the orbital terrain's error is taken to be a shift and a part that fades away.

    The shift is the median difference to what was seen; what differs from it locally counts
    ``exp(-distance / prior_blend_m)``, and so much of the orbital variance goes with it.
    """
    elevation, variance = context.of_map("elevation"), context.of_map("variance")
    if context.prior_m is None:
        unknown = np.full(context.spec.shape, np.nan, np.float32)
        return Blend(unknown, unknown.copy())
    seen = np.isfinite(elevation)
    known = context.prior_variance_m2
    doubt = np.full(context.spec.shape, np.nan, np.float32) if known is None else known
    difference = elevation - context.prior_m
    both = np.isfinite(difference)
    if not both.any():
        return Blend(np.where(seen, elevation, context.prior_m), np.where(seen, variance, doubt))
    shift = np.float32(np.median(difference[both]))
    share = np.exp(distance_of(context) * np.float32(-1.0 / context.config.prior_blend_m))
    bent = context.prior_m + shift + (fill_holes(difference) - shift) * share
    sure = np.float32(np.median(variance[both]))
    left = doubt * (1.0 - share**2) + sure * share**2
    return Blend(np.where(seen, elevation, bent), np.where(seen, variance, left))


def warm_up() -> None:
    """Compile what layers need besides the hazards."""
    normal_kernels.warm_up()
    filling.warm_up()
