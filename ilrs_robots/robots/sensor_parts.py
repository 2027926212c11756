"""Sensors of a vehicle: where they sit and how well they measure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError


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
    gyro_range_rps: float = param(
        6.0, doc="largest rate it can tell", unit="rad/s", low=0.1, high=100.0
    )
    accel_range_mps2: float = param(
        100.0, doc="largest specific force it can tell", unit="m/s2", low=1.0, high=1e4
    )
    averages: bool = param(
        True, doc="its values are means since its last sample, as those of units that integrate"
    )

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
class SunSensorConfig:
    """A sun sensor that gives a direction in the axes of base_link, while the Sun shines on it."""

    rate_hz: float = param(doc="answers per second", unit="Hz", low=0.01, high=100.0)
    sigma_deg: float = param(doc="noise of each angle, one sigma", unit="deg", low=1e-4, high=10.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class RangingConfig:
    """A radio that measures its distance to the masts of the base by the time of flight."""

    rate_hz: float = param(doc="answers of each mast per second", unit="Hz", low=0.01, high=100.0)
    sigma_m: float = param(doc="noise, one sigma", unit="m", low=1e-3, high=100.0)
    reach_m: float = param(doc="longest distance", unit="m", low=1.0, high=1e5)

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
class AltimeterConfig(MountConfig):
    """A beam along its own x axis that measures the distance to the ground."""

    rate_hz: float = param(doc="answers per second", unit="Hz", low=0.1, high=1000.0)
    range_min_m: float = param(doc="shortest range", unit="m", low=0.0, high=100.0)
    range_max_m: float = param(doc="longest range", unit="m", low=1.0, high=1e5)
    range_sigma_m: float = param(doc="range noise, one sigma", unit="m", low=0.0, high=10.0)

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        if self.range_min_m >= self.range_max_m:
            raise ConfigError(
                f"range_min_m = {self.range_min_m} m: must be below range_max_m = "
                f"{self.range_max_m} m"
            )
