"""The report of a campaign: figures, all runs in one picture, one of each that went wrong."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.robots.model import load_robot, require_rover
from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.outcome import LONGER_BY, RunResult
from ilrs_robots.sim.campaign.summary import Summary
from ilrs_robots.sim.campaign.worlds import World, make_world
from ilrs_robots.view import style
from ilrs_robots.view.report_html import CSS
from ilrs_robots.view.report_maps import LIGHT_AZIMUTH_RAD, LIGHT_ELEVATION_RAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PICTURES = 40
_COLOURS = {
    word.REACHED: style.GREEN, word.REFUSED: style.SKY, word.ASTRAY: style.ORANGE,
    word.TIMEOUT: style.YELLOW, word.TIPPED: style.VERMILION, word.ERROR: style.INK,
}  # fmt: skip


def write_campaign_report(
    folder: Path, config: CampaignConfig, runs: Sequence[RunResult], summary: Summary
) -> Path:
    """Write ``report.html`` and its pictures into the campaign's folder; gives the page's path."""
    drawn: dict[int, str] = {}
    with style.drawing():
        style.save(_overview(runs, config), folder / "overview.png")
        for run in [run for run in runs if run.faults and run.track_xy_m][:MOST_PICTURES]:
            drawn[run.seed] = f"world_{run.seed:06d}.png"
            style.save(world_figure(make_world(run.seed, config), run), folder / drawn[run.seed])
    target = folder / "report.html"
    target.write_text(_page(runs, summary, drawn), encoding="utf-8")
    return target


def _overview(runs: Sequence[RunResult], config: CampaignConfig) -> Figure:
    figure = style.new_figure(11.0, 3.6)
    ways, tilts, places = figure.subplots(1, 3)
    _draw_ways(ways, runs)
    limits = require_rover(load_robot(config.robot), "a campaign").limits
    _draw_tilts(tilts, runs, limits.max_roll_deg, limits.max_pitch_deg)
    for name, colour in _COLOURS.items():
        some = [run for run in runs if run.outcome == name]
        if some:
            places.scatter(
                [100.0 * run.cover for run in some], [run.tilt_deg for run in some], s=22,
                color=colour, edgecolor=style.INK, linewidth=0.4, label=f"{name} ({len(some)})",
            )  # fmt: skip
    places.set(xlabel="rock cover (%)", ylabel="steepest tilt at 5 m (°)", title="Worlds")
    if runs:
        places.legend(fontsize=7.5)
    return figure


def _draw_ways(axes: Axes, runs: Sequence[RunResult]) -> None:
    compared = [run for run in runs if run.ratio is not None]
    longest = max([run.driven_m for run in compared] + [run.reference_m for run in compared] + [1])
    axes.plot([0, longest], [0, longest], color=style.QUIET, lw=0.8)
    axes.plot([0, longest], [0, longest * (1 + LONGER_BY)], color=style.VERMILION, lw=0.8, ls="--")
    axes.scatter(
        [run.reference_m for run in compared], [run.driven_m for run in compared], s=22,
        color=style.BLUE, edgecolor="white", linewidth=0.4,
    )  # fmt: skip
    axes.set(
        xlabel="all-knowing planner (m)", ylabel="driven (m)", title="Ways of those that arrived"
    )


def _draw_tilts(
    axes: Axes, runs: Sequence[RunResult], roll_limit_deg: float, pitch_limit_deg: float
) -> None:
    bins = np.linspace(0.0, max(roll_limit_deg, pitch_limit_deg) + 6.0, 18)
    data = [[run.worst_roll_deg for run in runs], [run.worst_pitch_deg for run in runs]]
    axes.hist(data, bins=list(bins), color=[style.BLUE, style.ORANGE], label=["roll", "pitch"])
    axes.axvline(min(roll_limit_deg, pitch_limit_deg), color=style.VERMILION, lw=1.0, ls="--")
    axes.set(xlabel="worst of a run (°)", ylabel="runs", title="Tilt, with the limit")
    axes.legend(fontsize=7.5)


def world_figure(world: World, run: RunResult) -> Figure:
    """One world from above: closed ground, the all-knowing planner's path, the way driven."""
    figure = style.new_figure(6.4, 6.4)
    axes = figure.subplots()
    ground = world.ground
    heights = world.terrain.surface.top_grid(ground.judged_spec)
    shade = hillshade(
        heights, ground.judged_spec.resolution_m, LIGHT_AZIMUTH_RAD, LIGHT_ELEVATION_RAD
    )
    axes.imshow(
        shade, cmap="gray", vmin=0.0, vmax=0.95, origin="lower",
        extent=style.extent_of(ground.judged_spec),
    )  # fmt: skip
    style.overlay(axes, ground.judged >= 1.0, ground.judged_spec, style.VERMILION, 0.55)
    style.overlay(axes, ~ground.open, ground.spec, style.PURPLE, 0.18)
    for points, colour, label in (
        (run.reference_xy_m, style.YELLOW, "all-knowing planner"),
        (run.track_xy_m, style.SKY, "driven"),
    ):
        if points:
            axes.plot(*np.array(points).T, color=colour, lw=1.8, label=label)
    axes.plot(*run.start_xy_m, marker="o", ms=8, color=style.GREEN, mec="white")
    axes.plot(*run.goal_xy_m, marker="*", ms=13, color=style.ORANGE, mec="white")
    half = 0.5 * world.side_m
    axes.set(xlim=(-half, half), ylim=(-half, half), xlabel="x in map (m)", ylabel="y in map (m)")
    axes.set_aspect("equal")
    axes.legend(loc="upper right", fontsize=8)
    axes.set_title(f"world {run.seed}: {run.outcome}")
    return figure


