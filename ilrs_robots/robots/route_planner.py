"""Routes of a site's vehicles, from its files: energy, light, links, walk-back."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.environment.surface_network import EARTH_NODE, LinkNode
from ilrs_robots.core.environment.thermal import ElectronicsBox
from ilrs_robots.core.errors import ConfigError, PlanningError, TerrainError
from ilrs_robots.core.planning.leave_limits import BOTH_WORDS, LINK_WORDS, WALK_WORDS, earlier
from ilrs_robots.core.planning.route_config import RouteConfig, RouteVehicle
from ilrs_robots.core.planning.route_ground import KeepOut, RouteGround, route_ground
from ilrs_robots.core.planning.route_light import LightSeries, light_series, sun_power
from ilrs_robots.core.planning.route_plan import RoutePlanner
from ilrs_robots.core.planning.route_types import RouteAnswer, RouteCharger
from ilrs_robots.core.planning.walk_back import SuitState, WalkBack, walk_back
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.crew_step import DOOR
from ilrs_robots.robots.gazebo.structures import structure_reach_m
from ilrs_robots.robots.gazebo.terrain import cache_dir
from ilrs_robots.robots.model import RobotModel, RoverModel, load_robot, require_rover
from ilrs_robots.robots.power import drive_model_of
from ilrs_robots.robots.power_step import COLDEST_GROUND_K, YEAR_S
from ilrs_robots.robots.route_links import linked_cells
from ilrs_robots.robots.site import SiteConfig, load_prior
from ilrs_robots.robots.site_links import link_model_of

Show = Callable[[str, int, int], None]
_LINK_SAMPLES: Final = 48
_LEG_SAMPLES: Final = 5
_LONGEST_DAYS: Final = 60.0


@dataclass(frozen=True)
class RouteOrder:
    """What is asked for.

    Attributes:
        start_m: x and y in map; None takes where the site says that the robot stands.
        goal_m: x and y in map.
        depart: aware time.
        days: how far ahead the plan looks.
        step_h: between maps of light.
        charge: of the battery at the departure; None takes the robot's file's.
        crewed: whether people are on board who must be able to walk home; None takes whether the
            vehicle has seats.
        home_m: door to walk to; None takes the site's habitats, or the start where it has none.
        suits: what is left in them at the departure; None takes them as they leave the door.
        keep_outs: besides the site's buildings.
        config: in place of the robot's ``route``.
    """

    goal_m: tuple[float, float]
    depart: dt.datetime
    start_m: tuple[float, float] | None = None
    days: float = 3.0
    step_h: float = 1.0
    charge: float | None = None
    crewed: bool | None = None
    home_m: tuple[float, float] | None = None
    suits: SuitState | None = None
    keep_outs: tuple[KeepOut, ...] = ()
    config: RouteConfig | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: with value, limit and unit.
        """
        if self.depart.utcoffset() is None:
            raise ConfigError(
                f"departure {self.depart.isoformat()}: says no offset from UTC; write it with Z"
            )
        if not 0.0 < self.days <= _LONGEST_DAYS:
            raise ConfigError(f"days = {self.days}: must be above 0 and at most {_LONGEST_DAYS} d")
        if not 0.1 <= self.step_h <= 24.0:
            raise ConfigError(f"step = {self.step_h} h: must be 0.1 to 24 h")
        if self.charge is not None and not 0.0 <= self.charge <= 1.0:
            raise ConfigError(f"charge = {self.charge}: must be 0 to 1")


@dataclass(frozen=True)
class LinkSamples:
    """Links along a route.

    Attributes:
        time_s: (S,) after the departure.
        earth_bps: (S,) rate to the Earth, 0 where it is out of reach.
        base_bps: (S,) rate to the base's first radio; NaN where the site has none.
    """

    time_s: FloatArray
    earth_bps: FloatArray
    base_bps: FloatArray


@dataclass(frozen=True)
class SiteRoute:
    """A plan with everything that a table and a picture of it say.

    Attributes:
        site: where.
        robot: name that was asked for.
        order: what was asked for.
        dem: the prior.
        ground: as the vehicle sees it.
        light: over the hours of the plan.
        answer: of the planner.
        links: along it.
        walk: what walking home takes, or None without a crew.
        slack_s: (N,) at the track's points, or None.
    """

    site: SiteConfig
    robot: str
    order: RouteOrder
    dem: Dem
    ground: RouteGround
    light: LightSeries
    answer: RouteAnswer
    links: LinkSamples
    walk: WalkBack | None
    slack_s: FloatArray | None


def robot_model(site: SiteConfig, robot: str) -> RobotModel:
    """A vehicle by its name at the site, or by the name of its file.

    Raises:
        ConfigError: neither is known.
    """
    names = [placement.name for placement in site.robots]
    return site.robot(robot).load_model() if robot in names else load_robot(robot)


