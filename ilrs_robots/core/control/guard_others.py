"""How far the arc of a command is free of other vehicles."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.types import FloatArray


def first_touch(
    pose: FloatArray,
    shares: FloatArray,
    step_m: float,
    count: int,
    half_m: tuple[float, float],
    discs: FloatArray,
) -> int:
    """Number of the first pose on an arc at which the footprint touches a disc, -1 for none.

    What the footprint touches already does not stop it from leaving: there only poses count that
    are nearer to the disc's centre than where the vehicle stands.

    Args:
        pose: (3,) x, y (m), yaw (rad).
        shares: (2,) speed (m/s) and yaw rate (rad/s) per m/s of the fastest wheel.
        step_m: way of the fastest wheel between two poses.
        count: of poses.
        half_m: half length and half width of the footprint.
        discs: (N, 3) x, y and radius, metres.
    """
    reach_m = step_m * count + math.hypot(*half_m)
    near = np.hypot(discs[:, 0] - pose[0], discs[:, 1] - pose[1]) < discs[:, 2] + reach_m
    if not near.any():
        return -1
    discs = discs[near]
    along = step_m * np.arange(count)
    turned = shares[1] * along
    ahead, aside = shares[0] * along, np.zeros(count)
    if abs(shares[1]) >= 1e-6:
        radius = shares[0] / shares[1]
        ahead, aside = radius * np.sin(turned), radius * (1.0 - np.cos(turned))
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    dx = discs[None, :, 0] - (pose[0] + cos * ahead - sin * aside)[:, None]
    dy = discs[None, :, 1] - (pose[1] + sin * ahead + cos * aside)[:, None]
    cos, sin = np.cos(pose[2] + turned)[:, None], np.sin(pose[2] + turned)[:, None]
    out_x = np.maximum(np.abs(cos * dx + sin * dy) - half_m[0], 0.0)
    out_y = np.maximum(np.abs(cos * dy - sin * dx) - half_m[1], 0.0)
    away = np.hypot(out_x, out_y) - discs[None, :, 2]
    touches = away < np.minimum(away[0], 0.0) - 1e-6
    first = np.argmax(touches.any(axis=1))
    return int(first) if touches.any() else -1
