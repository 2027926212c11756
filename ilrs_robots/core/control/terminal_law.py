"""The light law that flies a hopper from any state to the ground, for the actuator's end.

It needs height, velocity and mass, and, if there is one, the way to a place. It knows how fast a
descent may be at each height so that one burn of constant direction still ends it, falls until it
is that fast, and then follows that curve. The vertical has the first claim on thrust, because
sideways speed can be taken off while hovering and a fall cannot. No state is kept between calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.types import FloatArray

_HALVINGS = 24


@dataclass(frozen=True)
class TerminalConfig:
    """How the last metres are flown."""

    thrust_share: float = param(0.85, doc="of thrust that the curve uses", low=0.3, high=1.0)
    touchdown_mps: float = param(0.8, doc="downwards at contact", unit="m/s", low=0.05, high=5.0)
    final_m: float = param(1.0, doc="height from which it is held", unit="m", low=0.0, high=20.0)
    side_mps: float = param(
        0.3, doc="sideways speed up to which it goes down", unit="m/s", low=0.02, high=5.0
    )
    lag_s: float = param(
        0.3, doc="delay of thrust and attitude that is allowed for", unit="s", low=0.0, high=5.0
    )
    down_gain_hz: float = param(1.5, doc="of the speed down", unit="1/s", low=0.05, high=20.0)
    side_gain_hz: float = param(0.7, doc="of the speed aside", unit="1/s", low=0.05, high=20.0)
    place_gain_hz: float = param(0.35, doc="of the place", unit="1/s", low=0.0, high=5.0)
    release_m: float = param(
        2.0, doc="height below which the place is let go", unit="m", low=0.0, high=50.0
    )
    near_m: float = param(0.4, doc="as near is at the place", unit="m", low=0.01, high=50.0)
    sink_mps: float = param(
        0.3, doc="least speed down while going to the place", unit="m/s", low=0.02, high=5.0
    )
    max_tilt_rad: float = param(0.6, doc="of thrust", unit="rad", low=0.05, high=1.4)
    low_tilt_rad: float = param(0.15, doc="of thrust at the ground", unit="rad", low=0.0, high=1.4)
    low_m: float = param(
        6.0, doc="height below which the tilt shrinks", unit="m", low=0.1, high=99
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class TerminalTable(NamedTuple):
    """Vehicle and parameters as the kernel takes them."""

    full: float
    least: float
    gravity: float
    share: float
    touchdown: float
    final: float
    side: float
    lag: float
    down_gain: float
    side_gain: float
    place_gain: float
    release: float
    near: float
    sink: float
    tilt: float
    low_tilt: float
    low: float


@dataclass(frozen=True)
class ThrustCommand:
    """What the main engines shall give.

    Attributes:
        force_n: (3,) map axes; zero where it falls.
        axis: (3,) unit vector for the vehicle's own axis upwards, also while nothing burns: then
            it is where the next burn points.
    """

    force_n: FloatArray
    axis: FloatArray


def table_of(vehicle: HopVehicle, settings: TerminalConfig) -> TerminalTable:
    """What the kernel takes, of a vehicle with these bounds of thrust."""
    s = settings
    return TerminalTable(
        vehicle.max_thrust_n, vehicle.min_thrust_n, vehicle.gravity_mps2, s.thrust_share,
        s.touchdown_mps, s.final_m, s.side_mps, s.lag_s, s.down_gain_hz, s.side_gain_hz,
        s.place_gain_hz, s.release_m, s.near_m, s.sink_mps,
        min(s.max_tilt_rad, vehicle.max_tilt_rad), min(s.low_tilt_rad, vehicle.max_tilt_rad),
        s.low_m,
    )  # fmt: skip


def terminal_thrust(
    height_m: float, velocity_mps: FloatArray, mass_kg: float, table: TerminalTable,
    offset_xy_m: FloatArray | None = None,
) -> ThrustCommand:  # fmt: skip
    """Thrust that brings the vehicle down softly.

    Args:
        height_m: of the feet over the ground below.
        velocity_mps: (3,) over the ground, axes of map.
        mass_kg: now.
        table: of ``table_of``.
        offset_xy_m: (2,) from the vehicle to the place, axes of map; None lands where it is.
    """
    x, y = (math.nan, math.nan) if offset_xy_m is None else (offset_xy_m[0], offset_xy_m[1])
    v = velocity_mps
    fx, fy, fz, ax, ay, az = law(
        table, float(height_m), float(v[0]), float(v[1]), float(v[2]), float(mass_kg),
        float(x), float(y),
    )  # fmt: skip
    return ThrustCommand(np.array([fx, fy, fz]), np.array([ax, ay, az]))


@njit(cache=True, error_model="numpy")
def burn_time(down, side, force, gravity, tangent):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Time, s, of the burn of constant direction that takes off a speed down and aside.

    The thrust's acceleration ``force`` gives (side, down + gravity t) in time t; where that
    leans more than ``tangent`` allows, the burn is longer and weaker.
    """
    rest = force * force - gravity * gravity
    pull = gravity * down
    time = (pull + math.sqrt(pull * pull + rest * (side * side + down * down))) / rest
    return max(time, (side / tangent - down) / gravity)


