"""Where a hopper may stand between two hops: light, battery, links, with the numbers."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.planning.hop_chain import HopChainPlanner
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_stay import Stay, StayConfig
from ilrs_robots.core.planning.hop_types import HopRefusedError, HopVehicle
from ilrs_robots.core.planning.hop_ways import Departure, HopPlaces
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.hop_checks import refusal, supplies_of
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.hop_localization import NavigationHealth
from ilrs_robots.robots.hop_route import HopOrder, candidates, plan_hops
from ilrs_robots.robots.hop_stay import SiteStay
from ilrs_robots.robots.model import require_hopper
from ilrs_robots.robots.power import BaseConfig
from ilrs_robots.robots.site import load_prior

HOUR = 3600.0
LIT, DARK_PLACE = (0.0, 0.0), (787.5, -202.5)


@pytest.fixture(scope="module")
def crater():
    """Site, prior and hopper of ``dark_crater``: its goal never sees the Sun."""
    site, prior = load_prior("dark_crater")
    return site, prior, require_hopper(site.robot("hopper").load_model(), "this test")


def stand(crater, xy, usable_wh=1600.0, stay_s=1800.0, station=True, cfg=None):
    site, prior, model = crater
    stays = SiteStay(site, prior, model, cfg or StayConfig())
    place = np.array([*xy, float(prior.height(np.array([xy]))[0])])
    return stays.stand(place, 0.0, usable_wh, stay_s, station)


def test_a_lit_place_is_a_way_station_and_a_dark_one_is_not(crater):
    lit = stand(crater, LIT)
    assert (lit.code, lit.why) == ("", "")
    assert lit.light == 1.0
    assert lit.linked_s == 1800.0
    dark = stand(crater, DARK_PLACE)
    assert dark.code == "dark"
    assert "0 % of the Sun's disc in the mean, 30 % are needed" in dark.why
    assert "(788, -202) m" in dark.why
    assert stand(crater, DARK_PLACE, station=False).code == ""


def test_the_battery_pays_for_the_dark_and_the_sun_for_some_of_the_light(crater):
    """160 W with the heater at its most; sources and efficiencies are those of the file."""
    dark = stand(crater, DARK_PLACE, 300.0, HOUR, station=False)
    load_w = sum(crater[2].power.loads_w.values()) + crater[2].power.box.heater_w
    efficiency = crater[2].power.battery.discharge_efficiency
    assert dark.drawn_wh == pytest.approx(load_w / efficiency)
    assert dark.end_wh == pytest.approx(300.0 - dark.drawn_wh)
    lit = stand(crater, LIT, 300.0, HOUR, station=False)
    assert lit.drawn_wh < 0.6 * dark.drawn_wh
    short = stand(crater, DARK_PLACE, 100.0, HOUR, station=False)
    assert short.code == "dark"
    assert f"loads take {load_w:.0f} Wh, the Sun gives 0 Wh, 100 Wh are held" in short.why
    assert f"{dark.drawn_wh - 100.0:.0f} Wh short" in short.why


def test_a_way_station_out_of_reach_of_earth_and_base_is_refused(crater):
    """No radio at the base, none on board that reaches relays or the Earth."""
    site, prior, model = crater
    mute = dataclasses.replace(model, comms=dataclasses.replace(model.comms, space=None))
    alone = dataclasses.replace(site, base=BaseConfig()), prior, mute
    found = stand(alone, LIT)
    assert found.code == "no_link"
    assert "0 min in reach of the Earth or the base, 5 min are needed" in found.why
    assert stand(alone, LIT, cfg=StayConfig(station_link_s=0.0)).code == ""
    near = stand((site, prior, mute), LIT)
    assert (near.code, near.linked_s) == ("", 1800.0), "over the base's radio"
    with pytest.raises(ConfigError, match=r"station_link_s = 900.0 s: must be at most"):
        StayConfig(station_s=600.0, station_link_s=900.0)


def test_the_executive_refuses_a_dark_way_station_and_a_stay_that_its_battery_does_not_last(
    crater,
):
    site, prior, model = crater
    flight = HopFlight(model, "hopper", np.eye(4), prior)
    flight.stays = SiteStay(site, prior, model, flight.cfg.stay)
    with pytest.raises(HopRefusedError, match="30 % are needed at a way-station") as refused:
        flight.set_goal(*DARK_PLACE, 0, way_station=True)
    assert refused.value.reason == "dark"
    assert flight.status.reason == str(refused.value)
    flight.supplies = supplies_of(model, 0.15, 280.0, flight.cfg.stay_s)
    with pytest.raises(HopRefusedError, match=r"Wh are held on landing: .* Wh short"):
        flight.set_goal(*DARK_PLACE, 0)
    flight.supplies = supplies_of(model, 0.9, 280.0, flight.cfg.stay_s)
    status = flight.set_goal(*DARK_PLACE, 0)
    assert "there: 0 to 0 % of the Sun's disc in sight, in reach" in status.notes[0]


def test_what_the_stay_takes_is_held_against_the_battery_once_more_before_the_launch(crater):
    _, prior, model = crater
    flight = HopFlight(model, "hopper", np.eye(4), prior)
    flight.set_goal(60.0, 0.0, 0)
    low, stay = (
        supplies_of(model, 0.12, 280.0, 0.0),
        stand(crater, DARK_PLACE, 90.0, 1800.0, False),
    )
    said = refusal(
        flight.profile, 50.0, flight.cfg.plan, model.tank, NavigationHealth(True), True, low, stay
    )
    assert f"the stay {stay.drawn_wh:.0f} Wh, 36 Wh are held" in said


class Shadows:
    """Sunrise at each place, and when its link begins; stations are left as they were reached."""

    cfg = StayConfig(station_s=600.0)

    def __init__(self, rises_s, linked_s):
        self.rises_s, self.linked_s = rises_s, linked_s
        self.asked = []

    def full_wh(self):
        return 1000.0

    def flight_wh(self, duration_s):
        return 0.2 * duration_s

    def stand(self, place_m, arrive_s, usable_wh, stay_s, station):
        self.asked.append((place_m[1], arrive_s, usable_wh, stay_s, station))
        end = usable_wh - 0.05 * stay_s
        for code, begins in (("dark", self.rises_s), ("no_link", self.linked_s)):
            if station and arrive_s < begins.get(float(place_m[1]), 0.0):
                return Stay(
                    code, f"{code} until {begins[place_m[1]]:.0f} s", "", 0.0, end, 0.0, 0.0
                )
        if end < 0.0:
            return Stay("dark", f"{-end:.0f} Wh short", "", usable_wh, end, 0.0, 0.0)
        return Stay("", "", "fine", usable_wh - end, end, 1.0, stay_s)


def ridge():
    """A ridge that no hop clears but at two passes, with a place before and behind each."""
    wall = np.zeros((81, 61), np.float32)
    wall[:, 28:33] = 5000.0
    for rows in (slice(0, 8), slice(73, 81)):
        wall[rows, 28:33] = 0.0
    dem = Dem(wall, GridSpec(-600.0, -800.0, 20.0, 81, 61))
    xyz = np.array([[-300, 0, 0], [300, 0, 0], [-300, -740, 0], [300, -740, 0],
                    [-300, 760, 0], [300, 760, 0]], dtype=np.float64)  # fmt: skip
    every = np.ones(6, dtype=bool)
    haven = np.arange(6) == 0
    return HopPlaces(xyz, every, every, haven), dem


VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=160.0)
SETTINGS = HopPlanConfig(sigma_m=0.2, ground_sigma_m=0.2, margin_m=2.0, reserve_share=0.0)


def way(shadows, **kwargs):
    places, dem = ridge()
    planner = HopChainPlanner(places, VEHICLE, 50.0, SETTINGS, dem, shadows)
    return planner.plan(0, 1, 50.0, one_way=True, **kwargs)


def test_a_chain_takes_the_pass_that_is_lit_and_linked_when_it_comes_by():
    assert [s.place for s in way(Shadows({}, {})).stops] == [0, 2, 3, 1]
    for dark in (Shadows({-740.0: 5000.0}, {}), Shadows({}, {-740.0: 5000.0})):
        chain = way(dark)
        assert [s.place for s in chain.stops] == [0, 4, 5, 1], "the other pass"
        assert [stay.told for stay in chain.stays] == ["fine"] * 3
        late = way(dark, depart=Departure(time_s=6000.0))
        assert [s.place for s in late.stops] == [0, 2, 3, 1], "once the Sun is up there"
    asked = Shadows({}, {})
    chain = way(asked, depart=Departure(time_s=100.0, battery_wh=900.0))
    (_, first, held, *_), (_, second, later, *_), goal = (
        next(row for row in asked.asked if row[0] == y) for y in (-740.0, -740.0, 0.0)
    )
    assert first == second == pytest.approx(100.0 + chain.hops[0].duration_s)
    assert held == later == pytest.approx(900.0 - 0.2 * chain.hops[0].duration_s)
    flown = sum(h.duration_s for h in chain.hops)
    assert goal[1] == pytest.approx(100.0 + flown + 2 * 600.0)
    assert goal[2] == pytest.approx(900.0 - 0.2 * flown - 2 * 30.0)


def test_a_chain_without_a_lit_way_station_is_refused_with_what_is_missing():
    closed = Shadows({-740.0: 5000.0, 760.0: 7000.0}, {})
    with pytest.raises(
        HopRefusedError, match="2 way-stations are left out, the nearest for dark"
    ) as no:
        way(closed)
    assert no.value.reason == "dark"
    with pytest.raises(HopRefusedError, match=r"goal: \d+ Wh short"):
        way(Shadows({}, {}), depart=Departure(battery_wh=100.0))
    with pytest.raises(HopRefusedError, match=r"from \(-300, 0\) m takes .* Wh, 5\.0 Wh are held"):
        way(Shadows({}, {}), depart=Departure(battery_wh=5.0))


def test_candidates_are_level_open_and_end_at_the_start(crater):
    _, prior, model = crater
    limit = np.radians(model.limits.max_slope_deg)
    found = candidates(prior, LIT, DARK_PLACE, limit, [], 150.0)
    assert 50 < len(found.open) < 250
    assert prior.slope_rad(found.position_m[2:, :2])[found.open[2:]].max() <= limit
    assert np.flatnonzero(found.haven).tolist() == [0]


@pytest.mark.soak
def test_into_the_dark_and_back_is_planned_with_light_and_links_and_refused_with_both(crater):
    site, prior, model = crater

    def plan(**more):
        return plan_hops(site, prior, "hopper", model, HopOrder(site.goal_m, site.epoch, **more))

    chain = plan()
    assert chain.back
    assert "0 to 0 % of the Sun's disc in sight" in chain.stays[-1].told
    with pytest.raises(HopRefusedError, match="loads take 2080 Wh, the Sun gives 0 Wh") as no:
        plan(goal_stay_s=13.0 * HOUR)
    assert no.value.reason == "dark"
    with pytest.raises(HopRefusedError, match=r"kg needed, 22\.00 kg held"):
        plan(propellant_kg=22.0)


def test_plan_prints_the_chain_of_a_hopper_with_what_it_finds_where_it_stands():
    call = ["plan", "--site", "dark_crater", "--robot", "hopper", "--to", "60,0", "--one-way"]
    found = CliRunner().invoke(cli, [*call, "--json"], standalone_mode=False)
    assert found.return_value == 0, found.output
    plan = json.loads(found.output)
    assert len(plan["hops"]) == len(plan["stays"]) == 1
    assert plan["stays"][0]["linked_s"] == HOUR
    assert plan["left_kg"] == pytest.approx(50.0 - plan["propellant_kg"], abs=0.02)
    poor = CliRunner().invoke(cli, [*call, "--propellant", "1"], standalone_mode=False)
    assert poor.return_value == 1
    assert "1.00 kg are held" in poor.output
