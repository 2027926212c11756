"""The report of a mission of several vehicles: one HTML page with its pictures beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ilrs_robots.replay.mission_track import EventLine
from ilrs_robots.replay.site_evaluation import SiteEvaluation, VehicleRun
from ilrs_robots.view import site_pictures, style
from ilrs_robots.view.report_html import CSS, Picture, Row, escaped, figure_section, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERO = "picture.png"
MORE_CSS = """
.scroll { overflow-x:auto; } td.left { white-space:nowrap; }
tr.trouble td { color:#a34700; } td.t { white-space:nowrap; font-variant-numeric:tabular-nums; }
"""


def write_site_report(
    out_dir: Path, found: SiteEvaluation, ground: site_pictures.SiteGround, description: str
) -> Path:
    """Write ``report.html`` and its pictures; gives the page's path.

    Args:
        out_dir: folder that exists.
        found: what was measured.
        ground: the true ground of the picture.
        description: of the mission, one sentence.
    """
    with style.drawing():
        pictures = _pictures(out_dir, found, ground)
    target = out_dir / "report.html"
    target.write_text(page(found, description, pictures), encoding="utf-8")
    return target


def title_of(found: SiteEvaluation) -> str:
    """One line that says what was done and how it ended."""
    states = [task.state for vehicle in found.vehicles for task in vehicle.tasks]
    done = f"{states.count('done')} of {len(states)} tasks done"
    return f"{found.mission} at {found.site}: {len(found.vehicles)} vehicles, {done}"


def _pictures(
    out_dir: Path, found: SiteEvaluation, ground: site_pictures.SiteGround
) -> list[Picture]:
    made: list[Picture] = []

    def keep(name: str, figure: Figure, title: str, caption: str) -> None:
        style.save(figure, out_dir / name)
        made.append(Picture(name, title, caption, "wide"))

    style.save(site_pictures.site_figure(found, ground, title_of(found)), out_dir / HERO)
    keep(
        "site.png",
        site_pictures.site_figure(found, ground),
        "The site",
        "True ways over the true ground. The relief is drawn with light from the Sun's true side, "
        "28° high for legibility; blue is where the Sun, as low as it stands, is not seen from "
        "1 m above the ground. Circles are starts, squares ends.",
    )
    with_tasks = any(vehicle.tasks for vehicle in found.vehicles)
    if with_tasks:
        keep(
            "timeline.png", site_pictures.timeline_figure(found), "Who did what, and when",
            "Tasks of the mission as its executive told them.",
        )  # fmt: skip
    _of_vehicles(found, keep)
    return made


def _of_vehicles(found: SiteEvaluation, keep: Callable[..., None]) -> None:
    for vehicle in found.vehicles:
        if vehicle.flights:
            keep(
                f"{vehicle.name}_flights.png", site_pictures.hop_figure(vehicle),
                f"The flights of {vehicle.name.replace('_', ' ')}", "True heights, from the side.",
            )  # fmt: skip
    powered = [vehicle for vehicle in found.vehicles if vehicle.run.power]
    if powered:
        keep(
            "power.png", site_pictures.power_figure(powered), "Energy and light",
            "As each vehicle computed them from its own pose over the ground known from orbit.",
        )  # fmt: skip
    estimated = [vehicle for vehicle in found.vehicles if len(vehicle.run.estimated_xyz_m)]
    if estimated:
        keep(
            "pose_error.png", site_pictures.error_figure(estimated),
            "Where they thought they were", "Believed minus true pose in the map frame.",
        )  # fmt: skip
    if any(vehicle.run.last_map is not None for vehicle in found.vehicles):
        keep(
            "maps.png", site_pictures.maps_figure(found.vehicles), "What they saw",
            "The last recorded elevation map of each (a hopper's is that of its landing area), "
            "and its error with the pose error at that moment taken away. Grey was not seen.",
        )  # fmt: skip


# -- the page ----------------------------------------------------------------------------------
def page(found: SiteEvaluation, description: str, pictures: list[Picture]) -> str:
    """The whole page."""
    title = title_of(found)
    sections = [figure_section(picture) for picture in pictures]
    body = [
        _header(found, title, description), _verdict(found), _cards(found), *sections[:1],
        _table(found.vehicles), *sections[1:], _tasks(found), _events(found.events),
        _latencies(found), _missing(found),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{CSS}{MORE_CSS}</style>\n</head>\n<body>\n"
        "<main>\n" + "\n".join(part for part in body if part) + "\n</main>\n</body>\n</html>\n"
    )


def _header(found: SiteEvaluation, title: str, description: str) -> str:
    notes = [f"{key.replace('_', ' ')}: {value}" for key, value in found.notes.items()
             if isinstance(value, str | int | float)]  # fmt: skip
    said = f"<p>{escaped(description)}</p>" if description else ""
    said += f"<p>{escaped('; '.join(notes))}</p>" if notes else ""
    return (
        '<header><p class="kind">Evaluation of a recorded mission</p>'
        f"<h1>{escaped(title)}</h1>{said}</header>"
    )


def _verdict(found: SiteEvaluation) -> str:
    word = "Everything done" if found.succeeded else "Not everything done"
    parts = []
    for vehicle in found.vehicles:
        away = vehicle.run.final_distance_to_goal_m
        done = sum(task.state == "done" for task in vehicle.tasks)
        where = "" if away is None else (
            f", {away:.2f} m from where it was to end ({vehicle.plan.tolerance_m:g} m allowed)"
        )  # fmt: skip
        parts.append(f"{vehicle.name}: {done} of {len(vehicle.tasks)} tasks{where}.")
    kind = "yes" if found.succeeded else "no"
    return (
        f'<div class="verdict {kind}"><b>{word}</b><span>{escaped(" ".join(parts))}</span></div>'
    )


def _cards(found: SiteEvaluation) -> str:
    flown = sum(flight.distance_m for v in found.vehicles for flight in v.flights)
    driven = sum(v.run.distance_driven_m or 0.0 for v in found.vehicles if not v.plan.hops)
    used = [v.energy.loads_wh for v in found.vehicles if v.energy is not None]
    worst = [v.run.max_horizontal_error_m for v in found.vehicles
             if v.run.max_horizontal_error_m is not None]  # fmt: skip
    shown = [
        ("driven", number(driven, 0), "m"),
        ("flown", number(flown, 0), "m"),
        ("simulated", number(found.simulated_s, 0), "s"),
        ("energy used", number(math.fsum(used) if used else None, 0), "Wh"),
        ("largest position error", number(max(worst, default=None), 2), "m"),
        ("real-time factor", number(found.real_time_factor, 2), "×"),
    ]
    cards = "".join(
        f'<div class="card"><div class="n">{value} <small>{unit}</small></div>'
        f'<div class="l">{label}</div></div>'
        for label, value, unit in shown
    )
    return f'<div class="cards">{cards}</div>'


def rows_of(vehicle: VehicleRun) -> list[Row]:
    """Every figure of a vehicle; all vehicles have the same rows."""
    run, energy = vehicle.run, vehicle.energy

    def of(key: str, digits: int, factor: float = 1.0) -> str:
        return number(None if energy is None else getattr(energy, key), digits, factor)

    def degrees(angle_rad: float | None) -> str:
        return number(None if angle_rad is None else math.degrees(angle_rad), 1)

    flown = math.fsum(flight.distance_m for flight in vehicle.flights)
    apex = max((flight.apex_m for flight in vehicle.flights), default=None)
    driven = None if vehicle.plan.hops else run.distance_driven_m
    return [
        Row("driven", number(driven, 1), "m", "true path"),
        Row("flights", str(len(vehicle.flights)) if vehicle.plan.hops else "–", ""),
        Row("flown, level", number(flown if vehicle.plan.hops else None, 1), "m"),
        Row("highest above ground", number(apex, 1), "m"),
        Row("steepest slope on its way", "–" if vehicle.plan.hops else degrees(run.max_slope_rad),
            "°", "true"),
        Row("worst roll", degrees(run.max_roll_rad), "°", "true; a hopper's in flight"),
        Row("worst pitch", degrees(run.max_pitch_rad), "°", "likewise"),
        Row("from where it was to end", number(run.final_distance_to_goal_m, 2), "m", "true"),
        Row("energy used", of("loads_wh", 1), "Wh", "loads, heater and driving; a hopper's "
            "engines burn propellant"),
        Row("of it for driving", of("drive_wh", 1), "Wh"),
        Row("its arrays could give", of("solar_wh", 1), "Wh"),
        Row("into the battery", of("into_battery_wh", 1), "Wh"),
        Row("out of the battery", of("out_of_battery_wh", 1), "Wh"),
        Row("battery at the begin", of("begin_charge", 1, 100.0), "%"),
        Row("battery at the end", of("end_charge", 1, 100.0), "%"),
        Row("light, mean share of the Sun", of("light_share", 0, 100.0), "%"),
        Row("time without Sun", of("dark_s", 0), "s"),
        Row("map coverage", number(run.map_coverage, 0, 100.0), "%", "known cells within 10 m"),
        Row("map RMSE, last map, pose error removed",
            number(run.map_rmse_m("aligned"), 1, 100.0), "cm"),
        Row("map RMSE, over the run, pose error removed",
            number(run.map_rmse_m("aligned", mean=True), 1, 100.0), "cm"),
        Row("final horizontal error", number(run.final_horizontal_error_m, 3), "m", "of its pose"),
        Row("largest horizontal error", number(run.max_horizontal_error_m, 3), "m", "of its pose"),
        Row("largest heading error", number(None if run.max_yaw_error_rad is None else
                                            math.degrees(run.max_yaw_error_rad), 2), "°"),
        Row("recoveries", number(run.recoveries, 0), "", "as it reports"),
    ]  # fmt: skip


def _table(vehicles: list[VehicleRun]) -> str:
    heads = "".join(f"<th>{escaped(v.name.replace('_', ' '))}</th>" for v in vehicles)
    columns = [rows_of(vehicle) for vehicle in vehicles]
    lines = []
    for rows in zip(*columns, strict=True):
        values = "".join(f'<td class="v">{row.value}</td>' for row in rows)
        first = rows[0]
        lines.append(f"<tr><td>{escaped(first.label)}</td>{values}"
                     f'<td class="u">{escaped(first.unit)}</td>'
                     f'<td class="m">{escaped(first.note)}</td></tr>')  # fmt: skip
    head = f"<tr><th>figure</th>{heads}<th>unit</th><th></th></tr>"
    return _section("Figures", f"<table>{head}{''.join(lines)}</table>")


def _section(title: str, inside: str) -> str:
    return f'<section><h2>{escaped(title)}</h2><div class="scroll">{inside}</div></section>'


def _tasks(found: SiteEvaluation) -> str:
    lines = [
        f'<tr{_mark(task.state != "done")}><td class="left">{escaped(task.name)}</td>'
        f"<td>{escaped(task.kind.replace('_', ' '))}</td><td>{escaped(task.state)}</td>"
        f'<td class="v">{number(task.began_s, 0)}</td><td class="v">{number(task.ended_s, 0)}</td>'
        f"<td>{escaped(task.sentence)}</td></tr>"
        for vehicle in found.vehicles
        for task in vehicle.tasks
    ]
    words = ("task", "what", "state", "began, s", "ended, s", "")
    head = f"<tr>{''.join(f'<th>{word}</th>' for word in words)}</tr>"
    return _section("Tasks", f"<table>{head}{''.join(lines)}</table>") if lines else ""


def _mark(trouble: bool) -> str:
    return ' class="trouble"' if trouble else ""


def _events(events: tuple[EventLine, ...]) -> str:
    lines = [
        f'<tr{_mark(event.trouble)}><td class="t">{event.time_s:.1f}</td>'
        f'<td class="left">{escaped(event.name)}</td><td>{escaped(event.sentence)}</td></tr>'
        for event in events
    ]
    head = "<tr><th>mission time, s</th><th>task</th><th>what happened</th></tr>"
    return _section("Events", f"<table>{head}{''.join(lines)}</table>") if lines else ""


def _latencies(found: SiteEvaluation) -> str:
    lines = [f'<tr><td>{escaped(name)}</td><td class="v">{number(value, 1)}</td><td>ms</td></tr>'
             for name, value in found.latency_p95_ms.items()]  # fmt: skip
    head = "<tr><th>node</th><th>95th percentile, median over the run</th><th></th></tr>"
    return _section("Latency by node", f"<table>{head}{''.join(lines)}</table>") if lines else ""


def _missing(found: SiteEvaluation) -> str:
    items = "".join(
        f"<li><b>{escaped(f'{vehicle.name}: {key}'.replace('_', ' '))}</b>: {escaped(why)}</li>"
        for vehicle in found.vehicles
        for key, why in sorted(vehicle.run.missing.items())
    )
    return _section("What could not be measured", f"<ul>{items}</ul>") if items else ""
