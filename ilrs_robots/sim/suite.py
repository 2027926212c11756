"""All sensors of one vehicle, each at its own rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    Cloud,
    FloatArray,
    GridSpec,
    ImuSample,
    JointSample,
    TankSample,
)
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.ground import GroundPatch
from ilrs_robots.sim.lidar import Lidar
from ilrs_robots.sim.lidar_scene import build_scene
from ilrs_robots.sim.sensors import Altimeter, BodyState, Imu, JointEncoders, StarTracker
from ilrs_robots.sim.terrain import Terrain
from ilrs_robots.sim.vehicle import SimRobot

_SCENE_MARGIN_M = 2.0
_SCENE_SHARE = 0.25
"""Of the height over the ground: so far the scene under a flying vehicle may lag behind."""


Payload = ImuSample | JointSample | AttitudeSample | AltimeterSample | TankSample | Cloud


@dataclass(frozen=True)
class SensorEvent:
    """One sensor's answer.

    Attributes:
        robot: name of the vehicle.
        topic: in the vehicle's namespace, for example ``imu/data``.
        payload: what was measured; its stamp may lie before the event (a scan's first column).
    """

    robot: str
    topic: str
    payload: Payload


@dataclass
class _Clock:
    """When a sensor last answered."""

    period_ns: int
    last: BodyState

    def due(self, state: BodyState) -> bool:
        return state.stamp_ns - self.last.stamp_ns >= self.period_ns


class SensorSuite:
    """Feeds every sensor with the vehicle's true states and collects what they say.

    Attributes:
        looks: whether the lidar's rays are cast; without a listener they are only a cost.
    """

    def __init__(
        self, robot: SimRobot, joint_names: tuple[str, ...], seed: list[int],
        pool: ThreadPoolExecutor, config: SimConfig,
    ) -> None:  # fmt: skip
        self._name, model, self._seed = robot.name, robot.model, seed
        imu_rng, star_rng, lidar_rng = (np.random.default_rng([*seed, k]) for k in range(3))
        self._rngs = (imu_rng, star_rng)
        self._model, self._config = model, config
        self.imu = Imu(model.imu, MOON_GRAVITY_MPS2, imu_rng)
        self._encoders = JointEncoders(model.joint_states, joint_names)
        self._star = StarTracker(model.star_tracker, star_rng)
        self._lidar = (
            Lidar(model.lidar, f"{robot.name}/{model.lidar.frame}", lidar_rng, pool)
            if config.lidar
            else None
        )
        self._rays: tuple[BodyState, BodyState] | None = None
        self.looks = True
        self._altimeter: Altimeter | None = None
        self._scene_xy_m = np.full(2, np.inf)

    def equip(self, terrain: Terrain, gauge: Callable[[int], TankSample]) -> None:
        """Give a hopper its altimeter and the gauge of its tank."""
        assert isinstance(self._model, HopperModel)
        rng = np.random.default_rng([*self._seed, 3])
        self._rngs = (*self._rngs, rng)
        self._altimeter = Altimeter(self._model.altimeter, terrain, rng)
        self._gauge = gauge

    def begin(self, state: BodyState) -> None:
        """Start every clock at time zero."""
        model = self._model
        self._state = state
        self._imu_clock = _Clock(round(1e9 / model.imu.rate_hz), state)
        self._joint_clock = _Clock(round(1e9 / model.joint_states.rate_hz), state)
        self._star_clock = _Clock(round(1e9 / model.star_tracker.rate_hz), state)
        if isinstance(model, HopperModel):
            self._beam_clock = _Clock(round(1e9 / model.altimeter.rate_hz), state)
            self._gauge_clock = _Clock(round(1e9 / model.tank.gauge_rate_hz), state)

    def see(self, terrain: Terrain, patch: GroundPatch) -> None:
        """Rebuild what the lidar sees around the patch."""
        self._scene_xy_m = patch.centre_m.copy()
        if self._lidar is not None:
            reach = self._model.lidar.range_max_m + self._config.patch_move_m + _SCENE_MARGIN_M
            self._lidar.scene = build_scene(terrain, patch.spec, patch.heights_m, reach)

    def see_from_above(
        self, terrain: Terrain, grid_at: Callable[[FloatArray], GridSpec], above_m: float,
        xy_m: FloatArray,
    ) -> None:  # fmt: skip
        """Rebuild what the lidar sees from a height, the rarer the higher.

        Args:
            terrain: ground and rocks.
            grid_at: the physics' grid around a place.
            above_m: height over the ground, metres.
            xy_m: (2,) place, metres, map.
        """
        if self._lidar is None or not self.looks or above_m > self._model.lidar.range_max_m:
            return
        slack = max(self._config.patch_move_m, _SCENE_SHARE * above_m)
        if float(np.max(np.abs(xy_m - self._scene_xy_m))) < slack:
            return
        self._scene_xy_m = xy_m.copy()
        spec = grid_at(xy_m)
        reach = self._model.lidar.range_max_m + slack + _SCENE_MARGIN_M
        heights = np.asarray(terrain.grid(spec), dtype=np.float32)
        if np.isfinite(heights).any():
            self._lidar.scene = build_scene(terrain, spec, heights, reach)

    def start_rays(self) -> None:
        """Hand the rays of the period that has passed to the worker."""
        if self._lidar is not None and self._rays is not None:
            self._lidar.start(*self._rays, cast=self.looks)
        self._rays = None

    def sense(self, state: BodyState) -> list[SensorEvent]:
        """Give what is due at the end of a period; scans come one period after their end."""
        return [SensorEvent(self._name, topic, payload) for topic, payload in self._due(state)]

    def hold(self, state: BodyState) -> list[SensorEvent]:
        """As ``sense``, at the end of a time in which nothing has moved and no ray was cast."""
        events = self.sense(state)
        self._rays = None
        if self._lidar is not None:
            self._lidar.skip_to(state.stamp_ns)
        return events

    def _due(self, state: BodyState) -> Iterator[tuple[str, Payload]]:
        if self._imu_clock.due(state):
            yield "imu/data", self.imu.sample(self._imu_clock.last, state)
            self._imu_clock.last = state
        if self._joint_clock.due(state):
            yield "joint_states", self._encoders.sample(self._joint_clock.last, state)
            self._joint_clock.last = state
        if self._star_clock.due(state):
            yield "star_tracker/attitude", self._star.sample(state)
            self._star_clock.last = state
        if self._altimeter is not None:
            if self._beam_clock.due(state):
                yield "altimeter/range", self._altimeter.sample(state)
                self._beam_clock.last = state
            if self._gauge_clock.due(state):
                yield "tank/pressure", self._gauge(state.stamp_ns)
                self._gauge_clock.last = state
        if self._lidar is not None:
            for cloud in self._lidar.finish():
                yield "lidar/points", cloud
        self._rays = (self._state, state)
        self._state = state

    def state(self) -> bytes:
        """The generators' states."""
        parts = [str(rng.bit_generator.state).encode() for rng in self._rngs]
        if self._lidar is not None:
            parts.append(self._lidar.state())
        return b" ".join(parts)
