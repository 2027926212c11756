"""Temperature of the regolith's surface, and of a box of electronics that stands on it.

Each column of ground conducts heat in one dimension, loses it by radiation and gains what the
Sun, the ground around it and the interior give. Backward Euler with layers that grow with depth,
so that steps of hours are stable.

Reference: Hayne et al. 2017, J. Geophys. Res. Planets 122, 2371 (properties, table A1 and A2);
Ingersoll et al. 1992, Icarus 100, 40 (light and heat between the walls of a crater).
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import STEFAN_BOLTZMANN_WPM2K4
from ilrs_robots.core.environment.moon_axes import AU_M
from ilrs_robots.core.environment.thermal_kernels import enthalpy, step_columns
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.types import FloatArray

SOLAR_CONSTANT_WPM2: Final = 1361.0
"""At one astronomical unit; Kopp and Lean 2011, Geophys. Res. Lett. 38, L01706."""


@dataclass(frozen=True)
class RegolithConfig:
    """Regolith, by default the global mean."""

    albedo: float = param(0.12, doc="share of sunlight reflected", low=0.0, high=0.9)
    emissivity: float = param(0.95, doc="of the surface", low=0.1, high=1.0)
    scale_m: float = param(0.07, doc="depth in which density grows", unit="m", low=0.01, high=1.0)
    interior_wpm2: float = param(0.018, doc="heat from below", unit="W/m2", low=0.0, high=0.2)
    first_layer_m: float = param(0.003, doc="uppermost layer", unit="m", low=1e-4, high=0.1)
    growth: float = param(1.4, doc="of a layer over the one above", low=1.0, high=3.0)
    layers: int = param(14, doc="layers of a column", low=2, high=200)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


_SURFACE = (1100.0, 7.4e-4)  # kg/m3 and W/m/K, Hayne et al. 2017, table A1
_DEEP = (1800.0, 3.4e-3)
_BAND = 5_000
"""Columns worth a thread of their own."""


class RegolithColumns:
    """Columns of regolith that stand side by side and exchange nothing.

    Attributes:
        surface_k: (N,) surface temperatures.
        layers_k: (N, L) layer temperatures, from the top.
    """

    def __init__(self, start_k: ArrayLike, settings: RegolithConfig | None = None) -> None:
        """Begin with (N,) temperatures in kelvin, each the same down its whole column."""
        self.settings = settings or RegolithConfig()
        s = self.settings
        self.surface_k = np.array(start_k, dtype=np.float64).ravel()
        wrong = ~((self.surface_k >= 2.0) & (self.surface_k <= 1000.0))
        if wrong.any():
            raise ConfigError(f"start {self.surface_k[wrong][0]} K: must be 2 to 1000 K")
        self.thickness_m = s.first_layer_m * s.growth ** np.arange(float(s.layers))
        depth = np.cumsum(self.thickness_m) - 0.5 * self.thickness_m
        share = np.exp(-depth / s.scale_m)
        self._density = _DEEP[0] + (_SURFACE[0] - _DEEP[0]) * share
        self._contact = _DEEP[1] + (_SURFACE[1] - _DEEP[1]) * share
        self.layers_k = np.repeat(self.surface_k[:, None], s.layers, axis=1)

    @property
    def depth_m(self) -> float:
        """Depth of the columns."""
        return float(self.thickness_m.sum())

    def advance(self, absorbed_wpm2: ArrayLike, dt_s: float) -> None:
        """One implicit step.

        Args:
            absorbed_wpm2: (N,) W/m2 absorbed at the surface, the mean over the step.
            dt_s: seconds, above 0.

        Raises:
            TerrainError: a flux is negative or unknown, or of another number of columns.
        """
        absorbed = np.ascontiguousarray(absorbed_wpm2, dtype=np.float64)
        if absorbed.shape != self.surface_k.shape or not dt_s > 0.0:
            raise TerrainError(
                f"{absorbed.shape} fluxes over {dt_s} s for {self.surface_k.size} columns"
            )
        if not np.all(absorbed >= 0.0):
            worst = float(absorbed[~(absorbed >= 0.0)][0])
            raise TerrainError(f"absorbed {worst} W/m2: must not be below 0 W/m2")
        s = self.settings
        workers = min(os.cpu_count() or 1, max(1, absorbed.size // _BAND))
        edges = [absorbed.size * k // workers for k in range(workers + 1)]

        def band(first: int, last: int) -> None:
            step_columns(
                self.layers_k, self.surface_k, absorbed, first, last, dt_s, self.thickness_m,
                self._density, self._contact, s.emissivity, s.interior_wpm2,
            )  # fmt: skip

        if workers == 1:
            band(0, absorbed.size)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(band, edges[:-1], edges[1:]))

    def heat_jpm2(self) -> FloatArray:
        """Heat held above 0 K, (N,) J/m2."""
        held = np.vectorize(enthalpy)(self.layers_k) * (self._density * self.thickness_m)
        total: FloatArray = held.sum(axis=1)
        return total

    def emitted_wpm2(self) -> FloatArray:
        """Radiated at the present surface temperature, (N,) W/m2."""
        out: FloatArray = self.settings.emissivity * STEFAN_BOLTZMANN_WPM2K4 * self.surface_k**4
        return out


def irradiance_wpm2(distance_m: ArrayLike) -> FloatArray:
    """Sunlight at right angles, (...) W/m2, at distances of (...) metres from the Sun."""
    light: FloatArray = SOLAR_CONSTANT_WPM2 * (AU_M / np.asarray(distance_m)) ** 2
    return light


def equilibrium_k(absorbed_wpm2: ArrayLike, emissivity: float = 0.95) -> FloatArray:
    """Temperature at which a surface radiates what it absorbs, (...) K of (...) W/m2."""
    hot: FloatArray = (np.asarray(absorbed_wpm2) / (emissivity * STEFAN_BOLTZMANN_WPM2K4)) ** 0.25
    return hot


def from_terrain_wpm2(
    around_wpm2: ArrayLike,
    sky_view: ArrayLike,
    around_sky_view: ArrayLike,
    settings: RegolithConfig,
) -> FloatArray:
    """Light and heat that a cell absorbs from the ground it sees, W/m2.

    The ground around gives back what falls on it, part as light, part as heat; what it gives to
    itself first raises it by one over its own view of the sky. In a spherical bowl, where every
    point sees every other alike, this is Ingersoll's answer to within the albedo squared.

    Args:
        around_wpm2: (...) mean sunlight per area of the ground around, W/m2.
        sky_view: (...) share of the sky that the cell sees, 0 to 1.
        around_sky_view: (...) mean share that the ground around sees, 0 to 1.
        settings: albedo and emissivity.
    """
    given = np.asarray(around_wpm2) / np.maximum(np.asarray(around_sky_view), 0.05)
    share = (1.0 - settings.albedo) * (settings.albedo + settings.emissivity)
    absorbed: FloatArray = (1.0 - np.asarray(sky_view)) * given * share
    return absorbed


@dataclass(frozen=True)
class ElectronicsBoxConfig:
    """A box that must stay warm: one heat capacity, insulation, a radiator's leak, a heater."""

    capacity_jpk: float = param(20e3, doc="heat capacity", unit="J/K", low=1.0, high=1e8)
    area_m2: float = param(1.5, doc="outer area", unit="m2", low=0.01, high=1e3)
    emissivity: float = param(0.03, doc="of the insulated outside", low=0.0, high=1.0)
    absorptivity: float = param(0.02, doc="of sunlight, insulated", low=0.0, high=1.0)
    conductance_wpk: float = param(0.05, doc="to the chassis and ground", unit="W/K", low=0.0)
    ground_view: float = param(0.5, doc="share of its view that is ground", low=0.0, high=1.0)
    setpoint_k: float = param(263.15, doc="below it the heater runs", unit="K", low=100.0,
                              high=350.0)  # fmt: skip
    heater_w: float = param(60.0, doc="largest heater power", unit="W", low=0.0, high=1e5)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class BoxState:
    """What one step of the box comes to.

    Attributes:
        temperature_k: at the end of the step.
        heater_w: mean power of the heater over the step.
        lost_w: mean power that left the box, by radiation and conduction, less what they brought.
    """

    temperature_k: float
    heater_w: float
    lost_w: float


