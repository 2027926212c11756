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
    """Propellant at the start, as a ball of even density.

    Gas over a bladder presses the propellant out; as it leaves, the gas expands at an even
    temperature, and its pressure tells how much is left (blow-down gauging).
    """

    propellant_kg: float = param(doc="propellant when full", unit="kg", low=0.0, high=1e5)
    centre_m: Vector = param(doc="centre in base_link", unit="m")
    radius_m: float = param(doc="of the tank", unit="m", low=0.01, high=5.0)
    isp_s: float = param(doc="specific impulse", unit="s", low=10.0, high=1000.0)
    density_kgpm3: float = param(1004.0, doc="of the propellant", unit="kg/m3", low=100.0)
    pressure_pa: float = param(2.2e6, doc="of the gas when full", unit="Pa", low=1e4, high=1e8)
    pressure_sigma_pa: float = param(1500.0, doc="noise of the gauge", unit="Pa", low=0.0)
    gauge_rate_hz: float = param(5.0, doc="answers per second", unit="Hz", low=0.1, high=100.0)

    def __post_init__(self) -> None:
        """Check ranges and that the propellant leaves room for the gas."""
        config.check(self)
        if self.volume_m3 <= self.propellant_kg / self.density_kgpm3:
            raise ConfigError(
                f"radius_m = {self.radius_m} m: the tank holds {self.volume_m3 * 1e3:.1f} l, "
                f"{self.propellant_kg} kg of propellant fill it"
            )

    @property
    def volume_m3(self) -> float:
        """Of the whole tank."""
        return 4.0 / 3.0 * math.pi * self.radius_m**3

    def pressure_of(self, propellant_kg: float) -> float:
        """Pressure of the gas over so much propellant, Pa."""
        gas_full = self.volume_m3 - self.propellant_kg / self.density_kgpm3
        return self.pressure_pa * gas_full / (self.volume_m3 - propellant_kg / self.density_kgpm3)

    def propellant_of(self, pressure_pa: float) -> float:
        """How much propellant this pressure tells of, kg, within what the tank can hold.

        Raises:
            ConfigError: the pressure is not a positive number.
        """
        if not (math.isfinite(pressure_pa) and pressure_pa > 0.0):
            raise ConfigError(f"tank pressure {pressure_pa} Pa: must be a positive number")
        gas_full = self.volume_m3 - self.propellant_kg / self.density_kgpm3
        gas = gas_full * self.pressure_pa / pressure_pa
        return min(max((self.volume_m3 - gas) * self.density_kgpm3, 0.0), self.propellant_kg)


@dataclass(frozen=True)
class ThrusterGroupConfig:
    """How thrusters of one group answer."""

    min_share: float = param(
        0.0, doc="least thrust of a lit engine over its largest", low=0.0, high=1.0
    )
    pulse_s: float = param(
        0.0, doc="length of a pulse; 0 for engines that are throttled", unit="s", low=0.0, high=1.0
    )
    lag_s: float = param(0.02, doc="time constant of the thrust", unit="s", low=0.001, high=2.0)
    noise: float = param(0.0, doc="thrust noise, share, one sigma", low=0.0, high=0.5)
    gain_error: float = param(
        0.0, doc="thrust error drawn per run, share, one sigma", low=0.0, high=0.5
    )
    misalignment_deg: float = param(
        0.0, doc="tilt of the thrust drawn per run, one sigma", unit="deg", low=0.0, high=10.0
    )

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
