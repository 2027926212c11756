"""Routes of a site from its files: profiles, bad orders, and the command ``ilrs plan``."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest

from ilrs_robots.cli.plan import plan
from ilrs_robots.core.control.route_executive import RouteRequest
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.walk_back import SuitState
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.route_planner import RouteOrder, SiteRoute, plan_route, route_vehicle_of
from ilrs_robots.robots.route_service import RouteService

SITE = """
name: valley
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-06-02T06:00:00Z"
terrain: {kind: procedural, seed: 1, size_m: 320.0, resolution_m: 5.0}
robots:
  - {name: long_range, model: long_range, x_m: 0.0, y_m: 0.0, yaw_deg: 0.0}
  - {name: crewed_rover, model: crewed_rover, x_m: 0.0, y_m: 8.0, yaw_deg: 0.0}
structures: [{kind: habitat, x_m: -60.0, y_m: 40.0}]
base:
  fission: {rated_w: 40000.0}
  chargers: [{name: charger, x_m: -40.0, y_m: 20.0, max_w: 3000.0}]
  radios:
    - name: habitat
      x_m: -60.0
      y_m: 40.0
      comms:
        antenna_m: 6.0
        surface: {power_w: 5.0, gain_dbi: 8.0, bandwidth_mhz: 20.0, max_rate_mbps: 100.0}