def route_vehicle_of(model: RobotModel) -> RouteVehicle:
    """What routes need to know of a rover.

    Raises:
        ConfigError: the vehicle has no wheels.
    """
    rover = require_rover(model, "planning a route")
    power = rover.power
    inside = math.fsum(power.loads_w.values())
    box = ElectronicsBox(power.box)
    lost = box.loss_w(power.box.setpoint_k, COLDEST_GROUND_K)
    heater = min(max(lost - inside - _warmth_w(rover)[1], 0.0), power.box.heater_w)
    return RouteVehicle(
        drive_model_of(rover.wheels, rover.total_mass_kg, power.drive),
        math.radians(rover.limits.max_slope_deg), rover.limits.max_speed_mps, power.battery,
        inside + heater, power.box.setpoint_k,
    )  # fmt: skip


def _warmth_w(model: RobotModel) -> tuple[float, float]:
    """Electricity and heat of the radioisotope unit."""
    unit = model.power.radioisotope
    if unit is None:
        return 0.0, 0.0
    return unit.power_w(model.power.radioisotope_age_years * YEAR_S)


def plan_route(
    site_name: str, robot: str, order: RouteOrder, *, seed: int | None = None,
    show: Show = lambda *_: None, latest: bool = True,
) -> SiteRoute:  # fmt: skip
    """Plan a vehicle's way over the prior terrain of a site.

    Args:
        site_name: a name from ``config/sites`` or the path of a site file.
        robot: of the site, or a name from ``config/robots``.
        order: what is asked for.
        seed: replaces the terrain's.
        show: is told the work, steps done and steps in all.
        latest: look for the latest departure as well.

    Raises:
        ConfigError: a file or the order is wrong, or the vehicle has no wheels.
        TerrainError: the terrain cannot be read.
        PlanningError: start or goal are no places on the terrain, or nothing can be planned.
        EphemerisError: the time is outside 2020 to 2060.
    """
    site, dem = load_prior(site_name, seed=seed)
    model = require_rover(robot_model(site, robot), "planning a route")
    config = order.config or model.route
    vehicle, start = route_vehicle_of(model), _start(site, robot, order)
    utc_s, steps = order.depart.timestamp(), max(1, round(order.days * 24.0 / order.step_h))
    step_s = order.step_h * 3600.0
    frame = SiteFrame.of_dem(dem, *(math.radians(v) for v in (site.latitude_deg,
                                                              site.longitude_deg)))  # fmt: skip
    sky = SiteSky(frame, dem.spec, float(np.nanmedian(dem.heights_m)))
    sky.track("sun", [utc_s, utc_s + steps * step_s])  # a wrong time is told before the long work
    keep = None
    if config.keep_linked:
        keep = linked_cells(site, dem, model, utc_s, steps * step_s, show)
    keep_outs = (*_buildings(site), *order.keep_outs)
    ground = route_ground(dem, vehicle, config, keep_outs, None if keep is None else keep >= 0.0)
    for name, place in (("start", start), ("goal", order.goal_m)):
        ground.cell(place, name)
    _refuse_occupied(site, robot, order.goal_m)
    walk, leave_by = _walk(site, dem, model, order, start)
    horizon = _horizon(dem, frame, max((a.mast_m for a in model.power.solar), default=1.0), show)
    light = light_series(horizon, sky, utc_s, steps, step_s,
                         lambda done, total: show("light", done, total))  # fmt: skip
    sun = sun_power(model.power.solar, sky, utc_s, steps, step_s, _warmth_w(model)[0])
    show("route", 0, 1)
    words = WALK_WORDS if keep is None else LINK_WORDS if leave_by is None else BOTH_WORDS
    planner = RoutePlanner(
        ground, light, sun, start, order.goal_m, _chargers(site, model), earlier(leave_by, keep),
        words,
    )  # fmt: skip
    charge = model.power.charge if order.charge is None else order.charge
    answer = planner.plan(charge, latest=latest)
    show("route", 1, 1)
    links = links_along(site, dem, model, robot, utc_s, answer)
    slack = None
    if walk is not None:
        track = answer.track
        left = order.suits or SuitState.fresh(walk.suit)
        slack = walk.slack_at(track.xy_m, track.time_s, left)
    return SiteRoute(site, robot, order, dem, ground, light, answer, links, walk, slack)


def _start(site: SiteConfig, robot: str, order: RouteOrder) -> tuple[float, float]:
    if order.start_m is not None:
        return order.start_m
    for placement in site.robots:
        if robot in (placement.name, placement.model):
            return placement.x_m, placement.y_m
    raise ConfigError(f"site {site.name!r} does not say where {robot!r} stands: name a start")


