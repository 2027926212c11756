"""A battery that is never charged over nor drained under its limits, and is weak in the cold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError

WH_J = 3600.0


@dataclass(frozen=True)
class BatteryConfig:
    """Lithium-ion cells as a store with limits.

    In the cold less of what is in can be taken out: ``cold_share`` of it at ``cold_k``, all of it
    from ``warm_k`` on, linear between (Smart et al. 2004, J. Electrochem. Soc. 151, A2035: low
    temperature cells keep about 60 % of their capacity at 233 K). Below ``charge_from_k`` charging
    would plate lithium and is refused.
    """

    capacity_wh: float = param(doc="when new and warm", unit="Wh", low=1.0, high=1e7)
    max_charge_w: float = param(doc="largest charging power", unit="W", low=0.0, high=1e6)
    max_discharge_w: float = param(doc="largest power out", unit="W", low=0.0, high=1e6)
    reserve: float = param(0.1, doc="share that is never taken out", low=0.0, high=0.9)
    charge_efficiency: float = param(0.96, doc="stored over charged", low=0.1, high=1.0)
    discharge_efficiency: float = param(0.96, doc="given over taken", low=0.1, high=1.0)
    full_v: float = param(33.6, doc="open voltage when full", unit="V", low=1.0, high=1000.0)
    empty_v: float = param(24.0, doc="open voltage when empty", unit="V", low=0.5, high=1000.0)
    warm_k: float = param(
        283.0, doc="whole capacity from here on", unit="K", low=200.0, high=350.0
    )
    cold_k: float = param(233.0, doc="coldest that gives power", unit="K", low=100.0, high=300.0)
    cold_share: float = param(0.6, doc="capacity left at cold_k", low=0.0, high=1.0)
    charge_from_k: float = param(
        253.0, doc="coldest that may be charged", unit="K", low=100.0, high=320.0
    )

    def __post_init__(self) -> None:
        """Check ranges and that limits stand in order."""
        config.check(self)
        for low, high, unit in (("empty_v", "full_v", "V"), ("cold_k", "warm_k", "K")):
            below, above = getattr(self, low), getattr(self, high)
            if not below < above:
                raise ConfigError(f"{low} = {below} {unit}: must be below {high} = {above} {unit}")


@dataclass(frozen=True)
class BatteryFlow:
    """What one step did; energies in joules.

    Attributes:
        charged_j: taken from the bus.
        given_j: given to the bus.
        lost_j: turned into heat in the cells.
    """

    charged_j: float
    given_j: float
    lost_j: float


class Battery:
    """The store of one vehicle.

    Attributes:
        stored_j: energy in the cells, joules.
    """

    def __init__(self, settings: BatteryConfig, charge: float = 1.0) -> None:
        """Begin with a share of the capacity, 0 to 1.

        Raises:
            ConfigError: the share is out of its range.
        """
        if not 0.0 <= charge <= 1.0:
            raise ConfigError(f"charge of the battery = {charge}: must be 0 to 1")
        self.settings = settings
        self.stored_j = charge * self.capacity_j

    @property
    def capacity_j(self) -> float:
        """Energy when full."""
        return self.settings.capacity_wh * WH_J

    @property
    def charge(self) -> float:
        """Stored over capacity, 0 to 1."""
        return self.stored_j / self.capacity_j

    @property
    def voltage_v(self) -> float:
        """Open voltage, linear in the charge."""
        s = self.settings
        return s.empty_v + (s.full_v - s.empty_v) * self.charge

    def share_at(self, temperature_k: float) -> float:
        """Share of the capacity that can be used at a temperature in K, 0 to 1."""
        s = self.settings
        if temperature_k < s.cold_k:
            return 0.0
        return float(np.interp(temperature_k, (s.cold_k, s.warm_k), (s.cold_share, 1.0)))

    def usable_j(self, temperature_k: float) -> float:
        """Energy that can be taken out of the cells at a temperature in K, joules."""
        return max(self.stored_j - self._floor_j(temperature_k), 0.0)

    def can_give_w(self, dt_s: float, temperature_k: float) -> float:
        """Largest power over a step of ``dt_s`` at a temperature in K."""
        s = self.settings
        limit = s.max_discharge_w * self.share_at(temperature_k)
        return min(limit, self.usable_j(temperature_k) * s.discharge_efficiency / dt_s)

    def can_take_w(self, dt_s: float, temperature_k: float) -> float:
        """Largest charging power over a step of ``dt_s`` at a temperature in K."""
        s = self.settings
        if temperature_k < s.charge_from_k:
            return 0.0
        room = max(self.capacity_j - self.stored_j, 0.0)
        limit = s.max_charge_w * self.share_at(temperature_k)
        return min(limit, room / (s.charge_efficiency * dt_s))

    def step(self, power_w: float, dt_s: float, temperature_k: float) -> BatteryFlow:
        """Charge (positive power) or discharge (negative) as far as the limits let it.

        Raises:
            ConfigError: power or temperature are no number, or the step is not above 0 s.
        """
        _require(power_w, dt_s, temperature_k)
        s = self.settings
        if power_w >= 0.0:
            charged = min(power_w, self.can_take_w(dt_s, temperature_k)) * dt_s
            stored = charged * s.charge_efficiency
            self.stored_j = min(self.stored_j + stored, self.capacity_j)
            return BatteryFlow(charged, 0.0, charged - stored)
        given = min(-power_w, self.can_give_w(dt_s, temperature_k)) * dt_s
        taken = given / s.discharge_efficiency
        self.stored_j = max(self.stored_j - taken, 0.0)
        return BatteryFlow(0.0, given, taken - given)

    def _floor_j(self, temperature_k: float) -> float:
        held = self.settings.reserve
        share = self.share_at(temperature_k)
        return self.capacity_j * (held + (1.0 - held) * (1.0 - share))


def _require(power_w: float, dt_s: float, temperature_k: float) -> None:
    if not math.isfinite(power_w):
        raise ConfigError(f"power of the battery = {power_w} W: a number is needed")
    if not (math.isfinite(dt_s) and dt_s > 0.0):
        raise ConfigError(f"time step of the battery = {dt_s} s: must be above 0 s")
    if not (math.isfinite(temperature_k) and temperature_k >= 0.0):
        raise ConfigError(f"temperature of the battery = {temperature_k} K: must be 0 K or more")
