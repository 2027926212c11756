"""Pictures of a mission of several vehicles: the site with their ways, time, energy, errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec
from ilrs_robots.replay.site_evaluation import SiteEvaluation, VehicleRun
from ilrs_robots.view import style
from ilrs_robots.view.report_grids import draw_difference, mark_vehicle
from ilrs_robots.view.report_maps import LIGHT_ELEVATION_RAD
from ilrs_robots.view.style import extent_of, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = (
    style.ORANGE,
    style.SKY,
    style.GREEN,
    style.PURPLE,
    style.YELLOW,
    style.VERMILION,
)
MARGIN_M: Final = 15.0
STATES: Final = {"done": style.GREEN, "failed": style.VERMILION, "dropped": style.QUIET}
_DARK = 0.01


@dataclass(frozen=True)
class SiteGround:
    """The true ground under a mission, lit by its Sun.

    Attributes:
        spec: grid in map.
        heights_m: (rows, cols) ground and rocks.
        dark: (rows, cols) cells 1 m above which the Sun does not reach at the epoch.
        sun_yaw_rad: of the Sun in map.
        sun_elevation_rad: of the Sun.
        places: (kind, x, y) of what the base has, map.
    """

    spec: GridSpec
    heights_m: FloatArray
    dark: BoolArray
    sun_yaw_rad: float
    sun_elevation_rad: float
    places: tuple[tuple[str, float, float], ...]


def halo(width: float) -> list[Any]:
    """A dark edge that keeps a line readable on any ground."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="black", alpha=0.8)]


def colour_of(vehicles: Sequence[VehicleRun], vehicle: VehicleRun) -> str:
    """The same for a vehicle in every picture."""
    return COLOURS[[v.name for v in vehicles].index(vehicle.name) % len(COLOURS)]


def site_figure(found: SiteEvaluation, ground: SiteGround, title: str = "") -> Figure:
    """All ways over the ground with the Sun's own shadows."""
    spec = ground.spec
    ratio = spec.rows / spec.cols
    figure = style.new_figure(11.5, min(12.0, max(5.0, 11.0 * ratio + 1.2)))
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=15, fontweight="bold")
    axes = figure.subplots()
    _draw_ground(axes, ground)
    for vehicle in found.vehicles:
        _draw_way(axes, vehicle, colour_of(found.vehicles, vehicle))
    _draw_base(axes, ground)
    axes.set_aspect("equal")
    left, right, bottom, top = extent_of(spec)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xlabel("x in map (m)")
    axes.set_ylabel("y in map (m)")
    style.scale_bar(axes, left + 3.0, bottom + 3.0, right - left)
    _draw_sun(axes, ground)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, columnspacing=1.6)
    return figure


def _draw_ground(axes: Axes, ground: SiteGround) -> None:
    spec = ground.spec
    shade = hillshade(ground.heights_m, spec.resolution_m, ground.sun_yaw_rad, LIGHT_ELEVATION_RAD)
    axes.imshow(
        shade, cmap="gray", vmin=0.0, vmax=0.85, origin="lower", extent=extent_of(spec),
        interpolation="bilinear",
    )  # fmt: skip
    overlay(axes, ground.dark, spec, "#0b1a33", 0.68)
    axes.fill_between(
        [], [], [], color="#0b1a33", alpha=0.75, lw=0, label="no Sun 1 m above the ground"
    )


def _draw_way(axes: Axes, vehicle: VehicleRun, colour: str) -> None:
    run, name = vehicle.run, vehicle.name.replace("_", " ")
    way = run.true_xyz_m[:, :2]
    if not len(way):
        return
    shown = {"color": colour, "zorder": 6, "solid_capstyle": "round"}
    if vehicle.plan.hops:
        for k, flight in enumerate(vehicle.flights):
            part = (run.stamps_s >= flight.begin_s) & (run.stamps_s <= flight.end_s)
            axes.plot(
                *way[part].T, lw=2.2, ls=(0, (5, 2)), path_effects=halo(3.6),
                label=f"{name}, flight" if k == 0 else None, **shown,
            )  # fmt: skip
        stands = np.array([flight.to_xy_m for flight in vehicle.flights]).reshape(-1, 2)
        axes.plot(
            *stands.T, ls="", marker="v", ms=9, mfc=colour, mec="black", zorder=8,
            label=f"{name}, landed",
        )  # fmt: skip
    else:
        axes.plot(*way.T, lw=2.4, path_effects=halo(4.0), label=name, **shown)
    axes.plot(*way[0], ls="", marker="o", ms=8, mfc=colour, mec="black", mew=1.2, zorder=8)
    axes.plot(*way[-1], ls="", marker="s", ms=7, mfc=colour, mec="white", mew=1.2, zorder=9)


