"""Parameters of scan odometry."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.localization.plane_registration import PlaneRegistrationConfig


@dataclass(frozen=True)
class ScanOdometryConfig:
    """How scans are thinned, matched and kept."""

    near_m: float = param(0.8, doc="nearer points are not used", unit="m", low=0.0, high=100.0)
    far_m: float = param(60.0, doc="farther points are not used", unit="m", low=1.0, high=1e3)
    fine_m: float = param(
        0.15, doc="voxel to which a scan is thinned for the map", unit="m", low=0.01, high=10.0
    )
    coarse_m: float = param(
        0.5, doc="voxel to which it is thinned for matching", unit="m", low=0.02, high=20.0
    )
    most_points: int = param(
        4000, doc="points that are matched; of more, every second, third ...", low=50, high=100_000
    )
    voxel_m: float = param(1.0, doc="edge of a plane of the map", unit="m", low=0.1, high=20.0)
    radius_m: float = param(
        80.0, doc="planes farther from the vehicle are dropped", unit="m", low=2.0, high=1e4
    )
    key_distance_m: float = param(
        1.0, doc="way after which a scan is added to the map", unit="m", low=0.01, high=100.0
    )
    key_turn_rad: float = param(
        0.15, doc="turn after which a scan is added to the map", unit="rad", low=0.01, high=3.0
    )
    key_matched: float = param(
        0.6, doc="share of matched points below which a scan is added to the map",
        low=0.0, high=1.0,
    )  # fmt: skip
    lost_after: int = param(
        5, doc="scans without a match after which the map is begun anew", low=1, high=1000
    )
    registration: PlaneRegistrationConfig = param(
        PlaneRegistrationConfig(), doc="matching of a scan to the map"
    )

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: the thinning for matching is finer than that for the map.
        """
        config.check(self)
        if self.coarse_m < self.fine_m:
            raise ConfigError(
                f"coarse_m = {self.coarse_m} m: must be at least fine_m = {self.fine_m} m"
            )
