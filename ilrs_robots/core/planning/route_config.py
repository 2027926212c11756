"""Parameters of routes over kilometres and hours: what a plan keeps clear of and values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.energy.battery import Battery, BatteryConfig
from ilrs_robots.core.energy.drive import DriveModel
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class RouteConfig:
    """How a vehicle's routes are planned.

    Slopes known from orbit are wrong by 1.5 to 2.5 degrees (Barker et al. 2021, Planet. Space
    Sci. 203, 105119), hence ``slope_margin_deg``; stones and small craters do not show at all,
    hence ``detour`` and ``speed_share``.
    """

    speed_share: float = param(
        0.5, doc="speed made good on level ground over the vehicle's largest", low=0.01, high=1.0
    )
    detour: float = param(
        1.15, doc="way driven over way planned, around what orbit does not show", low=1.0, high=3.0
    )
    slope_margin_deg: float = param(
        2.0, doc="kept below the vehicle's steepest slope", unit="deg", low=0.0, high=30.0
    )
    max_roughness_m: float = param(
        0.6, doc="RMS height off a plane over 3 x 3 cells that closes a cell", unit="m", low=0.0,
        high=100.0,
    )  # fmt: skip
    roughness_weight_pm: float = param(
        0.5, doc="share of energy more per metre of roughness", unit="1/m", low=0.0, high=100.0
    )
    charge_margin: float = param(
        0.1, doc="share of the battery kept above its own reserve", low=0.0, high=0.8
    )
    hours_per_charge: float = param(
        24.0, doc="delay that a whole battery more at arrival is worth", unit="h", low=0.0,
        high=10_000.0,
    )  # fmt: skip
    place_m: float = param(
        40.0, doc="spacing of the places between which routes are searched", unit="m", low=0.1,
        high=1000.0,
    )  # fmt: skip
    max_places: int = param(
        20_000, doc="more ground than this many places takes them further apart", low=4,
        high=4_000_000,
    )  # fmt: skip
    keep_linked: bool = param(False, doc="stay where the base is in reach of the radio")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class RouteVehicle:
    """What a route needs to know of a vehicle.

    Attributes:
        drive: energy, slip and limits on the soil.
        max_slope_rad: steepest ground that it may be sent over.
        max_speed_mps: its largest speed.
        battery: its store.
        hotel_w: constant loads and what the heater takes in the dark, above 0 W.
        battery_k: coldest that the battery gets on the way; the cold takes of what it gives,
            takes and holds.
    """

    drive: DriveModel
    max_slope_rad: float
    max_speed_mps: float
    battery: BatteryConfig
    hotel_w: float
    battery_k: float = 293.0

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: with value, limit and unit.
        """
        for name, value, unit in (
            ("max_slope_rad", self.max_slope_rad, "rad"),
            ("max_speed_mps", self.max_speed_mps, "m/s"),
            ("hotel_w", self.hotel_w, "W"),
        ):
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"{name} = {value} {unit}: must be above 0 {unit}")

    def battery_numbers(self, margin: float) -> FloatArray:
        """(5,) capacity and floor in Wh, largest charging W, charge and discharge efficiency.

        Args:
            margin: share of the capacity kept above what the battery cannot give.
        """
        s, share = self.battery, Battery(self.battery).share_at(self.battery_k)
        held = s.reserve + (1.0 - s.reserve) * (1.0 - share)
        charging = s.max_charge_w * share if self.battery_k >= s.charge_from_k else 0.0
        return np.array([
            s.capacity_wh, min(held + margin, 1.0) * s.capacity_wh, charging,
            s.charge_efficiency, s.discharge_efficiency,
        ])  # fmt: skip

    @property
    def most_power_w(self) -> float:
        """That the battery gives for driving, besides the constant loads."""
        share = Battery(self.battery).share_at(self.battery_k)
        return self.battery.max_discharge_w * share - self.hotel_w
