"""A site: a place on the Moon, its epoch, its terrain and the robots that stand there."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.dem_files import read_geotiff, require_complete
from ilrs_robots.core.memo import LastHeld, file_state
from ilrs_robots.core.paths import beside, config_file, shown
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.prior import orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface, SurfaceConfig
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel, load_robot
from ilrs_robots.robots.power import BaseConfig


@dataclass(frozen=True)
class TerrainConfig:
    """Where the ground comes from; detail finer than the DEM follows from the seed."""

    kind: str = param(doc="source of the ground", choices=("procedural", "geotiff", "demo"))
    seed: int = param(1, doc="seed of procedural ground and of added detail", low=0)
    size_m: float = param(1280.0, doc="side of a procedural DEM", unit="m", low=100.0, high=1e5)
    resolution_m: float = param(5.0, doc="cell of a procedural DEM", unit="m", low=0.5, high=100.0)
    geotiff: str = param("", doc="GeoTIFF in the site file's folder, or at an absolute path")

    def __post_init__(self) -> None:
        """Check ranges and that a GeoTIFF is named where one is needed."""
        config.check(self)
        if (self.kind == "geotiff") != bool(self.geotiff):
            raise ConfigError(
                f"terrain kind {self.kind!r} with geotiff = {self.geotiff!r}: "
                "a path goes with kind 'geotiff' and only with it"
            )


@dataclass(frozen=True)
class RobotPlacement:
    """A robot of the site and where it stands at the epoch."""

    name: str = param(doc="namespace of the robot, unique within the site")
    model: str = param(doc="name of a file in config/robots")
    x_m: float = param(0.0, doc="map x", unit="m")
    y_m: float = param(0.0, doc="map y", unit="m")
    yaw_deg: float = param(0.0, doc="heading, counter-clockwise from map x", unit="deg")
    lidar_columns: int = param(
        0, doc="columns of the lidar instead of the model's, to save time; 0: the model's", low=0,
        high=4096,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check that the name can be a ROS namespace."""
        config.check(self)
        if not self.name.isidentifier():
            raise ConfigError(f"robot name {self.name!r} cannot be a ROS namespace")

    @property
    def yaw_rad(self) -> float:
        """Heading in radians."""
        return math.radians(self.yaw_deg)

    def load_model(self) -> RobotModel:
        """The robot's dimensions and limits."""
        model = load_robot(self.model)
        if not self.lidar_columns:
            return model
        return replace(model, lidar=replace(model.lidar, columns=self.lidar_columns))


@dataclass(frozen=True)
class StructurePlacement:
    """A building of the base and where it stands; simulators with a 3D world show it."""

    kind: str = param(doc="name of a model in worlds/models")
    x_m: float = param(doc="map x", unit="m")
    y_m: float = param(doc="map y", unit="m")
    yaw_deg: float = param(0.0, doc="heading, counter-clockwise from map x", unit="deg")

    def __post_init__(self) -> None:
        """Check that the kind can be a file's name."""
        config.check(self)
        if not self.kind.isidentifier():
            raise ConfigError(f"structure {self.kind!r} cannot be the name of a model")


@dataclass(frozen=True)
class SiteConfig:
    """What ``config/sites/<site>.yaml`` says."""

    name: str = param(doc="name of the site")
    latitude_deg: float = param(doc="reference point", unit="deg", low=-90.0, high=90.0)
    longitude_deg: float = param(doc="reference point", unit="deg", low=-180.0, high=360.0)
    epoch_utc: str = param(doc="mission UTC at ROS time zero, ISO 8601 with Z")
    terrain: TerrainConfig = param(doc="terrain")
    robots: tuple[RobotPlacement, ...] = param(doc="robots of the site")
    goal_m: tuple[float, float] | None = param(None, doc="default goal in map", unit="m")
    structures: tuple[StructurePlacement, ...] = param((), doc="buildings of the base")
    default_robots: tuple[str, ...] = param((), doc="run when none is named; none here: all")
    network: str = param("earth_moon", doc="name of a file in config/networks")
    base: BaseConfig = param(BaseConfig(), doc="power and radios")

    def __post_init__(self) -> None:
        """Check ranges, the epoch and that robot names are unique."""
        config.check(self)
        _parse_utc(self.epoch_utc)
        if self.terrain.kind == "demo" and not self.robots:
            raise ConfigError("robots = []: terrain kind 'demo' needs at least 1 robot")
        names = [robot.name for robot in self.robots]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two robots of the name {name!r}")
        for name in self.default_robots:
            self.robot(name)

    @property
    def run_by_default(self) -> tuple[str, ...]:
        """Names of the robots that run when none is named."""
        return self.default_robots or tuple(robot.name for robot in self.robots)

    @property
    def epoch(self) -> dt.datetime:
        """Mission UTC at ROS time zero."""
        return _parse_utc(self.epoch_utc)

    def robot(self, name: str) -> RobotPlacement:
        """The placement of one robot.

        Raises:
            ConfigError: the site has no robot of that name.
        """
        for placement in self.robots:
            if placement.name == name:
                return placement
        known = ", ".join(r.name for r in self.robots)
        raise ConfigError(f"site {self.name!r} has no robot {name!r}; it has {known or 'none'}")


@dataclass(frozen=True)
class SiteTerrain:
    """The true ground, which only simulators and evaluators see, and the prior that robots get."""

    surface: Surface
    prior: Dem


