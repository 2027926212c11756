"""Parameters of hop planning: engines, sensing, margins over the ground, reserves."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class SensingConfig:
    """What every landing does before it comes down: it looks at the place.

    The vehicle passes a gate and flies straight at the place, upright and without acceleration,
    because a level lidar and a steady path give the best map. Then it decides and descends.
    """

    range_m: float = param(45.0, doc="from gate to place", unit="m", low=2.0, high=2000.0)
    elevation_rad: float = param(
        0.75, doc="of the gate seen from the place", unit="rad", low=0.1, high=1.5
    )
    approach_mps: float = param(
        5.0, doc="speed towards the place while looking", unit="m/s", low=0.1, high=100.0
    )
    duration_s: float = param(5.0, doc="of looking", unit="s", low=0.0, high=600.0)

    def __post_init__(self) -> None:
        """Check ranges and that looking ends before the ground.

        Raises:
            ConfigError: with value, limit and unit.
        """
        config.check(self)
        if self.approach_mps * self.duration_s > 0.9 * self.range_m:
            raise ConfigError(
                f"sensing: {self.approach_mps} m/s for {self.duration_s} s: must end within "
                f"0.9 of range_m = {self.range_m} m"
            )


@dataclass(frozen=True)
class HopPlanConfig:
    """How hops are shaped and what is kept from the ground and in the tank."""

    sensing: SensingConfig = SensingConfig()
    thrust_share: float = param(0.9, doc="of the largest thrust that plans use", low=0.1, high=1.0)
    rise_s: float = param(1.0, doc="straight up before turning", unit="s", low=0.0, high=60.0)
    touchdown_mps: float = param(0.8, doc="downwards at contact", unit="m/s", low=0.0, high=5.0)
    final_m: float = param(
        1.5, doc="height from which that speed is held", unit="m", low=0.0, high=50.0
    )
    hover_m: float = param(
        12.0, doc="height of a hover-hop above its ends", unit="m", low=1.0, high=500.0
    )
    curved_from_m: float = param(
        5000.0, doc="length from which the Moon is round", unit="m", low=1.0, high=1e6
    )
    body_m: float = param(1.5, doc="radius of the vehicle", unit="m", low=0.1, high=50.0)
    margin_m: float = param(5.0, doc="kept over the ground", unit="m", low=0.0, high=1000.0)
    sigma_m: float = param(1.0, doc="of the place at launch", unit="m", low=0.0, high=1000.0)
    sigma_mps: float = param(
        0.1, doc="of the speed after launch: the error of the place grows by it", unit="m/s",
        low=0.0, high=100.0,
    )  # fmt: skip
    ground_sigma_m: float = param(1.0, doc="of the DEM", unit="m", low=0.0, high=100.0)
    sigmas: float = param(3.0, doc="standard deviations kept", low=0.0, high=10.0)
    taper: float = param(
        0.25, doc="margin at most this share of the way to the nearer end", low=0.0, high=1.0
    )
    reserve_share: float = param(
        0.1, doc="of a full tank's propellant kept at the end", low=0.0, high=0.9
    )
    dispersion_share: float = param(
        0.05, doc="propellant planned above the nominal, for errors and diverts", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
