"""Picture of a route: the way over shaded ground, light at moments, and the battery over time."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ilrs_robots.core.planning.route_ground import Closed
from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.view import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ilrs_robots.robots.route_planner import SiteRoute

_MOMENTS: Final = 3
_MARGIN: Final = 0.25
_KINDS: Final = {"drive": style.BLUE, "charge": style.GREEN, "wait": style.PURPLE}


def draw_route(plan: SiteRoute, path: Path) -> Path:
    """Write a PNG file: map with the route, light at moments, battery and light over time."""
    with style.drawing():
        figure = style.new_figure(9.0, 8.8)
        outer = figure.add_gridspec(2, 1, height_ratios=(2.2, 1.0))
        grid = outer[0].subgridspec(_MOMENTS, 2, width_ratios=(2.8, 1.0), wspace=0.02)
        box = _window(plan)
        ways = figure.add_subplot(grid[:, 0])
        _draw_ground(ways, plan, box)
        _draw_way(ways, plan)
        ends = np.linspace(0.0, plan.answer.arrive_s, _MOMENTS)
        for n, time_s in enumerate(ends):
            _draw_light(figure.add_subplot(grid[n, 1]), plan, float(time_s), box)
        _draw_battery(figure.add_subplot(outer[1]), plan)
        answer = plan.answer
        words = "reaches the goal" if answer.reached else "ends before the goal"
        figure.suptitle(
            f"{plan.robot} at {plan.site.name}: {answer.length_m / 1000.0:.2f} km in "
            f"{answer.arrive_s / 3600.0:.1f} h, {words}",
            x=0.02, ha="left", fontsize=13, fontweight="bold",
        )  # fmt: skip
        return style.save(figure, path, dpi=88)


def _window(plan: SiteRoute) -> tuple[float, float, float, float]:
    """Left, right, bottom, top around the route and the goal, square and inside the terrain."""
    xy = np.vstack((plan.answer.track.xy_m, plan.order.goal_m))
    middle = 0.5 * (xy.min(axis=0) + xy.max(axis=0))
    half = max(float(np.ptp(xy, axis=0).max()) * (0.5 + _MARGIN), 100.0)
    left, right, bottom, top = style.extent_of(plan.dem.spec)
    half = min(half, 0.5 * (right - left), 0.5 * (top - bottom))
    x = min(max(middle[0], left + half), right - half)
    y = min(max(middle[1], bottom + half), top - half)
    return x - half, x + half, y - half, y + half


def _shade(plan: SiteRoute) -> np.ndarray[Any, np.dtype[Any]]:
    return hillshade(
        plan.dem.heights_m, plan.dem.spec.resolution_m, math.radians(135.0), math.radians(35.0)
    )


def _frame(axes: Axes, box: tuple[float, float, float, float]) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(box[0], box[1])
    axes.set_ylim(box[2], box[3])


def _draw_ground(axes: Axes, plan: SiteRoute, box: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Patch

    extent = style.extent_of(plan.dem.spec)
    axes.imshow(_shade(plan), cmap="gray", vmin=0.0, vmax=1.0, origin="lower", extent=extent)
    closed = plan.ground.closed
    style.overlay(axes, closed == Closed.SLOPE, plan.dem.spec, style.VERMILION, 0.45)
    style.overlay(
        axes, (closed != Closed.NO) & (closed != Closed.SLOPE), plan.dem.spec, style.PURPLE, 0.5
    )
    handles = [
        Patch(color=style.VERMILION, alpha=0.45, label="too steep"),
        Patch(color=style.PURPLE, alpha=0.5, label="otherwise closed"),
    ]
    if plan.walk is not None:
        left = plan.walk.leave_by_s(_fresh(plan)) <= plan.answer.arrive_s
        style.overlay(axes, left, plan.dem.spec, style.ORANGE, 0.25)
        handles.append(Patch(color=style.ORANGE, alpha=0.25, label="no walk-back at arrival"))
    _frame(axes, box)
    style.scale_bar(
        axes, box[0] + 0.04 * (box[1] - box[0]), box[2] + 0.03 * (box[3] - box[2]),
        box[1] - box[0],
    )  # fmt: skip
    axes.set_xlabel("x in map (m)")
    axes.set_ylabel("y in map (m)")
    axes.legend(handles=handles, loc="upper right")


def _fresh(plan: SiteRoute) -> Any:
    from ilrs_robots.core.planning.walk_back import SuitState

    return SuitState.fresh(plan.walk.suit) if plan.walk is not None else None


def _draw_way(axes: Axes, plan: SiteRoute) -> None:
    from matplotlib.patheffects import withStroke

    track, edge = plan.answer.track, [withStroke(linewidth=3.5, foreground="white")]
    axes.plot(*track.xy_m.T, color=style.BLUE, lw=2.0, path_effects=edge, zorder=6)
    for leg in plan.answer.legs:
        if leg.kind != "drive":
            x, y = track.xy_m[leg.first]
            axes.plot(x, y, "o", color=_KINDS[leg.kind], ms=9, mec="white", zorder=7)
            _name(axes, f"{leg.kind} {(leg.end_s - leg.start_s) / 3600.0:.1f} h", x, y, -14)
    for name, at, marker in (("start", track.xy_m[0], "s"), ("goal", plan.order.goal_m, "*")):
        axes.plot(*at, marker, color=style.YELLOW, ms=13 if marker == "*" else 9, mec="black",
                  zorder=8)  # fmt: skip
        _name(axes, name, float(at[0]), float(at[1]), 8)


def _name(axes: Axes, text: str, x: float, y: float, up: float) -> None:
    from matplotlib.patheffects import withStroke

    axes.annotate(
        text, (x, y), (8, up), textcoords="offset points", color="white", fontweight="bold",
        fontsize=9, zorder=9, path_effects=[withStroke(linewidth=2.5, foreground="black")],
        clip_on=True,
    )  # fmt: skip


def _draw_light(
    axes: Axes, plan: SiteRoute, time_s: float, box: tuple[float, float, float, float]
) -> None:
    """Light at a time after the departure, with where the vehicle is."""
    step = min(int(time_s / plan.light.step_s), plan.light.steps - 1)
    axes.imshow(
        plan.light.share[step] * (_shade(plan) * 0.5 + 0.5), cmap="cividis", vmin=0.0, vmax=255.0,
        origin="lower", extent=style.extent_of(plan.dem.spec),
    )  # fmt: skip
    axes.plot(*plan.answer.track.xy_m.T, color="white", lw=1.0)
    axes.plot(*plan.answer.track.at(time_s), "o", color=style.ORANGE, ms=7, mec="black")
    _frame(axes, box)
    axes.set_xticks([])
    axes.set_yticks([])
    when = plan.order.depart.astimezone(dt.UTC) + dt.timedelta(seconds=time_s)
    axes.set_title(f"light {when:%Y-%m-%d %H:%M}", fontsize=9)


def _draw_battery(axes: Axes, plan: SiteRoute) -> None:
    answer = plan.answer
    hours = answer.track.time_s / 3600.0
    axes.fill_between(
        hours, 0.0, 100.0 * answer.track.light, color=style.YELLOW, alpha=0.45, lw=0.0,
        label="light (% of the Sun's disc)",
    )  # fmt: skip
    share = 100.0 / answer.capacity_wh
    axes.plot(hours, share * answer.track.energy_wh, color=style.BLUE, lw=2.0, label="battery (%)")
    axes.axhline(share * answer.floor_wh, color=style.VERMILION, ls="--", lw=1.2,
                 label="floor of the plan")  # fmt: skip
    seen = set()
    for leg in answer.legs:
        label = leg.kind if leg.kind not in seen and leg.kind != "drive" else None
        seen.add(leg.kind)
        if leg.kind != "drive":
            axes.axvspan(leg.start_s / 3600.0, leg.end_s / 3600.0, color=_KINDS[leg.kind],
                         alpha=0.15, lw=0.0, label=label)  # fmt: skip
    if plan.slack_s is not None:
        beside = axes.twinx()
        beside.plot(hours, plan.slack_s / 3600.0, color=style.GREEN, lw=1.6)
        beside.set_ylabel("walk-back slack (h)", color=style.GREEN)
        beside.set_ylim(bottom=min(0.0, float(np.nanmin(plan.slack_s)) / 3600.0))
    axes.set_ylim(0.0, 103.0)
    axes.set_xlim(0.0, max(float(hours[-1]), 1e-3))
    axes.set_xlabel(f"hours after {plan.order.depart.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC")
    axes.set_ylabel("%")
    axes.legend(loc="lower left", ncols=2)