def _draw_base(axes: Axes, ground: SiteGround) -> None:
    for kind, x, y in ground.places:
        charger = kind == "charger"
        axes.plot(
            x, y, ls="", marker="P" if charger else "s", ms=8 if charger else 11,
            mfc=style.YELLOW if charger else "white", mec="black", zorder=7,
        )  # fmt: skip
        axes.annotate(
            kind.replace("_", " "), (x, y), (7, 5), textcoords="offset points", color="white",
            fontsize=8.5, path_effects=halo(2.2), zorder=9, clip_on=True,
        )  # fmt: skip


def _draw_sun(axes: Axes, ground: SiteGround) -> None:
    """An arrow from where the light comes."""
    along = np.array([math.cos(ground.sun_yaw_rad), math.sin(ground.sun_yaw_rad)])
    tip = np.array([0.93, 0.90])
    axes.annotate(
        "", xy=tuple(tip - 0.05 * along), xytext=tuple(tip + 0.05 * along),
        xycoords="axes fraction", textcoords="axes fraction", zorder=10,
        arrowprops={"arrowstyle": "-|>", "color": style.YELLOW, "lw": 2.4, "mutation_scale": 18},
    )  # fmt: skip
    axes.annotate(
        f"sunlight, {math.degrees(ground.sun_elevation_rad):.1f}° high", tuple(tip), (0, -34),
        xycoords="axes fraction", textcoords="offset points", ha="center", color="white",
        path_effects=halo(2.2), zorder=10,
    )  # fmt: skip


def timeline_figure(found: SiteEvaluation) -> Figure:
    """Every task over mission time."""
    tasks = [(vehicle, task) for vehicle in found.vehicles for task in vehicle.tasks]
    figure = style.new_figure(11.0, 1.3 + 0.42 * max(len(tasks), 1))
    axes = figure.subplots()
    end_s = max([found.simulated_s, *(t.ended_s for _, t in tasks if math.isfinite(t.ended_s))])
    for row, (_vehicle, task) in enumerate(tasks):
        if not math.isfinite(task.began_s):
            continue
        ended = task.ended_s if math.isfinite(task.ended_s) else end_s
        axes.barh(row, ended - task.began_s, left=task.began_s, height=0.62,
                  color=STATES.get(task.state, style.ORANGE))  # fmt: skip
        said = f" {task.kind.replace('_', ' ')}: {task.state}"
        right = ended > 0.75 * end_s
        axes.text(task.began_s if right else ended, row, said + " " * right, va="center",
                  ha="right" if right else "left", fontsize=8.5)  # fmt: skip
    axes.set_yticks(range(len(tasks)), [t.name.replace(".", ": ") for _, t in tasks])
    axes.invert_yaxis()
    axes.set_xlim(-0.22 * end_s, end_s * 1.02)
    axes.set_xticks([t for t in axes.get_xticks() if 0.0 <= t <= end_s * 1.02])
    axes.set_xlabel("mission time (s)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e3e6ea", lw=0.8)
    axes.set_axisbelow(True)
    return figure


