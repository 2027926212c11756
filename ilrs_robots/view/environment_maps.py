"""Pictures of a site's light, sight, shadow and temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import GridSpec
from ilrs_robots.view import style
from ilrs_robots.view.report_maps import _contour_levels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class MapPicture:
    """What one picture shows.

    Attributes:
        title: one line.
        notes: smaller lines below it: time, observer, source.
        label: of the colour bar, with unit; for a mask, of the legend.
        values: (rows, cols) in the label's unit, NaN unknown; bool for a mask.
        spec: where the values are.
        limits: of the colours; None takes those of the values.
        north_yaw_rad: of north at the site's middle, in map.
        sun_yaw_rad: of the Sun in map, or None where a span of time is shown.
    """

    title: str
    notes: tuple[str, ...]
    label: str
    values: np.ndarray[Any, np.dtype[Any]]
    spec: GridSpec
    north_yaw_rad: float
    limits: tuple[float, float] | None = None
    sun_yaw_rad: float | None = None


def draw_map(picture: MapPicture, dem: Dem, path: Path) -> Path:
    """Write a PNG file with contours, scale bar, north and legend."""
    with style.drawing():
        figure = style.new_figure(8.4, 8.2)
        axes = figure.subplots()
        left, right, bottom, top = style.extent_of(picture.spec)
        axes.set_facecolor(style.UNKNOWN)
        if picture.values.dtype == np.bool_:
            _draw_mask(axes, picture, dem)
        else:
            low, high = picture.limits or _limits(picture.values)
            image = axes.imshow(
                picture.values, origin="lower", extent=(left, right, bottom, top), cmap="cividis",
                vmin=low, vmax=high, interpolation="nearest",
            )  # fmt: skip
            figure.colorbar(image, ax=axes, label=picture.label, shrink=0.82, pad=0.02)
        _contours(axes, dem)
        _backing(axes, 0.02, 0.015, 0.25, 0.07)
        style.scale_bar(axes, left + 0.04 * (right - left), bottom + 0.03 * (top - bottom),
                        right - left)  # fmt: skip
        _arrow(axes, picture.north_yaw_rad, "N", "white", 0.075)
        if picture.sun_yaw_rad is not None:
            _arrow(axes, picture.sun_yaw_rad, "Sun", style.ORANGE, 0.20)
        axes.set_aspect("equal")
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_xlabel("x in map (m)")
        axes.set_ylabel("y in map (m)")
        axes.set_title(
            "\n".join(picture.notes), fontsize=9, fontweight="normal", color=style.QUIET
        )
        figure.suptitle(picture.title, x=0.02, ha="left", fontsize=13, fontweight="bold")
        return style.save(figure, path, dpi=110)


def _limits(values: np.ndarray[Any, np.dtype[Any]]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_mask(axes: Axes, picture: MapPicture, dem: Dem) -> None:
    from matplotlib.patches import Patch

    shade = hillshade(
        dem.heights_m, dem.spec.resolution_m, math.radians(135.0), math.radians(35.0)
    )
    axes.imshow(
        shade, cmap="gray", vmin=0.0, vmax=1.0, origin="lower", extent=style.extent_of(dem.spec),
        interpolation="bilinear",
    )  # fmt: skip
    style.overlay(axes, picture.values, picture.spec, style.BLUE, 0.72)
    share = 100.0 * float(picture.values.mean())
    axes.legend(
        handles=[Patch(color=style.BLUE, alpha=0.72, label=f"{picture.label}: {share:.1f} %")],
        loc="upper right",
    )


def _contours(axes: Axes, dem: Dem) -> None:
    from matplotlib.patheffects import withStroke

    levels = _contour_levels(dem.heights_m.astype(np.float64))
    if not levels.size:
        return
    lines = axes.contour(
        dem.spec.x_m(), dem.spec.y_m(), dem.heights_m, levels=levels, colors="white",
        linewidths=0.6, linestyles="solid", alpha=0.75,
    )  # fmt: skip
    for text in axes.clabel(lines, fmt="%g m", fontsize=7.5, colors="white"):
        text.set_path_effects([withStroke(linewidth=2.0, foreground="black")])


def _backing(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """A dark ground for what is written on the map, in shares of the axes."""
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x, y), width, height, transform=axes.transAxes, facecolor="black", edgecolor="none",
            boxstyle="round,pad=0,rounding_size=0.01", alpha=0.55, zorder=8,
        )
    )  # fmt: skip


def _arrow(axes: Axes, yaw_rad: float, name: str, colour: str, across: float) -> None:
    """An arrow near the upper left corner, in the axes' own directions, its name below it."""
    from matplotlib.patheffects import withStroke

    _backing(axes, across - 0.055, 0.865, 0.11, 0.12)
    middle, length = np.array([across, 0.943]), 0.034
    way = np.array([math.cos(yaw_rad), math.sin(yaw_rad)])
    edge = [withStroke(linewidth=3.0, foreground="black")]
    axes.annotate(
        "", xy=tuple(middle + length * way), xytext=tuple(middle - length * way),
        xycoords="axes fraction", zorder=10,
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.0, "path_effects": edge},
    )  # fmt: skip
    axes.annotate(
        name, xy=(across, 0.885), xycoords="axes fraction", ha="center", va="center",
        color=colour, fontweight="bold", zorder=10,
    )  # fmt: skip