def read_site(name: str) -> SiteConfig:
    """What a site file says, without building the site's terrain.

    Args:
        name: a name from ``config/sites`` or the path of a site file.

    Raises:
        ConfigError: the file is wrong; names file, key, value, limit and unit.
    """
    return _read(name)[0]


def load_placement(site_name: str, robot: str) -> RobotPlacement:
    """A robot's entry in a site file, without building the site's terrain.

    Raises:
        ConfigError: the file is wrong or has no such robot.
    """
    return _read(site_name)[0].robot(robot)


def initial_pose(placement: RobotPlacement, ground: Dem) -> FloatArray:
    """(4, 4) T_map_base of a robot that stands upright at its place on the given ground.

    Raises:
        TerrainError: the place lies outside the ground.
    """
    height_m = float(ground.height(np.array([[placement.x_m, placement.y_m]]))[0])
    if not math.isfinite(height_m):
        x_min, y_min, x_max, y_max = ground.bounds_m
        raise TerrainError(
            f"robot {placement.name!r} at ({placement.x_m}, {placement.y_m}) m stands outside "
            f"the terrain, which spans x {x_min} to {x_max} m and y {y_min} to {y_max} m"
        )
    position = np.array([placement.x_m, placement.y_m, height_m])
    return se3.from_rpy(position, (0.0, 0.0, placement.yaw_rad))


_PRIORS: LastHeld[Dem] = LastHeld()


def _read(name: str, seed: int | None = None) -> tuple[SiteConfig, Path]:
    path = config_file("sites", name)
    site = config.from_mapping(SiteConfig, config.load_yaml(path), shown(path))
    if seed is not None:
        site = replace(site, terrain=replace(site.terrain, seed=seed))
    return site, path


def _parse_utc(text: str) -> dt.datetime:
    try:
        parsed = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ConfigError(f"epoch_utc = {text!r}: not an ISO 8601 time") from error
    if parsed.utcoffset() != dt.timedelta(0):
        raise ConfigError(f"epoch_utc = {text!r}: must say that it is UTC (end in Z)")
    return parsed


def load_site(name: str, *, seed: int | None = None) -> tuple[SiteConfig, SiteTerrain]:
    """Read a site and build its terrain.

    Args:
        name: a name from ``config/sites`` or the path of a site file.
        seed: replaces the terrain's seed.

    Raises:
        ConfigError: the file is wrong; names file, key, value, limit and unit.
        TerrainError: the terrain cannot be read or built.
    """
    return _with_terrain(*_read(name, seed))


def load_prior(name: str, *, seed: int | None = None) -> tuple[SiteConfig, Dem]:
    """Read a site for a robot: what is known from orbit, never the true ground.

    The parts of a process share it.

    Args:
        name: a name from ``config/sites`` or the path of a site file.
        seed: replaces the terrain's seed.

    Raises:
        ConfigError: the file is wrong; names file, key, value, limit and unit.
        TerrainError: the terrain cannot be read or built.
    """
    site, path = _read(name, seed)
    if site.terrain.kind == "demo":  # its ground depends on its robots, and they on its ground
        site, terrain = _with_terrain(site, path)
        return site, terrain.prior
    key = *file_state(path, path.parent / site.terrain.geotiff), seed
    return site, _PRIORS.get(key, lambda: orbital_prior(_dem_of(site, path), site.terrain.seed))


def _with_terrain(site: SiteConfig, path: Path) -> tuple[SiteConfig, SiteTerrain]:
    terrain = site.terrain
    if terrain.kind == "demo":
        return _demo_site(site)
    dem = _dem_of(site, path)
    surface = Surface(dem, terrain.seed, SurfaceConfig())
    return site, SiteTerrain(surface, orbital_prior(dem, terrain.seed))


def _dem_of(site: SiteConfig, path: Path) -> Dem:
    terrain = site.terrain
    if terrain.kind == "geotiff":
        return _dem_file_of(site, path)
    return procedural_dem(terrain.seed, terrain.size_m, terrain.resolution_m)


def _dem_file_of(site: SiteConfig, path: Path) -> Dem:
    """The site's GeoTIFF, without a hole, with every robot on it."""
    named = site.terrain.geotiff
    where = f"{shown(path)}: terrain.geotiff = {named!r}"
    try:
        dem = read_geotiff(beside(path, named), centre_origin=True)
        require_complete(dem, Path(named).name)
        for placement in site.robots:
            initial_pose(placement, dem)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    except TerrainError as error:
        raise TerrainError(f"{where}: {error}") from error
    return dem


def _demo_site(site: SiteConfig) -> tuple[SiteConfig, SiteTerrain]:
    """Terrain, start and goal of the obstacle course; the first robot stands at its start."""
    # 0.3 s of imports (scipy) that no other site has a use for.
    from ilrs_robots.core.terrain.scenario import demo_scenario

    first = site.robots[0]
    model = first.load_model()
    scenario = demo_scenario(
        site.terrain.seed,
        clearance_m=model.body.clearance_m,
        max_slope_rad=math.radians(model.limits.max_slope_deg),
        width_m=model.footprint.width_m,
    )
    placed = replace(
        first,
        x_m=float(scenario.start_xy_m[0]),
        y_m=float(scenario.start_xy_m[1]),
        yaw_deg=math.degrees(scenario.start_yaw_rad),
    )
    goal = (float(scenario.goal_xy_m[0]), float(scenario.goal_xy_m[1]))
    site = replace(site, robots=(placed, *site.robots[1:]), goal_m=goal)
    prior = orbital_prior(scenario.surface.dem, site.terrain.seed)
    return site, SiteTerrain(scenario.surface, prior)