def _refuse_occupied(site: SiteConfig, robot: str, goal_m: tuple[float, float]) -> None:
    """Refuse a goal on which the site says that another vehicle stands.

    Raises:
        PlanningError: names it.
    """
    for other in site.robots:
        if robot in (other.name, other.model):
            continue
        size = other.load_model().footprint
        reach_m = 0.5 * math.hypot(size.length_m, size.width_m)
        away_m = math.dist(goal_m, (other.x_m, other.y_m))
        if away_m <= reach_m:
            x, y = goal_m
            raise PlanningError(
                f"goal at ({x:.1f}, {y:.1f}) m: {other.name!r} stands there, {away_m:.1f} m away; "
                f"it reaches {reach_m:.1f} m"
            )


def _buildings(site: SiteConfig) -> list[KeepOut]:
    return [KeepOut(s.kind, s.x_m, s.y_m, structure_reach_m(s.kind)) for s in site.structures]


def _chargers(site: SiteConfig, model: RobotModel) -> list[RouteCharger]:
    if model.power.charger_w <= 0.0:
        return []
    return [
        RouteCharger(c.name, c.x_m, c.y_m, c.reach_m,
                     site.base.granted_w(c, model.power.charger_w))
        for c in site.base.chargers
    ]  # fmt: skip


def _walk(
    site: SiteConfig, dem: Dem, model: RoverModel, order: RouteOrder, start: tuple[float, float]
) -> tuple[WalkBack | None, FloatArray | None]:
    crewed = model.crew is not None if order.crewed is None else order.crewed
    if not crewed:
        return None, None
    if model.crew is None:
        raise ConfigError(f"{model.description}: has no seats, nobody can be on board")
    doors = [(s.x_m, s.y_m) for s in site.structures if s.kind == DOOR] or [start]
    if order.home_m is not None:
        doors = [order.home_m]
    suit = model.crew.suit
    walk = walk_back(dem, suit, model.crew.suited_mass_kg, doors)
    return walk, walk.leave_by_s(order.suits or SuitState.fresh(suit))


def _horizon(dem: Dem, frame: SiteFrame, mast_m: float, show: Show) -> HorizonMap:
    """The horizon of the prior, kept in the user's cache under the hash of what it is made of."""
    settings = HorizonConfig(observer_m=mast_m)
    digest = hashlib.sha256(repr((settings, frame, dem.spec)).encode())
    digest.update(np.ascontiguousarray(dem.heights_m).tobytes())
    path = cache_dir() / "routes" / f"horizon-{digest.hexdigest()[:16]}.npy"
    try:
        return HorizonMap.load(path)
    except TerrainError:
        made = horizon_map(
            dem, replace(settings, workers=0), frame=frame,
            on_progress=lambda done, total: show("horizon", done, total),
        )  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.save(path)
    except (OSError, TerrainError):
        pass  # a cache that cannot be written costs the next plan its time, not this one
    return made


def links_along(
    site: SiteConfig, dem: Dem, model: RobotModel, robot: str, utc_s: float, answer: RouteAnswer
) -> LinkSamples:
    """Rates to the Earth and to the base along a route that starts at POSIX seconds.

    At evenly spaced moments of the whole and of each leg, so that a short one has its own.
    """
    track = answer.track
    model_of_links, radios = link_model_of(site, dem), site.base.radios
    whole = np.linspace(track.time_s[0], track.time_s[-1], _LINK_SAMPLES)
    own = [np.linspace(leg.start_s, leg.end_s, _LEG_SAMPLES) for leg in answer.legs]
    times = np.unique(np.concatenate([whole, *own]))
    earth, base = np.zeros(len(times)), np.full(len(times), np.nan if not radios else 0.0)
    for n, time_s in enumerate(times):
        here = LinkNode(f"{robot} on its route", *track.at(float(time_s)), model.comms)
        network = model_of_links.network([here, *(r.node for r in radios)], utc_s + float(time_s))
        route = network.route(here.name, EARTH_NODE)
        earth[n] = 0.0 if route is None else route.rate_bps
        if radios:
            near = network.route(here.name, radios[0].name)
            base[n] = 0.0 if near is None else near.rate_bps
    return LinkSamples(times, earth, base)


def leg_rates(links: LinkSamples, start_s: float, end_s: float) -> tuple[float, float]:
    """Least rates to the Earth and to the base between two times of a route, bit/s, as sampled."""
    inside = (links.time_s >= start_s - 1e-6) & (links.time_s <= end_s + 1e-6)
    return float(links.earth_bps[inside].min()), float(links.base_bps[inside].min())


def keep_outs_of(values: Sequence[tuple[float, float, float]]) -> tuple[KeepOut, ...]:
    """Keep-outs from x, y and radius in metres."""
    return tuple(KeepOut(f"keep-out {n}", *v) for n, v in enumerate(values, start=1))
