"""A vehicle's dimensions, masses, sensors and limits, read from ``config/robots/<robot>.yaml``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import config_file, shown
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class BodyConfig:
    """The box that carries everything."""

    mass_kg: float = param(doc="mass without wheels and suspension", unit="kg", low=1.0, high=1e5)
    size_m: tuple[float, float, float] = param(doc="box x, y, z", unit="m", low=0.05, high=20.0)
    centre_m: tuple[float, float, float] = param(doc="box centre in base_link", unit="m")
    clearance_m: float = param(doc="ground clearance on flat ground", unit="m", low=0.0, high=3.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class WheelsConfig:
    """All wheels are alike; their centres are given in base_link."""

    radius_m: float = param(doc="wheel radius", unit="m", low=0.02, high=3.0)
    rolling_radius_m: float = param(
        doc="way of the body per radian of a wheel, calibrated", unit="m", low=0.02, high=3.0
    )
    width_m: float = param(doc="wheel width", unit="m", low=0.01, high=3.0)
    mass_kg: float = param(doc="mass of one wheel", unit="kg", low=0.01, high=1e3)
    friction: float = param(doc="tangent of the friction angle", low=0.01, high=2.0)
    slip_per_slope: float = param(
        doc="slip towards the valley per sine of the slope, calibrated", low=0.0, high=5.0
    )
    max_speed_rps: float = param(doc="largest wheel speed", unit="rad/s", low=0.0, high=100.0)
    max_torque_nm: float = param(doc="largest wheel torque", unit="N m", low=0.0, high=1e5)
    positions: dict[str, tuple[float, float]] = param(doc="wheel centres x, y", unit="m")
    steered: tuple[str, ...] = param(doc="names of the steered wheels")
    max_steer_deg: float = param(doc="largest steering angle", unit="deg", low=0.0, high=180.0)
    steer_rate_deg_s: float = param(doc="steering rate", unit="deg/s", low=0.1, high=720.0)

    def __post_init__(self) -> None:
        """Check ranges and that steered wheels exist."""
        config.check(self)
        for name in self.steered:
            if name not in self.positions:
                raise ConfigError(f"steered wheel {name!r} has no position")

    @property
    def names(self) -> tuple[str, ...]:
        """Wheel names in the order of the file."""
        return tuple(self.positions)

    @property
    def positions_xy_m(self) -> FloatArray:
        """(N, 2) wheel centres in base_link."""
        return np.array(list(self.positions.values()), dtype=np.float64)


@dataclass(frozen=True)
class SuspensionConfig:
    """Left half of the suspension; the right half is its mirror image."""

    kind: str = param(doc="suspension type", choices=("rocker_bogie", "independent", "rigid"))
    rocker_pivot_m: tuple[float, float, float] = param(doc="rocker pivot in base_link", unit="m")
    bogie_pivot_m: tuple[float, float, float] = param(doc="bogie pivot in base_link", unit="m")
    rocker_mass_kg: float = param(doc="mass of one rocker", unit="kg", low=0.0, high=1e4)
    bogie_mass_kg: float = param(doc="mass of one bogie", unit="kg", low=0.0, high=1e4)
    max_angle_deg: float = param(doc="stop of each pivot", unit="deg", low=0.0, high=90.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class FootprintConfig:
    """Rectangle around base_link that the vehicle covers."""

    length_m: float = param(doc="along x", unit="m", low=0.05, high=30.0)
    width_m: float = param(doc="along y", unit="m", low=0.05, high=30.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class SpeedLimits(Protocol):
    """Parameters of a tracker, a gate or another that limits speed."""

    @property
    def max_speed_mps(self) -> float:
        """Forward speed, m/s."""
        ...

    @property
    def max_yaw_rate_rps(self) -> float:
        """Yaw rate, rad/s."""
        ...


@dataclass(frozen=True)
class LimitsConfig:
    """What the vehicle may be asked to do."""

    max_speed_mps: float = param(doc="forward speed", unit="m/s", low=0.01, high=20.0)
    max_yaw_rate_rps: float = param(doc="yaw rate", unit="rad/s", low=0.01, high=5.0)
    max_accel_mps2: float = param(doc="forward acceleration", unit="m/s2", low=0.01, high=10.0)
    max_yaw_accel_rps2: float = param(doc="yaw acceleration", unit="rad/s2", low=0.01, high=10.0)
    max_decel_mps2: float = param(doc="braking", unit="m/s2", low=0.01, high=10.0)
    max_yaw_decel_rps2: float = param(doc="yaw braking", unit="rad/s2", low=0.01, high=10.0)
    max_slope_deg: float = param(doc="terrain slope", unit="deg", low=0.0, high=60.0)
    max_step_m: float = param(doc="step height", unit="m", low=0.0, high=3.0)
    max_roughness_m: float = param(doc="residual to the local plane", unit="m", low=0.0, high=3.0)
    max_roll_deg: float = param(doc="body roll", unit="deg", low=0.0, high=90.0)
    max_pitch_deg: float = param(doc="body pitch", unit="deg", low=0.0, high=90.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    def refuse_faster(self, group: str, asked: SpeedLimits) -> None:
        """Refuse parameters that allow more than the vehicle can.

        Args:
            group: of the parameters, for the message.
            asked: what they allow.

        Raises:
            ConfigError: with value, limit and unit.
        """
        for name, unit in (("max_speed_mps", "m/s"), ("max_yaw_rate_rps", "rad/s")):
            value, limit = getattr(asked, name), getattr(self, name)
            if value > limit:
                raise ConfigError(
                    f"{group}.{name} = {value} {unit}: above the vehicle's limit {limit} {unit}"
                )


@dataclass(frozen=True)
class MountConfig:
    """Where a sensor sits."""

    frame: str = param(doc="frame id without the robot's name")
    position_m: tuple[float, float, float] = param(doc="in base_link", unit="m")
    rpy_deg: tuple[float, float, float] = param(doc="roll, pitch, yaw in base_link", unit="deg")

    @property
    def rpy_rad(self) -> tuple[float, float, float]:
        """Roll, pitch, yaw in radians."""
        r, p, y = (math.radians(v) for v in self.rpy_deg)
        return r, p, y


@dataclass(frozen=True)
class LidarConfig(MountConfig):
    """A scanning lidar: ``channels`` rays in each of ``columns`` azimuth steps per turn."""

    channels: int = param(doc="rays per column", low=1, high=1024)
    columns: int = param(doc="columns per scan", low=1, high=8192)
    elevation_min_deg: float = param(doc="lowest channel", unit="deg", low=-90.0, high=90.0)
    elevation_max_deg: float = param(doc="highest channel", unit="deg", low=-90.0, high=90.0)
    azimuth_min_deg: float = param(doc="first column", unit="deg", low=-360.0, high=360.0)
    azimuth_max_deg: float = param(doc="end of the scan", unit="deg", low=-360.0, high=360.0)
    rate_hz: float = param(doc="scans per second", unit="Hz", low=0.1, high=100.0)
    range_min_m: float = param(doc="shortest range", unit="m", low=0.0, high=100.0)
    range_max_m: float = param(doc="longest range", unit="m", low=0.1, high=1000.0)
    range_sigma_m: float = param(doc="range noise, one sigma", unit="m", low=0.0, high=1.0)
    dropout: float = param(doc="share of rays lost", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        if self.range_min_m >= self.range_max_m:
            raise ConfigError(
                f"range_min_m = {self.range_min_m} m: must be below range_max_m = "
                f"{self.range_max_m} m"
            )
        if self.elevation_min_deg >= self.elevation_max_deg and self.channels > 1:
            raise ConfigError(
                f"elevation_min_deg = {self.elevation_min_deg} deg: must be below "
                f"elevation_max_deg = {self.elevation_max_deg} deg"
            )


@dataclass(frozen=True)
class RangeSensorConfig(MountConfig):
    """Another lidar, or a depth camera: where it sits and how its points err, one sigma."""

    range_sigma_m: float = param(0.012, doc="noise along a ray", unit="m", low=0.0, high=1.0)
    angle_sigma_deg: float = param(0.03, doc="noise across a ray", unit="deg", low=0.0, high=5.0)
    height_sigma_m: float = param(
        0.005, doc="noise of a height whatever the range", unit="m", low=1e-4, high=1.0
    )
    elevation_max_deg: float = param(
        90.0, doc="highest ray from its own xy plane", unit="deg", low=-90.0, high=90.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class ImuConfig(MountConfig):
    """An inertial measurement unit with white noise and a constant bias drawn per run."""

    rate_hz: float = param(doc="samples per second", unit="Hz", low=1.0, high=2000.0)
    gyro_noise_rps_sqrt_hz: float = param(doc="gyro noise density", unit="rad/s/sqrt(Hz)", low=0.0)
    gyro_bias_rps: float = param(doc="gyro bias, one sigma", unit="rad/s", low=0.0)
    accel_noise_mps2_sqrt_hz: float = param(
        doc="accelerometer noise density", unit="m/s2/sqrt(Hz)", low=0.0
    )
    accel_bias_mps2: float = param(doc="accelerometer bias, one sigma", unit="m/s2", low=0.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class StarTrackerConfig(MountConfig):
    """A star tracker that gives attitude only."""

    rate_hz: float = param(doc="answers per second", unit="Hz", low=0.01, high=100.0)
    sigma_deg: float = param(doc="attitude noise per axis, one sigma", unit="deg", low=0.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class JointStatesConfig:
    """Wheel and suspension encoders."""

    rate_hz: float = param(doc="samples per second", unit="Hz", low=1.0, high=2000.0)
    encoder_resolution_rad: float = param(doc="encoder step", unit="rad", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class RobotModel:
    """Everything that ``config/robots/<robot>.yaml`` says of a rover."""

    type: str = param(doc="vehicle class", choices=("rover",))
    description: str = param(doc="one line for people")
    body: BodyConfig = param(doc="body")
    wheels: WheelsConfig = param(doc="wheels")
    suspension: SuspensionConfig = param(doc="suspension")
    footprint: FootprintConfig = param(doc="footprint")
    limits: LimitsConfig = param(doc="limits")
    lidar: LidarConfig = param(doc="lidar")
    imu: ImuConfig = param(doc="imu")
    star_tracker: StarTrackerConfig = param(doc="star tracker")
    joint_states: JointStatesConfig = param(doc="joint states")
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
        """Mass of body, wheels and suspension."""
        arms = 2.0 * (self.suspension.rocker_mass_kg + self.suspension.bogie_mass_kg)
        return self.body.mass_kg + arms + self.wheels.mass_kg * len(self.wheels.positions)


def load_robot(name: str) -> RobotModel:
    """Read ``config/robots/<name>.yaml`` (or the YAML file at that path).

    Raises:
        ConfigError: with file, key, value, limit and unit.
    """
    path = config_file("robots", name)
    return config.from_mapping(RobotModel, config.load_yaml(path), shown(path))
