"""Pictures of a run over its terrain: the drive on its own, and one for a first look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.view import style
from ilrs_robots.view.report_grids import draw_difference, mark_vehicle
from ilrs_robots.view.style import extent_of, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT_AZIMUTH_RAD = math.radians(135.0)
LIGHT_ELEVATION_RAD = math.radians(28.0)


def draw_drive(
    axes: Axes, run: RunEvaluation, scenario: dict[str, Any], rocks: Any, *, legend: bool = True
) -> None:
    """Path driven, believed and planned over the shaded true terrain, with start and goal."""
    if run.terrain_spec is not None and run.terrain_m is not None:
        _draw_terrain(axes, run.terrain_m, run.terrain_spec, scenario)
    _draw_rocks(axes, run, rocks, float(scenario.get("clearance_m", math.inf)))
    _draw_paths(axes, run)
    axes.set_aspect("equal")
    axes.set_xlabel("x in map (m)")
    axes.set_ylabel("y in map (m)")
    if run.terrain_spec is not None:
        x_min, x_max, y_min, y_max = extent_of(run.terrain_spec)
        axes.set_xlim(x_min, x_max)
        axes.set_ylim(y_min, y_max)
        style.scale_bar(axes, x_min + 2.0, y_min + 2.0, x_max - x_min)
    if legend:
        axes.figure.legend(
            loc="outside lower center", ncols=4, frameon=False, handlelength=2.4, columnspacing=1.6
        )


def _draw_terrain(
    axes: Axes, heights_m: FloatArray, spec: GridSpec, scenario: dict[str, Any]
) -> None:
    from matplotlib.patheffects import withStroke

    shade = hillshade(heights_m, spec.resolution_m, LIGHT_AZIMUTH_RAD, LIGHT_ELEVATION_RAD)
    axes.imshow(
        shade, cmap="gray", vmin=0.0, vmax=0.95, origin="lower", extent=extent_of(spec),
        interpolation="bilinear",
    )  # fmt: skip
    limit_deg = scenario.get("slope_limit_deg")
    window = max(1, round(2.0 / spec.resolution_m))
    smooth = _smooth(heights_m, window)
    levels = _contour_levels(smooth)
    if levels.size:
        lines = axes.contour(
            spec.x_m(), spec.y_m(), smooth, levels=levels, colors="#1a1a1a", linewidths=0.5,
            linestyles="solid", alpha=0.7,
        )  # fmt: skip
        for text in axes.clabel(lines, fmt="%g m", fontsize=7.5):
            text.set_alpha(1.0)
            text.set_path_effects([withStroke(linewidth=2.0, foreground="#c8c8c8")])
    if limit_deg is not None:
        dy, dx = np.gradient(smooth, spec.resolution_m)
        steep = np.degrees(np.arctan(np.hypot(dx, dy))) > float(limit_deg)
        overlay(axes, steep, spec, style.PURPLE, 0.45)
        if steep.any():
            label = f"slope over {float(limit_deg):g}°"
            axes.fill_between([], [], [], color=style.PURPLE, alpha=0.6, lw=0, label=label)


def _smooth(heights_m: FloatArray, window: int) -> FloatArray:
    """Mean over a square; unknown cells stay unknown and disturb no other."""
    unknown = np.isnan(heights_m)
    if unknown.all():
        return heights_m
    filled = np.where(unknown, 0.0, heights_m - np.nanmean(heights_m))
    weight = uniform_filter((~unknown).astype(np.float64), window, mode="nearest")
    mean = uniform_filter(filled, window, mode="nearest") / np.maximum(weight, 1e-6)
    smoothed = np.where(unknown, np.nan, mean + np.nanmean(heights_m))
    return np.asarray(smoothed, dtype=np.float64)


def _contour_levels(heights_m: FloatArray) -> FloatArray:
    if np.isnan(heights_m).all():
        return np.empty(0)
    low, high = float(np.nanmin(heights_m)), float(np.nanmax(heights_m))
    span = high - low
    if not span > 0.2:
        return np.empty(0)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if span / s <= 12)
    return np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step


def _draw_rocks(axes: Axes, run: RunEvaluation, rocks: Any, clearance_m: float) -> None:
    """Outline the rocks that the vehicle may not drive over."""
    from matplotlib.collections import EllipseCollection

    if rocks is None or len(rocks) == 0:
        return
    tall = rocks.height_above_ground_m > clearance_m
    if math.isinf(clearance_m):
        tall = rocks.height_above_ground_m > 0.3
    if not tall.any():
        return
    axes.add_collection(
        EllipseCollection(
            2.0 * rocks.semi_axes_m[tall, 0],
            2.0 * rocks.semi_axes_m[tall, 1],
            np.degrees(rocks.yaw_rad[tall]),
            units="xy",
            offsets=rocks.centre_m[tall, :2],
            offset_transform=axes.transData,
            facecolors="none",
            edgecolors=style.VERMILION,
            linewidths=1.1,
            zorder=4,
        )
    )
    bound = 0.3 if math.isinf(clearance_m) else clearance_m
    axes.plot(
        [], [], ls="", marker="o", mfc="none", mec=style.VERMILION, mew=1.4, ms=8,
        label=f"rock over {bound:g} m",
    )  # fmt: skip


def _draw_paths(axes: Axes, run: RunEvaluation) -> None:
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    def halo(width: float) -> list[Any]:
        return [withStroke(linewidth=width, foreground="black", alpha=0.75)]

    goal = run.goal_xy_m
    if run.start_xy_m is not None:
        line = np.stack((run.start_xy_m, goal))
        axes.plot(
            *line.T, color="white", lw=1.3, ls=(0, (6, 4)), label="straight line", zorder=5,
            path_effects=halo(2.4),
        )  # fmt: skip
    if run.plans_xy_m:
        axes.plot(
            *run.plans_xy_m[0].T, color=style.YELLOW, lw=1.4, ls=":", label="first plan", zorder=5,
            path_effects=halo(2.6),
        )  # fmt: skip
    if len(run.true_xyz_m):
        axes.plot(
            *run.true_xyz_m[:, :2].T, color=style.ORANGE, lw=2.6, label="driven (truth)", zorder=6,
            path_effects=halo(4.2), solid_capstyle="round",
        )  # fmt: skip
    if len(run.estimated_xyz_m):
        axes.plot(
            *run.estimated_xyz_m[:, :2].T, color=style.SKY, lw=1.4, ls=(0, (4, 2)),
            label="robot's estimate", zorder=7,
        )  # fmt: skip
    if run.start_xy_m is not None:
        axes.plot(
            *run.start_xy_m, ls="", marker="o", ms=10, mfc="white", mec="black", mew=1.5,
            label="start", zorder=8,
        )  # fmt: skip
    axes.add_patch(Circle((goal[0], goal[1]), run.goal_tolerance_m, fill=False, ec="white",
                          lw=1.2, zorder=8))  # fmt: skip
    axes.plot(
        *goal, ls="", marker="*", ms=18, mfc=style.GREEN, mec="white", mew=1.2,
        label=f"goal, within {run.goal_tolerance_m:g} m", zorder=8,
    )  # fmt: skip


def drive_figure(run: RunEvaluation, scenario: dict[str, Any], rocks: Any) -> Figure:
    """The drive over the terrain on its own."""
    ratio = 0.6
    if run.terrain_spec is not None:
        ratio = run.terrain_spec.rows / run.terrain_spec.cols
    width = 11.0 if ratio < 1.1 else 11.0 / ratio * 1.1
    figure = style.new_figure(width, min(14.0, 0.92 * width * ratio + 1.4))
    draw_drive(figure.subplots(), run, scenario, rocks)
    return figure


def hero_figure(run: RunEvaluation, scenario: dict[str, Any], rocks: Any, title: str) -> Figure:
    """One picture for a first look: the drive, with the robot's map and its error beside it."""
    spec = run.terrain_spec
    across = min(10.8, max(5.0, 6.9 * (spec.cols / spec.rows if spec is not None else 1.6)))
    figure = style.new_figure(across + 5.2, 8.2)
    figure.suptitle(title, x=0.012, ha="left", fontsize=15, fontweight="bold")
    comparison = run.last_map
    if comparison is None:
        draw_drive(figure.subplots(), run, scenario, rocks)
        return figure
    parts: Any = figure.subfigures(1, 2, width_ratios=[across, 5.0])
    left, right = parts
    draw_drive(left.subplots(), run, scenario, rocks)
    upper, lower = right.subplots(2, 1)
    extent = extent_of(comparison.spec)
    upper.set_facecolor(style.UNKNOWN)
    image = upper.imshow(comparison.elevation_m, origin="lower", extent=extent, cmap="cividis")
    right.colorbar(image, ax=upper, label="height (m)")
    upper.set_title("elevation map at the end of the drive")
    draw_difference(lower, comparison)
    for axes in (upper, lower):
        axes.set_ylabel("y in odom (m)")
        mark_vehicle(axes, comparison)
    lower.set_xlabel("x in odom (m)")
    return figure
