"""The ground of a route: where a vehicle may drive, and what each step of it costs.

Slope, roughness and what is kept clear of close cells; the rest has a price that depends on the
direction, because uphill is not downhill.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core.energy.drive import DriveModel, DriveState
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.route_config import RouteConfig, RouteVehicle
from ilrs_robots.core.planning.route_kernels import TANGENT, ground_of
from ilrs_robots.core.planning.search import PAD
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

UInt8Array = NDArray[np.uint8]
Int8Array = NDArray[np.int8]
_TABLE: Final = 171
_MOST_BUCKETS: Final = 1 << 16


class Closed(enum.IntEnum):
    """Why a cell is closed."""

    NO = 0
    UNKNOWN = 1
    SLOPE = 2
    ROUGH = 3
    KEEP_OUT = 4
    NO_LINK = 5


@dataclass(frozen=True)
class KeepOut:
    """A disc that routes stay out of.

    Attributes:
        name: for messages.
        x_m: of its centre, map.
        y_m: likewise.
        radius_m: above 0.
    """

    name: str
    x_m: float
    y_m: float
    radius_m: float

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            PlanningError: a coordinate is no number or the radius is not above 0 m.
        """
        if not (math.isfinite(self.x_m) and math.isfinite(self.y_m)):
            raise PlanningError(f"keep-out {self.name!r}: its centre is not a place in map")
        if not (math.isfinite(self.radius_m) and self.radius_m > 0.0):
            raise PlanningError(
                f"keep-out {self.name!r}: radius = {self.radius_m} m: must be above 0 m"
            )


@dataclass(frozen=True)
class RouteGround:
    """Cells of a DEM as one vehicle sees them.

    Attributes:
        dem: the prior.
        config: what is kept clear of.
        vehicle: whose.
        tangent: (rows, cols) float32 tangent of the slope.
        roughness_m: (rows, cols) float32.
        closed: (rows, cols) uint8, a ``Closed``.
        table: (2, N) J/m and m/s by tangent of the slope, from -TANGENT to TANGENT.
        keep_outs: that were asked for.
    """

    dem: Dem
    config: RouteConfig
    vehicle: RouteVehicle
    tangent: Float32Array
    roughness_m: Float32Array
    closed: UInt8Array
    table: FloatArray
    keep_outs: tuple[KeepOut, ...] = ()

    @property
    def spec(self) -> GridSpec:
        """Where the cells are."""
        return self.dem.spec

    @property
    def limit_rad(self) -> float:
        """Steepest ground that a plan uses: the vehicle's limit less the margin."""
        margin = math.radians(self.config.slope_margin_deg)
        return max(self.vehicle.max_slope_rad - margin, 0.0)

    @property
    def numbers(self) -> FloatArray:
        """(6,) cell m, detour, steep tangent, hotel W, bucket J, buckets, for the kernels."""
        flat, hotel = self.spec.resolution_m, self.vehicle.hotel_w
        steep = math.tan(self.vehicle.max_slope_rad)
        tangent = np.linspace(-TANGENT, TANGENT, self.table.shape[1])
        used = np.abs(tangent) <= steep + 2.0 * TANGENT / self.table.shape[1]
        energy, speed = self.table[:, used]
        good = np.isfinite(energy) & (speed > 0.0)
        way = np.sqrt(1.0 + tangent[used][good] ** 2) * self.config.detour * flat
        per_step = way * (energy[good] + hotel / speed[good])
        most = 1.0 + self.config.roughness_weight_pm * self.config.max_roughness_m
        least, largest = float(per_step.min()), float(per_step.max()) * most * math.sqrt(5.0)
        bucket = max(least, 4.0 * largest / _MOST_BUCKETS)
        return np.array([
            flat, self.config.detour, steep, hotel, bucket, math.ceil(largest / bucket) + 3.0
        ])  # fmt: skip

    def lifted(self, heights: ArrayLike, fill: float) -> NDArray[np.float64]:
        """A (rows, cols) array, of any unit, padded by two cells of ``fill`` and flattened."""
        values = np.asarray(heights, dtype=np.float64)
        return np.ascontiguousarray(np.pad(values, PAD, constant_values=fill).ravel())

    def flat_arrays(self) -> tuple[FloatArray, FloatArray, UInt8Array, int]:
        """Heights, factors of energy and free cells, padded and flattened, and a row's width."""
        rough = 1.0 + self.config.roughness_weight_pm * np.nan_to_num(self.roughness_m)
        free = np.pad((self.closed == Closed.NO).astype(np.uint8), PAD)
        height = self.lifted(np.nan_to_num(self.dem.heights_m), 0.0)
        return height, self.lifted(rough, 1.0), np.ascontiguousarray(free.ravel()), free.shape[1]

    def cell(self, xy_m: ArrayLike, name: str) -> tuple[int, int]:
        """Row and column under a point of ``map``, (2,) metres.

        Raises:
            PlanningError: it is no place on the DEM.
        """
        point = np.asarray(xy_m, dtype=np.float64)
        if point.shape != (2,) or not np.isfinite(point).all():
            raise PlanningError(f"{name} = {point.tolist()}: needs two coordinates in metres")
        if not self.spec.contains(point):
            x0, y0, x1, y1 = self.spec.bounds_m
            raise PlanningError(
                f"{name} at ({point[0]:g}, {point[1]:g}) m lies outside the terrain, which spans "
                f"x {x0:g} to {x1:g} m and y {y0:g} to {y1:g} m"
            )
        row, col = self.spec.cell_of(point)
        return int(row), int(col)

    def why_closed(self, cell: tuple[int, int]) -> str:
        """Half a sentence on why a cell is closed, empty where it is open."""
        reason = Closed(int(self.closed[cell]))
        if reason == Closed.SLOPE:
            slope = math.degrees(math.atan(float(self.tangent[cell])))
            return (
                f"lies on a slope of {slope:.1f} deg; the limit is "
                f"{math.degrees(self.limit_rad):.1f} deg with a margin of "
                f"{self.config.slope_margin_deg:g} deg"
            )
        if reason == Closed.KEEP_OUT:
            at = self.spec.xy_of(np.array([cell[0]]), np.array([cell[1]]))[0]
            inside = [
                k for k in self.keep_outs if math.hypot(at[0] - k.x_m, at[1] - k.y_m) <= k.radius_m
            ]
            return f"lies in the keep-out {inside[0].name!r}" if inside else "lies in a keep-out"
        if reason == Closed.ROUGH:
            return (
                f"is rough: {float(self.roughness_m[cell]):.2f} m RMS, the limit is "
                f"{self.config.max_roughness_m:g} m"
            )
        words = {Closed.UNKNOWN: "lies where the ground is unknown",
                 Closed.NO_LINK: "lies out of reach of the base's radio"}  # fmt: skip
        return words.get(reason, "")