@njit(cache=True, error_model="numpy")
def fastest_down(room, side, force, gravity, tangent, lag):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Largest speed down, m/s, that one burn ends within ``room`` metres."""
    high = math.sqrt(2.0 * force * room) + 1e-9
    low = 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle * (0.5 * burn_time(middle, side, force, gravity, tangent) + lag) > room:
            high = middle
        else:
            low = middle
    return low


@njit(cache=True, error_model="numpy")
def _towards(p, height, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Wanted speed aside, and how fast it may sink meanwhile."""
    away = math.hypot(x, y)
    if not (away > 0.0 and height > p.release) or p.place_gain <= 0.0:
        return 0.0, 0.0, np.inf
    gain = 0.5 * p.gravity * math.tan(p.tilt)
    speed = min(p.place_gain * away, math.sqrt(gain * away))
    sink = np.inf
    if away > p.near:
        sink = max((height - p.release) * speed / (1.5 * away), p.sink)
    return speed * x / away, speed * y / away, sink


@njit(cache=True, error_model="numpy")
def law(p, height, vx, vy, vz, mass, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Force (3), N, and axis (3) for a state; the way to the place is NaN where there is none."""
    g, full = p.gravity, p.full / mass
    force = max(p.share * full, 1.02 * g)
    down = -vz
    wx, wy, sink = _towards(p, height, x, y)
    ex, ey = vx - wx, vy - wy
    side, drift = math.hypot(ex, ey), math.hypot(vx, vy)
    lean = min(max(height / p.low, (drift - 0.5) / 3.0, 0.0), 1.0)
    tangent = math.tan(p.low_tilt + (p.tilt - p.low_tilt) * lean)
    room = max(height - p.final, 0.0)
    limit = fastest_down(room, side, force, g, tangent, p.lag)
    steady = p.touchdown * min(max(2.0 - drift / p.side, 0.0), 1.0)
    limit = min(limit, sink)
    brake = 0.0
    time = max(burn_time(max(down, 0.0), side, force, g, tangent), 0.05)
    if limit > steady:
        if limit < sink:
            less = max(room - max(0.05 * room, 0.1), 0.0)
            lower = fastest_down(less, side, force, g, tangent, p.lag)
            brake = max(down, 0.0) * (limit - lower) / max(room - less, 1e-3)
    else:
        limit = steady
    up = brake + p.down_gain * (down - limit)
    if down > limit and down > p.touchdown:
        up = max(up, down * down / (2.0 * max(height - 0.5 * p.final - p.lag * down, 0.05)))
    fz = min(max(g + up, 0.0), full)
    rate = max(min(1.0 / time, 2.0 * p.side_gain), p.side_gain if height < p.low else 0.0)
    if sink < np.inf:
        rate = max(rate, p.side_gain)
    fx, fy = -rate * ex, -rate * ey
    flat = math.hypot(fx, fy)
    most = min(fz * tangent, math.sqrt(max(full * full - fz * fz, 0.0)))
    if flat > most:
        fx, fy = fx * most / flat, fy * most / flat
    size = math.sqrt(fx * fx + fy * fy + fz * fz)
    if size > 1e-6:
        ax, ay, az = fx / size, fy / size, fz / size
    else:
        flat = min(side / max(max(down, 0.0) + g * time, 1e-6), tangent) / max(side, 1e-9)
        ax, ay, az = -ex * flat, -ey * flat, 1.0
        long = math.sqrt(ax * ax + ay * ay + az * az)
        ax, ay, az = ax / long, ay / long, az / long
    size = min(max(size, p.least / mass), full) * mass
    return size * ax, size * ay, size * az, ax, ay, az


def warm_up() -> None:
    """Compile the kernels."""
    table = table_of(HopVehicle(dry_kg=1.0, isp_s=200.0, max_thrust_n=10.0), TerminalConfig())
    terminal_thrust(1.0, np.zeros(3), 1.0, table, np.zeros(2))
