"""Lidar scans by our own ray casting, from a vehicle's true pose in Gazebo.

For machines where Gazebo's lidar does not see the terrain (no usable graphics, an older render
engine). It is off by default and named in the diagnostics when on. The rays meet the baked ground
and the rocks of the world; the base's buildings and other vehicles are not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import Cloud, FloatArray, GridSpec
from ilrs_robots.robots.gazebo.ground import BakedGround
from ilrs_robots.robots.model import RobotModel

_PATCH_HALF_M = 12.0
_MOVE_M = 5.0
_SPARE_M = 2.0
_LONGEST_GAP_NS = 1_000_000_000


class LidarFallback:
    """The lidar of one vehicle.

    Args:
        robot: its name.
        model: with the lidar's mount, rays and noise.
        ground: what the rays may meet.
        seed: of the noise.
        publish: takes each scan that is complete.
    """

    def __init__(
        self, robot: str, model: RobotModel, ground: BakedGround, seed: int,
        publish: Callable[[Cloud], None],
    ) -> None:  # fmt: skip
        try:
            from ilrs_robots.sim.lidar import Lidar
        except ImportError as error:
            raise ConfigError(
                f"the lidar fallback needs the embedded simulator's lidar: {error}; install the "
                "package's extra [sim]"
            ) from error
        self._robot, self._model, self._ground = robot, model, ground
        self._rng = np.random.default_rng([seed, 2])
        self._pool = ThreadPoolExecutor(1)
        self._publish = publish
        self._make = lambda: Lidar(
            model.lidar, f"{robot}/{model.lidar.frame}", self._rng, self._pool
        )
        self._lidar = self._make()
        self._first_ns: int | None = None
        self._last: tuple[int, FloatArray, FloatArray] | None = None
        self._centre = np.full(2, np.inf)
        self.scans = 0

    def take_truth(self, stamp_ns: int, position_m: FloatArray, quat_wxyz: FloatArray) -> None:
        """Cast the columns between the last true pose and this one.

        Args:
            stamp_ns: of the pose.
            position_m: (3,) base_link in map, metres.
            quat_wxyz: (4,) its attitude in map.
        """
        last, self._last = self._last, (stamp_ns, position_m, quat_wxyz)
        if last is None or not 0 < stamp_ns - last[0] < _LONGEST_GAP_NS:
            self._restart(stamp_ns)
            return
        self._look_around(position_m)
        self._lidar.start(self._state(*last), self._state(stamp_ns, position_m, quat_wxyz))
        for cloud in self._lidar.finish():
            self.scans += 1
            self._publish(replace(cloud, stamp_ns=cloud.stamp_ns + (self._first_ns or 0)))

    def close(self) -> None:
        """End the worker."""
        self._pool.shutdown()

    def _restart(self, stamp_ns: int) -> None:
        """Begin a scan now: there is no earlier pose, or time has jumped."""
        self._first_ns = stamp_ns
        self._lidar = self._make()
        self._centre = np.full(2, np.inf)

    def _state(self, stamp_ns: int, position_m: FloatArray, quat_wxyz: FloatArray) -> Any:
        from ilrs_robots.sim.sensors import BodyState

        zero = np.zeros(3)
        since = stamp_ns - (self._first_ns or 0)
        return BodyState(since, position_m, quat_wxyz, zero, zero, np.zeros(0))

    def _look_around(self, position_m: FloatArray) -> None:
        """Rebuild the scene when the vehicle has moved on."""
        from ilrs_robots.sim.config import LATTICE_M, SNAP_M
        from ilrs_robots.sim.lidar_scene import build_scene

        if np.max(np.abs(position_m[:2] - self._centre)) < _MOVE_M:
            return
        self._centre = SNAP_M * np.round(position_m[:2] / SNAP_M)
        cells = round(_PATCH_HALF_M / LATTICE_M)
        x, y = (float(v) for v in self._centre - cells * LATTICE_M)
        spec = GridSpec(x, y, LATTICE_M, 2 * cells + 1, 2 * cells + 1)
        reach = self._model.lidar.range_max_m + _MOVE_M + _SPARE_M
        self._lidar.scene = build_scene(self._ground, spec, self._ground.grid(spec), reach)
