"""Where power comes from: solar arrays, radioisotope units, the fission station of a base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import STEFAN_BOLTZMANN_WPM2K4
from ilrs_robots.core.energy.charging import fair_shares
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray

PLUTONIUM_HALF_LIFE_S: Final = 87.7 * 365.25 * 86_400.0
"""Of Pu-238 (IAEA Live Chart of Nuclides)."""


@dataclass(frozen=True)
class SolarArrayConfig:
    """Cells on one plane, or all around an upright cylinder.

    ``tracking`` faces the Sun; ``azimuth`` is upright and turns about z; ``cylinder`` is the side
    of an upright cylinder of that cell area; ``fixed`` looks along ``normal`` in base_link.
    Efficiency falls linearly with temperature (triple-junction cells lose about 0.2 % of it per
    kelvin).
    """

    area_m2: float = param(doc="of the cells", unit="m2", low=0.001, high=1e5)
    efficiency: float = param(0.30, doc="at 301 K", low=0.01, high=0.6)
    pointing: str = param(
        "fixed", doc="how it faces the Sun", choices=("tracking", "azimuth", "cylinder", "fixed")
    )
    normal: tuple[float, float, float] = param(
        (0.0, 0.0, 1.0), doc="of fixed cells in base_link; its length does not count"
    )
    loss_per_k: float = param(0.0021, doc="of the efficiency", unit="1/K", low=0.0, high=0.02)
    absorptivity: float = param(0.90, doc="of the cells", low=0.1, high=1.0)
    emissivity: float = param(0.85, doc="of both sides together over two", low=0.1, high=1.0)
    clean: float = param(0.95, doc="share of light that dust lets through", low=0.0, high=1.0)
    mast_m: float = param(1.0, doc="height above ground", unit="m", low=0.0, high=1000.0)

    def __post_init__(self) -> None:
        """Check ranges and that fixed cells look somewhere."""
        config.check(self)
        if not any(self.normal):
            raise ConfigError("normal = [0, 0, 0]: must have a length")

    def light_on(self, sun: ArrayLike) -> FloatArray:
        """Cosine of incidence averaged over the cells, (...) 0 to 1.

        Args:
            sun: (..., 3) unit vectors towards the Sun, base_link.
        """
        toward = np.asarray(sun, dtype=np.float64)
        flat = np.hypot(toward[..., 0], toward[..., 1])
        if self.pointing == "tracking":
            return np.ones(toward.shape[:-1])
        if self.pointing == "azimuth":
            return np.asarray(flat)
        if self.pointing == "cylinder":
            return np.asarray(flat / math.pi)
        normal = np.array(self.normal) / np.linalg.norm(self.normal)
        facing: FloatArray = np.maximum(toward @ normal, 0.0)
        return facing

    def power_w(
        self, irradiance_wpm2: ArrayLike, visible: ArrayLike, light_on: ArrayLike
    ) -> FloatArray:
        """Electrical power, (...) W, of cells in balance with the light.

        Args:
            irradiance_wpm2: (...) of the whole Sun at right angles, W/m2.
            visible: (...) share of the Sun's disc, 0 to 1.
            light_on: (...) cosine of incidence, 0 to 1; see ``light_on``.

        Raises:
            ConfigError: an irradiance below 0 or a share outside 0 to 1.
        """
        light, share, cosine = (
            np.asarray(v, dtype=np.float64) for v in (irradiance_wpm2, visible, light_on)
        )
        _require_light(light, share, cosine)
        flux = light * share * cosine * self.clean
        heat = self.absorptivity * flux / (2.0 * self.emissivity * STEFAN_BOLTZMANN_WPM2K4)
        warmer = np.maximum(heat, 0.0) ** 0.25 - 301.0
        efficiency = np.clip(self.efficiency * (1.0 - self.loss_per_k * warmer), 0.0, 0.6)
        power: FloatArray = self.area_m2 * flux * efficiency
        return power


def _require_light(light: FloatArray, share: FloatArray, cosine: FloatArray) -> None:
    for name, values, high, unit in (
        ("irradiance", light, math.inf, " W/m2"), ("visible share of the Sun", share, 1.0, ""),
        ("cosine of incidence", cosine, 1.0, ""),
    ):  # fmt: skip
        wrong = ~((values >= 0.0) & (values <= high + 1e-9))
        if np.any(wrong):
            limit = f"at most {high:g}" if math.isfinite(high) else "finite"
            raise ConfigError(
                f"{name} = {float(values[wrong].flat[0])}{unit}: must be 0{unit} or more and "
                f"{limit}"
            )


@dataclass(frozen=True)
class RadioisotopeConfig:
    """A radioisotope unit: heat always, electricity if it has a converter."""

    heat_w: float = param(doc="thermal power when new", unit="W", low=0.0, high=1e5)
    electric_w: float = param(0.0, doc="electrical power when new", unit="W", low=0.0, high=1e4)
    half_life_s: float = param(
        PLUTONIUM_HALF_LIFE_S, doc="of the isotope", unit="s", low=86_400.0, high=1e12
    )
    converter_loss_per_year: float = param(
        0.008, doc="of the electrical power, besides decay", unit="1/yr", low=0.0, high=0.5
    )

    def __post_init__(self) -> None:
        """Check ranges and that no more electricity than heat comes out."""
        config.check(self)
        if self.electric_w > self.heat_w:
            raise ConfigError(
                f"electric_w = {self.electric_w} W: must not be above heat_w = {self.heat_w} W"
            )

    def power_w(self, age_s: float) -> tuple[float, float]:
        """Electricity and heat that remains beside it, W, at an age in seconds.

        Raises:
            ConfigError: the age is below 0.
        """
        if not age_s >= 0.0:
            raise ConfigError(f"age of a radioisotope unit = {age_s} s: must be 0 s or more")
        left = 0.5 ** (age_s / self.half_life_s)
        worn = (1.0 - self.converter_loss_per_year) ** (age_s / (365.25 * 86_400.0))
        electric = self.electric_w * left * worn
        return electric, self.heat_w * left - electric


@dataclass(frozen=True)
class FissionStationConfig:
    """The reactor of a base and what it must carry before anything is charged."""

    rated_w: float = param(40e3, doc="electrical power", unit="W", low=0.0, high=1e8)
    base_load_w: float = param(0.0, doc="of the base itself", unit="W", low=0.0, high=1e8)
    line_efficiency: float = param(0.92, doc="from station to charger", low=0.1, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    def granted_w(self, demand_w: ArrayLike) -> FloatArray:
        """Power that each charger gets, (N,) W; never more in all than is left.

        Those who ask for less than an equal share get it all; the others share the rest alike
        (max-min fair).

        Args:
            demand_w: (N,) asked for, W.

        Raises:
            ConfigError: a demand below 0.
        """
        demand = np.asarray(demand_w, dtype=np.float64)
        if not np.all(demand >= 0.0):
            wrong = float(demand[~(demand >= 0.0)][0])
            raise ConfigError(f"demand of a charger = {wrong} W: must be 0 W or more")
        left = max(self.rated_w - self.base_load_w, 0.0) * self.line_efficiency
        return np.array(fair_shares(left, demand.tolist()), dtype=np.float64)
