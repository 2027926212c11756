"""Layers of a vehicle's map as users ask for them; what several need is computed once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from ilrs_robots.core.mapping.elevation_map import LAYER_NAMES
from ilrs_robots.core.mapping.layer_shared import HAZARDS
from ilrs_robots.core.mapping.layers import LayerContext, compute_layers
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.map_topics import wants_prior
from ilrs_robots.robots.mapping_step import MappingStep

_NO_HAZARDS: Final = frozenset((*LAYER_NAMES, "age", "prior", "prior_variance"))
"""Layers that need no judgement of the ground."""


class MapView:
    """Layers of a mapping step's map; what several topics need is computed once per scan.

    Args:
        step: whose map.
        prior: orbital DEM in ``map``, or None.
        prior_sigma_m: its standard deviation.
    """

    def __init__(
        self, step: MappingStep, prior: Dem | None = None, prior_sigma_m: float = 0.0
    ) -> None:
        self._step, self._prior, self._sigma = step, prior, prior_sigma_m
        self._context: LayerContext | None = None
        self._sampled: tuple[GridSpec, FloatArray, Float32Array] | None = None

    def renew(self) -> None:
        """Say that the map has changed."""
        self._context = None

    def layers(
        self, names: Iterable[str], T_map_odom: FloatArray | None
    ) -> tuple[dict[str, Float32Array], GridSpec]:
        """Layers of the present window, with the window (odom frame).

        Args:
            names: of the registry.
            T_map_odom: (4, 4), for the prior; None where nobody knows it.
        """
        wanted = tuple(names)
        if self._context is None or (wants_prior(wanted) and self._context.prior_m is None):
            self._context = self._make(T_map_odom if wants_prior(wanted) else None)
        if not _NO_HAZARDS.issuperset(wanted):
            self._context.share(HAZARDS, self._step.traversability()[0])
        return compute_layers(wanted, self._context), self._context.spec

    def _make(self, T_map_odom: FloatArray | None) -> LayerContext:
        step, spec = self._step, self._step.map.spec
        prior = self._prior_on(spec, T_map_odom)
        variance = None if prior is None else np.full(spec.shape, self._sigma**2, np.float32)
        origin, stamp = step.map.time_origin_ns, step.last_stamp_ns
        return LayerContext(
            {name: step.map.layer(name) for name in LAYER_NAMES},
            spec,
            step.limits,
            step.traversability_config,
            prior,
            variance,
            0.0 if origin is None or stamp is None else (stamp - origin) * 1e-9,
        )

    def _prior_on(self, spec: GridSpec, T_map_odom: FloatArray | None) -> Float32Array | None:
        """The prior's heights in odom; sampled anew only where the window or the anchor moved."""
        if self._prior is None or T_map_odom is None:
            return None
        held = self._sampled
        if held is None or held[0] != spec or not np.array_equal(held[1], T_map_odom):
            held = spec, T_map_odom.copy(), prior_heights(self._prior, spec, T_map_odom)
            self._sampled = held
        return held[2]


def prior_heights(prior: Dem, spec: GridSpec, T_map_odom: FloatArray) -> Float32Array:
    """Heights of a DEM in ``map`` at the cells of a window in odom, in odom; NaN off the DEM.

    Args:
        prior: the DEM.
        spec: the window.
        T_map_odom: (4, 4); a tilt is left out of account.
    """
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    points = np.column_stack((x.ravel(), y.ravel())) @ T_map_odom[:2, :2].T + T_map_odom[:2, 3]
    heights = prior.height(points) - T_map_odom[2, 3]
    grid: Float32Array = heights.reshape(spec.shape).astype(np.float32)
    return grid
