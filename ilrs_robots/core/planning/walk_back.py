"""Walk-back: from where, and until when, a crew whose vehicle stops can walk home in its suits.

Speed follows the slope as astronauts are planned with (Marquez 2007, thesis, MIT, p. 73: 1.6 m/s
on level ground, 0.4 at 6 degrees up, 0.05 beyond 15 up and 20 down); metabolic power is that of
Santee, Allison, Blanchard and Small 2001 (Aviat. Space Environ. Med. 72) for walking with a load
under the Moon's gravity, as both are used by MIT's traverse planner (Johnson et al. 2010, AIAA
2010-3581).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.route_kernels import FAR, TANGENT, ground_of, spread, step_cost
from ilrs_robots.core.planning.search import PAD, STEPS
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray

_SPEED_DEG: Final = (-20.0, -10.0, 0.0, 6.0, 15.0)
_SPEED_MPS: Final = (0.05, 1.0, 1.6, 0.4, 0.05)
_STEEPEST_DEG: Final = 20.0
_TABLE: Final = 341
_BUCKETS: Final = 1 << 14


@dataclass(frozen=True)
class SuitConfig:
    """What one suit gives, and how people walk in it.

    Apollo's later suits served for up to 7 hours; the mean metabolic rate of Apollo's work on the
    surface was 234 kcal/h, 272 W (Waligora and Horrigan 1975, NASA SP-368, chapter 4). The
    metabolic capacity is the one at that rate, and riding is counted at it. The walk is planned at
    half of the speed of the curve: Apollo 17's return on foot was planned at 0.76 m/s.
    """

    endurance_h: float = param(
        7.0, doc="of power, air and scrubber", unit="h", low=0.1, high=100.0
    )
    metabolic_wh: float = param(
        1904.0, doc="work of a person that oxygen and cooling do for", unit="Wh", low=1.0, high=1e5
    )
    riding_w: float = param(
        272.0, doc="metabolic rate while riding or working", unit="W", low=50.0, high=1000.0
    )
    reserve: float = param(0.15, doc="share of both kept at the door", low=0.0, high=0.9)
    speed_share: float = param(0.5, doc="speed on foot over that of the curve", low=0.05, high=1.0)
    max_slope_deg: float = param(
        15.0, doc="steepest ground to walk on", unit="deg", low=1.0, high=20.0
    )
    detour: float = param(1.15, doc="way walked over way planned", low=1.0, high=3.0)
    warn_s: float = param(
        1800.0, doc="slack below which the crew is warned", unit="s", low=0.0, high=1e5
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class SuitState:
    """What is left in the suit of the crew member who has least.

    Attributes:
        seconds: of power, air and scrubber.
        metabolic_wh: of oxygen and cooling.
    """

    seconds: float
    metabolic_wh: float

    @classmethod
    def fresh(cls, suit: SuitConfig) -> SuitState:
        """As one leaves the door."""
        return cls(suit.endurance_h * 3600.0, suit.metabolic_wh)


def walking_speed_mps(slope_rad: ArrayLike) -> FloatArray:
    """Speed on slopes of (...) radians along the way, up positive; Marquez 2007."""
    speed: FloatArray = np.interp(np.degrees(np.asarray(slope_rad)), _SPEED_DEG, _SPEED_MPS)
    return speed


def metabolic_w(slope_rad: ArrayLike, speed_mps: ArrayLike, mass_kg: float) -> FloatArray:
    """Metabolic power of walking; Santee et al. 2001.

    Args:
        slope_rad: (...) along the way, up positive.
        speed_mps: (...).
        mass_kg: of the person with the suit.
    """
    slope, v = np.asarray(slope_rad, np.float64), np.asarray(speed_mps, np.float64)
    level = (3.28 * mass_kg + 71.1) * (0.661 * v * np.cos(slope) + 0.115)
    lift = mass_kg * MOON_GRAVITY_MPS2 * v * np.sin(slope)
    eased = 2.4 * lift * 0.3 ** (np.abs(np.degrees(slope)) / 7.65)
    power: FloatArray = np.maximum(level + np.where(slope > 0.0, 3.5 * lift, eased), 0.0)
    return power


@njit(cache=True, nogil=True, error_model="numpy")
def _times(
    order: np.ndarray, came: np.ndarray, height: np.ndarray, width: int, steps: np.ndarray,
    table: np.ndarray, numbers: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Seconds along the ways that ``spread`` found, nearest cells first."""
    for i in range(order.size):
        here = order[i]
        k = came[here]
        if k < 0:
            out[here] = 0.0
            continue
        row, col = steps[k, 0], steps[k, 1]
        before = here - row * width - col
        flat = numbers[0] * math.sqrt(float(row * row + col * col))
        _, time = step_cost(
            height[here] - height[before], flat, 1.0, table, numbers[1], numbers[2]
        )
        out[here] = out[before] + time


