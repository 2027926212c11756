"""Parts of a vehicle that hops: legs, tank, thrusters, limits of its landing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.parts import TerrainLimitsConfig

Vector = tuple[float, float, float]

_UNIT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LegsConfig:
    """Legs with a foot each, on an upright slide with a spring and a damper.

    All feet rest on the ground where the springs carry the full tank on the Moon.
    """

    hips_m: dict[str, Vector] = param(doc="where each leg meets the body, base_link", unit="m")
    feet_m: dict[str, Vector] = param(doc="centre of each foot at rest, base_link", unit="m")
    foot_radius_m: float = param(doc="of a foot's ball", unit="m", low=0.01, high=1.0)
    mass_kg: float = param(doc="mass of one leg with its foot", unit="kg", low=0.01, high=1e3)
    thickness_m: float = param(doc="of a leg's rod", unit="m", low=0.005, high=1.0)
    friction: float = param(doc="foot on regolith", low=0.01, high=2.0)
    stiffness_npm: float = param(doc="spring of one leg", unit="N/m", low=1.0, high=1e7)
    damping_nspm: float = param(doc="damper of one leg", unit="N s/m", low=0.0, high=1e6)
    preload_n: float = param(doc="of a spring at rest on the Moon", unit="N", low=0.0, high=1e6)
    droop_m: float = param(doc="way down from rest", unit="m", low=0.0, high=1.0)
    bump_m: float = param(doc="way up from rest", unit="m", low=0.001, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges, that hips and feet belong together and that the feet are level."""
        config.check(self)
        if list(self.hips_m) != list(self.feet_m) or len(self.feet_m) < 3:
            raise ConfigError(
                f"hips_m {list(self.hips_m)} and feet_m {list(self.feet_m)}: at least 3 legs of "
                "the same names in the same order are needed"
            )
        for name, foot in self.feet_m.items():
            if abs(foot[2] - self.foot_radius_m) > 1e-6:
                raise ConfigError(
                    f"feet_m.{name} z = {foot[2]} m: must be foot_radius_m = "
                    f"{self.foot_radius_m} m, base_link being at ground level"
                )
            if not self.hips_m[name][2] > foot[2]:
                raise ConfigError(
                    f"hips_m.{name} z = {self.hips_m[name][2]} m: must be above its foot at "
                    f"{foot[2]} m"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Leg names in the order of the file."""
        return tuple(self.feet_m)


@dataclass(frozen=True)
class TankConfig:
    """Propellant at the start, as a ball of even density."""

    propellant_kg: float = param(doc="propellant when full", unit="kg", low=0.0, high=1e5)
    centre_m: Vector = param(doc="centre in base_link", unit="m")
    radius_m: float = param(doc="of the tank", unit="m", low=0.01, high=5.0)
    isp_s: float = param(doc="specific impulse", unit="s", low=10.0, high=1000.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class ThrusterConfig:
    """One thruster; the force on the vehicle is opposite to its jet."""

    group: str = param(doc="main engine or attitude control", choices=("main", "attitude"))
    position_m: Vector = param(doc="nozzle's exit in base_link", unit="m")
    force_direction: Vector = param(doc="unit vector of the force on the vehicle, base_link")
    max_thrust_n: float = param(doc="largest thrust", unit="N", low=0.01, high=1e6)

    def __post_init__(self) -> None:
        """Check ranges and that the direction has length one."""
        config.check(self)
        length = math.sqrt(sum(v * v for v in self.force_direction))
        if abs(length - 1.0) > _UNIT_TOLERANCE:
            raise ConfigError(
                f"force_direction = {list(self.force_direction)}: its length is {length:.6g}, "
                "it must be 1"
            )


@dataclass(frozen=True)
class HopperLimitsConfig(TerrainLimitsConfig):
    """What a landing may be like."""

    max_touchdown_down_mps: float = param(
        doc="downward speed at touchdown", unit="m/s", low=0.01, high=20.0
    )
    max_touchdown_side_mps: float = param(
        doc="sideways speed at touchdown", unit="m/s", low=0.01, high=20.0
    )
