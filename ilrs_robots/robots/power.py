"""Power and radios of a vehicle and of a base, as their files say them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.energy.battery import BatteryConfig
from ilrs_robots.core.energy.drive import DriveConfig, DriveModel
from ilrs_robots.core.energy.soil import MOON_SOIL, SoilConfig, WheelShape
from ilrs_robots.core.energy.sources import (
    FissionStationConfig,
    RadioisotopeConfig,
    SolarArrayConfig,
)
from ilrs_robots.core.environment.surface_network import CommsConfig, LinkNode
from ilrs_robots.core.environment.thermal import ElectronicsBoxConfig
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.rover_parts import WheelsConfig


@dataclass(frozen=True)
class PowerConfig:
    """Sources, store and loads of one vehicle."""

    battery: BatteryConfig = param(doc="battery")
    loads_w: dict[str, float] = param(
        doc="constant loads, the most vital first", unit="W", low=0.0, high=1e5
    )
    box: ElectronicsBoxConfig = param(doc="electronics and battery, kept warm")
    solar: tuple[SolarArrayConfig, ...] = param((), doc="solar arrays")
    radioisotope: RadioisotopeConfig | None = param(None, doc="radioisotope unit")
    radioisotope_age_years: float = param(1.0, doc="at the epoch", unit="yr", low=0.0, high=200.0)
    drive: DriveConfig = param(DriveConfig(), doc="between battery and wheel")
    charger_w: float = param(0.0, doc="most that it takes from a charger", unit="W", low=0.0,
                             high=1e6)  # fmt: skip
    charge: float = param(0.9, doc="of the battery at the epoch, 0 to 1", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges and that no load has a name that the vehicle's own loads have."""
        config.check(self)
        for name in ("heater", "drive"):
            if name in self.loads_w:
                raise ConfigError(f"loads_w.{name}: this load is computed, leave it out")


@dataclass(frozen=True)
class ChargerConfig:
    """Where vehicles are charged."""

    name: str = param(doc="unique within the site")
    x_m: float = param(doc="map x", unit="m")
    y_m: float = param(doc="map y", unit="m")
    max_w: float = param(doc="largest power", unit="W", low=0.0, high=1e6)
    reach_m: float = param(5.0, doc="how near a vehicle must stand", unit="m", low=0.1, high=100.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class RadioSiteConfig:
    """A mast, a habitat, a lander: something with radios that stands still."""

    name: str = param(doc="unique within the site")
    x_m: float = param(doc="map x", unit="m")
    y_m: float = param(doc="map y", unit="m")
    comms: CommsConfig = param(doc="its radios")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @property
    def node(self) -> LinkNode:
        """As an end of links."""
        return LinkNode(self.name, self.x_m, self.y_m, self.comms)


@dataclass(frozen=True)
class SolarTowerConfig:
    """A mast with solar cells that feeds the base."""

    name: str = param(doc="unique within the site")
    x_m: float = param(doc="map x", unit="m")
    y_m: float = param(doc="map y", unit="m")
    array: SolarArrayConfig = param(doc="its cells; mast_m is their height above ground")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class BaseConfig:
    """Power and radios of a site that vehicles use."""

    fission: FissionStationConfig | None = param(None, doc="fission station")
    chargers: tuple[ChargerConfig, ...] = param((), doc="fed by the fission station")
    towers: tuple[SolarTowerConfig, ...] = param((), doc="solar towers, beside the station")
    radios: tuple[RadioSiteConfig, ...] = param((), doc="ends and relays of the ground's links")

    def __post_init__(self) -> None:
        """Check ranges, that names are unique and that chargers have a station."""
        config.check(self)
        if self.chargers and self.fission is None:
            raise ConfigError(f"charger {self.chargers[0].name!r}: there is no fission station")
        names = [c.name for c in self.chargers] + [r.name for r in self.radios]
        names += [t.name for t in self.towers]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two chargers, radios or towers of the name {name!r}")

    def charger_at(self, x_m: float, y_m: float) -> ChargerConfig | None:
        """The charger that a vehicle at a place in map reaches, or None."""
        for charger in self.chargers:
            if math.hypot(charger.x_m - x_m, charger.y_m - y_m) <= charger.reach_m:
                return charger
        return None

    def granted_w(self, charger: ChargerConfig, demand_w: float) -> float:
        """Power for one vehicle that counts on every other charger being in full use."""
        if self.fission is None:
            return 0.0
        asked = [min(demand_w, c.max_w) if c is charger else c.max_w for c in self.chargers]
        return float(self.fission.granted_w(asked)[self.chargers.index(charger)])


def drive_model_of(
    wheels: WheelsConfig, mass_kg: float, settings: DriveConfig, soil: SoilConfig = MOON_SOIL
) -> DriveModel:
    """What driving costs a rover: the model that the simulator's wheels follow too."""
    shape = WheelShape(wheels.radius_m, wheels.width_m)
    return DriveModel(shape, len(wheels.positions), mass_kg, settings, soil, wheels.max_torque_nm)