@dataclass(frozen=True)
class WalkBack:
    """What walking home takes from every cell of a ground.

    Attributes:
        dem: the ground.
        suit: of the crew.
        need_s: (rows, cols) float32 seconds to walk home, NaN where no walkable way leads home.
        need_wh: (rows, cols) float32 metabolic work of one person, on the same way.
    """

    dem: Dem
    suit: SuitConfig
    need_s: Float32Array
    need_wh: Float32Array

    def slack_s(self, left: SuitState) -> Float32Array:
        """How long the crew may stay, working or riding, and still walk home with the reserve.

        Returns:
            (rows, cols) float32 seconds, below 0 where it is too late, NaN where no walkable way
            leads home. This is the live map.
        """
        return self._slack_s(self.need_s, self.need_wh, left).astype(np.float32)

    def _slack_s(
        self, need_s: Float32Array, need_wh: Float32Array, left: SuitState
    ) -> Float32Array:
        s = self.suit
        full = SuitState.fresh(s)
        air = left.seconds - s.reserve * full.seconds - need_s
        spare = left.metabolic_wh - s.reserve * full.metabolic_wh - need_wh
        return np.asarray(np.minimum(air, spare * (3600.0 / s.riding_w)))

    def leave_by_s(self, left: SuitState) -> FloatArray:
        """(rows, cols) seconds from now until which a cell may be passed; -1 where never."""
        return np.nan_to_num(self.slack_s(left).astype(np.float64), nan=-1.0)

    def slack_at(self, xy_m: ArrayLike, time_s: ArrayLike, left: SuitState) -> FloatArray:
        """Slack along a track.

        Args:
            xy_m: (N, 2) map, metres.
            time_s: (N,) seconds from now.
            left: now.

        Returns:
            (N,) seconds, NaN where no walkable way leads home or the place is not on the ground.
        """
        xy = np.asarray(xy_m, np.float64).reshape(-1, 2)
        inside = self.dem.spec.contains(xy)
        row, col = self.dem.spec.cell_of(xy)
        found = np.full(len(xy), np.nan)
        at = row[inside], col[inside]
        found[inside] = self._slack_s(self.need_s[at], self.need_wh[at], left)
        slack: FloatArray = found - np.asarray(time_s, np.float64)
        return slack

    def crossed_in_s(
        self, xy_m: ArrayLike, time_s: ArrayLike, left: SuitState, slack_s: float | None = None
    ) -> float:
        """Seconds until a track's slack falls below what the crew is warned at; infinite if never.

        Args:
            xy_m: (N, 2) metres, where the vehicle will be.
            time_s: (N,) seconds from now, rising.
            left: now.
            slack_s: in place of the suit's ``warn_s``; 0 asks for the crossing itself.
        """
        limit = self.suit.warn_s if slack_s is None else slack_s
        below = ~(self.slack_at(xy_m, time_s, left) >= limit)
        times = np.asarray(time_s, np.float64)
        return float(times[int(np.argmax(below))]) if below.any() else math.inf


def walk_back(
    dem: Dem, suit: SuitConfig, suited_mass_kg: float, homes_m: Sequence[tuple[float, float]]
) -> WalkBack:
    """Find from every cell the way home of least metabolic work.

    Args:
        dem: what is known from orbit.
        suit: of the crew.
        suited_mass_kg: one person in the suit.
        homes_m: doors, x and y in map.

    Raises:
        PlanningError: no door stands on the ground.
    """
    tangent = np.empty(dem.spec.shape, np.float32)
    rough = np.empty(dem.spec.shape, np.float32)
    ground_of(np.array(dem.heights_m), dem.spec.resolution_m, tangent, rough)
    free = np.pad((tangent <= math.tan(math.radians(suit.max_slope_deg))).astype(np.uint8), PAD)
    doors = [dem.spec.cell_of(np.array(home)) for home in homes_m
             if dem.spec.contains(np.array(home))]  # fmt: skip
    if not doors:
        raise PlanningError(f"walk-back: none of {len(homes_m)} doors stands on the terrain")
    width = free.shape[1]
    cells = np.array([(int(r) + PAD) * width + int(c) + PAD for r, c in doors])
    free = np.ascontiguousarray(free.ravel())
    free[cells] = 1
    height = np.pad(np.nan_to_num(dem.heights_m).astype(np.float64), PAD).ravel()
    table = walking_table(suit, suited_mass_kg)[:, ::-1].copy()  # from the cell to the door
    numbers = _numbers(dem.spec.resolution_m, suit, table)
    label = np.full(free.size, FAR, np.float32)
    owner, came = np.full(free.size, -1, np.int32), np.full(free.size, -1, np.int8)
    spread(
        height, np.ones(free.size), free, width, STEPS, cells, -1, table, numbers, 16, False,
        label, owner, came,
    )  # fmt: skip
    seconds = np.full(free.size, np.nan)
    known = np.flatnonzero(label < FAR)
    order = known[np.argsort(label[known], kind="stable")]
    _times(order, came, height, width, STEPS, table, numbers, seconds)
    inner = (slice(PAD, -PAD), slice(PAD, -PAD))
    work = np.where(label < FAR, label / np.float32(3600.0), np.float32(np.nan))
    return WalkBack(
        dem, suit, seconds.reshape(-1, width)[inner].astype(np.float32),
        work.reshape(-1, width)[inner].astype(np.float32),
    )  # fmt: skip


def walking_table(suit: SuitConfig, suited_mass_kg: float) -> FloatArray:
    """(2, N) metabolic J/m and m/s by tangent of the slope, from -TANGENT to TANGENT."""
    slope = np.arctan(np.linspace(-TANGENT, TANGENT, _TABLE))
    speed = walking_speed_mps(slope) * suit.speed_share
    return np.stack((metabolic_w(slope, speed, suited_mass_kg) / speed, speed))


def _numbers(cell_m: float, suit: SuitConfig, table: FloatArray) -> FloatArray:
    """As ``RouteGround.numbers``."""
    steep = math.tan(math.radians(_STEEPEST_DEG))
    tangent = np.linspace(-TANGENT, TANGENT, table.shape[1])
    used = np.abs(tangent) <= steep + 2.0 * TANGENT / table.shape[1]
    way = np.sqrt(1.0 + tangent[used] ** 2) * suit.detour * cell_m
    per_step = way * table[0, used]
    largest = float(per_step.max()) * math.sqrt(5.0)
    bucket = max(float(per_step.min()), 4.0 * largest / _BUCKETS)
    return np.array([
        cell_m, suit.detour, steep, 0.0, bucket, math.ceil(largest / bucket) + 3.0
    ])  # fmt: skip
