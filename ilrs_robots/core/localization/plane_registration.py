"""A cloud against a map of planes: the pose, what it is worth, and what it cannot see.

Gauss-Newton on point-to-plane distances. In every step the information of the six directions is
compared with the information that mere noise of the normals would show: a direction that shows
no more is unseen, the pose stays there what was predicted, and its variance says so. A plain
hides x, y and yaw, a straight corridor the way along it.

Reference: Chen and Medioni 1992, Image Vis. Comput. 10(3) (point to plane); Zhang, Kaess, Singh
2016, ICRA (updates along well-conditioned directions only); Hatleskog and Alexis 2024, IEEE RA-L,
arXiv 2410.10784 (noise of the Hessian from that of normals); Babin et al. 2019, ICRA (Cauchy and
Geman-McClure weights).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization.plane_kernels import accumulate, associate
from ilrs_robots.core.localization.voxel_planes import VoxelPlanes
from ilrs_robots.core.types import FloatArray

_ROWS: Final = 6
_LOOSE: Final = 1.0
"""Information over that of noise with which a direction moves while the pose is still sought."""
_AGAIN: Final = 0.05
"""Voxels of motion after which points look for their planes anew."""
UNSEEN_SIGMA_M: Final = 100.0
"""Standard deviation along a direction that the scan does not see, at the lever's length."""