def power_figure(vehicles: Sequence[VehicleRun]) -> Figure:
    """Battery, power and light of every vehicle over mission time."""
    figure = style.new_figure(11.5, 6.4)
    panels = figure.subplots(2, len(vehicles), sharex=True, squeeze=False)
    for column, vehicle in enumerate(vehicles):
        power, (charge, watts) = vehicle.run.power, panels[:, column]
        time_s = power["time_s"]
        dark = power["sun_share"] < _DARK
        for axes in (charge, watts):
            axes.fill_between(time_s, 0.0, 1.0, where=dark, transform=axes.get_xaxis_transform(),
                              color="#0b1a33", alpha=0.18, lw=0, label="no Sun")  # fmt: skip
            axes.grid(visible=True, color="#e3e6ea", lw=0.8)
            axes.spines[["top", "right"]].set_visible(False)
        charge.plot(time_s, 100.0 * power["charge"], color=style.BLUE, lw=1.8)
        charge.set_title(vehicle.name.replace("_", " "))
        watts.plot(time_s, power["sources_w"], color=style.ORANGE, label="sources could give")
        watts.plot(time_s, power["load_w"], color=style.GREEN, ls="--", label="loads")
        watts.set_ylim(bottom=0.0)
        charge.ticklabel_format(axis="y", useOffset=False)
        watts.set_xlabel("mission time (s)")
    panels[0, 0].set_ylabel("battery (%)")
    panels[1, 0].set_ylabel("power (W)")
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def error_figure(vehicles: Sequence[VehicleRun]) -> Figure:
    """How far each vehicle believed to be from where it was."""
    figure = style.new_figure(11.0, 5.4)
    place, heading = figure.subplots(2, 1, sharex=True)
    for vehicle in vehicles:
        run, colour = vehicle.run, colour_of(vehicles, vehicle)
        name = vehicle.name.replace("_", " ")
        place.plot(run.stamps_s, run.horizontal_error_m, color=colour, lw=1.6, label=name)
        heading.plot(run.stamps_s, np.degrees(run.yaw_error_rad), color=colour, lw=1.4)
    place.set_ylabel("horizontal error (m)")
    place.set_ylim(bottom=0.0)
    heading.set_ylabel("heading error (°)")
    heading.set_xlabel("mission time (s)")
    for axes in (place, heading):
        axes.grid(visible=True, color="#e3e6ea", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def hop_figure(vehicle: VehicleRun) -> Figure:
    """The flights from the side, over the true ground below them."""
    figure = style.new_figure(11.0, 4.6)
    axes = figure.subplots()
    run, start = vehicle.run, np.array(vehicle.plan.start_xy_m)
    far = max((np.array(f.to_xy_m) for f in vehicle.flights),
              key=lambda at: float(np.linalg.norm(at - start)))  # fmt: skip
    unit = (far - start) / max(float(np.linalg.norm(far - start)), 1e-9)
    below = run.true_xyz_m[:, 2] - vehicle.height_m
    for k, flight in enumerate(vehicle.flights):
        part = (run.stamps_s >= flight.begin_s) & (run.stamps_s <= flight.end_s)
        along = (run.true_xyz_m[part, :2] - start) @ unit
        order = np.argsort(along)
        label = "ground below" if k == 0 else None
        axes.fill_between(along[order], np.nanmin(below) - 1.0, below[part][order],
                          color="#b7bcc4", lw=0, label=label, zorder=1)  # fmt: skip
        axes.plot(along, run.true_xyz_m[part, 2], color=COLOURS[k % len(COLOURS)], lw=2.0,
                  label=f"flight {k + 1}: {flight.distance_m:.0f} m in "
                  f"{flight.end_s - flight.begin_s:.0f} s", zorder=3)  # fmt: skip
    axes.set_xlabel(f"along the way from the start of {vehicle.name.replace('_', ' ')} (m)")
    axes.set_ylabel("height in map (m)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", frameon=False)
    return figure


def maps_figure(vehicles: Sequence[VehicleRun]) -> Figure:
    """The last elevation map of every vehicle, and its error."""
    seen = [(v, v.run.last_map) for v in vehicles if v.run.last_map is not None]
    figure = style.new_figure(4.4 * len(seen) + 1.0, 8.0)
    panels = figure.subplots(2, len(seen), squeeze=False)
    for column, (vehicle, comparison) in enumerate(seen):
        upper, lower = panels[:, column]
        upper.set_facecolor(style.UNKNOWN)
        image = upper.imshow(comparison.elevation_m, origin="lower",
                             extent=extent_of(comparison.spec), cmap="cividis")  # fmt: skip
        figure.colorbar(image, ax=upper, label="height (m)", shrink=0.75)
        share = 100.0 * np.isfinite(comparison.elevation_m).mean()
        upper.set_title(f"{vehicle.name.replace('_', ' ')} ({share:.0f} % seen)")
        draw_difference(lower, comparison)
        for axes in (upper, lower):
            mark_vehicle(axes, comparison)
            axes.set_xlabel("x (m)")
    for row in range(2):
        panels[row, 0].set_ylabel("y (m)")
    return figure