"""
EPOCH = dt.datetime(2035, 6, 2, 6, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("site") / "valley.yaml"
    path.write_text(SITE)
    return str(path)


def ordered(site: str, robot: str = "long_range", **changes: object) -> SiteRoute:
    order = RouteOrder(**{"goal_m": (100.0, -80.0), "depart": EPOCH, "days": 0.5, **changes})
    return plan_route(site, robot, order, latest=False)


def test_a_route_of_the_long_range_vehicle(site: str) -> None:
    found = ordered(site, charge=1.0)
    answer = found.answer
    assert answer.reached
    assert math.dist(answer.track.xy_m[-1], (100.0, -80.0)) < 5.0
    assert answer.least_wh >= answer.floor_wh
    assert (np.diff(answer.track.time_s) >= -1e-9).all()
    assert answer.track.energy_wh.max() <= answer.capacity_wh
    assert len(found.links.time_s) > 1
    assert (found.links.base_bps > 0.0).any()
    limit = load_robot("long_range").limits.max_slope_deg
    assert (
        math.degrees(answer.track.slope_rad.max()) <= limit - found.ground.config.slope_margin_deg
    )


def test_the_vehicles_own_power_agrees_with_its_plan(site: str) -> None:
    """The route is driven again by the model that runs on board, with its own light and heat."""
    found = ordered(site, charge=0.6)
    track, model = found.answer.track, load_robot("long_range")
    power = PowerStep("long_range", model, found.site, found.dem)
    power.restart(0.6, model.power.box.setpoint_k, 0.0)
    charge = 0.6
    for leg in found.answer.legs:
        for i in range(leg.first, leg.last):
            ahead = track.xy_m[i + 1] - track.xy_m[i]
            span = track.time_s[i + 1] - track.time_s[i]
            yaw = leg.park_yaw_rad if leg.park_yaw_rad is not None else math.atan2(*ahead[::-1])
            at = np.array([*track.xy_m[i], track.height_m[i]])
            pose = se3.from_rpy(at, (0.0, -track.grade_rad[i], yaw))
            way = math.hypot(*ahead) / math.cos(track.grade_rad[i])
            speed = found.ground.config.detour * way / span
            charge = power.step(track.time_s[i + 1], pose, speed).charge
            held = track.energy_wh[i + 1] / found.answer.capacity_wh
            assert charge == pytest.approx(held, abs=0.01)
    assert charge != 0.6


def test_a_crew_can_walk_home_from_all_of_its_route(site: str) -> None:
    found = ordered(site, "crewed_rover", goal_m=(-100.0, -90.0))
    assert found.answer.reached
    assert found.slack_s is not None
    assert found.slack_s.min() > 0.0
    assert ordered(site, "crewed_rover", crewed=False).slack_s is None
    whole = SuitState.fresh(load_robot("crewed_rover").crew.suit)
    used = ordered(site, "crewed_rover", goal_m=(-100.0, -90.0),
                   suits=replace(whole, seconds=whole.seconds - 3600.0))  # fmt: skip
    assert used.slack_s.min() < found.slack_s.min() - 1800.0, "of what is left now"


def test_a_service_orders_what_the_vehicle_has_and_where_its_crew_walks_to() -> None:
    model, suits = load_robot("crewed_rover"), SuitState(9000.0, 800.0)
    service = RouteService("meadow", "crewed_rover", model, EPOCH, 3, crewed=True, suits=suits,
                           home_m=(5.0, 6.0))  # fmt: skip
    asked = RouteRequest((10.0, 0.0), (99.0, 0.0), 7200.0, 0.25 * model.power.battery.capacity_wh,
                         pace=0.5)  # fmt: skip
    order = service.order(asked)
    assert (order.start_m, order.goal_m, order.charge) == ((10.0, 0.0), (99.0, 0.0), 0.25)
    assert order.depart == EPOCH + dt.timedelta(hours=2)
    assert (order.crewed, order.suits, order.home_m) == (True, suits, (5.0, 6.0))
    assert order.config.speed_share == pytest.approx(0.5 * model.route.speed_share)
    unheard = service.order(replace(asked, energy_wh=math.nan))
    assert unheard.charge is None, "what the vehicle's file says"


def test_a_linked_route_stays_in_reach_of_the_base(site: str) -> None:
    model = load_robot("long_range")
    config = replace(model.route, keep_linked=True)
    found = ordered(site, config=config)
    assert found.answer.reached
    assert (found.links.base_bps > 0.0).all()
    times = found.links.time_s
    for leg in found.answer.legs:
        assert ((times >= leg.start_s) & (times <= leg.end_s)).sum() >= 5, "a leg has its own"


def test_an_executive_is_served_from_where_the_vehicle_is_with_what_it_has(site: str) -> None:
    from ilrs_robots.core.control.route_executive import (
        ExecutiveConfig,
        RouteExecutive,
        RouteState,
    )
    from ilrs_robots.robots.model import require_rover

    model = require_rover(load_robot("long_range"), "routes")
    service = RouteService(site, "long_range", model, EPOCH, days=0.5)
    route = RouteExecutive(ExecutiveConfig(), (100.0, -80.0))
    half_wh = 0.5 * model.power.battery.capacity_wh
    route.update(3600.0, (20.0, 10.0), half_wh)
    assert route.request is not None
    order = service.order(route.request)
    assert (order.charge, order.depart) == (0.5, EPOCH + dt.timedelta(hours=1))
    route.answered(service.plan(route.request))
    told = route.update(3600.0, (20.0, 10.0), half_wh)
    assert told.state is RouteState.DRIVING
    assert told.goal_m is not None
    assert math.dist(told.goal_m, (20.0, 10.0)) <= ExecutiveConfig().hop_m + 5.0
    track = route.route.track if route.route is not None else None
    assert track is not None
    assert math.dist(track.xy_m[0], (20.0, 10.0)) < 5.0


def test_constant_loads_are_those_of_the_file_and_the_heater() -> None:
    model = load_robot("long_range")
    hotel = route_vehicle_of(model).hotel_w
    assert hotel >= sum(model.power.loads_w.values())
    assert hotel <= sum(model.power.loads_w.values()) + model.power.box.heater_w


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depart": dt.datetime(2035, 6, 2, 6)}, "no offset"),
        ({"days": 0.0}, "days"),
        ({"charge": 1.5}, "charge"),
        ({"goal_m": (5000.0, 0.0)}, "goal at .* outside the terrain"),
        ({"start_m": (0.0, -9000.0)}, "start at .* outside the terrain"),
        ({"crewed": True}, "no seats"),
        ({"goal_m": (0.5, 8.5)}, "'crewed_rover' stands there"),
    ],
)
def test_bad_orders_are_refused_in_one_sentence(
    site: str, changes: dict[str, object], words: str
) -> None:
    with pytest.raises((ConfigError, PlanningError), match=words):
        ordered(site, **changes)


def test_a_vehicle_without_wheels_is_refused(site: str) -> None:
    with pytest.raises(ConfigError, match="type rover"):
        ordered(site, "hopper", start_m=(0.0, 0.0))


def call(*words: str) -> int:
    code = plan.main(list(words), standalone_mode=False)
    return int(code or 0)


def test_the_command_writes_a_picture_and_json(
    site: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--site", site, "--to", "100,-80", "--days", "0.5", "--charge", "1.0")
    assert call(*arguments, "--out", str(tmp_path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reached"]
    assert told["depart_utc"] == "2035-06-02T06:00:00Z"
    assert told["legs"][0]["kind"] == "drive"
    assert told["latest_departure_utc"] >= told["depart_utc"]
    picture = tmp_path / "valley_long_range_route.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert json.loads((tmp_path / "valley_long_range_route.json").read_text()) == told
    assert len(list(tmp_path.iterdir())) == 2


def test_the_command_says_why_not_and_fails(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = call("--site", site, "--to", "100,-80", "--days", "0.3", "--keep-out", "100,-80,30")
    assert code == 1
    said = capsys.readouterr().out
    assert "no route to the goal" in said
    assert "keep-out" in said


@pytest.mark.parametrize("place", ["12", "a,b", "1,nan"])
def test_a_place_that_is_none_is_a_usage_error(site: str, place: str) -> None:
    with pytest.raises(click.UsageError, match="needs 2 numbers"):
        call("--site", site, "--to", place)
