"""Pictures of a run that are curves: errors, attitude, speed and slope over time and distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.view import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def error_figure(run: RunEvaluation) -> Figure:
    """Pose error over time and over the distance driven."""
    figure = style.new_figure(11.0, 5.4)
    panels = figure.subplots(2, 2, sharey="row", sharex="col")
    time_s = run.stamps_s - run.stamps_s[0]
    distance_m = _distance(run.true_xyz_m)
    vertical = run.estimated_xyz_m[:, 2] - run.true_xyz_m[:, 2]
    for column, (along, label) in enumerate(
        ((time_s, "simulated time (s)"), (distance_m, "distance driven (m)"))
    ):
        upper, lower = panels[0, column], panels[1, column]
        _curve(upper, along, run.horizontal_error_m, style.BLUE, "horizontal")
        _curve(upper, along, np.abs(vertical), style.ORANGE, "vertical", ls=(0, (5, 2)))
        _curve(lower, along, np.degrees(run.yaw_error_rad), style.GREEN, "heading")
        lower.set_xlabel(label)
        lower.axhline(0.0, color=style.QUIET, lw=0.8)
    panels[0, 0].set_ylabel("position error (m)")
    panels[1, 0].set_ylabel("heading error (°)")
    panels[0, 0].set_ylim(bottom=0.0)
    _legend(panels[0, 0])
    return figure


def motion_figure(run: RunEvaluation, scenario: dict[str, Any]) -> Figure:
    """Roll and pitch, slope under the vehicle and speed over time, with their limits."""
    figure = style.new_figure(11.0, 7.2)
    attitude, slope, speed = figure.subplots(3, 1, sharex=True)
    time_s = run.stamps_s - run.stamps_s[0]
    degrees = np.degrees(run.true_rpy_rad)
    _curve(attitude, time_s, degrees[:, 0], style.BLUE, "roll")
    _curve(attitude, time_s, degrees[:, 1], style.ORANGE, "pitch (nose down positive)", ls="--")
    attitude.axhline(0.0, color=style.QUIET, lw=0.8)
    attitude.set_ylabel("attitude (°)")
    _limit(attitude, scenario.get("max_roll_deg"), both=True)
    _legend(attitude)
    if len(run.slope_rad):
        _curve(slope, time_s, np.degrees(run.slope_rad), style.GREEN, "under the vehicle")
        _limit(slope, scenario.get("slope_limit_deg"))
        _legend(slope)
    slope.set_ylabel("true slope (°)")
    slope.set_ylim(bottom=0.0)
    _curve(speed, time_s, run.speed_mps, style.VERMILION, "speed")
    speed.set_ylabel("speed (m/s)")
    speed.set_ylim(bottom=0.0)
    speed.set_xlabel("simulated time (s)")
    return figure


def _distance(positions_m: FloatArray) -> FloatArray:
    steps = np.linalg.norm(np.diff(positions_m, axis=0), axis=1)
    return np.concatenate(([0.0], np.cumsum(steps)))


def _curve(
    axes: Axes, x: FloatArray, y: FloatArray, colour: str, label: str, ls: Any = "-"
) -> None:
    axes.plot(x, y, color=colour, lw=1.5, ls=ls, label=label)
    axes.grid(visible=True, color="#e3e6ea", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)


def _legend(axes: Axes) -> None:
    """Above the curves, where it hides none."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, borderaxespad=0.2
    )


def _limit(axes: Axes, value: Any, *, both: bool = False) -> None:
    if value is None:
        return
    for sign in (1.0, -1.0) if both else (1.0,):
        axes.axhline(
            sign * float(value), color=style.PURPLE, lw=1.3, ls=(0, (2, 2)),
            label=f"limit {float(value):g}°" if sign > 0.0 else None,
        )  # fmt: skip
