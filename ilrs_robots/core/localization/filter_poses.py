"""Poses of many of the filter's states at once; as ``StateFilter`` gives them one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ilrs_robots.core.geometry.se3 import quat_multiply, quat_rotate
from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.types import FloatArray

_POSE = np.array([0, 1, 2, 6, 7, 8])
_UPPER = np.triu_indices(3)
_TINY = 1e-12


class Poses(NamedTuple):
    """Of base_link in odom.

    Attributes:
        position_m: (M, 3) odom.
        quat_wxyz: (M, 4).
        linear_mps: (M, 3) base_link.
        angular_rps: (M, 3) base_link.
        spread: (M, 6, 6) of x, y, z (m) and rotations about fixed axes (rad), as in ROS.
    """

    position_m: FloatArray
    quat_wxyz: FloatArray
    linear_mps: FloatArray
    angular_rps: FloatArray
    spread: FloatArray


def poses_of(
    states: FloatArray, spreads: FloatArray, ahead_s: FloatArray, lever_m: FloatArray
) -> Poses:
    """Carry states ahead by their velocity and rate, and say where base_link is then.

    Args:
        states: (M, NOMINAL) of the filter, SI units, anchor.
        spreads: (M, ERROR, ERROR) their covariance, SI units.
        ahead_s: (M,) seconds.
        lever_m: (3,) of the IMU in base_link, metres.
    """
    velocity, own_quat = states[:, at.V_ : at.V_ + 3], states[:, at.Q_ : at.Q_ + 4]
    rate = states[:, at.NOW_W : at.NOW_W + 3] - states[:, at.BG_ : at.BG_ + 3]
    quat = quat_multiply(own_quat, quats_of(rate * ahead_s[:, None]))
    place = states[:, at.P_ : at.P_ + 3] + velocity * ahead_s[:, None]
    place = place - quat_rotate(quat, lever_m)
    spin = np.cross(rate, lever_m)
    linear = quat_rotate(quat * (1.0, -1.0, -1.0, -1.0), velocity) - spin
    half = -0.5 * states[:, at.SHIFT_YAW]
    zero = np.zeros_like(half)
    back = np.column_stack((np.cos(half), zero, zero, np.sin(half)))
    return Poses(
        quat_rotate(back, place - states[:, at.SHIFT : at.SHIFT + 3]),
        quat_multiply(back, quat),
        linear,
        rate,
        _in_odom(states, spreads, own_quat, lever_m),
    )


def quats_of(rotations_rad: FloatArray) -> FloatArray:
    """(M, 4) quaternions wxyz of (M, 3) rotation vectors, rad."""
    angle = np.sqrt((rotations_rad**2).sum(axis=1))
    scale = np.where(angle > _TINY, np.sin(0.5 * angle) / np.maximum(angle, _TINY), 0.5)
    return np.column_stack((np.cos(0.5 * angle), scale[:, None] * rotations_rad))


def _in_odom(
    states: FloatArray, spreads: FloatArray, quat: FloatArray, lever_m: FloatArray
) -> FloatArray:
    """(M, 6, 6) covariance of the pose, with what absolute places took off that of the way."""
    count = len(states)
    turn = quat_rotate(quat[:, None], np.eye(3)).swapaxes(1, 2)
    x, y, z = lever_m
    lever = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    jacobian = np.zeros((count, 6, 6))
    jacobian[:, :3, :3] = np.eye(3)
    jacobian[:, :3, 3:] = turn @ lever
    jacobian[:, 3:, 3:] = turn
    spread: FloatArray = jacobian @ spreads[:, _POSE[:, None], _POSE] @ jacobian.swapaxes(1, 2)
    taken = np.zeros((count, 3, 3))
    taken[:, _UPPER[0], _UPPER[1]] = states[:, at.FORGIVEN : at.FORGIVEN + 6]
    taken += np.triu(taken, 1).swapaxes(1, 2)
    spread[:, :3, :3] += taken
    return spread
