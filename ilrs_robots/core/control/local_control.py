"""What is near the vehicle: ground around it, its path ahead, and the command along it."""

from __future__ import annotations

from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.local_driver import LocalDriver
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.path_keeper import PathKeeper
from ilrs_robots.core.control.terrain_memory import TerrainMemory
from ilrs_robots.core.control.turning_room import TurningRoom
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.planning.local_terrain import LocalTerrain


class LocalControl:
    """Joins the navigator's ground and path with the local driver.

    Without a footing it passes on what the tracker says.
    """

    def __init__(
        self,
        config: NavigatorConfig,
        limits: VehicleLimits,
        footing: Footing | None,
        ground: TerrainMemory,
        path: PathKeeper,
    ) -> None:
        """Take what it joins."""
        self._config, self._ground, self._path = config, ground, path
        size_m = (limits.footprint_length_m, limits.footprint_width_m)
        self._driver = None if footing is None else LocalDriver(config, footing, size_m)
        self._room = None if footing is None else TurningRoom(footing)

    @property
    def reason(self) -> str:
        """Why the last command is not the tracker's, empty where it is."""
        if self._driver is None or self._room is None:
            return ""
        return self._room.reason or self._driver.reason

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config = config
        if self._driver is not None:
            self._driver.reconfigure(config)

    def forget(self) -> None:
        """Forget the ground: time went back."""
        if self._room is not None:
            self._room.forget()

    def look(self, now_ns: int, x: float, y: float) -> Ahead | None:
        """Closed and unseen ground on the path; what would tip the vehicle is closed as well."""
        ahead, path = self._path.ahead(x, y), self._path.tracker.path
        if path is None and self._room is not None:
            self._room.reset()
        terrain = self._terrain(x, y)
        if self._driver is None or ahead is None or path is None or terrain is None:
            return ahead
        return self._driver.look(now_ns, path, ahead, terrain)

    def command(
        self,
        now_ns: int,
        pose: tuple[float, float, float],
        v: float,
        tracked: tuple[float, float],
        clear_m: float,
        turn_rad: float = 0.0,
    ) -> tuple[float, float]:
        """Speed (m/s) and yaw rate (rad/s), from those of the tracker.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m) and yaw (rad) in map.
            v: forward speed, m/s.
            tracked: speed (m/s) and yaw rate (rad/s).
            clear_m: how far along the path the ground is seen and safe.
            turn_rad: what the tracker turns by in place, 0 while it drives.
        """
        terrain = self._terrain(*pose[:2])
        if self._driver is None or self._room is None or terrain is None:
            return tracked
        seen = self._ground.in_odom(pose)
        turned = None if seen is None else self._room.step(turn_rad, *seen)
        if turned is not None:
            return turned
        if self._path.goes_on:
            clear_m = min(clear_m, self._config.view_m)
        return self._driver.command(now_ns, pose, v, tracked, clear_m, terrain)

    def _terrain(self, x: float, y: float) -> LocalTerrain | None:
        if self._driver is None:
            return None
        return self._ground.local(x, y, self._driver.footing.half_width_m)