def route_ground(
    dem: Dem, vehicle: RouteVehicle, config: RouteConfig,
    keep_outs: Sequence[KeepOut] = (), linked: BoolArray | None = None,
) -> RouteGround:  # fmt: skip
    """Judge every cell of a DEM for one vehicle.

    Args:
        dem: what is known from orbit.
        vehicle: whose limits.
        config: and margins.
        keep_outs: discs to stay out of.
        linked: (rows, cols) bool cells where the radio reaches, or None not to ask.

    Raises:
        PlanningError: the vehicle cannot drive at all, or ``linked`` is of another grid.
    """
    if linked is not None and linked.shape != dem.spec.shape:
        raise PlanningError(f"linked has shape {linked.shape}: the DEM says {dem.spec.shape}")
    tangent = np.empty(dem.spec.shape, np.float32)
    rough = np.empty(dem.spec.shape, np.float32)
    ground_of(np.array(dem.heights_m), dem.spec.resolution_m, tangent, rough)
    closed = np.zeros(dem.spec.shape, np.uint8)
    if linked is not None:
        closed[~linked] = Closed.NO_LINK
    closed[~(rough <= config.max_roughness_m)] = Closed.ROUGH
    margin = math.radians(config.slope_margin_deg)
    closed[~(tangent <= math.tan(max(vehicle.max_slope_rad - margin, 0.0)))] = Closed.SLOPE
    x, y = dem.spec.x_m()[None, :], dem.spec.y_m()[:, None]
    for keep in keep_outs:
        closed[np.hypot(x - keep.x_m, y - keep.y_m) <= keep.radius_m] = Closed.KEEP_OUT
    closed[np.isnan(tangent) | np.isnan(rough)] = Closed.UNKNOWN
    return RouteGround(
        dem, config, vehicle, tangent, rough, closed, drive_table(vehicle, config),
        tuple(keep_outs),
    )  # fmt: skip


def drive_table(vehicle: RouteVehicle, config: RouteConfig) -> FloatArray:
    """(2, N) energy from the bus in J/m and speed made good in m/s by tangent of the slope.

    Slip takes from the speed uphill; nothing is added to it downhill. What the battery cannot
    give is driven more slowly. NaN where the vehicle cannot.

    Raises:
        PlanningError: it cannot drive on level ground.
    """
    state = _steady(vehicle.drive)
    energy = np.maximum(state.energy_jpm, 0.0)
    speed = vehicle.max_speed_mps * config.speed_share * (1.0 - np.maximum(state.slip, 0.0))
    power = vehicle.most_power_w
    if not (power > 0.0 and math.isfinite(float(energy[_TABLE // 2]))):
        raise PlanningError(
            f"the vehicle cannot drive: {max(power, 0.0):.0f} W are left for it and level ground "
            f"takes {energy[_TABLE // 2]:.0f} J/m"
        )
    speed = np.minimum(speed, power / np.maximum(energy, 1e-9))
    return np.ascontiguousarray(np.stack((energy, speed)))


@functools.lru_cache(maxsize=8)
def _steady(drive: DriveModel) -> DriveState:
    """Driving on every slope of a table; it takes a fifth of a second, and vehicles plan again."""
    return drive.state(np.arctan(np.linspace(-TANGENT, TANGENT, _TABLE)))
