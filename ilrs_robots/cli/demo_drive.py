"""``ilrs demo --robot``: one vehicle drives an obstacle course over DDS; report and bag."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from rich.table import Table

from ilrs_robots.cli.run import SimRequest, bag_parts, run_over_dds
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.terrain.corridor import corridor_report
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.nodes.goal_client import GoalOutcome
from ilrs_robots.robots.site import SiteConfig, SiteTerrain

if TYPE_CHECKING:
    from ilrs_robots.replay.evaluate import RunEvaluation

ROCK_MARGIN_M = 10.0
GOAL_TOLERANCE_M = 2.0
"""How far from the goal the vehicle may truly stand: its own tolerance and its pose error."""


def drive(site: str, robot: str, seed: int, rtf: float, duration_s: float, folder: Path) -> int:
    """Drive one vehicle to the site's goal; report, summary and bag in an empty folder."""
    request = SimRequest(site, robot, seed, None, duration_s, rtf, folder / "bag")
    loaded, terrain = request.load()
    goal = request.goal(loaded)
    if goal is None:
        raise click.UsageError(f"site {site!r} has no goal of its own")
    corridor = describe(loaded, terrain, robot, goal)
    console.print(
        f"{robot} at {loaded.name}, seed {seed}: goal {corridor['length_m']:.0f} m away; the "
        f"straight line crosses {corridor['rocks_over_clearance']} rocks above the clearance and, "
        f"within the vehicle's width, a slope of {corridor['max_slope_deg']:.0f} deg "
        f"(limit {corridor['slope_limit_deg']:.0f})"
    )
    outcome = run_over_dds(request, folder / "log.txt")
    summary = conclude(request, loaded, terrain, goal, corridor, outcome, folder)
    show(summary, folder)
    return 0 if summary["reached"] else 1


def describe(
    site: SiteConfig, terrain: SiteTerrain, robot: str, goal: tuple[float, float]
) -> dict[str, float]:
    """What lies on the straight line from start to goal."""
    placement = site.robot(robot)
    model = placement.load_model()
    report = corridor_report(
        terrain.surface,
        (placement.x_m, placement.y_m),
        goal,
        width_m=model.footprint.width_m,
        clearance_m=model.body.clearance_m,
    )
    return {
        "length_m": report.length_m,
        "rocks_over_clearance": report.rocks_over_clearance,
        "clearance_m": model.body.clearance_m,
        "max_slope_deg": math.degrees(report.max_slope_rad),
        "slope_limit_deg": model.limits.max_slope_deg,
    }


def conclude(
    request: SimRequest,
    site: SiteConfig,
    terrain: SiteTerrain,
    goal: tuple[float, float],
    corridor: dict[str, float],
    outcome: GoalOutcome | None,
    folder: Path,
) -> dict[str, object]:
    """Evaluate the bag against the truth, write summary.json and report.html.

    Raises:
        IlrsError: there is no bag to evaluate.
    """
    from ilrs_robots.replay.evaluate import evaluate_run
    from ilrs_robots.view.report import write_report

    if request.record is None or outcome is None:
        raise IlrsError("nothing was recorded, so there is nothing to evaluate")
    surface = terrain.surface
    placement = site.robot(request.robot)
    *cut_short, bag = bag_parts(request.record)
    if cut_short:
        console.print(
            f"[yellow]ilrs:[/yellow] the recorder was lost on the way: only {bag.name} is "
            f"evaluated, {', '.join(part.name for part in cut_short)} was not closed"
        )
    with console.status("evaluating the bag against the truth"):
        evaluation = evaluate_run(
            bag,
            surface.top_grid,
            robot=request.robot,
            goal_xy_m=goal,
            goal_tolerance_m=GOAL_TOLERANCE_M,
            start_xy_m=(placement.x_m, placement.y_m),
            surface_ground_grid=surface.grid,
        )
        figures = evaluation.summary()
        summary: dict[str, object] = {
            **figures,
            "reached": outcome.succeeded and figures["reached_by_truth"] is True,
            "outcome": asdict(outcome),
            "site": site.name,
            "seed": site.terrain.seed,
            "bags_cut_short": len(cut_short),
            "straight_line": corridor,
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        limits = placement.load_model().limits
        scenario = {**summary, "robot": request.robot, "max_roll_deg": limits.max_roll_deg}
        write_report(folder, evaluation, scenario, {"rocks": rocks_around(surface, evaluation)})
    return summary


def rocks_around(surface: Surface, evaluation: RunEvaluation) -> Rocks:
    """The rocks near the driven path."""
    places = np.vstack((evaluation.true_xyz_m[:, :2], evaluation.goal_xy_m[None]))
    low, high = places.min(axis=0) - ROCK_MARGIN_M, places.max(axis=0) + ROCK_MARGIN_M
    return surface.rocks(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def show(summary: dict[str, object], folder: Path) -> None:
    """The figures on the terminal, and where the rest is."""
    grid = Table(show_header=False, box=None)
    for key, value in summary.items():
        if isinstance(value, bool | int | float | str):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            grid.add_row(key.replace("_", " "), text)
    console.print(grid)
    console.print(f"report: {folder / 'report.html'}")
