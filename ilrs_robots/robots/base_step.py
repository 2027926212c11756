"""The base of a site as time passes: its sources, its chargers and who is charged; ROS-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core.energy.charging import PluggedVehicle, grants_w
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.power import SolarTowerConfig
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.site_light import SiteLight

SILENT_S: Final = 10.0
"""A vehicle that was not heard for so long gets no power: nobody knows what it does."""
FULL: Final = 0.999
URGENT: Final = 0.05
"""Charge above its reserve below which a vehicle comes before the others."""


@dataclass(frozen=True)
class VehicleWord:
    """What a vehicle said last.

    Attributes:
        heard_s: mission time of it.
        xy_m: where it is, map; None for unknown.
        charge: of its battery, 0 to 1, NaN for unknown.
    """

    heard_s: float = -math.inf
    xy_m: tuple[float, float] | None = None
    charge: float = math.nan


@dataclass(frozen=True)
class BaseState:
    """The base at one time; powers in watts.

    Attributes:
        time_s: mission time.
        failed: whether its power has failed.
        fission_w: that the station gives.
        towers_w: that each solar tower gives, by name.
        base_load_w: that the base itself needs.
        granted_w: to each vehicle at a charger, by name.
        chargers: vehicle at each charger by its name, empty for nobody.
        waiting: vehicles within reach of a charger that another one has, in the order in which
            they came.
    """

    time_s: float
    failed: bool
    fission_w: float
    towers_w: Mapping[str, float]
    base_load_w: float
    granted_w: Mapping[str, float]
    chargers: Mapping[str, str]
    waiting: tuple[str, ...]

    @property
    def sources_w(self) -> float:
        """Of all sources together."""
        return self.fission_w + math.fsum(self.towers_w.values())


@dataclass
class BaseStep:
    """Gives each charger to who came first, and power as ``core.energy.charging`` shares it.

    Its power fails and comes back as a whole (``failed``): then nobody is charged. Radios and
    beacons of its masts have batteries of their own and go on.

    Attributes:
        site: with the base.
        prior: ground as known from orbit.
        models: vehicles that may come, by name.
        failed: whether its power has failed.
    """

    site: SiteConfig
    prior: Dem
    models: Mapping[str, RobotModel]
    failed: bool = False
    _came: dict[str, int] = field(default_factory=dict, init=False)
    _held: dict[str, str] = field(default_factory=dict, init=False)
    _count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Look up where the site lies.

        Raises:
            EphemerisError: its epoch is outside 2020 to 2060.
        """
        self._light = SiteLight(self.site, self.prior)

    def step(self, time_s: float, words: Mapping[str, VehicleWord]) -> BaseState:
        """Go on to a time.

        Args:
            time_s: mission time.
            words: newest of each vehicle.

        Raises:
            EphemerisError: the time is outside 2020 to 2060.
        """
        base = self.site.base
        self._assign(time_s, words)
        load_w = fission_w = 0.0
        towers = {tower.name: 0.0 for tower in base.towers}
        if base.fission is not None and not self.failed:
            load_w, fission_w = base.fission.base_load_w, base.fission.rated_w
        if not self.failed:
            towers = {tower.name: self._tower_w(tower, time_s) for tower in base.towers}
        efficiency = 1.0 if base.fission is None else base.fission.line_efficiency
        limits = {charger.name: charger.max_w for charger in base.chargers}
        plugged = [
            self._plugged(vehicle, words[vehicle], limits[charger])
            for charger, vehicle in self._held.items()
        ]
        sources_w = fission_w + math.fsum(towers.values())
        granted = grants_w(sources_w, load_w, efficiency, plugged)
        waiting = tuple(v for v in self._came if v not in self._held.values())
        chargers = {charger.name: self._held.get(charger.name, "") for charger in base.chargers}
        return BaseState(
            time_s, self.failed, fission_w, towers, load_w, granted, chargers, waiting
        )

    def _assign(self, time_s: float, words: Mapping[str, VehicleWord]) -> None:
        """Who is at which charger: first come, and nobody is sent away."""
        reach = {name: self._in_reach(time_s, name, word) for name, word in words.items()}
        self._held = {c: v for c, v in self._held.items() if c in reach.get(v, ())}
        for name in [v for v in self._came if not reach.get(v)]:
            del self._came[name]
        for name in sorted(v for v, near in reach.items() if near and v not in self._came):
            self._count += 1
            self._came[name] = self._count
        for name in self._came:
            if name in self._held.values():
                continue
            free = [charger for charger in reach[name] if charger not in self._held]
            if free:
                self._held[free[0]] = name

    def _in_reach(self, time_s: float, vehicle: str, word: VehicleWord) -> tuple[str, ...]:
        """Chargers that a vehicle reaches, the nearest first."""
        model = self.models.get(vehicle)
        silent = time_s - word.heard_s > SILENT_S
        if model is None or model.power.charger_w <= 0.0 or silent or word.xy_m is None:
            return ()
        at = word.xy_m
        near = [(math.dist(at, (c.x_m, c.y_m)), c) for c in self.site.base.chargers]
        return tuple(c.name for away, c in sorted(near, key=lambda n: (n[0], n[1].name))
                     if away <= c.reach_m)  # fmt: skip

    def _plugged(self, vehicle: str, word: VehicleWord, limit_w: float) -> PluggedVehicle:
        power = self.models[vehicle].power
        full = word.charge >= FULL
        demand_w = math.fsum(power.loads_w.values()) if full else power.charger_w
        urgent = word.charge <= power.battery.reserve + URGENT
        return PluggedVehicle(vehicle, min(demand_w, power.charger_w), limit_w, urgent)

    def _tower_w(self, tower: SolarTowerConfig, time_s: float) -> float:
        """Power of a tower whose x looks along map x."""
        light = self._light.at(time_s, np.array([tower.x_m, tower.y_m, 0.0]), tower.array.mast_m)
        cosine = tower.array.light_on(light.toward)
        return float(tower.array.power_w(light.irradiance_wpm2, light.share, cosine))
