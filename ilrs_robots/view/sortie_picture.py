"""A sortie as one picture: the arcs over the ground, and what it cost over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.sim.sortie import Sortie
from ilrs_robots.view import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAMPLES = 400
_MARGIN_M = 60.0


def draw_sortie(sortie: Sortie, prior: Dem, path: Path) -> Path:
    """Write a PNG file: the arcs from the side; propellant, battery and temperature over time.

    Args:
        sortie: what happened.
        prior: the ground as known from orbit.
        path: of the file.
    """
    rows = sortie.rows
    with style.drawing():
        figure = style.new_figure(8.0, 9.0)
        grid = figure.add_gridspec(4, 1, height_ratios=(2.2, 1.0, 1.0, 1.0), hspace=0.45)
        place = np.array([(r.x_m, r.y_m, r.z_m) for r in rows])
        dark = np.array([r.sun_share for r in rows]) <= 0.0
        _arcs(figure.add_subplot(grid[0]), place, dark, prior)
        series = (
            ("propellant, kg", [r.propellant_kg for r in rows]),
            ("battery, %", [100.0 * r.charge for r in rows]),
            ("box, K", [r.box_k for r in rows]),
        )
        for k, (name, values) in enumerate(series):
            axis = figure.add_subplot(grid[k + 1])
            _over_time(axis, sortie, dark, name, values)
            if k == 0:
                axis.legend(loc="upper right", fontsize=8)
        axis.set_xlabel("mission time, minutes")
        return style.save(figure, path, dpi=88)


def _over_time(
    axis: Axes, sortie: Sortie, dark: np.ndarray, name: str, values: list[float]
) -> None:
    time = np.array([r.time_s for r in sortie.rows]) / 60.0
    measures = np.array([r.science_w for r in sortie.rows]) > 0.0
    across = axis.get_xaxis_transform()
    axis.plot(time, values, color=style.BLUE)
    axis.fill_between(time, 0, 1, where=dark, transform=across, color="0.85", label="no Sun")
    axis.fill_between(
        time, 0, 0.06, where=measures, transform=across, color=style.ORANGE, label="measures"
    )
    axis.set_ylabel(name)


def _arcs(axis: Axes, place: np.ndarray, dark: np.ndarray, prior: Dem) -> None:
    """Side view along the line from the start to the farthest place."""
    away = np.linalg.norm(place[:, :2] - place[0, :2], axis=1)
    far = place[int(np.argmax(away)), :2]
    length = float(away.max())
    unit = (far - place[0, :2]) / max(length, 1e-9)
    along = np.linspace(-_MARGIN_M, length + _MARGIN_M, _SAMPLES)
    ground = prior.height(place[0, :2] + along[:, None] * unit)
    axis.fill_between(along, np.nanmin(ground) - 10.0, ground, color="0.6", label="ground (orbit)")
    way = (place[:, :2] - place[0, :2]) @ unit
    turn = int(np.argmax(away))
    axis.plot(way[: turn + 1], place[: turn + 1, 2], color=style.BLUE, label="out")
    axis.plot(way[turn:], place[turn:, 2], color=style.GREEN, label="back")
    axis.scatter(way[dark], place[dark, 2], s=8, color=style.INK, label="in shadow", zorder=3)
    axis.set_xlabel("along the way, m")
    axis.set_ylabel("height, m")
    axis.set_aspect("equal", adjustable="datalim")
    axis.legend(loc="upper right", fontsize=8)
