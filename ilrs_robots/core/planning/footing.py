"""How a vehicle stands on uneven ground: the plane of its body from the heights of its wheels.

A suspension turns the heights under the wheels into height and slopes of the body, and for small
angles it does so linearly. One matrix of three rows therefore stands for any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray


class FootingTable(NamedTuple):
    """A footing as kernels take it."""

    wheels: FloatArray
    """(W, 2) metres, base_link."""
    weights: FloatArray
    """(3, W) height, slope along x, slope along y."""
    clearance: float
    half_length: float
    half_width: float


@dataclass(frozen=True)
class Footing:
    """Where a vehicle stands, and what hangs below it.

    Attributes:
        wheels_xy_m: (W, 2) points of contact, metres, base_link.
        weights: (3, W) body height (m), slope along x and slope along y per height of each
            wheel's ground (m); the first row sums to one, the others to zero.
        clearance_m: underside of the body above the plane of contact.
        half_length_m: half of the underside, along x.
        half_width_m: half of the underside between the wheels, along y.
    """

    wheels_xy_m: FloatArray
    weights: FloatArray
    clearance_m: float
    half_length_m: float
    half_width_m: float

    def __post_init__(self) -> None:
        """Check shapes, and that level ground gives a level body of the same height.

        Raises:
            ConfigError: with the value and what is needed.
        """
        count = len(self.wheels_xy_m)
        if self.wheels_xy_m.shape != (count, 2) or count < 3:
            raise ConfigError(f"footing of {self.wheels_xy_m.shape} wheels: needs (W, 2), W >= 3")
        if self.weights.shape != (3, count) or not np.isfinite(self.weights).all():
            raise ConfigError(f"footing weights {self.weights.shape}: needs finite (3, {count})")
        if not np.allclose(self.weights.sum(axis=1), (1.0, 0.0, 0.0), atol=1e-9):
            raise ConfigError(f"footing weights sum to {self.weights.sum(axis=1)}: needs 1, 0, 0")

    @property
    def table(self) -> FootingTable:
        """What kernels take."""
        return FootingTable(
            np.ascontiguousarray(self.wheels_xy_m, dtype=np.float64),
            np.ascontiguousarray(self.weights, dtype=np.float64),
            float(self.clearance_m),
            float(self.half_length_m),
            float(self.half_width_m),
        )

    def probes(self) -> FloatArray:
        """(P, 2) metres, base_link: the wheels first, then a grid over the underside."""
        x = np.linspace(-self.half_length_m, self.half_length_m, 7)
        y = np.linspace(-self.half_width_m, self.half_width_m, 5)
        under = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        return np.concatenate((self.wheels_xy_m, under))


def plane_weights(wheels_xy_m: FloatArray) -> FloatArray:
    """Weights of a vehicle on equal springs: the least-squares plane through its wheels.

    With equal springs the sum of spring forces and both moments balance at the plane that leaves
    the least squares of compressions.

    Args:
        wheels_xy_m: (W, 2) metres, base_link.

    Returns:
        (3, W).

    Raises:
        ConfigError: all wheels stand on one line.
    """
    wheels = np.asarray(wheels_xy_m, dtype=np.float64)
    design = np.column_stack((np.ones(len(wheels)), wheels))
    if np.linalg.matrix_rank(design) < 3:
        raise ConfigError("all wheels stand on one line: they hold no plane")
    return np.asarray(np.linalg.pinv(design))


def rocker_bogie_weights(
    wheels_xy_m: FloatArray, rocker_x_m: float, bogie_x_m: float
) -> FloatArray:
    """Weights of a six-wheeled rocker-bogie with a differential between its sides.

    Per side the bogie's pivot has the height between middle and rear wheel, the rocker runs from
    there to the front wheel, and the body hangs on both rockers' pivots with their mean pitch.

    Args:
        wheels_xy_m: (6, 2) front, middle and rear of the left side, then of the right, metres.
        rocker_x_m: pivot of the rockers at the body.
        bogie_x_m: pivot of the bogies at the rockers.

    Returns:
        (3, 6).

    Reference: Chottiner 1992 (kinematics of the rocker-bogie and its differential).
    """
    wheels = np.asarray(wheels_xy_m, dtype=np.float64)
    pitch, pivot = np.zeros((2, 6)), np.zeros((2, 6))
    for side in (0, 1):
        own = slice(3 * side, 3 * side + 3)
        front, mid, rear = wheels[own, 0]
        share = (bogie_x_m - rear) / (mid - rear)
        bogie = np.array([0.0, share, 1.0 - share])
        pitch[side, own] = (np.array([1.0, 0.0, 0.0]) - bogie) / (front - bogie_x_m)
        pivot[side, own] = bogie + pitch[side, own] * (rocker_x_m - bogie_x_m)
    left_y_m, right_y_m = pivot @ wheels[:, 1]
    share = -right_y_m / (left_y_m - right_y_m)
    along = 0.5 * pitch.sum(axis=0)
    across = (pivot[0] - pivot[1]) / (left_y_m - right_y_m)
    middle = share * pivot[0] + (1.0 - share) * pivot[1]
    return np.stack((middle - rocker_x_m * along, along, across))
