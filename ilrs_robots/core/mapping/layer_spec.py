"""What a layer of the terrain map declares, and what it is computed from.

A layer is one file in ``core/mapping/layers`` that declares one ``LayerSpec`` named ``LAYER``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.traversability import TraversabilityConfig
from ilrs_robots.core.types import Float32Array, GridSpec

T = TypeVar("T")


@dataclass(frozen=True)
class LayerSpec:
    """A layer: what its numbers mean and how they come about.

    Attributes:
        name: snake_case, as in the GridMap.
        unit: SI; empty for a pure number.
        low: smallest value that can occur; NaN (unknown) always can, where nothing else is said.
        high: largest value.
        doc: one sentence for people.
        compute: (rows, cols) float32 from the context, a new array.
        inputs: layers that ``compute`` asks the context for; they are computed first, once.
    """

    name: str
    unit: str
    low: float
    high: float
    doc: str
    compute: Callable[[LayerContext], Float32Array]
    inputs: tuple[str, ...] = ()


@dataclass
class LayerContext:
    """What layers are computed from; one context serves one state of the map.

    Attributes:
        state: the map's own layers by name, each (rows, cols) float32, NaN unknown.
        spec: their grid (odom frame).
        limits: what the vehicle can cross.
        config: scales at which the ground is judged.
        prior_m: (rows, cols) float32 heights of the orbital DEM on the same grid and in the same
            frame, or None.
        prior_variance_m2: (rows, cols) float32 variances of those, or None.
        now_s: time on the scale of ``last_seen_s``.
    """

    state: Mapping[str, Float32Array]
    spec: GridSpec
    limits: VehicleLimits
    config: TraversabilityConfig = field(default_factory=TraversabilityConfig)
    prior_m: Float32Array | None = None
    prior_variance_m2: Float32Array | None = None
    now_s: float = 0.0
    _done: dict[str, Float32Array] = field(default_factory=dict, repr=False)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check that every grid is on the same cells."""
        grids = {**self.state, "prior": self.prior_m, "prior_variance": self.prior_variance_m2}
        for name, grid in grids.items():
            if grid is not None and grid.shape != self.spec.shape:
                raise TerrainError(f"{name} is {grid.shape}: its grid is {self.spec.shape}")

    @property
    def resolution_m(self) -> float:
        """Cell size."""
        return self.spec.resolution_m

    def of_map(self, name: str) -> Float32Array:
        """(rows, cols) float32 layer of the map itself; all unknown where it keeps none."""
        held = self.state.get(name)
        return np.full(self.spec.shape, np.nan, np.float32) if held is None else held

    def __getitem__(self, name: str) -> Float32Array:
        """(rows, cols) float32 of another layer, which ``inputs`` must name."""
        if name not in self._done:
            raise ConfigError(f"layer {name!r} was not computed: it must stand among the inputs")
        return self._done[name]

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What several layers need, made once: ``make()`` on the first call for ``key``."""
        if key not in self._shared:
            self._shared[key] = make()
        found: T = self._shared[key]
        return found

    def share(self, key: str, value: Any) -> None:
        """Hand over what is already known, for example the hazards of a tracker."""
        self._shared[key] = value

    def keep(self, name: str, values: Float32Array) -> None:
        """Take the (rows, cols) float32 result of a layer in the layer's unit.

        Raises:
            TerrainError: it is not on the map's grid.
        """
        if values.shape != self.spec.shape:
            raise TerrainError(f"layer {name!r} is {values.shape}: its grid is {self.spec.shape}")
        self._done[name] = np.asarray(values, dtype=np.float32)

    def done(self, name: str) -> bool:
        """Whether a layer is computed."""
        return name in self._done
