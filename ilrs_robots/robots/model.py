"""A vehicle's dimensions, masses, sensors and limits, read from ``config/robots/<robot>.yaml``."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.environment.surface_network import CommsConfig
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.memo import file_state
from ilrs_robots.core.paths import config_file, shown
from ilrs_robots.core.planning.route_config import RouteConfig
from ilrs_robots.robots.hopper_parts import (
    HopperLimitsConfig,
    LegsConfig,
    TankConfig,
    ThrusterConfig,
    ThrusterGroupConfig,
)
from ilrs_robots.robots.parts import (
    BodyConfig,
    FootprintConfig,
    TerrainLimitsConfig,
    VisualConfig,
)
from ilrs_robots.robots.power import PowerConfig
from ilrs_robots.robots.rover_parts import (
    CrewConfig,
    LimitsConfig,
    SuspensionConfig,
    WheelsConfig,
)
from ilrs_robots.robots.sensor_parts import (
    AltimeterConfig,
    ImuConfig,
    JointStatesConfig,
    LidarConfig,
    MountConfig,
    RangeSensorConfig,
    RangingConfig,
    StarTrackerConfig,
    SunSensorConfig,
)


@dataclass(frozen=True, kw_only=True)
class RobotModel:
    """What the file says of any vehicle; ``load_robot`` gives one of the classes below."""

    type: str = param(doc="vehicle class", choices=("rover", "hopper"))
    description: str = param(doc="one line for people")
    body: BodyConfig = param(doc="body")
    footprint: FootprintConfig = param(doc="footprint")
    limits: TerrainLimitsConfig = param(doc="limits")
    lidar: LidarConfig = param(doc="lidar")
    imu: ImuConfig = param(doc="imu")
    star_tracker: StarTrackerConfig = param(doc="star tracker")
    joint_states: JointStatesConfig = param(doc="joint states")
    power: PowerConfig = param(doc="sources, battery and loads")
    comms: CommsConfig = param(doc="radios")
    visual: VisualConfig = param(doc="looks")
    sun_sensor: SunSensorConfig | None = param(None, doc="sun sensor")
    ranging: RangingConfig | None = param(None, doc="distances to the masts of the base")
    range_sensors: dict[str, RangeSensorConfig] = param({}, doc="lidars and depth cameras besides")

    def __post_init__(self) -> None:
        """Check the vehicle class."""
        config.check(self)

    @property
    def sensors(self) -> tuple[MountConfig, ...]:
        """Every mounted sensor."""
        return self.lidar, self.imu, self.star_tracker, *self.range_sensors.values()

    @property
    def total_mass_kg(self) -> float:
        """Mass of everything, with crew and full tank."""
        return self.body.mass_kg


@dataclass(frozen=True, kw_only=True)
class RoverModel(RobotModel):
    """A vehicle with wheels."""

    wheels: WheelsConfig = param(doc="wheels")
    suspension: SuspensionConfig = param(doc="suspension")
    limits: LimitsConfig = param(doc="limits")
    crew: CrewConfig | None = param(None, doc="people on board")
    route: RouteConfig = param(RouteConfig(), doc="how routes over hours are planned")

    def __post_init__(self) -> None:
        """Check the vehicle class and that the suits' colours are known."""
        super().__post_init__()
        for name in () if self.crew is None else (self.crew.colour, self.crew.visor):
            if name not in self.visual.colours:
                raise ConfigError(f"crew: colour {name!r} is not one of visual.colours")

    @property
    def total_mass_kg(self) -> float:
        """Mass of body, wheels, suspension and crew."""
        count = len(self.wheels.positions)
        crew = 0.0 if self.crew is None else self.crew.mass_kg
        rest = self.suspension.mass_kg(count) + self.wheels.mass_kg * count
        return self.body.mass_kg + rest + crew


@dataclass(frozen=True, kw_only=True)
class HopperModel(RobotModel):
    """A vehicle that stands on legs and flies on thrusters."""

    legs: LegsConfig = param(doc="legs")
    tank: TankConfig = param(doc="propellant")
    thrusters: dict[str, ThrusterConfig] = param(doc="thrusters by name")
    thruster_groups: dict[str, ThrusterGroupConfig] = param(doc="how each group answers")
    limits: HopperLimitsConfig = param(doc="limits")
    altimeter: AltimeterConfig = param(doc="altimeter")

    def __post_init__(self) -> None:
        """Check the vehicle class and that every group of thrusters is described."""
        super().__post_init__()
        for name, thruster in self.thrusters.items():
            if thruster.group not in self.thruster_groups:
                raise ConfigError(f"thrusters.{name}: no thruster_groups.{thruster.group}")

    @property
    def sensors(self) -> tuple[MountConfig, ...]:
        """Every mounted sensor."""
        return *super().sensors, self.altimeter

    @property
    def total_mass_kg(self) -> float:
        """Mass of body, legs and the full tank."""
        legs = self.legs.mass_kg * len(self.legs.names)
        return self.body.mass_kg + legs + self.tank.propellant_kg


_Model = TypeVar("_Model", bound=RobotModel)

MODELS: Final[dict[str, type[RobotModel]]] = {"rover": RoverModel, "hopper": HopperModel}
"""What ``type:`` in a robot's file stands for."""


def require_rover(model: RobotModel, what: str) -> RoverModel:
    """The model as one with wheels.

    Args:
        model: any vehicle.
        what: needs wheels, for the message.

    Raises:
        ConfigError: it has none.
    """
    return _require(model, RoverModel, "rover", what)


def require_hopper(model: RobotModel, what: str) -> HopperModel:
    """The model as one that hops.

    Args:
        model: any vehicle.
        what: needs thrusters, for the message.

    Raises:
        ConfigError: it has none.
    """
    return _require(model, HopperModel, "hopper", what)


def _require(model: RobotModel, wanted: type[_Model], kind: str, what: str) -> _Model:
    if not isinstance(model, wanted):
        raise ConfigError(
            f"{what} needs a vehicle of type {kind}, this one ({model.description}) is of type "
            f"{model.type}"
        )
    return model


def load_robot(name: str) -> RobotModel:
    """Read ``config/robots/<name>.yaml`` (or the YAML file at that path).

    Raises:
        ConfigError: with file, key, value, limit and unit.
    """
    path = config_file("robots", name)
    return _model_of(path, file_state(path))


@lru_cache(maxsize=8)
def _model_of(path: Path, _state: tuple[Hashable, ...]) -> RobotModel:
    """A process asks for each vehicle of its site several times; what a file says stays."""
    mapping, where = config.load_yaml(path), shown(path)
    if "type" not in mapping:
        raise ConfigError(f"{where}: key 'type' is missing")
    kind = mapping["type"]
    if not isinstance(kind, str) or kind not in MODELS:
        raise ConfigError(f"{where}: type = {kind!r}: must be one of {', '.join(MODELS)}")
    return config.from_mapping(MODELS[kind], mapping, where)
