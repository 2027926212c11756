"""One look for every picture: colours that colour-blind readers can tell apart, sizes, units.

Reference: Okabe and Ito 2008 (Color Universal Design), the palette.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ilrs_robots.core.types import GridSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
INK: Final = "#1d2430"
QUIET: Final = "#5b6675"
UNKNOWN: Final = "#c9ced6"
DPI: Final = 140

RC: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.grid": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.framealpha": 0.92,
    "legend.fontsize": 9.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the package's style; figures must be made and saved inside."""
    from matplotlib import rc_context

    with rc_context(RC):
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure with constrained layout, free of any global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def save(figure: Figure, path: Path, dpi: int = DPI) -> Path:
    """Write a PNG file, cut to what is drawn."""
    figure.savefig(path, dpi=dpi, format="png", bbox_inches="tight", pad_inches=0.12)
    return path


def extent_of(spec: GridSpec) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of the cells' outer edges, metres."""
    x_min, y_min, x_max, y_max = spec.bounds_m
    return x_min, x_max, y_min, y_max


def overlay(
    axes: Axes,
    mask: np.ndarray[Any, np.dtype[np.bool_]],
    spec: GridSpec,
    colour: str,
    alpha: float,
) -> None:
    """Tint the cells of a mask."""
    from matplotlib.colors import to_rgb

    rgba = np.zeros((*mask.shape, 4))
    rgba[..., :3] = to_rgb(colour)
    rgba[..., 3] = alpha * mask
    axes.imshow(rgba, origin="lower", extent=extent_of(spec), interpolation="nearest")


def scale_bar(axes: Axes, x_m: float, y_m: float, span_m: float) -> None:
    """Draw a bar of a round length, about a fifth of ``span_m``, from (x, y) to the right."""
    import math

    from matplotlib.patheffects import withStroke

    target = span_m / 5.0
    power = 10.0 ** math.floor(math.log10(target))
    length = power * max(f for f in (1.0, 2.0, 5.0) if f * power <= target * (1.0 + 1e-9))
    edge = [withStroke(linewidth=5.0, foreground="black")]
    axes.plot(
        [x_m, x_m + length], [y_m, y_m], color="white", lw=3.0, path_effects=edge, zorder=9,
        solid_capstyle="butt",
    )  # fmt: skip
    axes.annotate(
        f"{length:g} m", (x_m + 0.5 * length, y_m), (0, 5), textcoords="offset points",
        ha="center", va="bottom", color="white", fontweight="bold", zorder=9,
        path_effects=[withStroke(linewidth=2.5, foreground="black")],
    )  # fmt: skip
