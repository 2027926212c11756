"""What is known of the ground from orbit: the only map that planners and localisation get.

Reference: Barker et al. 2021, Planet. Space Sci. 203, 105119 (LOLA PGDA product 78: median RMS
height error 0.3 to 0.5 m, slope error 1.5 to 2.5 deg, about 90 % of the 5 m pixels interpolated).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hashing import stream
from ilrs_robots.core.terrain.measured import interpolated, measured_pixels
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec


@dataclass(frozen=True)
class PriorConfig:
    """How far an orbital DEM is from the truth."""

    error_m: float = param(0.4, doc="RMS height error", unit="m", low=0.0, high=100.0)
    correlation_m: float = param(
        15.0,
        doc="distance at which the error's correlation is exp(-1/2); with error_m it makes the "
        "slope error sqrt(2) error / distance",
        unit="m",
        low=0.1,
        high=1e4,
    )
    posting_m: float = param(5.0, doc="posting; a coarser DEM keeps its own", unit="m", low=0.1)
    interpolated_share: float = param(
        0.0, doc="share of the pixels that no laser spot has hit", low=0.0, high=0.99
    )
    shift_m: float = param(
        0.0, doc="horizontal error of the whole map, in a direction of the seed", unit="m",
        low=0.0, high=100.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


LIKE_LOLA: Final = PriorConfig(interpolated_share=0.9, shift_m=3.0)
"""As orbital data are: 0.4 m of correlated error, 90 % interpolated, 3 m off."""


def orbital_prior(source: Surface | Dem, seed: int, settings: PriorConfig | None = None) -> Dem:
    """Degrade a terrain to what is known from orbit; see ``marked_prior``."""
    return marked_prior(source, seed, settings)[0]


def marked_prior(
    source: Surface | Dem, seed: int, settings: PriorConfig | None = None
) -> tuple[Dem, BoolArray]:
    """Degrade a terrain to what is known from orbit, and say which pixels are interpolated.

    Nothing that a ``Surface`` adds to its DEM (craters, rocks, roughness, features) is in it.

    Args:
        source: the true terrain.
        seed: of the error.
        settings: size of the error.

    Returns:
        A DEM over the same hull, NaN where the source's DEM is; and (rows, cols) bool, which
        pixels no laser spot has hit.
    """
    settings = settings if settings is not None else PriorConfig()
    dem = source.dem if isinstance(source, Surface) else source
    heights, spec = _resampled(dem, settings.posting_m)
    shift = _shift(seed, settings.shift_m)
    if settings.shift_m > 0.0:
        heights = _shifted(heights, spec, shift)
    guessed = np.zeros(spec.shape, dtype=np.bool_)
    if settings.interpolated_share > 0.0:
        tracks = np.random.default_rng(int(stream(seed, "altimeter tracks")))
        along = float(tracks.uniform(0.0, math.pi))
        seen = measured_pixels(tracks, spec, 1.0 - settings.interpolated_share, along)
        heights = interpolated(heights, seen)
        guessed = ~seen
    rng = np.random.default_rng(int(stream(seed, "orbital prior")))
    heights = heights + settings.error_m * _correlated(
        rng, spec.shape, settings.correlation_m / spec.resolution_m
    )
    provenance = {
        "source": "orbital prior",
        "seed": int(seed),
        "error_m": settings.error_m,
        "correlation_m": settings.correlation_m,
        "derived_from": dict(dem.provenance),
    }
    if settings.shift_m > 0.0:
        provenance["shift_xy_m"] = [round(v, 4) for v in shift]
    if settings.interpolated_share > 0.0:
        provenance["interpolated_share"] = round(float(guessed.mean()), 4)
    if "origin_xy_m" in dem.provenance:  # where map's origin lies stays known
        provenance["origin_xy_m"] = list(dem.provenance["origin_xy_m"])
    return Dem(heights.astype(np.float32), spec, dem.projection, provenance), guessed


def _shift(seed: int, distance_m: float) -> tuple[float, float]:
    """A vector of a given length in a direction of the seed, metres."""
    turn = float(
        np.random.default_rng(int(stream(seed, "prior shift"))).uniform(-math.pi, math.pi)
    )
    return distance_m * math.cos(turn), distance_m * math.sin(turn)


def _shifted(heights: FloatArray, spec: GridSpec, shift: tuple[float, float]) -> FloatArray:
    """Heights as if the ground lay ``shift`` further; the edge is repeated where it is left."""
    rows = np.clip(np.arange(spec.rows) - shift[1] / spec.resolution_m, 0.0, spec.rows - 1.0)
    cols = np.clip(np.arange(spec.cols) - shift[0] / spec.resolution_m, 0.0, spec.cols - 1.0)
    moved = _between(_between(heights, rows).T, cols).T
    moved[np.isnan(heights)] = np.nan
    return moved


def _between(values: FloatArray, at: FloatArray) -> FloatArray:
    """Rows of an array at fractional numbers of them, (len(at), cols), linear between two."""
    low = np.minimum(at.astype(np.int64), max(len(values) - 2, 0))
    part = (at - low)[:, None]
    high = np.minimum(low + 1, len(values) - 1)
    return np.asarray(values[low] * (1.0 - part) + values[high] * part, dtype=np.float64)


def _resampled(dem: Dem, posting_m: float) -> tuple[FloatArray, GridSpec]:
    """Heights at a coarser posting, averaged before they are sampled; NaN stays NaN."""
    s = dem.spec
    heights = dem.heights_m.astype(np.float64)
    ratio = posting_m / s.resolution_m
    if ratio <= 1.0 + 1e-9:
        return heights, s
    # 0.3 s of imports that a prior with the posting of its source has no use for.
    from scipy import ndimage

    known = ~np.isnan(heights)
    weight = ndimage.gaussian_filter(known.astype(np.float64), 0.5 * ratio, mode="nearest")
    total = ndimage.gaussian_filter(np.where(known, heights, 0.0), 0.5 * ratio, mode="nearest")
    smooth = np.where(known, total / np.maximum(weight, 1e-12), np.nan)
    rows = max(math.floor((s.rows - 1) / ratio + 1e-9) + 1, 2)
    cols = max(math.floor((s.cols - 1) / ratio + 1e-9) + 1, 2)
    spec = GridSpec(s.origin_x_m, s.origin_y_m, posting_m, rows, cols)
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    sampled = Dem(smooth.astype(np.float32), s).height(np.column_stack((x.ravel(), y.ravel())))
    return sampled.reshape(rows, cols), spec


def _correlated(
    rng: np.random.Generator, shape: tuple[int, int], distance_cells: float
) -> FloatArray:
    """Gaussian field of unit variance with correlation exp(-r^2 / (2 distance^2))."""
    pad = math.ceil(4.0 * distance_cells)
    rows, cols = shape[0] + pad, shape[1] + pad
    f2 = np.fft.fftfreq(rows)[:, None] ** 2 + np.fft.fftfreq(cols)[None, :] ** 2
    gain = np.exp(-((math.pi * distance_cells) ** 2) * f2)
    gain /= math.sqrt(float(np.mean(gain**2)))
    noise = np.fft.fft2(rng.standard_normal((rows, cols)))
    field: FloatArray = np.fft.ifft2(noise * gain).real[: shape[0], : shape[1]]
    return field
