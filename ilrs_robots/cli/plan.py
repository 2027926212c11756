"""``ilrs plan``: a route with its energy, light, links and margins, as a table and a picture."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ilrs_robots.cli.env import progress_bars
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import ConfigError

if TYPE_CHECKING:
    from ilrs_robots.robots.route_planner import SiteRoute


class Place(click.ParamType):
    """Two or three numbers with commas between."""

    def __init__(self, count: int, name: str) -> None:
        self.count, self.name = count, name

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Numbers, or an error that shows what was meant."""
        parts = str(value).split(",")
        try:
            numbers = tuple(float(part) for part in parts)
        except ValueError:
            numbers = ()
        if len(numbers) != self.count or not all(math.isfinite(v) for v in numbers):
            self.fail(f"{value!r}: needs {self.count} numbers, {self.name}", param, ctx)
        return numbers


_XY, _XYR = Place(2, "X,Y"), Place(3, "X,Y,RADIUS")


@click.command()
@click.option("--site", default="shackleton", show_default=True, help="Name or file.")
@click.option("--robot", default="long_range", show_default=True, help="Of the site, or a file.")
@click.option("--from", "start", type=_XY, help="In map, metres; by default where it stands.")
@click.option("--to", "goal", type=_XY, required=True, help="In map, metres.")
@click.option("--depart", help="UTC, 2035-06-02T06:00:00Z; by default the site's epoch.")
@click.option("--days", default=3.0, show_default=True, help="How far ahead to look.")
@click.option("--step-hours", default=1.0, show_default=True, help="Between maps of light.")
@click.option("--charge", type=float, help="Of the battery, 0 to 1; by default the robot's.")
@click.option("--crew/--no-crew", default=None, help="Must be able to walk home from everywhere.")
@click.option("--home", type=_XY, help="Door to walk to; by default the site's habitats.")
@click.option("--keep-out", "keep_outs", type=_XYR, multiple=True, help="A disc to stay out of.")
@click.option("--one-way", is_flag=True, help="Of a hopper: no way back is planned.")
@click.option("--propellant", type=float, help="Of a hopper, kg; by default a full tank.")
@click.option("--stay-hours", default=1.0, show_default=True, help="Of a hopper, at the goal.")
@click.option("--keep-linked", is_flag=True, help="Stay where the base's radio reaches.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Replaces the terrain's.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the picture and JSON.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def plan(
    site: str, robot: str, start: tuple[float, float] | None, goal: tuple[float, float],
    depart: str | None, days: float, step_hours: float, charge: float | None,
    crew: bool | None, home: tuple[float, float] | None,
    keep_outs: tuple[tuple[float, float, float], ...], one_way: bool, propellant: float | None,
    stay_hours: float, keep_linked: bool, seed: int | None, out: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Plan a route, or a hopper's chain of hops: 0 when it reaches the goal, 1 with the reason."""
    from dataclasses import replace

    from ilrs_robots.core.environment.ephemeris import utc_seconds
    from ilrs_robots.robots.model import HopperModel, require_rover
    from ilrs_robots.robots.route_planner import (
        RouteOrder,
        keep_outs_of,
        plan_route,
        robot_model,
    )
    from ilrs_robots.robots.site import read_site

    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, must be a folder")
    named = read_site(site)
    when = named.epoch
    if depart is not None:
        when = dt.datetime.fromtimestamp(utc_seconds(depart), dt.UTC)
    chosen = robot_model(named, robot)
    if isinstance(chosen, HopperModel):
        from ilrs_robots.cli.plan_hops import show_hops
        from ilrs_robots.robots.hop_route import HopOrder

        asked = HopOrder(
            goal, when, start, propellant, charge, one_way, keep_outs_of(keep_outs),
            goal_stay_s=3600.0 * stay_hours,
        )  # fmt: skip
        return show_hops(site, robot, chosen, asked, seed, as_json)
    model = require_rover(chosen, "planning a route")
    config = replace(model.route, keep_linked=keep_linked or model.route.keep_linked)
    order = RouteOrder(
        goal, when, start, days=days, step_h=step_hours, charge=charge, crewed=crew, home_m=home,
        keep_outs=keep_outs_of(keep_outs), config=config,
    )  # fmt: skip
    if as_json:
        found = plan_route(site, robot, order, seed=seed)
        print(json.dumps(told(found)))
    else:
        with progress_bars() as show:
            found = plan_route(site, robot, order, seed=seed, show=show)
        _print(found)
    if out is not None:
        for path in _write(found, out):
            if not as_json:
                console.print(f"written: {path}", soft_wrap=True)
    return 0 if found.answer.reached else 1


def told(plan: SiteRoute) -> dict[str, Any]:
    """Everything of a plan, for programs; SI units and UTC."""
    from ilrs_robots.robots.route_planner import leg_rates

    answer, depart = plan.answer, plan.order.depart.timestamp()
    track = answer.track
    legs = []
    for leg in answer.legs:
        earth, base = leg_rates(plan.links, leg.start_s, leg.end_s)
        slack = (
            None if plan.slack_s is None else float(plan.slack_s[leg.first : leg.last + 1].min())
        )
        legs.append({
            "kind": leg.kind, "start_utc": _utc(depart + leg.start_s),
            "end_utc": _utc(depart + leg.end_s), "length_m": round(leg.length_m, 1),
            "climb_m": round(leg.climb_m, 1), "used_wh": round(leg.used_wh, 1),
            "income_wh": round(leg.income_wh, 1), "end_wh": round(leg.end_wh, 1),
            "least_over_floor_wh": round(leg.least_wh - answer.floor_wh, 1),
            "light": round(leg.light, 3), "steepest_deg": round(math.degrees(leg.steepest_rad), 2),
            "slope_margin_deg": round(math.degrees(plan.ground.vehicle.max_slope_rad
                                                   - leg.steepest_rad), 2),
            "park_yaw_deg": None if leg.park_yaw_rad is None else
            round(math.degrees(leg.park_yaw_rad), 1),
            "earth_bps": earth, "base_bps": None if math.isnan(base) else base,
            "walk_back_slack_s": slack,
        })  # fmt: skip
    latest = None if answer.latest_s is None else _utc(depart + answer.latest_s)
    return {
        "site": plan.site.name, "robot": plan.robot, "reached": answer.reached,
        "reason": answer.reason, "changes": list(answer.changes), "notes": list(answer.notes),
        "depart_utc": _utc(depart), "arrive_utc": _utc(depart + answer.arrive_s),
        "length_m": round(answer.length_m, 1), "latest_departure_utc": latest,
        "latest_set_by": answer.latest_by, "stay_until_utc": _utc(depart + answer.stay_until_s),
        "battery_wh": answer.capacity_wh, "floor_wh": answer.floor_wh,
        "least_wh": round(answer.least_wh, 1), "legs": legs,
        "track": {
            "time_s": [round(float(v), 1) for v in track.time_s],
            "xy_m": [[round(float(x), 2), round(float(y), 2)] for x, y in track.xy_m],
            "energy_wh": [round(float(v), 1) for v in track.energy_wh],
        },
    }  # fmt: skip


def _utc(utc_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(round(utc_s), dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _print(plan: SiteRoute) -> None:
    facts = told(plan)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    names = ("leg", "from, UTC", "h", "m", "up", "lit %", "Wh -/+", "bat. %", "slope", "Mbit/s")
    for name in (*names, *(["walk"] if plan.walk else [])):
        table.add_column(name, no_wrap=True)
    limit = math.degrees(plan.ground.vehicle.max_slope_rad)
    for leg, row in zip(plan.answer.legs, facts["legs"], strict=True):
        share = 100.0 / plan.answer.capacity_wh
        table.add_row(
            leg.kind, row["start_utc"][5:16].replace("T", " "),
            f"{(leg.end_s - leg.start_s) / 3600.0:.2f}", f"{leg.length_m:.0f}",
            f"{leg.climb_m:.0f}", f"{100.0 * leg.light:.0f}",
            f"{leg.used_wh:.0f}/{leg.income_wh:.0f}",
            f"{share * leg.start_wh:.0f}>{share * leg.end_wh:.0f}",
            f"{row['steepest_deg']:.1f}/{limit:.0f}",
            f"{_rate(row['earth_bps'])}/{_rate(row['base_bps'])}",
            *([] if plan.walk is None else [f"{row['walk_back_slack_s'] / 3600.0:.1f} h"]),
        )  # fmt: skip
    if plan.answer.legs:
        console.print(table)
        console.print("[dim]Wh used/offered; steepest ground/limit in degrees; least rate to the "
                      "Earth/base; walk: slack of walking home[/dim]", soft_wrap=True)  # fmt: skip
    _say(plan, facts)


def _rate(bps: float | None) -> str:
    """Megabits a second, to the Earth or to the base."""
    return "-" if bps is None else f"{bps / 1e6:.3g}"


def _say(plan: SiteRoute, facts: dict[str, Any]) -> None:
    answer = plan.answer
    if answer.reached:
        console.print(
            f"{answer.length_m:.0f} m, arrives {facts['arrive_utc']} with "
            f"{100.0 * answer.track.energy_wh[-1] / answer.capacity_wh:.0f} % of the battery; "
            f"least on the way {answer.least_wh - answer.floor_wh:.0f} Wh above the plan's floor",
            soft_wrap=True,
        )
        console.print(f"it can stay there until {facts['stay_until_utc']}", soft_wrap=True)
    else:
        console.print(f"[red]no route to the goal:[/red] {answer.reason}", soft_wrap=True)
        for change in answer.changes:
            console.print(f"  {change}", soft_wrap=True)
        if answer.legs:
            console.print(f"the route above ends {_left(plan):.0f} m before it", soft_wrap=True)
    if answer.latest_s is not None:
        console.print(
            f"latest safe departure {facts['latest_departure_utc']}: {answer.latest_by}",
            soft_wrap=True,
        )
    for note in answer.notes:
        console.print(f"note: {note}", soft_wrap=True)


def _left(plan: SiteRoute) -> float:
    end = plan.answer.track.xy_m[-1]
    return math.hypot(plan.order.goal_m[0] - end[0], plan.order.goal_m[1] - end[1])


def _write(plan: SiteRoute, folder: Path) -> list[Path]:
    """Picture and JSON, or neither: each is finished under another name first."""
    from ilrs_robots.view.route_picture import draw_route

    name = f"{plan.site.name}_{plan.robot}_route"
    files = [folder / f"{name}{end}" for end in (".png", ".json")]
    parts = [folder / f".{name}.{os.getpid()}.part{end}" for end in (".png", ".json")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_route(plan, parts[0])
        parts[1].write_text(json.dumps(told(plan), indent=1) + "\n", encoding="utf-8")
        for part, file in zip(parts, files, strict=True):
            os.replace(part, file)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written ({error})") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return files
