"""A hopper's chain of hops over a site: places known from orbit, with light and links at each."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core.environment import ephemeris
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.planning.hop_chain import HopChainPlanner
from ilrs_robots.core.planning.hop_stay import StayConfig
from ilrs_robots.core.planning.hop_types import HopChain
from ilrs_robots.core.planning.hop_ways import Departure, HopPlaces
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.gazebo.structures import structure_reach_m
from ilrs_robots.robots.hop_flight_types import HopFlightConfig
from ilrs_robots.robots.hop_stay import SiteStay
from ilrs_robots.robots.hop_vehicle import hop_vehicle_of
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.site import SiteConfig

_AROUND = 0.5
"""Of the way from start to goal: so far beside it way-stations are looked for."""
_LEAST_AROUND_M = 200.0
_LOOKED_AT = 5
"""Points a side, around each candidate, of which the most level is taken."""
_MOST_PLACES = 150


@dataclass(frozen=True)
class HopOrder:
    """What is asked of a chain.

    Attributes:
        goal_m: (x, y) in map.
        depart: UTC of the first launch.
        start_m: (x, y), or None for where the site says that it stands.
        propellant_kg: on board, or None for a full tank.
        charge: of the battery, 0 to 1, or None for the file's.
        one_way: whether no way back is needed.
        keep_outs: discs that nobody lands in, besides the site's structures.
        spacing_m: between candidates for way-stations.
        goal_stay_s: standing at the goal.
        stay: what way-stations need.
    """

    goal_m: tuple[float, float]
    depart: dt.datetime
    start_m: tuple[float, float] | None = None
    propellant_kg: float | None = None
    charge: float | None = None
    one_way: bool = False
    keep_outs: tuple[KeepOut, ...] = ()
    spacing_m: float = 150.0
    goal_stay_s: float = 3600.0
    stay: StayConfig = field(default_factory=StayConfig)

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: with value, limit and unit.
        """
        for name, value, most, unit in (
            ("propellant", self.propellant_kg, math.inf, "kg"), ("charge", self.charge, 1.0, ""),
            ("stay at the goal", self.goal_stay_s, math.inf, "s"),
        ):  # fmt: skip
            if value is not None and not (0.0 <= value <= most and math.isfinite(value)):
                limit = "finite" if math.isinf(most) else f"at most {most:g}"
                raise ConfigError(f"{name} = {value} {unit}: must be 0 or more and {limit}")


def plan_hops(
    site: SiteConfig, prior: Dem, robot: str, model: HopperModel, order: HopOrder
) -> HopChain:
    """The chain of hops that leaves most propellant, with stays that light and links allow.

    Args:
        site: place, base, where the vehicle stands.
        prior: ground as known from orbit.
        robot: its name at the site.
        model: the vehicle.
        order: what is asked for.

    Raises:
        ConfigError: more propellant than a tank holds.
        PlanningError: start or goal are outside the terrain.
        HopRefusedError: it is not flown; the message has the numbers.
        EphemerisError: the time is outside 2020 to 2060.
    """
    cfg = HopFlightConfig()
    start = order.start_m
    if start is None:
        placed = site.robot(robot)
        start = placed.x_m, placed.y_m
    keep_outs = [
        *(KeepOut(s.kind, s.x_m, s.y_m, structure_reach_m(s.kind)) for s in site.structures),
        *order.keep_outs,
    ]
    limit = math.radians(model.limits.max_slope_deg)
    places = candidates(prior, start, order.goal_m, limit, keep_outs, order.spacing_m)
    tank_kg = model.tank.propellant_kg
    if order.propellant_kg is not None and order.propellant_kg > tank_kg:
        raise ConfigError(f"propellant = {order.propellant_kg} kg: a tank holds {tank_kg} kg")
    stays = SiteStay(site, prior, model, order.stay)
    charge = model.power.charge if order.charge is None else order.charge
    battery = model.power.battery
    begin = Departure(
        order.depart.timestamp() - ephemeris.utc_seconds(site.epoch),
        max(charge - battery.reserve, 0.0) * battery.capacity_wh, order.goal_stay_s,
    )  # fmt: skip
    planner = HopChainPlanner(
        places, hop_vehicle_of(model, cfg.attitude.max_tilt_rad), tank_kg, cfg.plan, prior, stays
    )
    held_kg = tank_kg if order.propellant_kg is None else order.propellant_kg
    return planner.plan(0, 1, held_kg, one_way=order.one_way, depart=begin)


def candidates(
    prior: Dem, start: tuple[float, float], goal: tuple[float, float], max_slope_rad: float,
    keep_outs: Sequence[KeepOut], spacing_m: float,
) -> HopPlaces:  # fmt: skip
    """Start, goal and the most level places of a grid around them; the way back ends at the start.

    Args:
        prior: ground as known from orbit.
        start: (x, y) in map, m.
        goal: likewise.
        max_slope_rad: steeper ground is closed.
        keep_outs: discs that nobody lands in.
        spacing_m: of the grid; wider where there would be too many.

    Raises:
        PlanningError: start or goal are outside the known ground.
    """
    ends = np.array([start, goal], dtype=np.float64)
    heights = prior.height(ends)
    for name, xy, z in zip(("start", "goal"), ends, heights, strict=True):
        if not math.isfinite(float(z)):
            raise PlanningError(f"{name} ({xy[0]:.1f}, {xy[1]:.1f}) m: no ground is known there")
    spread = max(_AROUND * float(np.hypot(*(ends[1] - ends[0]))), _LEAST_AROUND_M)
    low, high = ends.min(axis=0) - spread, ends.max(axis=0) + spread
    step = max(spacing_m, math.sqrt(float(np.prod(high - low)) / _MOST_PLACES))
    x, y = np.meshgrid(*(np.arange(a, b + 1.0, step) for a, b in zip(low, high, strict=True)))
    grid = _most_level(prior, np.column_stack((x.ravel(), y.ravel())), step / 3.0)
    xy = np.concatenate((ends, grid))
    slope = prior.slope_rad(xy)
    open_ = np.isfinite(slope) & (slope <= max_slope_rad)
    open_[:2] = True  # a divert finds level ground beside a goal; the executive looks at that
    for k in keep_outs:
        open_ &= np.hypot(xy[:, 0] - k.x_m, xy[:, 1] - k.y_m) > k.radius_m
    open_[0] = True
    haven = np.zeros(len(xy), dtype=np.bool_)
    haven[0] = True
    position = np.column_stack((xy, np.nan_to_num(prior.height(xy))))
    return HopPlaces(position, open_, open_.copy(), haven)


def _most_level(prior: Dem, xy_m: FloatArray, reach_m: float) -> FloatArray:
    """(M, 2) the most level ground, m, around each of (N, 2) places; unknown ones are left out."""
    shift = np.linspace(-reach_m, reach_m, _LOOKED_AT)
    dx, dy = (v.ravel() for v in np.meshgrid(shift, shift))
    around = xy_m[:, None, :] + np.stack((dx, dy), axis=-1)[None, :, :]
    slope = prior.slope_rad(around.reshape(-1, 2)).reshape(len(xy_m), -1)
    slope = np.where(np.isfinite(slope), slope, np.inf)
    best = slope.argmin(axis=1)
    known = np.isfinite(slope.min(axis=1))
    found: FloatArray = around[np.arange(len(xy_m)), best][known]
    return found
