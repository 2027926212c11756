"""Motion from scans: each is matched to a local map of planes that earlier ones have made.

The local map lives in a frame of its own, which begins where the first scan was taken and drifts
as odometry does; only motions within it mean something. A scan that moves into new ground
becomes a key scan: its points join the map. What a scan does not see of its motion it leaves to
the prediction, and says so in the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.cloud.voxel_sample import voxel_sample
from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization import plane_registration
from ilrs_robots.core.localization.plane_registration import Registration
from ilrs_robots.core.localization.scan_odometry_config import ScanOdometryConfig
from ilrs_robots.core.localization.voxel_planes import VoxelPlanes
from ilrs_robots.core.types import Float32Array, FloatArray

_SAME_SHARE: Final = 0.02
"""Change of the matched share that counts as none."""
__all__ = ["ScanMotion", "ScanOdometry", "ScanOdometryConfig", "warm_up"]


@dataclass(frozen=True)
class ScanMotion:
    """How the body moved between two scans, as far as the later one sees it.

    Attributes:
        from_ns: stamp of the earlier scan: the last key scan, whose points are in the map.
        to_ns: stamp of this scan.
        T_from_to: (4, 4) pose of the body at ``to_ns`` in the body's frame at ``from_ns``.
        covariance: (6, 6) of that: position and rotation about its place in the axes of the
            earlier body, m2 and rad2. Directions that the scan does not see have
            ``UNSEEN_SIGMA_M`` (as a turn: over the lever).
        T_last_to: (4, 4) the same from the last scan that was matched, whatever it was.
        last_ns: stamp of that one.
        registration: details, in the axes of the local map.
        key: whether this scan is a key scan itself.
    """

    from_ns: int
    to_ns: int
    T_from_to: FloatArray
    covariance: FloatArray
    T_last_to: FloatArray
    last_ns: int
    registration: Registration
    key: bool


class ScanOdometry:
    """Scan after scan to motion after motion.

    Args:
        config: the rules.

    Attributes:
        T_local_body: (4, 4) pose of the body at the last scan in the local map's frame.
        planes: the local map.
        restarts: how often the map was begun anew because scans no longer matched.
        unmatched: scans in a row that did not match.
    """

    def __init__(self, config: ScanOdometryConfig) -> None:
        self.config = config
        self.restarts = 0
        self.reset()

    def reset(self) -> None:
        """Forget the map; the next scan begins a new one."""
        cfg = self.config
        self.planes = VoxelPlanes(cfg.voxel_m, cfg.registration.range_sigma_m)
        self.T_local_body: FloatArray = np.eye(4)
        self.unmatched = 0
        self._last_ns: int | None = None
        self._key_ns = 0
        self._key_share = -1.0
        self._T_local_key: FloatArray = np.eye(4)
        self._swept_at: FloatArray = np.zeros(3)

    def update(
        self, stamp_ns: int, xyz_body_m: Float32Array, T_last_body: FloatArray
    ) -> ScanMotion | None:
        """Match one scan.

        Args:
            stamp_ns: of the body's frame that the points are in.
            xyz_body_m: (N, 3) float32 metres, deskewed, in the body's frame.
            T_last_body: (4, 4) predicted motion since the last scan that was given.

        Returns:
            the motion, or None for the first scan of a map and for one that does not match:
            then the prediction is taken.

        Raises:
            InvalidCloudError: ``shape``, or ``empty`` where no point is within the ranges;
                nothing has changed.
            TransformError: the prediction is not rigid; nothing has changed.
        """
        cfg = self.config
        predicted = se3.require_rigid(T_last_body)
        coarse = voxel_sample(xyz_body_m, cfg.coarse_m, cfg.near_m, cfg.far_m)
        if not len(coarse):
            raise InvalidCloudError(
                "empty", f"no point is between {cfg.near_m} and {cfg.far_m} m away"
            )
        if self._last_ns is None:
            self._last_ns = stamp_ns
            self._become_key(stamp_ns, xyz_body_m)
            return None
        guess = self.T_local_body @ predicted
        coarse = coarse[:: -(-len(coarse) // cfg.most_points)]
        found = plane_registration.register(
            coarse.astype(np.float64), self.planes, guess, cfg.registration
        )
        if not found.converged:
            self._unmatched(stamp_ns, guess, xyz_body_m)
            return None
        self.unmatched = 0
        pose = found.T_map_cloud
        T_from_to = se3.invert(self._T_local_key) @ pose
        motion = ScanMotion(
            self._key_ns, stamp_ns, T_from_to,
            _turned(found.covariance, self._T_local_key[:3, :3].T),
            se3.invert(self.T_local_body) @ pose, self._last_ns, found,
            self._is_key(T_from_to, found.matched),
        )  # fmt: skip
        self.T_local_body, self._last_ns = pose, stamp_ns
        if motion.key:
            self._key_share = found.matched
            self._become_key(stamp_ns, xyz_body_m)
        return motion

    def _is_key(self, T_key_body: FloatArray, matched: float) -> bool:
        cfg = self.config
        way = float(np.linalg.norm(T_key_body[:3, 3]))
        cosine = 0.5 * (float(np.trace(T_key_body[:3, :3])) - 1.0)
        turn = float(np.arccos(min(max(cosine, -1.0), 1.0)))
        # Few matches are a reason only where the last key scan has changed something.
        sparse = matched < cfg.key_matched and abs(matched - self._key_share) > _SAME_SHARE
        return way > cfg.key_distance_m or turn > cfg.key_turn_rad or sparse

    def _become_key(self, stamp_ns: int, xyz: Float32Array) -> None:
        """Add a scan at ``T_local_body`` to the map, and drop what is far."""
        cfg = self.config
        fine = voxel_sample(xyz, cfg.fine_m, cfg.near_m, cfg.far_m)
        self.planes.insert(fine, self.T_local_body)
        self._key_ns, self._T_local_key = stamp_ns, self.T_local_body
        at = self.T_local_body[:3, 3]
        if np.linalg.norm(at - self._swept_at) > 0.25 * cfg.radius_m:
            self._swept_at = at.copy()
            self.planes.keep_near(at, cfg.radius_m)

    def _unmatched(self, stamp_ns: int, guess: FloatArray, xyz: Float32Array) -> None:
        """Go on by the prediction; begin a new map where that has lasted."""
        self.unmatched += 1
        if self.unmatched < self.config.lost_after:
            self.T_local_body, self._last_ns = guess, stamp_ns
            return
        self.restarts += 1
        self.reset()
        self._last_ns = stamp_ns
        self._become_key(stamp_ns, xyz)


def _turned(covariance: FloatArray, R: FloatArray) -> FloatArray:
    """(6, 6) in the axes that R takes the present ones to."""
    both = np.zeros((6, 6))
    both[:3, :3] = both[3:, 3:] = R
    turned: FloatArray = both @ covariance @ both.T
    return turned


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    rng = np.random.default_rng(0)
    cloud = np.column_stack((rng.uniform(-4.0, 4.0, (2000, 2)), np.full(2000, -1.5)))
    odometry = ScanOdometry(ScanOdometryConfig())
    for stamp_ns in range(2):
        odometry.update(stamp_ns, cloud.astype(np.float32), np.eye(4))
    plane_registration.warm_up()