def _page(runs: Sequence[RunResult], summary: Summary, drawn: dict[int, str]) -> str:
    good = not summary.shortfalls
    kind, verdict = ("yes", "As it should be") if good else ("no", "Not as it should be")
    said = "; ".join(summary.shortfalls) or "All limits are kept."
    rows = "".join(
        f'<tr><td>{_e(what)}</td><td class="v">{_e(value)}</td></tr>'
        for what, value in summary.lines
    )
    pictures = "".join(
        f"<section><h2>World {run.seed}: {_e(', '.join(run.faults))}</h2><p>{_e(_told(run))}</p>"
        f'<figure class="narrow"><img src="{_e(drawn[run.seed])}" alt="world {run.seed}">'
        "<figcaption>Red is closed ground, purple is where the vehicle's middle may not be."
        "</figcaption></figure></section>"
        for run in runs
        if run.seed in drawn
    )
    title = f"Campaign of {summary.runs} worlds"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_e(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="kind">Campaign</p><h1>{_e(title)}</h1></header>'
        f'<div class="verdict {kind}"><b>{verdict}</b><span>{_e(said)}</span></div>'
        f"<section><h2>Figures</h2><table>{rows}</table></section>"
        '<section><h2>All runs</h2><figure class="wide"><img src="overview.png" alt="all runs">'
        "</figure></section>"
        f"{pictures}<section><h2>Runs</h2>{_table(runs)}</section>"
        '<footer><p><a href="campaign.csv">campaign.csv</a></p></footer>'
        "\n</main>\n</body>\n</html>\n"
    )


def _told(run: RunResult) -> str:
    known = run.reference_reason and f" The all-knowing planner: {run.reference_reason}."
    return f"{run.reason or 'no reason given'}.{known}"


def _table(runs: Sequence[RunResult]) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("seed", "outcome", "all-knowing", "driven m", "ratio", "roll°", "pitch°", "")
    )
    lines = "".join(
        f'<tr><td class="v">{run.seed}</td><td>{run.outcome}</td><td>{run.reference}</td>'
        f'<td class="v">{run.driven_m:.1f}</td><td class="v">{_number(run.ratio)}</td>'
        f'<td class="v">{run.worst_roll_deg:.0f}</td><td class="v">{run.worst_pitch_deg:.0f}</td>'
        f'<td class="m">{_e("; ".join(run.faults) or run.reason)}</td></tr>'
        for run in runs
    )
    return f"<table><tr>{head}</tr>{lines}</table>"


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _e(text: object) -> str:
    return html.escape(str(text))
