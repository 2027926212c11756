"""Pictures of what the robot itself made: its elevation map beside the truth, its hazards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ilrs_robots.replay.evaluation import MapComparison
from ilrs_robots.replay.tracks import OccupancySample
from ilrs_robots.view import style
from ilrs_robots.view.style import extent_of, overlay

_LETHAL = 0.985
"""Costs of 0.99 and more, as whole per cent come back from a message."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def map_figure(comparison: MapComparison) -> Figure:
    """The last elevation map beside the truth, and their difference."""
    figure = style.new_figure(13.5, 5.0)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    draw_elevations(panels[0], panels[1], comparison)
    draw_difference(panels[2], comparison)
    panels[0].set_ylabel("y in odom (m)")
    for axes in panels:
        axes.set_xlabel("x in odom (m)")
        mark_vehicle(axes, comparison)
    panels[0].legend(
        loc="upper left", bbox_to_anchor=(0.0, -0.14), frameon=False, borderaxespad=0.0
    )
    return figure


def mark_vehicle(axes: Axes, comparison: MapComparison) -> None:
    """Where the robot believed to stand."""
    axes.plot(
        *comparison.vehicle_xy_m, ls="", marker="D", ms=6, mfc=style.VERMILION, mec="white",
        label="vehicle",
    )  # fmt: skip


def draw_elevations(seen: Axes, true: Axes, comparison: MapComparison) -> None:
    """The map and the truth on one scale of heights."""
    extent, known = extent_of(comparison.spec), np.isfinite(comparison.elevation_m)
    truth = comparison.aligned.truth_m
    both = truth[np.isfinite(truth)]
    if known.any():
        both = np.concatenate((both, comparison.elevation_m[known]))
    low, high = np.percentile(both, (0.5, 99.5)) if both.size else (0.0, 1.0)
    share = f"{100.0 * known.mean():.0f} % seen"
    image = None
    for axes, heights, title in (
        (seen, comparison.elevation_m, f"elevation map ({share})"),
        (true, truth, "true surface"),
    ):
        axes.set_facecolor(style.UNKNOWN)
        image = axes.imshow(
            heights, origin="lower", extent=extent, cmap="cividis", vmin=low, vmax=high
        )
        axes.set_title(title)
        axes.set_aspect("equal")
    if image is not None:
        seen.figure.colorbar(image, ax=[seen, true], label="height in odom (m)", shrink=0.75)


def draw_difference(axes: Axes, comparison: MapComparison) -> None:
    """Map minus truth with the pose error taken away."""
    errors = comparison.aligned
    bound = max(0.05, errors.percentile_m(98.0) if errors.known.size else 0.05)
    axes.set_facecolor(style.UNKNOWN)
    image = axes.imshow(
        errors.error_m, origin="lower", extent=extent_of(comparison.spec), cmap="PuOr_r",
        vmin=-bound, vmax=bound,
    )  # fmt: skip
    rmse = "" if math.isnan(errors.rmse_m) else f" (RMSE {errors.rmse_m * 100.0:.1f} cm)"
    axes.set_title(f"map minus truth{rmse}")
    axes.set_aspect("equal")
    axes.figure.colorbar(image, ax=axes, label="error in height (m)", shrink=0.75, extend="both")


def hazard_figure(sample: OccupancySample) -> Figure:
    """The last traversability grid: cost, lethal cells, unknown."""
    from matplotlib.patches import Patch

    figure = style.new_figure(7.6, 6.2)
    axes = figure.subplots()
    lethal = sample.cost >= _LETHAL
    cost = np.where(lethal, np.nan, 100.0 * sample.cost)
    axes.set_facecolor(style.UNKNOWN)
    image = axes.imshow(
        cost, origin="lower", extent=extent_of(sample.spec), cmap="cividis", vmin=0, vmax=100
    )
    overlay(axes, lethal, sample.spec, style.VERMILION, 1.0)
    axes.set_aspect("equal")
    axes.set_xlabel(f"x in {sample.frame_id} (m)")
    axes.set_ylabel(f"y in {sample.frame_id} (m)")
    figure.colorbar(image, ax=axes, label="cost of driving there (%)", shrink=0.75)
    axes.legend(
        handles=[
            Patch(color=style.VERMILION, label="may not be driven"),
            Patch(color=style.UNKNOWN, label="not seen"),
        ],
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False,
    )  # fmt: skip
    return figure
