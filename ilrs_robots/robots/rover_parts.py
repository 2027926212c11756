"""Parts of a vehicle with wheels: wheels, suspension, crew, limits of its driving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.planning.walk_back import SuitConfig
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.parts import TerrainLimitsConfig


@dataclass(frozen=True)
class WheelsConfig:
    """All wheels are alike; their centres are given in base_link."""

    radius_m: float = param(doc="wheel radius", unit="m", low=0.02, high=3.0)
    rolling_radius_m: float = param(
        doc="way of the body per radian of a wheel, calibrated", unit="m", low=0.02, high=3.0
    )
    width_m: float = param(doc="wheel width", unit="m", low=0.01, high=3.0)
    mass_kg: float = param(doc="mass of one wheel", unit="kg", low=0.01, high=1e3)
    knuckle_mass_kg: float = param(
        doc="share of mass_kg that steers but does not roll", unit="kg", low=0.01, high=1e3
    )
    kingpin_z_m: float = param(
        doc="upper end of the steering post above each wheel, base_link",
        unit="m",
        low=0.05,
        high=5.0,
    )
    fork_thickness_m: float = param(
        doc="of the fork that holds the axle", unit="m", low=0.001, high=1.0
    )
    friction: float = param(doc="tangent of the friction angle", low=0.01, high=2.0)
    slip_per_slope: float = param(
        doc="slip towards the valley per sine of the slope, calibrated", low=0.0, high=5.0
    )
    max_speed_rps: float = param(doc="largest wheel speed", unit="rad/s", low=0.0, high=100.0)
    max_torque_nm: float = param(doc="largest wheel torque", unit="N m", low=0.0, high=1e5)
    grousers: int = param(doc="cleats to see on a wheel", low=0, high=90)
    positions: dict[str, tuple[float, float]] = param(doc="wheel centres x, y", unit="m")
    steered: tuple[str, ...] = param(doc="names of the steered wheels")
    max_steer_deg: float = param(doc="largest steering angle", unit="deg", low=0.0, high=180.0)
    steer_rate_deg_s: float = param(doc="steering rate", unit="deg/s", low=0.1, high=720.0)

    def __post_init__(self) -> None:
        """Check ranges, that steered wheels exist and that a wheel is more than its knuckle."""
        config.check(self)
        if self.knuckle_mass_kg >= self.mass_kg:
            raise ConfigError(
                f"knuckle_mass_kg = {self.knuckle_mass_kg} kg: must be below mass_kg = "
                f"{self.mass_kg} kg"
            )
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
class RockerBogieConfig:
    """Left half of a rocker-bogie; the right half is its mirror image.

    A differential keeps the body at the mean of both rockers. Physics that cannot hold two joints
    equal and opposite (Gazebo) puts the two springs in its place: they hold the body's pitch as it
    does, and let the rockers turn against each other for a little torque.
    """

    rocker_pivot_m: tuple[float, float, float] = param(doc="rocker pivot in base_link", unit="m")
    bogie_pivot_m: tuple[float, float, float] = param(doc="bogie pivot in base_link", unit="m")
    rocker_mass_kg: float = param(doc="mass of one rocker", unit="kg", low=0.0, high=1e4)
    bogie_mass_kg: float = param(doc="mass of one bogie", unit="kg", low=0.0, high=1e4)
    arm_thickness_m: float = param(doc="of the arms' rods", unit="m", low=0.001, high=1.0)
    pivot_damping_nms_per_rad: float = param(
        doc="in each pivot", unit="N m s/rad", low=0.0, high=1e6
    )
    max_angle_deg: float = param(doc="stop of each pivot", unit="deg", low=0.0, high=90.0)
    spring_nm_per_rad: float = param(
        doc="of each rocker in place of the differential", unit="N m/rad", low=0.0, high=1e6
    )
    damping_nms_per_rad: float = param(
        doc="of each rocker in place of the differential", unit="N m s/rad", low=0.0, high=1e6
    )
    rest_moment_nm: float = param(
        doc="on each rocker that carries the body level on the Moon", unit="N m"
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class SpringsConfig:
    """Independent suspension: each wheel on an upright slide with a spring and a damper."""

    strut_mass_kg: float = param(doc="mass of one strut", unit="kg", low=0.01, high=1e4)
    strut_size_m: tuple[float, float, float] = param(
        doc="box of a strut, around the kingpin's end", unit="m", low=0.01, high=3.0
    )
    arm_root_y_m: float = param(doc="where the left arms meet the chassis", unit="m")
    stiffness_npm: float = param(doc="spring", unit="N/m", low=1.0, high=1e7)
    damping_nspm: float = param(doc="damper", unit="N s/m", low=0.0, high=1e6)
    preload_n: float = param(doc="of a spring at rest on the Moon", unit="N", low=0.0, high=1e6)
    droop_m: float = param(doc="way down from rest", unit="m", low=0.0, high=1.0)
    bump_m: float = param(doc="way up from rest", unit="m", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class SuspensionConfig:
    """How the wheels hang on the body."""

    kind: str = param(doc="suspension type", choices=("rocker_bogie", "independent", "rigid"))
    rocker_bogie: RockerBogieConfig | None = param(None, doc="arms and pivots")
    independent: SpringsConfig | None = param(None, doc="springs and dampers")

    def __post_init__(self) -> None:
        """Check that the group of its kind, and no other, is there."""
        config.check(self)
        for kind in ("rocker_bogie", "independent"):
            if (getattr(self, kind) is not None) != (self.kind == kind):
                raise ConfigError(
                    f"kind {self.kind!r}: group {kind!r} goes with kind {kind!r} and only with it"
                )

    def mass_kg(self, wheels: int) -> float:
        """Mass of everything between the body and this number of wheels, kg."""
        if self.rocker_bogie is not None:
            return 2.0 * (self.rocker_bogie.rocker_mass_kg + self.rocker_bogie.bogie_mass_kg)
        if self.independent is not None:
            return wheels * self.independent.strut_mass_kg
        return 0.0


@dataclass(frozen=True)
class CrewConfig:
    """Suited people on their seats, as boxes of even density."""

    suited_mass_kg: float = param(doc="one person in a suit", unit="kg", low=1.0, high=1e3)
    size_m: tuple[float, float, float] = param(
        doc="seated in the suit", unit="m", low=0.1, high=3.0
    )
    colour: str = param(doc="of the suits")
    visor: str = param(doc="colour of the visors")
    seats_m: dict[str, tuple[float, float, float]] = param(doc="centre of each person", unit="m")
    suit: SuitConfig = param(SuitConfig(), doc="what a suit gives, and how people walk in it")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @property
    def mass_kg(self) -> float:
        """Mass of all."""
        return self.suited_mass_kg * len(self.seats_m)


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
class LimitsConfig(TerrainLimitsConfig):
    """What a rover may be asked to do."""

    max_speed_mps: float = param(doc="forward speed", unit="m/s", low=0.01, high=20.0)
    max_yaw_rate_rps: float = param(doc="yaw rate", unit="rad/s", low=0.01, high=5.0)
    max_accel_mps2: float = param(doc="forward acceleration", unit="m/s2", low=0.01, high=10.0)
    max_yaw_accel_rps2: float = param(doc="yaw acceleration", unit="rad/s2", low=0.01, high=10.0)
    max_decel_mps2: float = param(doc="braking", unit="m/s2", low=0.01, high=10.0)
    max_yaw_decel_rps2: float = param(doc="yaw braking", unit="rad/s2", low=0.01, high=10.0)
    max_lateral_mps2: float = param(
        0.3, doc="speed by yaw rate in a curve", unit="m/s2", low=0.01, high=10.0
    )

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