class ElectronicsBox:
    """Temperature and heater demand of a box of electronics."""

    def __init__(self, settings: ElectronicsBoxConfig | None = None) -> None:
        self.settings = settings or ElectronicsBoxConfig()

    def step(
        self,
        temperature_k: float,
        dt_s: float,
        *,
        dissipated_w: float,
        ground_k: float,
        sunlight_w: float = 0.0,
    ) -> BoxState:
        """One implicit step; the heater gives exactly what holds the set point, up to its limit.

        Args:
            temperature_k: at the beginning.
            dt_s: seconds, above 0.
            dissipated_w: by the electronics and by radioisotope heaters.
            ground_k: temperature of the ground.
            sunlight_w: sunlight on the box, before it is absorbed.

        Raises:
            ConfigError: a power, a temperature or the time is negative or no number.
        """
        for name, value, unit in (
            ("temperature", temperature_k, "K"), ("time step", dt_s, "s"),
            ("dissipated power", dissipated_w, "W"), ("ground temperature", ground_k, "K"),
            ("sunlight", sunlight_w, "W"),
        ):  # fmt: skip
            if not (math.isfinite(value) and value >= 0.0) or (name == "time step" and value == 0):
                raise ConfigError(f"{name} = {value} {unit}: must not be negative")
        s = self.settings
        gain = dissipated_w + s.absorptivity * sunlight_w
        store = s.capacity_jpk / dt_s
        demand = (
            store * (s.setpoint_k - temperature_k) + self.loss_w(s.setpoint_k, ground_k) - gain
        )
        if 0.0 <= demand <= s.heater_w:
            return BoxState(s.setpoint_k, demand, self.loss_w(s.setpoint_k, ground_k))
        heater = s.heater_w if demand > 0.0 else 0.0
        end = self._balance(temperature_k, gain + heater, store, ground_k)
        return BoxState(end, heater, gain + heater - store * (end - temperature_k))

    def loss_w(self, temperature_k: float, ground_k: float) -> float:
        """Net power lost by radiation and conduction at a temperature in K."""
        s = self.settings
        surroundings = s.ground_view * ground_k**4
        radiated = (
            s.emissivity * s.area_m2 * STEFAN_BOLTZMANN_WPM2K4 * (temperature_k**4 - surroundings)
        )
        return radiated + s.conductance_wpk * (temperature_k - ground_k)

    def _balance(self, start_k: float, power_w: float, store: float, ground_k: float) -> float:
        """Temperature at the end of the step by Newton's method on a rising function."""
        s = self.settings
        t = max(start_k, 1.0)
        for _ in range(60):
            wrong = store * (t - start_k) + self.loss_w(t, ground_k) - power_w
            slope = store + 4.0 * s.emissivity * s.area_m2 * STEFAN_BOLTZMANN_WPM2K4 * t**3
            change = wrong / (slope + s.conductance_wpk)
            t = max(t - change, 0.5 * t)
            if abs(change) < 1e-10 * t:
                break
        return t
