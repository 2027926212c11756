"""What lies on the arc of a command, and how fast the vehicle may go on it so as to stop before.

The guard knows the terrain map and the newest pose, no plan and no goal: it holds when a planner
lies and when a joystick is stuck. Poses are sampled along the arc of the command as far as the
vehicle would go before it stands. At each of them the wheels must not come to stand on closed
ground, the predicted roll and pitch must stay within the limits, the underside clear, and ground
that is hidden must be able to lie as high as could be driven on. What holds where the vehicle
stands already does not stop it from leaving, and the track that it came on is open.

Slower on the same arc needs less of it, so the fastest safe speed follows from the distance to
the first pose that is not safe: v^2 / (2 a) + v t <= d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.guard_kernel import (
    CLOSED,
    CLOSED_COST,
    DRIVEN_COST,
    PITCH,
    SAFE,
    UNSEEN,
    CostTable,
    Reach,
    first_danger,
)
from ilrs_robots.core.control.guard_others import first_touch
from ilrs_robots.core.control.proven_ground import WHEELS, ProvenGround
from ilrs_robots.core.planning.attitude_prediction import Heights, HeightTable, body_plane
from ilrs_robots.core.planning.footing import Footing, plane_weights
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

_STEP_M: Final = 0.1
_MOST_POSES: Final = 160
_TURN_RAD: Final = 1.6
"""Turning farther than this in place shows nothing new before the next look."""
_STRAIGHT: Final = 1e-6
_CREEP_MPS: Final = 0.1
"""Speed without heights that are fresh, once some have come: the tilt ahead is not known."""
_DRIVEN: Final = np.float32(DRIVEN_COST)
ANOTHER: Final = "another vehicle"


@dataclass(frozen=True)
class GuardConfig:
    """How far the guard looks and what it allows."""

    enabled: bool = param(True, doc="whether commands are held against the terrain map")
    max_roll_rad: float = param(0.49, doc="predicted roll", unit="rad", low=0.05, high=1.5)
    max_pitch_rad: float = param(0.49, doc="predicted pitch", unit="rad", low=0.05, high=1.5)
    reaction_s: float = param(
        0.5, doc="from the pose that is known to the wheels' braking", unit="s", low=0.0, high=5.0
    )
    decel_share: float = param(
        0.6, doc="share of the deceleration that stopping is planned with", low=0.05, high=1.0
    )
    margin_m: float = param(
        0.35, doc="kept between wheels and closed ground", unit="m", low=0.0, high=10.0
    )
    # Off: lidar rings leave gaps wider than a wheel in ground that is driven well, and the map's
    # layers judge gaps by their two ends. With it on, drives that arrive without it do not.
    unseen: bool = param(False, doc="whether unseen ground stops a command as closed ground does")
    sight_m: float = param(
        3.0, doc="how far beyond the stopping way hidden ground is judged by the line of sight",
        unit="m", low=0.0, high=50.0,
    )  # fmt: skip
    blind_m: float = param(
        4.5, doc="unseen ground about the vehicle that it may leave: no sensor looks there",
        unit="m", low=0.0, high=50.0,
    )  # fmt: skip
    gap_m: float = param(
        1.0, doc="unseen gap under a wheel's way that is crossed", unit="m", low=0.0, high=10.0
    )
    max_heights_age_s: float = param(
        3.0,
        doc="heights older than this predict no tilt: the vehicle creeps",
        unit="s",
        low=0.1,
        high=60.0,
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class Brakes:
    """How a vehicle slows down: m/s2 and rad/s2, both above zero."""

    decel_mps2: float
    yaw_decel_rps2: float


@dataclass(frozen=True)
class Free:
    """How far an arc is safe.

    Attributes:
        distance_m: way of the fastest wheel to the first pose that is not safe, less the margin;
            infinite where all that matters is safe.
        what: what is there, a short phrase; empty where nothing is.
    """

    distance_m: float
    what: str


_NOWHERE: Final[FloatArray] = np.full(3, np.nan)
_ALL: Final = Free(math.inf, "")
_NO_HEIGHTS: Final = Heights(
    GridSpec(0.0, 0.0, 1.0, 2, 2), np.full((2, 2), np.nan, np.float32)
).table


class GroundGuard:
    """Holds the newest map and pose; both in odom.

    Attributes:
        half_m: half length and half width of what must not touch them; by default the underside.
        eye_m: x, y, z of the sensor that maps the ground, base_link.
        others: (N, 3) x, y and radius of where other vehicles may be, metres, odom.
    """

    def __init__(self, settings: GuardConfig, footing: Footing, brakes: Brakes) -> None:
        """Start knowing nothing."""
        self.config, self.brakes = settings, brakes
        self._footing = footing
        self._reach_m = float(np.hypot(*footing.wheels_xy_m.T).max())
        self._probes = footing.probes()
        self._cost: CostTable | None = None
        self._heights: tuple[HeightTable, int] | None = None
        self._pose: FloatArray | None = None
        self._track = ProvenGround(footing)
        self.others: FloatArray = np.zeros((0, 3))
        self.half_m = footing.half_length_m, footing.half_width_m
        self.eye_m: tuple[float, float, float] = (0.0, 0.0, 1.5)

    def on_pose(self, x: float, y: float, yaw: float) -> None:
        """Take a pose: m, m, rad in odom; one that is not finite is no pose."""
        self._pose = np.array([x, y, yaw]) if all(map(math.isfinite, (x, y, yaw))) else None
        if self._pose is not None:
            self._track.add(self._pose)

    def on_cost(self, cost: Float32Array, spec: GridSpec) -> None:
        """Take traversability.

        Args:
            cost: (rows, cols) float32, 0 to 1, 1 closed, NaN unknown.
            spec: its grid in odom.
        """
        origin_m = spec.origin_x_m, spec.origin_y_m
        wheels = np.ascontiguousarray(cost, dtype=np.float32)
        under = wheels
        if self._pose is not None:
            driven = self._track.proven(self._pose, origin_m, spec.resolution_m, spec.shape)
            closed = wheels >= CLOSED_COST
            under = np.where(closed & (driven > 0), _DRIVEN, wheels)
            wheels = np.where(closed & (driven == WHEELS), _DRIVEN, wheels)
        self._cost = CostTable(wheels, under, *origin_m, spec.resolution_m)

    def on_heights(self, heights: Heights, stamp_ns: int) -> None:
        """Take heights in odom."""
        self._heights = (heights.table, stamp_ns)

    def forget(self) -> None:
        """Forget map and pose: time went back."""
        self._cost = self._heights = self._pose = None
        self._track.forget()
        self.others = np.zeros((0, 3))

    @property
    def ready(self) -> bool:
        """Whether there is something to judge by."""
        return self.config.enabled and self._cost is not None and self._pose is not None

    def rim_mps(self, v: float, w: float) -> float:
        """Speed of the fastest wheel (m/s) at a speed (m/s) and yaw rate (rad/s)."""
        return max(abs(v), abs(w) * self._reach_m)

    def allowed(self, v: float, w: float, now_ns: int) -> tuple[float, str]:
        """Largest share (0 to 1) of a command that is safe, and what stands against more.

        Args:
            v: forward speed, m/s.
            w: yaw rate, rad/s.
            now_ns: time of the stamps.
        """
        rim = self.rim_mps(v, w)
        if not self.ready or rim < 1e-4:
            return 1.0, ""
        free = self.free(v, w, now_ns)
        fastest = self._fastest_mps(v, w, free.distance_m)
        return (1.0, "") if fastest >= rim else (fastest / rim, free.what)

    def free(self, v: float, w: float, now_ns: int) -> Free:
        """How far the arc of a command is safe, as far as it matters at its speed.

        Args:
            v: forward speed, m/s.
            w: yaw rate, rad/s.
            now_ns: time of the stamps.
        """
        if self._pose is None or self._cost is None:
            return _ALL
        rim = self.rim_mps(v, w)
        way_m = rim * self.config.reaction_s + 0.5 * rim**2 / self._decel(v, w)
        way_m += self.config.margin_m
        turns = abs(v) < _STRAIGHT
        if turns:
            way_m = min(way_m, _TURN_RAD * self._reach_m)
        gap_m = self.config.gap_m if self.config.unseen else math.inf
        heights = self._fresh_heights(now_ns)
        beyond_m = 0.0
        if self.config.unseen and not turns:
            beyond_m = max(gap_m, self.config.blind_m - way_m) + _STEP_M
        hidden = heights is not None and not turns
        if hidden:
            beyond_m = max(beyond_m, self.config.sight_m)
        step_m = max((way_m + beyond_m) / _MOST_POSES, _STEP_M)
        reach = Reach(
            step_m,
            math.ceil(way_m / step_m) + 1,
            math.ceil((way_m + beyond_m) / step_m) + 1,
            gap_m,
            self.config.blind_m,
            self.config.max_roll_rad,
            self.config.max_pitch_rad,
            heights is not None,
            self.config.unseen and not turns,
            hidden,
        )
        shares = np.array([v / rim, w / rim])
        first, danger, tilt_rad = first_danger(
            self._pose, shares, self._cost, heights or _NO_HEIGHTS,
            self._footing.table, self._probes, reach, self._eye(heights),
        )  # fmt: skip
        what = "" if danger == SAFE else self._words(danger, tilt_rad)
        if len(self.others):
            touch = first_touch(self._pose, shares, step_m, reach.near, self.half_m, self.others)
            if touch >= 0 and (danger == SAFE or touch <= first):
                first, what = touch, ANOTHER
        found = Free(max(first * step_m - self.config.margin_m, 0.0), what) if what else _ALL
        if heights is None and self._heights is not None:
            decel = self._decel(v, w)
            creep_m = _CREEP_MPS * self.config.reaction_s + 0.5 * _CREEP_MPS**2 / decel
            if creep_m < found.distance_m:
                return Free(creep_m, f"heights older than {self.config.max_heights_age_s:.1f} s")
        return found

    def clear(self, pose: FloatArray, v_share: float, w_share: float, way_m: float) -> bool:
        """Whether no wheel and nothing of the underside comes onto closed ground on an arc.

        Args:
            pose: (3,) where it begins: x, y (m) and yaw (rad) in odom.
            v_share: speed per speed of the fastest wheel.
            w_share: yaw rate per speed of the fastest wheel, rad/m.
            way_m: of the fastest wheel; the margin is added.
        """
        if self._cost is None:
            return True
        way_m += self.config.margin_m
        step_m = max(way_m / _MOST_POSES, _STEP_M)
        count = math.ceil(way_m / step_m) + 1
        reach = Reach(step_m, count, count, math.inf, 0.0, 0.0, 0.0, False, False, False)
        _, danger, _ = first_danger(
            pose, np.array([v_share, w_share]), self._cost, _NO_HEIGHTS,
            self._footing.table, self._probes, reach, _NOWHERE,
        )  # fmt: skip
        return bool(danger == SAFE)

    def _eye(self, heights: HeightTable | None) -> FloatArray:
        """(3,) the sensor, metres, odom; NaN where the ground under the vehicle is not known."""
        if self._pose is None or heights is None:
            return _NOWHERE
        x, y, yaw = (float(v) for v in self._pose)
        cos, sin = math.cos(yaw), math.sin(yaw)
        level, along, across = body_plane(heights, self._footing.table, x, y, cos, sin)
        ahead, aside, up = self.eye_m
        up /= math.sqrt(1.0 + along * along + across * across)
        z = level + along * ahead + across * aside + up
        ahead, aside = ahead - up * along, aside - up * across
        return np.array([x + cos * ahead - sin * aside, y + sin * ahead + cos * aside, z])

    def _words(self, danger: int, tilt_rad: float) -> str:
        if danger in (CLOSED, UNSEEN):
            return "closed ground" if danger == CLOSED else "unseen ground"
        name, limit_rad = "roll", self.config.max_roll_rad
        if danger == PITCH:
            name, limit_rad = "pitch", self.config.max_pitch_rad
        tilt, limit = math.degrees(tilt_rad), math.degrees(limit_rad)
        return f"a {name} of {tilt:.0f} deg, limit {limit:.0f} deg"

    def _fresh_heights(self, now_ns: int) -> HeightTable | None:
        if self._heights is None:
            return None
        table, stamp_ns = self._heights
        fresh = (now_ns - stamp_ns) * 1e-9 <= self.config.max_heights_age_s
        return table if fresh else None

    def _decel(self, v: float, w: float) -> float:
        """Deceleration of the fastest wheel on the arc that stopping is planned with, m/s2."""
        share, rim = self.config.decel_share, self.rim_mps(v, w)
        times = [
            abs(v) / (share * self.brakes.decel_mps2),
            abs(w) / (share * self.brakes.yaw_decel_rps2),
        ]
        return rim / max(*times, 1e-9)

    def _fastest_mps(self, v: float, w: float, distance_m: float) -> float:
        """Speed of the fastest wheel from which the vehicle stops within a distance."""
        if math.isinf(distance_m):
            return math.inf
        decel, t = self._decel(v, w), self.config.reaction_s
        return decel * (math.sqrt(t * t + 2.0 * distance_m / decel) - t)


def warm_up() -> None:
    """Compile the kernel."""
    wheels = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]])
    footing = Footing(wheels, plane_weights(wheels), 0.3, 0.4, 0.3)
    spec = GridSpec(-4.0, -4.0, 0.1, 80, 80)
    flat = np.zeros(spec.shape, np.float32)
    for tells in (False, True):
        guard = GroundGuard(GuardConfig(), footing, Brakes(0.5, 0.5))
        guard.on_pose(0.0, 0.0, 0.0)
        guard.on_cost(flat, spec)
        if tells:
            guard.on_heights(Heights(spec, flat), 0)
        guard.allowed(0.3, 0.1, 0)
