"""Assisted driving: the safe command that is closest to the driver's.

On each of a fan of arcs every speed up to some largest one is safe, so the safe commands form
segments from the origin in the plane of speed and yaw rate. The command given is the nearest
point of all these segments to the driver's, in shares of the vehicle's largest speed and yaw
rate. A wrong turn is a quarter as far as a wrong speed: who drives towards a rock wants to get
past it rather than to stand before it. A command that is safe is passed on as it is.

Reference: minimal intervention as in Anderson et al. 2010, An optimal-control-based framework
for trajectory planning, threat assessment, and semi-autonomous control of passenger vehicles.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ilrs_robots.core.control.ground_guard import GroundGuard

ARCS: Final = 25
SPEEDS: Final = 12
TURN_WEIGHT: Final = 0.25
_SAME: Final = 1e-9


def closest_safe(
    guard: GroundGuard, v: float, w: float, limits: tuple[float, float], now_ns: int
) -> tuple[float, float, str]:
    """Give the safe command closest to the driver's.

    Args:
        guard: what is safe.
        v: the driver's forward speed, m/s.
        w: the driver's yaw rate, rad/s.
        limits: largest speed (m/s) in the direction driven, and yaw rate (rad/s).
        now_ns: time of the stamps.

    Returns:
        speed (m/s), yaw rate (rad/s), and what stands against the driver's own command (empty
        when it is passed on).
    """
    share, what = guard.allowed(v, w, now_ns)
    if share >= 1.0:
        return v, w, ""
    best, best_away = (share * v, share * w), _away(share * v, share * w, v, w, limits)
    hopes = [(_away(*_nearest(v, w, *end, limits), v, w, limits), end) for end in _fan(v, limits)]
    for hope, (speed, turn) in sorted(hopes):
        if hope >= best_away - _SAME:
            break
        share, _ = guard.allowed(speed, turn, now_ns)
        made = _nearest(v, w, share * speed, share * turn, limits)
        away = _away(*made, v, w, limits)
        if away < best_away - _SAME:
            best, best_away = made, away
    return best[0], best[1], what


def _fan(v: float, limits: tuple[float, float]) -> list[tuple[float, float]]:
    """Ends of the segments: the driver's speed at every yaw rate, slower ones at the largest."""
    turns = np.linspace(-limits[1], limits[1], ARCS)
    ends = [(v, float(turn)) for turn in turns]
    for share in np.linspace(0.0, 1.0, SPEEDS, endpoint=False):
        ends += [(share * v, -limits[1]), (share * v, limits[1])]
    return ends


def _nearest(
    v: float, w: float, end_v: float, end_w: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """The point of a segment from the origin that is nearest to the driver's command."""
    a, b = end_v / limits[0], TURN_WEIGHT * end_w / limits[1]
    size = a * a + b * b
    if size < _SAME:
        return 0.0, 0.0
    share = (a * v / limits[0] + b * TURN_WEIGHT * w / limits[1]) / size
    share = min(max(share, 0.0), 1.0)
    return share * end_v, share * end_w


def _away(made_v: float, made_w: float, v: float, w: float, limits: tuple[float, float]) -> float:
    dv, dw = (made_v - v) / limits[0], (made_w - w) / limits[1]
    return float(np.hypot(dv, TURN_WEIGHT * dw))
