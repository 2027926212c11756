"""A long way over soft, rough ground in full physics: how far odometry and fixes come off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.prior import LIKE_LOLA, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface, SurfaceConfig
from ilrs_robots.core.types import Cloud, FloatArray, OdometryEstimate, VelocityCommand
from ilrs_robots.robots.ground_step import Believed, tell
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.site import RobotPlacement, SiteConfig, SiteTerrain, TerrainConfig
from ilrs_robots.sim.config import ContactConfig, SimConfig
from ilrs_robots.sim.lockstep import Lockstep

ROBOT: Final = "long_range"
_CORNERS_M: Final = ((90.0, 60.0), (-60.0, 110.0), (-110.0, -50.0), (50.0, -110.0))
_DRIVES_MPS: Final = 0.2
_SPEED_MPS: Final = 0.6
_REACHED_M: Final = 4.0
_STANDS_NS: Final = 3_000_000_000
_SLIP_EVERY: Final = 10
_SLOWEST_MPS: Final = 0.15


@dataclass
class LongDrive:
    """What is known of a drive so far.

    Attributes:
        run: simulator and pipeline.
        site: where.
        shift_m: (2,) by which the orbital map lies beside the truth.
        way_m: true length of the way.
        odom_m: horizontal error of odometry alone, which no fix corrects, since the start.
        turn_rad: error of the attitude.
        map_m: horizontal error in ``map``, beside the orbital map's own shift.
        stations_m: way at each fix that was taken.
        fixes_m: error in ``map`` after each.
        slips: means over wheels of the slip ratio, while it drove.
        step_m: largest step of the pose in odom within 0.04 s.
    """

    run: Lockstep
    site: SiteConfig
    shift_m: FloatArray
    way_m: float = 0.0
    odom_m: float = 0.0
    turn_rad: float = 0.0
    map_m: float = 0.0
    stations_m: list[float] = field(default_factory=list)
    fixes_m: list[float] = field(default_factory=list)
    slips: list[float] = field(default_factory=list)
    step_m: float = 0.0

    def __post_init__(self) -> None:
        self._last: FloatArray | None = None
        self._odom: FloatArray | None = None
        self._start: FloatArray | None = None
        self._corner = self._looks = 0

    def go(self, metres: float, watch: Callable[[LongDrive], None] = lambda _d: None) -> None:
        """Drive from corner to corner until the way is so long, or for as long as that takes.

        Nobody maps or plans: the vehicle steers by where it truly is, over whatever lies there.

        Args:
            metres: of way.
            watch: hears of every period.
        """
        world, senses = self.run.world, self.run.pipeline.senses
        step, ground = senses.localization, senses.ground
        assert isinstance(step, InertialStep)
        assert ground is not None
        latest_ns = world.time_ns + round(metres / _SLOWEST_MPS * 1e9)
        while self.way_m < metres and world.time_ns < latest_ns:
            world.command(ROBOT, self._steer(world.truth(ROBOT)))
            for event in world.step():
                if isinstance(event.payload, Cloud):
                    ground.add(event.payload)
                else:
                    senses.feed(event.payload)
            if ground.scans.waiting:
                tell(step, ground.process(senses.tree, world.time_ns, Believed.of(step)))
            self._look(senses.odometry, world.truth(ROBOT))
            watch(self)

    def _steer(self, truth: OdometryEstimate) -> VelocityCommand:
        """Towards the present corner, or the next where it is reached or out of reach."""
        away = np.array(_CORNERS_M[self._corner % len(_CORNERS_M)]) - truth.position_m[:2]
        if np.hypot(*away) < _REACHED_M:
            self._corner += 1
        turn = np.arctan2(away[1], away[0]) - se3.yaw_of(truth.quat_wxyz)
        turn = float(np.arctan2(np.sin(turn), np.cos(turn)))
        waits = self.run.world.time_ns < _STANDS_NS
        turn = 0.0 if waits else turn
        speed = 0.0 if waits or abs(turn) > 1.0 else _SPEED_MPS
        return VelocityCommand(self.run.world.time_ns, speed, float(np.clip(turn, -0.2, 0.2)))

    def _look(self, odometry: OdometryEstimate | None, truth: OdometryEstimate) -> None:
        if odometry is None:
            return
        T_true = se3.make_transform(truth.position_m, truth.quat_wxyz)
        T_odom = se3.make_transform(odometry.position_m, odometry.quat_wxyz)
        if self._start is None or self._last is None or self._odom is None:
            self._last, self._odom = T_true[:3, 3], T_odom[:3, 3]
            self._start = self._last - self._odom  # the axes of odom are those of map, by stars
        self.way_m += float(np.linalg.norm(T_true[:3, 3] - self._last))
        self.step_m = max(self.step_m, float(np.linalg.norm(T_odom[:3, 3] - self._odom)))
        self._last, self._odom = T_true[:3, 3], T_odom[:3, 3]
        off = self._start + self._odom - self._last
        self.odom_m = float(np.hypot(*off[:2]))
        believed = self.run.pipeline.T_map_base()
        self.map_m = float(np.hypot(*(believed[:2, 3] - T_true[:2, 3] - self.shift_m)))
        turn = T_true[:3, :3].T @ believed[:3, :3]
        self.turn_rad = float(np.arccos(np.clip(0.5 * (np.trace(turn) - 1.0), -1.0, 1.0)))
        self._looks += 1
        if self._looks % _SLIP_EVERY == 0 and np.linalg.norm(truth.linear_mps) > _DRIVES_MPS:
            self.slips.append(float(np.mean(self.run.world.evaluation(ROBOT).wheel_slip)))
        ground = self.run.pipeline.senses.ground
        places = None if ground is None else ground.places
        if places is not None and places.outcomes["fix"] > len(self.fixes_m):
            self.stations_m.append(self.way_m)
            self.fixes_m.append(self.map_m)


def long_drive(
    seed: int, soil_softness: float = 3.0, soil_drag: float = 0.15,
    wrong_m: tuple[float, float] = (0.0, 0.0), wrong_sigma_m: float = 0.0,
) -> LongDrive:  # fmt: skip
    """A vehicle at the start of a way over procedural ground.

    Args:
        seed: of ground, orbital map and noise.
        soil_softness: factor on the wheels' slip beside the vehicle's file.
        soil_drag: resistance of the soil, share of the weight.
        wrong_m: by how much the vehicle is elsewhere than it believes, x and y in ``map``.
        wrong_sigma_m: how sure it is of its start; 0 for the configured spread.
    """
    terrain, prior = _ground(seed)
    robots = (RobotPlacement(ROBOT, ROBOT),)
    site = SiteConfig(
        "long_drive", -89.45, -137.49, "2035-01-15T00:00:00Z", TerrainConfig("procedural", seed),
        robots,
    )  # fmt: skip
    config = replace(
        SimConfig(), contact=ContactConfig(soil_softness=soil_softness, soil_drag=soil_drag)
    )
    run = Lockstep(site, SiteTerrain(terrain, prior), ROBOT, seed, config)
    drive = LongDrive(run, site, np.array(prior.provenance["shift_xy_m"], dtype=np.float64))
    if wrong_sigma_m > 0.0:
        _begin(run)
        step = run.pipeline.localization
        assert isinstance(step, InertialStep)
        T_map_base = run.pipeline.T_map_base()
        T_map_base[:2, 3] += wrong_m
        step.relocate(T_map_base, wrong_sigma_m**2 * np.eye(3))
    return drive


def _begin(run: Lockstep) -> None:
    """Stand until there is a pose."""
    while run.pipeline.state.odometry is None:
        run.step()


def _ground(seed: int) -> tuple[Surface, Dem]:
    """True ground, and the orbital map of it: correlated error, interpolated, shifted."""
    dem = procedural_dem(seed, median_slope_deg=7.0, p90_slope_deg=14.0)
    return Surface(dem, seed, SurfaceConfig()), orbital_prior(dem, seed, LIKE_LOLA)