@dataclass(frozen=True)
class PlaneRegistrationConfig:
    """How a scan is matched to planes."""

    max_iterations: int = param(20, doc="steps of Gauss and Newton", low=1, high=200)
    step_m: float = param(
        5e-4, doc="a smaller step ends it, at the lever's length", unit="m", low=1e-9, high=0.1
    )
    first_reach_m: float = param(
        1.0, doc="distance to a plane that counts half in the first step", unit="m",
        low=0.01, high=10.0,
    )  # fmt: skip
    last_reach_m: float = param(
        0.1, doc="the same in the last steps", unit="m", low=0.005, high=10.0
    )
    shrink: float = param(0.6, doc="from step to step", low=0.05, high=0.99)
    range_sigma_m: float = param(0.012, doc="noise of a range", unit="m", low=1e-4, high=1.0)
    lever_m: float = param(
        10.0, doc="distance at which a turn is compared with a shift", unit="m", low=0.1, high=1e3
    )
    least_signal: float = param(
        3.0, doc="information of a seen direction over that of the normals' noise alone",
        low=0.0, high=1e6,
    )  # fmt: skip
    most_sigma_m: float = param(
        0.1, doc="a direction that is less certain is unseen, at the lever's length", unit="m",
        low=1e-4, high=10.0,
    )  # fmt: skip
    inflation: float = param(
        1.0, doc="factor on standard deviations: neighbouring points err together", low=1.0,
        high=100.0,
    )  # fmt: skip
    least_matched: float = param(
        0.15, doc="share of the points that must find a plane", low=0.0, high=1.0
    )
    floor_m: float = param(
        0.002, doc="least standard deviation of a position", unit="m", low=0.0, high=1.0
    )
    floor_rad: float = param(
        0.0002, doc="least standard deviation of a turn", unit="rad", low=0.0, high=0.1
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class Registration:
    """Where a cloud lies in a map.

    Attributes:
        T_map_cloud: (4, 4).
        covariance: (6, 6) of the position and of the rotation about its place, in the map's axes:
            x, y, z in m2, roll, pitch, yaw in rad2, as in ROS.
        seen: (6, 6) projector on what was seen, for (shift, turn times lever), map's axes.
        unseen: how many of six directions were not seen.
        signal: (6,) information over that of noise by direction, the weakest first.
        sigma_m: (6,) standard deviation of these directions at the lever's length.
        matched: share of the points that found a plane.
        rms_m: weighted distance to the planes.
        iterations: steps taken.
        converged: whether the last step was small and enough points matched.
    """

    T_map_cloud: FloatArray
    covariance: FloatArray
    seen: FloatArray
    unseen: int
    signal: FloatArray
    sigma_m: FloatArray
    matched: float
    rms_m: float
    iterations: int
    converged: bool


@dataclass
class _Directions:
    """Information by direction: eigenvectors in columns, scaled to the lever."""

    axes: FloatArray
    information: FloatArray
    signal: FloatArray
    sigma_m: FloatArray
    seen: FloatArray


def _directions(
    hessian: FloatArray, noise: FloatArray, cfg: PlaneRegistrationConfig
) -> _Directions:
    scale = np.array([1.0, 1.0, 1.0, *(3 * [1.0 / cfg.lever_m])])
    scaled = scale[:, None] * hessian * scale
    information, axes = np.linalg.eigh(scaled)
    of_noise = np.einsum("ik,ij,jk->k", axes, scale[:, None] * noise * scale, axes)
    real = information - of_noise
    signal = real / np.maximum(of_noise, 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = cfg.inflation * np.sqrt(1.0 / np.maximum(real, 1e-12))
    seen = (signal > cfg.least_signal) & (sigma < cfg.most_sigma_m)
    return _Directions(axes, information, signal, sigma, seen)


def register(
    xyz_m: FloatArray,
    planes: VoxelPlanes,
    T_map_cloud: FloatArray,
    cfg: PlaneRegistrationConfig,
) -> Registration:
    """Find where a cloud lies in a map of planes.

    Args:
        xyz_m: (N, 3) float64 metres, thinned, in the cloud's frame; turns are about its origin.
        planes: the map.
        T_map_cloud: (4, 4) the predicted pose, which unseen directions keep.
        cfg: the rules.
    """
    T = np.array(T_map_cloud, dtype=np.float64)
    start, placed = T.copy(), T.copy()
    points = np.ascontiguousarray(xyz_m, dtype=np.float64)
    slots = np.empty(len(points), np.int64)
    hessian, noise, gradient = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros(6)
    scale = np.array([1.0, 1.0, 1.0, *(3 * [1.0 / cfg.lever_m])])
    reach, range_m2 = cfg.first_reach_m, cfg.range_sigma_m**2
    small, steps, matched = False, 0, -1
    while True:
        last = small or steps >= cfg.max_iterations
        if matched < 0 or last or _way(placed, T, cfg.lever_m) > _AGAIN * planes.voxel_m:
            placed = T
            matched = associate(points, T, planes.voxel_m, planes.keys, planes.planes, slots)
        weights, squares = accumulate(
            points, T, planes.planes, slots, reach, range_m2, hessian, gradient, noise,
            last or steps == 0,
        )  # fmt: skip
        ways = _directions(hessian, noise, cfg)
        if last or matched < _ROWS:
            break
        pull = ways.axes.T @ (scale * gradient)
        free = ways.signal > _LOOSE  # strictly judged at the end, where all is in place
        step = -ways.axes @ np.where(free, pull / np.maximum(ways.information, 1e-12), 0.0)
        T = _moved(T, scale * step)
        steps += 1
        settled = reach <= cfg.last_reach_m
        reach = max(cfg.shrink * reach, cfg.last_reach_m)
        small = settled and float(np.abs(step).max()) < cfg.step_m
    T = _kept_where_unseen(start, T, ways, scale)
    share = matched / max(len(points), 1)
    rms = math.sqrt(squares / weights) if weights > 0.0 else math.nan
    return Registration(
        T, _covariance(ways, scale, cfg), (ways.axes * ways.seen) @ ways.axes.T,
        int(6 - ways.seen.sum()), ways.signal, ways.sigma_m, share, rms, steps,
        bool(small and share >= cfg.least_matched),
    )  # fmt: skip


def _way(before: FloatArray, after: FloatArray, lever_m: float) -> float:
    """Shift and turn (at the lever's length) between two poses, metres."""
    turn = float(np.abs(after[:3, :3] - before[:3, :3]).max())
    return float(np.abs(after[:3, 3] - before[:3, 3]).max()) + lever_m * turn


def _moved(T: FloatArray, twist: FloatArray) -> FloatArray:
    """Shifted by (3,) and turned about its own origin by a rotation vector (3,), map's axes."""
    out = T.copy()
    out[:3, 3] += twist[:3]
    out[:3, :3] = _rotation(twist[3:]) @ T[:3, :3]
    return out


def _rotation(vector_rad: FloatArray) -> FloatArray:
    """(3, 3) of a rotation vector, by Rodrigues."""
    x, y, z = vector_rad.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    if angle < 1e-9:
        small: FloatArray = np.eye(3) + cross
        return small
    first, second = math.sin(angle) / angle, (1.0 - math.cos(angle)) / angle**2
    rotation: FloatArray = np.eye(3) + first * cross + second * (cross @ cross)
    return rotation


def _kept_where_unseen(
    start: FloatArray, T: FloatArray, ways: _Directions, scale: FloatArray
) -> FloatArray:
    """Take back what early steps did along directions that turned out to be unseen."""
    if ways.seen.all():
        return T
    turn = T[:3, :3] @ start[:3, :3].T
    angle = math.acos(min(max(0.5 * (np.trace(turn) - 1.0), -1.0), 1.0))
    factor = 0.5 if angle < 1e-6 else 0.5 * angle / math.sin(angle)
    vector = factor * np.array(
        (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    )
    way = np.concatenate((T[:3, 3] - start[:3, 3], vector)) / scale
    kept = (ways.axes * ways.seen) @ (ways.axes.T @ way)
    return _moved(start, scale * kept)


def _covariance(ways: _Directions, scale: FloatArray, cfg: PlaneRegistrationConfig) -> FloatArray:
    sigma = np.where(ways.seen, ways.sigma_m, UNSEEN_SIGMA_M)
    axes = scale[:, None] * ways.axes
    floor = np.array([*(3 * [cfg.floor_m**2]), *(3 * [cfg.floor_rad**2])])
    covariance: FloatArray = (axes * sigma**2) @ axes.T + np.diag(floor)
    return covariance


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    rng = np.random.default_rng(0)
    planes = VoxelPlanes(1.0, 0.01)
    cloud = np.column_stack((rng.uniform(-2.0, 2.0, (300, 2)), np.zeros(300)))
    planes.insert(cloud, np.eye(4))
    planes.keep_near(np.zeros(3), 5.0)
    register(cloud, planes, np.eye(4), PlaneRegistrationConfig())
