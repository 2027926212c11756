"""Small worlds for routes: ground, light and a vehicle whose numbers are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ilrs_robots.core.energy.battery import BatteryConfig
from ilrs_robots.core.energy.drive import DriveModel
from ilrs_robots.core.energy.soil import WheelShape
from ilrs_robots.core.planning.route_config import RouteConfig, RouteVehicle
from ilrs_robots.core.planning.route_ground import KeepOut, RouteGround, route_ground
from ilrs_robots.core.planning.route_light import LightSeries, SunPower
from ilrs_robots.core.planning.route_plan import RoutePlanner
from ilrs_robots.core.planning.route_types import RouteCharger
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

HOTEL_W = 100.0
SUN_W = 300.0
DRIVE = DriveModel(WheelShape(0.28, 0.26), 6, 432.0)
BATTERY = BatteryConfig(
    capacity_wh=1000.0, max_charge_w=1500.0, max_discharge_w=3000.0, reserve=0.1,
    charge_efficiency=0.9, discharge_efficiency=0.8,
)  # fmt: skip
PLAIN = RouteConfig(
    speed_share=0.5, detour=1.0, slope_margin_deg=0.0, roughness_weight_pm=0.0,
    max_roughness_m=100.0, charge_margin=0.0, hours_per_charge=0.0, place_m=10.0,
)  # fmt: skip
VEHICLE = RouteVehicle(DRIVE, math.radians(20.0), 1.0, BATTERY, HOTEL_W)


def dem_of(
    height: Callable[[Any, Any], Any], rows: int = 20, cols: int = 20, cell: float = 10.0
) -> Dem:
    """Heights as a function of x and y; the centre of cell [0, 0] is the origin."""
    x, y = np.meshgrid(cell * np.arange(cols), cell * np.arange(rows))
    z = np.broadcast_to(np.asarray(height(x, y), dtype=np.float32), x.shape)
    return Dem(np.array(z), GridSpec(0.0, 0.0, cell, rows, cols))


def flat(rows: int = 20, cols: int = 20, cell: float = 10.0) -> Dem:
    return dem_of(lambda x, y: 0.0 * x, rows, cols, cell)


def light_of(dem: Dem, share: np.ndarray, step_s: float = 3600.0) -> LightSeries:
    """Light of (K, rows, cols) or (K,) shares 0 to 1."""
    whole = np.asarray(share, dtype=np.float64)
    if whole.ndim == 1:
        whole = np.broadcast_to(whole[:, None, None], (len(whole), *dem.spec.shape))
    return LightSeries(np.array(np.round(whole * 255.0), np.uint8), step_s, 0.0, dem.spec)


def sun_of(steps: int, parked: float = SUN_W, driven: float = SUN_W) -> SunPower:
    return SunPower(np.full(steps, parked), np.full((steps, 8), driven), np.zeros(steps))


def planner_of(
    dem: Dem, share: Any, start: tuple[float, float], goal: tuple[float, float], *,
    config: RouteConfig = PLAIN, battery: BatteryConfig = BATTERY, step_s: float = 3600.0,
    sun: SunPower | None = None, chargers: tuple[RouteCharger, ...] = (),
    keep_outs: tuple[KeepOut, ...] = (), leave_by: Any = None, max_slope_deg: float = 20.0,
) -> RoutePlanner:  # fmt: skip
    light = light_of(dem, np.asarray(share, dtype=np.float64), step_s)
    vehicle = replace(VEHICLE, battery=battery, max_slope_rad=math.radians(max_slope_deg))
    ground: RouteGround = route_ground(dem, vehicle, config, keep_outs)
    return RoutePlanner(ground, light, sun or sun_of(light.steps), start, goal, chargers, leave_by)
