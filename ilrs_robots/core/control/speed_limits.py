"""How fast a vehicle may go: braking on slopes in low gravity, what is seen, and bumps.

On the Moon friction and weight are a sixth, momentum is not: 1.62 m/s2 holds wheels to the ground
and brakes them. Each limit below is the largest speed that obeys one law; the lowest counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.types import FloatArray

_LEAST_DECEL_MPS2 = 0.03


@dataclass(frozen=True)
class SpeedConfig:
    """What speed is limited by, besides the vehicle's own largest."""

    reaction_s: float = param(
        0.5, doc="from a hazard in the map to brakes that act", unit="s", low=0.0, high=10.0
    )
    brake_share: float = param(
        0.5, doc="share of friction that braking is planned with", low=0.05, high=1.0
    )
    bump_share: float = param(
        0.4, doc="share of gravity that heaving over bumps may take", low=0.01, high=1.0
    )
    bump_base_m: float = param(
        0.5, doc="distance over which bumps are measured", unit="m", low=0.05, high=10.0
    )
    least_mps: float = param(
        0.08, doc="no limit of slope or bumps goes below", unit="m/s", low=0.0, high=5.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def braking_decel(
    decel_mps2: float,
    friction: float,
    climb_rad: ArrayLike,
    share: float,
    gravity_mps2: float = MOON_GRAVITY_MPS2,
) -> FloatArray:
    """Deceleration that can be relied on.

    Args:
        decel_mps2: what the drive is set to.
        friction: of the wheels on the ground.
        climb_rad: (...,) rad, slope along the motion, positive uphill.
        share: of friction that is relied on.
        gravity_mps2: of the place.

    Returns:
        (...,) m/s2: what friction leaves after gravity's pull downhill, at most ``decel_mps2``
        and never quite zero.
    """
    climb = np.asarray(climb_rad, dtype=np.float64)
    held = gravity_mps2 * (share * friction * np.cos(climb) + np.sin(climb))
    return np.asarray(np.clip(held, _LEAST_DECEL_MPS2, decel_mps2))


def stopping_speed(distance_m: ArrayLike, decel_mps2: ArrayLike, reaction_s: float) -> FloatArray:
    """Largest speed from which a vehicle stands within a distance.

    Solves ``v t + v^2 / (2 a) = d``.

    Args:
        distance_m: (...,) m to what it must not reach; what is negative counts as zero.
        decel_mps2: (...,) m/s2.
        reaction_s: time before it brakes.

    Returns:
        (...,) m/s.
    """
    distance = np.maximum(np.asarray(distance_m, dtype=np.float64), 0.0)
    decel = np.asarray(decel_mps2, dtype=np.float64)
    slow = reaction_s * decel
    return np.asarray(np.sqrt(slow**2 + 2.0 * decel * distance) - slow)


def bump_speed(
    height_m: FloatArray,
    spacing_m: float,
    settings: SpeedConfig,
    gravity_mps2: float = MOON_GRAVITY_MPS2,
) -> FloatArray:
    """Speed at which a body that follows its heights is not thrown up by them.

    A body that follows a curve of height z'' is accelerated by v^2 z''. It leaves the ground
    where that reaches gravity.

    Args:
        height_m: (N,) metres, of the body along its way; NaN unknown.
        spacing_m: between them.
        settings: share of gravity, and the distance over which z'' is taken.
        gravity_mps2: of the place.

    Returns:
        (N,) m/s, infinite where nothing is known or the way is even.
    """
    lag = max(round(settings.bump_base_m / spacing_m), 1)
    bend = np.full(len(height_m), np.nan)
    if len(height_m) > 2 * lag:
        second = height_m[2 * lag :] - 2.0 * height_m[lag:-lag] + height_m[: -2 * lag]
        bend[lag:-lag] = np.abs(second) / (lag * spacing_m) ** 2
    known = np.isfinite(bend) & (bend > 1e-9)
    speed = np.full(len(height_m), np.inf)
    speed[known] = np.sqrt(settings.bump_share * gravity_mps2 / bend[known])
    return speed


def profile(
    limit_mps: FloatArray, spacing_m: float, decel_mps2: FloatArray, end_mps: float
) -> FloatArray:
    """Speeds along a way that obey every limit and can be braked down to in time.

    Args:
        limit_mps: (N,) m/s at each point.
        spacing_m: between them.
        decel_mps2: (N,) m/s2 that can be relied on at each point.
        end_mps: speed at the last point.

    Returns:
        (N,) m/s.
    """
    speed = np.array(limit_mps, dtype=np.float64)
    speed[-1] = min(speed[-1], end_mps)
    for n in range(len(speed) - 2, -1, -1):
        reach = np.sqrt(speed[n + 1] ** 2 + 2.0 * decel_mps2[n] * spacing_m)
        speed[n] = min(speed[n], reach)
    return speed
