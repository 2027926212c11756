"""The page around the report's pictures: plain HTML and CSS, no script, nothing from afar."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ilrs_robots.replay.evaluation import RunEvaluation


class Picture(NamedTuple):
    """A picture of the report; ``width`` is ``wide`` or ``narrow``."""

    name: str
    title: str
    caption: str
    width: str


class Row(NamedTuple):
    """A line of the table: figure, formatted value, unit, what it means."""

    label: str
    value: str
    unit: str
    note: str = ""


CSS = """
:root { --ink:#1d2430; --quiet:#5b6675; --line:#dfe3e8; --paper:#fff; --wash:#f5f6f8; }
* { box-sizing:border-box; }
body { margin:0; background:var(--wash); color:var(--ink);
  font:16px/1.5 system-ui,"DejaVu Sans","Liberation Sans",Arial,sans-serif; }
main { max-width:1180px; margin:0 auto; padding:32px 28px 64px; }
header p.kind { margin:0; color:var(--quiet); letter-spacing:.06em; text-transform:uppercase;
  font-size:13px; }
h1 { margin:.1em 0 .35em; font-size:32px; line-height:1.2; }
h2 { margin:0 0 12px; font-size:21px; }
.verdict { display:flex; gap:14px; align-items:baseline; padding:14px 18px; border-radius:8px;
  border-left:8px solid; background:var(--paper); margin:14px 0 22px; }
.verdict b { font-size:20px; white-space:nowrap; }
.yes { border-color:#009e73; } .yes b { color:#00664b; }
.no { border-color:#d55e00; } .no b { color:#a34700; }
.open { border-color:#e69f00; } .open b { color:#7a5400; }
.cards { display:grid; grid-template-columns:repeat(auto-fit,minmax(160px,1fr)); gap:12px;
  margin:0 0 26px; }
.card { background:var(--paper); border:1px solid var(--line); border-radius:8px;
  padding:12px 16px; }
.card .n { font-size:26px; font-weight:650; font-variant-numeric:tabular-nums; line-height:1.2; }
.card .n small { font-size:15px; font-weight:500; color:var(--quiet); }
.card .l { color:var(--quiet); font-size:14px; }
section { background:var(--paper); border:1px solid var(--line); border-radius:8px;
  padding:22px 24px; margin:0 0 22px; }
figure { margin:0; } figure img { width:100%; height:auto; display:block; }
figure.narrow { max-width:720px; }
figcaption { color:var(--quiet); font-size:14px; margin-top:8px; max-width:80ch; }
table { border-collapse:collapse; width:100%; font-size:15px; }
th { text-align:left; color:var(--quiet); font-weight:600; font-size:13px; }
th,td { padding:7px 12px 7px 0; border-bottom:1px solid var(--line); vertical-align:top; }
td.v { text-align:right; font-variant-numeric:tabular-nums; white-space:nowrap; }
td.u { white-space:nowrap; color:var(--quiet); } td.m { color:var(--quiet); font-size:14px; }
ul { margin:0; padding-left:20px; } code { font-size:14px; }
footer { color:var(--quiet); font-size:14px; }
@media print { body { background:#fff; } section,.card { break-inside:avoid; } }
"""


def title_of(run: RunEvaluation, scenario: Mapping[str, Any]) -> str:
    """One line that says what was done and how it ended."""
    if title := scenario.get("title"):
        return str(title)
    where = f" at {scenario['site']}" if scenario.get("site") else ""
    words = {True: "goal reached", False: "goal not reached", None: "outcome unknown"}
    driven = run.distance_driven_m
    length = f", {driven:.0f} m driven" if driven is not None else ""
    return f"{run.robot}{where}: {words[run.reached]}{length}"


def page(
    run: RunEvaluation,
    scenario: Mapping[str, Any],
    extra: Mapping[str, Any],
    pictures: Sequence[Picture],
) -> str:
    """The whole page."""
    title = title_of(run, scenario)
    sections = [figure_section(picture) for picture in pictures]
    sections.insert(1 if sections else 0, _table(rows_of(run)))
    body = [
        _header(run, scenario, title),
        _verdict(run),
        _cards(run),
        *sections,
        _latencies(run),
        _missing(run),
        _provenance(extra),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def escaped(text: object) -> str:
    """Text as it stands in a page."""
    return html.escape(str(text))


def number(value: float | None, digits: int, factor: float = 1.0) -> str:
    """A figure with fixed decimals, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value * factor:,.{digits}f}".replace(",", "\u202f")
    return text.replace("-", "\u2212")


def _header(run: RunEvaluation, scenario: Mapping[str, Any], title: str) -> str:
    facts = [f"robot {run.robot}"]
    facts += [f"{key} {scenario[key]}" for key in ("site", "seed") if key in scenario]
    text = (
        f'<header><p class="kind">Evaluation of a recorded drive: {escaped(", ".join(facts))}</p>'
    )
    text += f"<h1>{escaped(title)}</h1>"
    return text + f"<p>{escaped(description_of(run, scenario))}</p></header>"


def description_of(run: RunEvaluation, scenario: Mapping[str, Any]) -> str:
    """What the run was about, in a sentence or two."""
    if description := scenario.get("description"):
        return str(description)
    parts = []
    if run.straight_line_m is not None:
        parts.append(f"The goal lies {run.straight_line_m:.1f} m from the start.")
    if "rocks_over_clearance" in scenario and "max_slope_deg" in scenario:
        clearance, limit = scenario.get("clearance_m"), scenario.get("slope_limit_deg")
        over = f" of {float(clearance):g} m" if clearance is not None else ""
        above = f" (limit {float(limit):g}°)" if limit is not None else ""
        parts.append(
            f"A straight line to it would cross {scenario['rocks_over_clearance']} rocks above "
            f"the vehicle's clearance{over} and, within its width, a slope of "
            f"{float(scenario['max_slope_deg']):.0f}°{above}."
        )
    return " ".join(parts)


def _verdict(run: RunEvaluation) -> str:
    kind = {True: "yes", False: "no", None: "open"}[run.reached]
    word = {True: "Goal reached", False: "Goal not reached", None: "Not known"}[run.reached]
    parts = []
    if run.final_distance_to_goal_m is not None:
        parts.append(
            f"By the truth the vehicle stopped {run.final_distance_to_goal_m:.2f} m from the "
            f"goal; {run.goal_tolerance_m:g} m are allowed."
        )
    if run.robot_word is not None:
        parts.append(f"The robot itself says: {run.robot_word}.")
    if run.reached is None:
        parts.append(run.missing.get("reached", ""))
    return (
        f'<div class="verdict {kind}"><b>{word}</b><span>{escaped(" ".join(parts))}</span></div>'
    )


def _cards(run: RunEvaluation) -> str:
    shown = [
        ("driven", number(run.distance_driven_m, 1), "m"),
        ("simulated time of the drive", number(run.drive_s or run.simulated_s, 0), "s"),
        ("final position error", number(run.final_position_error_m, 2), "m"),
        ("map RMSE, pose error removed", number(run.map_rmse_m("aligned"), 1, 100.0), "cm"),
        ("steepest slope driven", number(_deg(run.max_slope_rad), 1), "°"),
        ("real-time factor", number(run.real_time_factor, 2), "×"),
    ]
    cards = "".join(
        f'<div class="card"><div class="n">{value} <small>{unit}</small></div>'
        f'<div class="l">{label}</div></div>'
        for label, value, unit in shown
    )
    return f'<div class="cards">{cards}</div>'


def _deg(angle_rad: float | None) -> float | None:
    return None if angle_rad is None else math.degrees(angle_rad)


def rows_of(run: RunEvaluation) -> list[Row]:
    """Every figure of the table."""
    last = run.last_map
    pose = "believed minus true pose of the body, map frame"
    used = "as a consumer gets it: map at the believed pose"
    return [
        Row("distance to the goal at the end", number(run.final_distance_to_goal_m, 2), "m",
            f"true; {run.goal_tolerance_m:g} m allowed"),
        Row("straight line to the goal", number(run.straight_line_m, 1), "m"),
        Row("distance driven", number(run.distance_driven_m, 1), "m", "true path"),
        Row("time from goal to end", number(run.drive_s, 1), "s", "simulated"),
        Row("time recorded", number(run.simulated_s, 1), "s", "simulated"),
        Row("recoveries", number(run.recoveries, 0), "", "as the robot reports"),
        Row("final position error", number(run.final_position_error_m, 3), "m", pose),
        Row("largest position error", number(run.max_position_error_m, 3), "m", pose),
        Row("RMS position error", number(run.rms_position_error_m, 3), "m", "without alignment"),
        Row("final horizontal error", number(run.final_horizontal_error_m, 3), "m", pose),
        Row("largest heading error", number(_deg(run.max_yaw_error_rad), 2), "°"),
        Row("worst roll", number(_deg(run.max_roll_rad), 1), "°", "true"),
        Row("worst pitch", number(_deg(run.max_pitch_rad), 1), "°", "true"),
        Row("steepest slope under the vehicle", number(_deg(run.max_slope_rad), 1), "°", "true"),
        Row("steepest slope on the straight line's middle",
            number(_deg(run.straight_line_max_slope_rad), 1), "°", "true"),
        Row("map RMSE, last map", number(run.map_rmse_m("as_used"), 1, 100.0), "cm", used),
        Row("map RMSE, last map, pose error removed",
            number(run.map_rmse_m("aligned"), 1, 100.0), "cm", "quality of the mapping itself"),
        Row("map RMSE, over the drive, pose error removed",
            number(run.map_rmse_m("aligned", mean=True), 1, 100.0), "cm",
            f"root mean square over {len(run.maps)} maps"),
        Row("map error, median / 95th percentile",
            f"{number(last.aligned.percentile_m(50), 1, 100.0)} / "
            f"{number(last.aligned.percentile_m(95), 1, 100.0)}" if last else "–", "cm",
            "absolute, last map, pose error removed"),
        Row("map coverage", number(run.map_coverage, 0, 100.0), "%",
            "known cells near the vehicle, mean over the maps"),
        Row("real-time factor", number(run.real_time_factor, 2), "×", "simulated over wall time"),
        Row("messages the recorder lost", number(run.recorder_dropped, 0), ""),
    ]  # fmt: skip


def _table(rows: Sequence[Row]) -> str:
    lines = "".join(
        f'<tr><td>{escaped(row.label)}</td><td class="v">{row.value}</td>'
        f'<td class="u">{escaped(row.unit)}</td><td class="m">{escaped(row.note)}</td></tr>'
        for row in rows
    )
    head = "<tr><th>figure</th><th></th><th>unit</th><th></th></tr>"
    return f"<section><h2>Figures</h2><table>{head}{lines}</table></section>"


def figure_section(picture: Picture) -> str:
    """A picture with its title and caption."""
    return (
        f'<section><h2>{escaped(picture.title)}</h2><figure class="{picture.width}">'
        f'<img src="{escaped(picture.name)}" alt="{escaped(picture.title)}">'
        f"<figcaption>{escaped(picture.caption)}</figcaption></figure></section>"
    )


def _latencies(run: RunEvaluation) -> str:
    if not run.latency_p95_ms:
        return ""
    rows = [
        Row(name, number(value, 1), "ms", "median over the run of the 95th percentile")
        for name, value in run.latency_p95_ms.items()
    ]
    return _table(rows).replace("<h2>Figures</h2>", "<h2>Latency by node</h2>")


def _missing(run: RunEvaluation) -> str:
    if not run.missing:
        return ""
    items = "".join(
        f"<li><b>{escaped(key.replace('_', ' '))}</b>: {escaped(why)}</li>"
        for key, why in sorted(run.missing.items())
    )
    return f"<section><h2>What could not be measured</h2><ul>{items}</ul></section>"


def _provenance(extra: Mapping[str, Any]) -> str:
    parts = [f"{key}: {value}" for key, value in dict(extra.get("provenance", {})).items()]
    links = [
        f'<a href="{escaped(path)}">{escaped(name)}</a>'
        for name, path in dict(extra.get("files", {})).items()
    ]
    text = " · ".join([*(escaped(part) for part in parts), *links])
    return f"<footer><p>{text}</p></footer>" if text else ""
