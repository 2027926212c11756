"""Radio links over the terrain: line of sight, Fresnel clearance, distance, rate.

A link needs a straight line that the ground, bulging with the Moon's curvature, leaves free.
Ground in the first Fresnel zone weakens it as a knife edge does; behind a hill there is none.

Reference: Friis 1946, Proc. IRE 34, 254; ITU-R P.526-15, equations 31 and 12 (knife edge, radius
of the Fresnel zone); Shannon 1949, Proc. IRE 37, 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.moon_axes import LIGHT_SPEED_MPS
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, FloatArray

BOLTZMANN_DBWPKHZ: Final = -228.599
"""10 log10 of Boltzmann's constant in W/K/Hz (SI)."""
FREE_FRESNEL: Final = 0.6
"""Clearance over the first Fresnel zone's radius from which on nothing is lost."""
_CLEAR: Final = 1e9


@dataclass(frozen=True)
class RadioConfig:
    """One radio with its antenna, as far as a link's budget asks."""

    power_w: float = param(doc="transmitted", unit="W", low=1e-4, high=1e4)
    gain_dbi: float = param(0.0, doc="of the antenna", unit="dBi", low=-20.0, high=80.0)
    noise_k: float = param(500.0, doc="of the receiver with its antenna", unit="K", low=1.0,
                           high=1e5)  # fmt: skip
    frequency_ghz: float = param(2.5, doc="carrier", unit="GHz", low=0.1, high=100.0)
    bandwidth_mhz: float = param(10.0, doc="of the channel", unit="MHz", low=1e-3, high=1e4)
    max_rate_mbps: float = param(50.0, doc="fastest coding", unit="Mbit/s", low=1e-6, high=1e5)
    min_snr_db: float = param(-6.0, doc="weakest signal over noise", unit="dB", low=-30.0,
                              high=40.0)  # fmt: skip
    coding_loss_db: float = param(6.0, doc="from Shannon's limit", unit="dB", low=0.0, high=30.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @property
    def wavelength_m(self) -> float:
        """Of the carrier."""
        return LIGHT_SPEED_MPS / (self.frequency_ghz * 1e9)

    @property
    def eirp_dbw(self) -> float:
        """Power times gain."""
        return 10.0 * math.log10(self.power_w) + self.gain_dbi

    @property
    def gain_over_noise_dbpk(self) -> float:
        """Figure of merit of the receiver, dB/K."""
        return self.gain_dbi - 10.0 * math.log10(self.noise_k)


def free_space_loss_db(distance_m: ArrayLike, wavelength_m: float) -> FloatArray:
    """Friis' loss over (...) metres, dB."""
    distance = np.maximum(np.asarray(distance_m, dtype=np.float64), wavelength_m)
    loss: FloatArray = 20.0 * np.log10(4.0 * math.pi * distance / wavelength_m)
    return loss


def fresnel_loss_db(clearance: ArrayLike) -> FloatArray:
    """Loss by ground in the first Fresnel zone, dB; infinite where it cuts the line.

    Args:
        clearance: (...) least height over the ground in units of the zone's radius.
    """
    ratio = np.asarray(clearance, dtype=np.float64)
    v = -math.sqrt(2.0) * np.clip(ratio, 0.0, FREE_FRESNEL) - 0.1
    loss = np.maximum(6.9 + 20.0 * np.log10(np.sqrt(v * v + 1.0) + v), 0.0)
    loss = np.where(ratio >= FREE_FRESNEL, 0.0, loss)
    hidden: FloatArray = np.where(ratio < 0.0, np.inf, loss)
    return hidden


def rate_bps(
    eirp_dbw: float, gain_over_noise_dbpk: float, loss_db: ArrayLike, radio: RadioConfig
) -> FloatArray:
    """Rate of one way, (...) bit/s, 0 where the signal is too weak, NaN where the loss is.

    Args:
        eirp_dbw: of the sender.
        gain_over_noise_dbpk: of the receiver.
        loss_db: (...) between them, a factor in dB.
        radio: whose channel is used.
    """
    width_hz = radio.bandwidth_mhz * 1e6
    noise = BOLTZMANN_DBWPKHZ + 10.0 * math.log10(width_hz)
    snr_db = eirp_dbw + gain_over_noise_dbpk - np.asarray(loss_db, dtype=np.float64) - noise
    shannon = width_hz * np.log2(1.0 + 10.0 ** ((snr_db - radio.coding_loss_db) / 10.0))
    rate = np.minimum(shannon, radio.max_rate_mbps * 1e6)
    known: FloatArray = np.where(snr_db < radio.min_snr_db, 0.0, rate)
    return known


def both_ways_bps(first: RadioConfig, second: RadioConfig, loss_db: ArrayLike) -> FloatArray:
    """Rate of the weaker way between two radios over (...) losses, factors in dB; bit/s."""
    there = rate_bps(first.eirp_dbw, second.gain_over_noise_dbpk, loss_db, first)
    back = rate_bps(second.eirp_dbw, first.gain_over_noise_dbpk, loss_db, second)
    weaker: FloatArray = np.minimum(there, back)
    return weaker


@njit(cache=True, nogil=True, error_model="numpy")
def _crossing(z: np.ndarray, along_x: bool, line: int, at: float) -> float:
    """Height where a ray crosses a grid line: linear between two samples, NaN off the grid."""
    count = z.shape[0] if along_x else z.shape[1]
    if not 0.0 <= at <= count - 1:
        return np.nan
    i = min(int(at), count - 2)
    u = at - i
    first, second = (z[i, line], z[i + 1, line]) if along_x else (z[line, i], z[line, i + 1])
    height: float = first * (1.0 - u) + second * u
    return height


@njit(cache=True, nogil=True, error_model="numpy")
def clearance_between(
    z: np.ndarray, geo: np.ndarray, a: np.ndarray, b: np.ndarray, wavelength: float
) -> float:
    """Least clearance over the Fresnel radius between two antennas (x, y, height above sphere).

    Negative where the ground cuts the line; holes hide nothing. The ground is looked at where the
    line crosses grid lines across it.
    """
    dx, dy = (b[0] - a[0]) / geo[2], (b[1] - a[1]) / geo[2]
    along_x = abs(dx) >= abs(dy)
    lead, side = (dx, dy) if along_x else (dy, dx)
    if lead == 0.0:
        return _CLEAR
    c, r = (a[0] - geo[0]) / geo[2], (a[1] - geo[1]) / geo[2]
    start, beside = (c, r) if along_x else (r, c)
    lines = z.shape[1] if along_x else z.shape[0]
    low, high = min(start, start + lead), max(start, start + lead)
    way = math.hypot(dx, dy) * geo[2]
    least: float = _CLEAR
    for k in range(max(math.floor(low) + 1, 0), min(math.ceil(high) - 1, lines - 1) + 1):
        f = (k - start) / lead
        ground = _crossing(z, along_x, k, beside + f * side)
        if math.isnan(ground):
            continue
        product = f * (1.0 - f) * way
        free = a[2] + f * (b[2] - a[2]) - ground - product * way / (2.0 * MOON_RADIUS_M)
        if free < 0.0:
            least = free / math.sqrt(wavelength * product)
            break
        if free * free < least * least * wavelength * product:
            least = free / math.sqrt(wavelength * product)
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def sky_is_free(
    z: np.ndarray, geo: np.ndarray, a: np.ndarray, yaw: float, elevation: float, level: float
) -> bool:
    """Whether nothing stands before a far body, seen from an antenna (x, y, height)."""
    dx, dy, slope = math.cos(yaw), math.sin(yaw), math.tan(elevation)
    along_x = abs(dx) >= abs(dy)
    lead, side = (dx, dy) if along_x else (dy, dx)
    c, r = (a[0] - geo[0]) / geo[2], (a[1] - geo[1]) / geo[2]
    start, beside = (c, r) if along_x else (r, c)
    lines = z.shape[1] if along_x else z.shape[0]
    turn = 1 if lead > 0.0 else -1
    k = math.floor(start) + 1 if lead > 0.0 else math.ceil(start) - 1
    while 0 <= k < lines:
        steps = (k - start) / lead
        ground = _crossing(z, along_x, k, beside + steps * side)
        along = steps * geo[2]
        line = a[2] + along * slope + along * along / (2.0 * MOON_RADIUS_M)
        if line < ground:
            return False
        if slope >= 0.0 and line > geo[3]:
            break
        k += turn
    above = max(a[2] - level, 0.0)
    return elevation >= -math.sqrt(2.0 * above / MOON_RADIUS_M)


@njit(cache=True, nogil=True, error_model="numpy")
def _pairs(
    z: np.ndarray, geo: np.ndarray, a: np.ndarray, b: np.ndarray, wavelength: float,
    out: np.ndarray,
) -> None:  # fmt: skip
    for n in range(a.shape[0]):
        out[n] = clearance_between(z, geo, a[n], b[n], wavelength)


@njit(cache=True, nogil=True, error_model="numpy")
def cells_to_point(
    z: np.ndarray, geo: np.ndarray, first: int, last: int, antenna: float, b: np.ndarray,
    wavelength: float, out: np.ndarray,
) -> None:  # fmt: skip
    """Clearance from every cell of rows ``first`` to ``last``; NaN where the ground is unknown."""
    a = np.empty(3)
    for i in range(first, last):
        for j in range(z.shape[1]):
            a[0], a[1] = geo[0] + j * geo[2], geo[1] + i * geo[2]
            a[2] = z[i, j] + antenna
            out[i, j] = np.nan
            if not math.isnan(a[2]):
                out[i, j] = clearance_between(z, geo, a, b, wavelength)


@njit(cache=True, nogil=True, error_model="numpy")
def cells_to_sky(
    z: np.ndarray, geo: np.ndarray, first: int, last: int, antenna: float, yaw: float,
    elevation: float, level: float, out: np.ndarray,
) -> None:  # fmt: skip
    """1 where a far body is seen from a cell, 0 where not, NaN where the ground is unknown."""
    a = np.empty(3)
    for i in range(first, last):
        for j in range(z.shape[1]):
            a[0], a[1] = geo[0] + j * geo[2], geo[1] + i * geo[2]
            a[2] = z[i, j] + antenna
            out[i, j] = np.nan
            if not math.isnan(a[2]):
                out[i, j] = 1.0 if sky_is_free(z, geo, a, yaw, elevation, level) else 0.0


def geometry_of(dem: Dem) -> FloatArray:
    """(4,) x and y of the first sample, spacing, highest ground, metres: what kernels take."""
    s = dem.spec
    return np.array([s.origin_x_m, s.origin_y_m, s.resolution_m, float(np.nanmax(dem.heights_m))])


def fresnel_clearance(
    dem: Dem, from_m: ArrayLike, to_m: ArrayLike, wavelength_m: float
) -> FloatArray:
    """Least clearance over the first Fresnel zone between pairs of antennas, (N,).

    Args:
        dem: of the ground, metres.
        from_m: (N, 3) x, y in map and height above the reference sphere, metres.
        to_m: (N, 3) likewise.
        wavelength_m: of the carrier.

    Raises:
        TerrainError: shapes differ, or a place is no number.
    """
    a, b = (np.ascontiguousarray(np.atleast_2d(v), dtype=np.float64) for v in (from_m, to_m))
    if a.shape != b.shape or a.shape[1:] != (3,) or not np.isfinite((a, b)).all():
        raise TerrainError(f"antennas of shapes {a.shape} and {b.shape}: must be finite (N, 3)")
    out = np.empty(len(a))
    _pairs(dem.heights_m, geometry_of(dem), a, b, wavelength_m, out)
    return out


def sees_sky(dem: Dem, at_m: ArrayLike, yaw_rad: ArrayLike, elevation_rad: ArrayLike) -> BoolArray:
    """Whether far bodies stand above the terrain's horizon, (N,).

    Args:
        dem: of the ground, metres.
        at_m: (3,) x, y in map and height of the antenna above the reference sphere, metres.
        yaw_rad: (N,) of the bodies in map.
        elevation_rad: (N,) likewise.
    """
    at = np.ascontiguousarray(at_m, dtype=np.float64)
    level = float(np.nanmedian(dem.heights_m))
    geo = geometry_of(dem)
    pairs = zip(np.atleast_1d(yaw_rad), np.atleast_1d(elevation_rad), strict=True)
    return np.array([
        sky_is_free(dem.heights_m, geo, at, float(yaw), float(up), level) for yaw, up in pairs
    ])  # fmt: skip


def warm_up() -> None:
    """Compile the kernels."""
    from ilrs_robots.core.types import GridSpec

    dem = Dem(np.zeros((3, 3), dtype=np.float32), GridSpec(0.0, 0.0, 1.0, 3, 3))
    fresnel_clearance(dem, [0.0, 0.0, 1.0], [2.0, 2.0, 1.0], 0.1)
    sees_sky(dem, [1.0, 1.0, 1.0], 0.0, 0.1)
