"""Routes through space, time and energy over a million cells; ways home on foot."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from environment import row, seconds, terrain

from ilrs_robots.core.environment.ephemeris import utc_seconds
from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.planning.route_ground import route_ground
from ilrs_robots.core.planning.route_light import LightSeries, SunPower, light_series, sun_power
from ilrs_robots.core.planning.route_plan import RoutePlanner
from ilrs_robots.core.planning.walk_back import walk_back
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot, require_rover
from ilrs_robots.robots.route_planner import route_vehicle_of

START = "2035-05-15T00:00:00Z"
STEP_S = 3600.0


def world(size: int, steps: int) -> tuple[Dem, LightSeries, SunPower]:
    """A fractal field with the light of a real horizon, tiled to the size as the ground is."""
    part = terrain(size // 4)
    counts = np.tile(horizon_map(part, HorizonConfig(observer_m=1.1)).counts, (1, 4, 4))
    half = 2.5 * (size - 1)
    spec = GridSpec(-half, -half, 5.0, size, size)
    dem = Dem(np.tile(part.heights_m, (4, 4)), spec)
    sky = SiteSky(SiteFrame.of_site(math.radians(-89.45), math.radians(-137.49)), spec)
    start = utc_seconds(START)
    light = light_series(HorizonMap(counts, spec, 1.1), sky, start, steps, STEP_S)
    model = load_robot("long_range")
    return dem, light, sun_power(model.power.solar, sky, start, steps, STEP_S)


def route_rows(size: int, days: int, repeats: int) -> list[dict[str, Any]]:
    dem, light, sun = world(size, 24 * days)
    model = require_rover(load_robot("long_range"), "routes")
    vehicle, config = route_vehicle_of(model), model.route
    far = 0.42 * 5.0 * size
    ends = (-far, -far), (far, far)
    small = replace(vehicle, battery=replace(vehicle.battery, capacity_wh=700.0))
    name = f"route over {size} x {size} cells, {days} days of hourly light"
    rows = []
    for words, kind in (("", vehicle), (", a battery that must wait for light", small)):
        found: dict[str, Any] = {}

        def everything(kind: Any = kind, found: dict[str, Any] = found) -> None:
            planner = RoutePlanner(route_ground(dem, kind, config), light, sun, *ends)
            found["answer"] = planner.plan(0.9, latest=False, explain=False)
            found["planner"] = planner

        everything()
        whole = seconds(everything, repeats)
        answer, planner = found["answer"], found["planner"]
        rows.append(row(
            name + words, whole, reached=answer.reached, hours=round(answer.arrive_s / 3600.0, 1),
            km=round(answer.length_m / 1000.0, 2),
            straight_km=round(math.dist(*ends) / 1000.0, 2), places=planner.graph.places,
        ))  # fmt: skip
        again = seconds(lambda p=planner: p.plan(0.8, latest=False, explain=False), repeats)
        rows.append(row(f"the same from another charge{words}", again))
    return rows


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; one warm-up call each, medians."""
    repeats = 1 if quick else 5
    rows = route_rows(512 if quick else 1024, 14, repeats)
    dem = terrain(512 if quick else 1024)
    crew = require_rover(load_robot("crewed_rover"), "routes").crew
    if crew is not None:
        home = seconds(
            lambda: walk_back(dem, crew.suit, crew.suited_mass_kg, [(0.0, 0.0)]), repeats
        )
        rows.append(row(f"way home on foot from all of {dem.spec.rows}^2 cells", home))
    return {
        "name": "Routes in space, time and energy",
        "rows": rows,
        "note": "The first figure of each route holds all from the DEM on; maps of light are "
        "made before. The second battery holds 0.7 kWh, an eighth of the vehicle's.",
    }


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=1))
