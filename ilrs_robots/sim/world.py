"""The embedded world: physics, ground and sensors of some vehicles, deterministic from a seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from xml.etree import ElementTree as ET

import mujoco
import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.control.drive import ACTUATOR_TIMEOUT_S
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import quat_conjugate, quat_rotate
from ilrs_robots.core.types import (
    FloatArray,
    OdometryEstimate,
    ThrusterCommand,
    VelocityCommand,
)
from ilrs_robots.sim import lidar_rays, wheel_contact
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.evaluation import Evaluation
from ilrs_robots.sim.ground import GroundPatch
from ilrs_robots.sim.hopper import Hopper
from ilrs_robots.sim.placed import Placed, add_vehicle, check_state
from ilrs_robots.sim.sensors import BodyState
from ilrs_robots.sim.suite import SensorEvent, SensorSuite
from ilrs_robots.sim.terrain import Terrain
from ilrs_robots.sim.vehicle import SimRobot

__all__ = [
    "ACTUATOR_TIMEOUT_S", "EmbeddedWorld", "Evaluation", "SensorEvent", "SimConfig", "SimRobot",
    "SimulationError",
]  # fmt: skip

_REST = 2e-3
_DROP_M = 0.03


class EmbeddedWorld:
    """Vehicles on a terrain; ``step`` advances one exchange period and gives sensor events.

    Physics runs without the interpreter's lock while a worker thread casts the lidar rays of the
    period before, and both are joined before ``step`` returns: the result depends on the seed and
    the commands only.
    """

    def __init__(
        self,
        surface: Terrain,
        robots: Sequence[SimRobot],
        seed: int,
        config: SimConfig | None = None,
    ) -> None:
        """Build the world and let the vehicles settle; time is zero afterwards.

        Args:
            surface: ground and rocks.
            robots: vehicles with different names.
            seed: of every sensor's noise and bias.
            config: steps and sizes.

        Raises:
            ConfigError: no vehicle, equal names, or a period that is not a multiple of another.
            SimulationError: a start where there is no ground.
        """
        self.config = config if config is not None else SimConfig()
        names = [robot.name for robot in robots]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"a world needs vehicles with different names, got {names}")
        self._surface = surface
        self._vehicles = {
            robot.name: Placed(k, robot, surface, self.config) for k, robot in enumerate(robots)
        }
        self._set_periods(robots)
        lidar_rays.warm_up()
        wheel_contact.warm_up()
        self._build()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lidar")
        for k, vehicle in enumerate(self._vehicles.values()):
            vehicle.embody(self._model, self._data, [seed, k], self._pool)
        self._settle()

    # -- running ------------------------------------------------------------------------------

    @property
    def time_ns(self) -> int:
        """Simulated time, nanoseconds."""
        return self._time_ns

    @property
    def physics_step_s(self) -> float:
        """Physics step in use, seconds."""
        return float(self._model.opt.timestep)

    def command(self, robot: str, command: VelocityCommand) -> None:
        """Give a vehicle a command; it counts until ``ACTUATOR_TIMEOUT_S`` from now.

        Raises:
            ConfigError: unknown vehicle.
            SimulationError: the command is not finite.
        """
        if not (math.isfinite(command.linear_mps) and math.isfinite(command.angular_rps)):
            raise SimulationError(f"{robot}: the command {command} is not finite")
        self._vehicle(robot).body.command(command, self._time_ns)

    def thrust(
        self, robot: str, command: ThrusterCommand, estimate: OdometryEstimate | None = None
    ) -> None:
        """Give a hopper's thrusters a command; it counts for ``hop_keeper.TAKES_OVER_S``.

        Args:
            robot: the vehicle.
            command: thrust of each thruster.
            estimate: pose that its actuator end goes on from when commands stop coming.

        Raises:
            ConfigError: unknown vehicle, or not one finite number for each thruster.
            SimulationError: the vehicle has no thrusters.
        """
        self.hopper(robot).thrust(command, self._time_ns, estimate)

    def hopper(self, robot: str) -> Hopper:
        """A hopper's body, to let its thrusters fail or look into its tank.

        Raises:
            ConfigError: unknown vehicle.
            SimulationError: it is no hopper.
        """
        body = self._vehicle(robot).body
        if not isinstance(body, Hopper):
            raise SimulationError(f"{robot}: a vehicle of another type has no thrusters")
        return body

    def step(self) -> list[SensorEvent]:
        """Advance one exchange period.

        Returns:
            Events in the order of time, then of the vehicles.

        Raises:
            SimulationError: the physics has failed, or a vehicle has left the terrain.
        """
        events: list[SensorEvent] = []
        for _ in range(self._ticks):
            self._tick(events)
        return events

    def at_rest(self, robot: str) -> bool:
        """Whether a vehicle truly stands still, on its wheels or feet."""
        return self._vehicle(robot).body.rest_speed < _REST

    def hold(self, period_s: float) -> list[SensorEvent]:
        """Let time pass in one step while nothing moves.

        Every sensor that is due answers once, at the end; lidars begin a new scan afterwards.

        Raises:
            SimulationError: a vehicle moves.
        """
        for name in self._vehicles:
            if not self.at_rest(name):
                raise SimulationError(f"{name} moves: time cannot be passed over")
        self._time_ns += round(period_s * 1e9)
        return self._sensed(lambda suite, state: suite.hold(state))

    def close(self) -> None:
        """End the worker thread."""
        self._pool.shutdown(wait=True)

    def __enter__(self) -> EmbeddedWorld:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- truth --------------------------------------------------------------------------------

    def truth(self, robot: str) -> OdometryEstimate:
        """True pose of base_link in map and its twist in base_link; for evaluation only."""
        body = self._vehicle(robot).body
        quat = body.quat_wxyz
        return OdometryEstimate(
            self._time_ns,
            body.position_m,
            quat,
            quat_rotate(quat_conjugate(quat), body.linear_map_mps),
            body.angular_base_rps,
        )

    def evaluation(self, robot: str) -> Evaluation:
        """Slip, loads, touches and tilt; for evaluation only."""
        return self._vehicle(robot).body.evaluate()

    def touched_rocks(self, robot: str) -> FloatArray:
        """Rocks that a vehicle touches now: (K, 3) x and y in map, height above ground, metres."""
        vehicle = self._vehicle(robot)
        return vehicle.patch.touched(vehicle.body.contact.touching)

    def joint_angles(self, robot: str) -> dict[str, float]:
        """True joint angles by name, rad."""
        body = self._vehicle(robot).body
        return dict(zip(body.joint_names, body.joint_positions_rad.tolist(), strict=True))

    def look(self, robot: str, looks: bool) -> None:
        """Let a vehicle's lidar cast its rays, or not while nobody listens to it.

        Raises:
            ConfigError: unknown vehicle.
        """
        self._vehicle(robot).suite.looks = looks

    def ground(self, robot: str) -> GroundPatch:
        """The patch under a vehicle."""
        return self._vehicle(robot).patch

    def state_hash(self) -> str:
        """Digest of everything that the future depends on."""
        data, digest = self._data, hashlib.sha256()
        digest.update(self._time_ns.to_bytes(8, "little"))
        arrays = (data.qpos, data.qvel, data.act, data.ctrl, data.qacc_warmstart, data.mocap_pos)
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        for vehicle in self._vehicles.values():
            digest.update(vehicle.body.state())
            digest.update(vehicle.suite.state())
        return digest.hexdigest()

    # -- inside -------------------------------------------------------------------------------

    def _vehicle(self, name: str) -> Placed:
        try:
            return self._vehicles[name]
        except KeyError:
            known = ", ".join(self._vehicles)
            raise ConfigError(f"no vehicle {name!r} in this world; known: {known}") from None

    def _set_periods(self, robots: Sequence[SimRobot]) -> None:
        """One tick is the longest period that fits the exchange and every fast sensor."""
        exchange = round(self.config.exchange_s * 1e9)
        tick = exchange
        for robot in robots:
            for what in (robot.model.imu, robot.model.joint_states):
                tick = math.gcd(tick, round(1e9 / what.rate_hz))
        if tick < 1_000_000:
            raise ConfigError(
                f"exchange_s = {self.config.exchange_s} s and the sensors' rates have no common "
                "period of at least 1 ms: use rates that divide one another"
            )
        self._tick_ns, self._ticks = tick, exchange // tick
        self._substeps = math.ceil(tick * 1e-9 / self.config.physics_step_s - 1e-9)
        self._time_ns = 0

    def _build(self) -> None:
        root = ET.Element("mujoco", model="ilrs_robots")
        ET.SubElement(root, "compiler", angle="radian")
        ET.SubElement(
            root,
            "option",
            timestep=repr(self._tick_ns * 1e-9 / self._substeps),
            gravity=f"0 0 {-MOON_GRAVITY_MPS2!r}",
            integrator="implicitfast",
            cone="elliptic",
            impratio=repr(1.0 / self.config.contact.shear_softness),
        )
        for tag in ("asset", "worldbody", "contact", "equality", "actuator"):
            ET.SubElement(root, tag)
        for vehicle in self._vehicles.values():
            vehicle.patch.add_to(root)
            add_vehicle(root, vehicle)
        self.xml = ET.tostring(root, encoding="unicode")
        self._model = mujoco.MjModel.from_xml_string(self.xml)
        self._data = mujoco.MjData(self._model)
        for vehicle in self._vehicles.values():
            vehicle.patch.bind(self._model, self._data)

    def _settle(self) -> None:
        """Drop each vehicle from just above the ground, let it come to rest, set time to zero."""
        for vehicle in self._vehicles.values():
            xy = np.array([vehicle.robot.x_m, vehicle.robot.y_m])
            vehicle.patch.follow(xy)
            vehicle.body.place(*vehicle.patch.stand(vehicle.robot, _DROP_M))
        periods = round(self.config.settle_s / (self._tick_ns * 1e-9))
        for k in range(periods):
            self._physics()
            if k * self._tick_ns > 1e9 and all(
                v.body.rest_speed < _REST for v in self._vehicles.values()
            ):
                break
        self._data.time = 0.0
        for vehicle in self._vehicles.values():
            vehicle.body.contact.forget()
            vehicle.follow(first=True)
            vehicle.suite.begin(vehicle.body.body_state(0))

    def _tick(self, events: list[SensorEvent]) -> None:
        for vehicle in self._vehicles.values():
            vehicle.follow()
            vehicle.body.actuate(self._time_ns, self._tick_ns * 1e-9)
            vehicle.suite.start_rays()
        self._physics()
        self._time_ns += self._tick_ns
        events.extend(self._sensed(lambda suite, state: suite.sense(state)))

    def _sensed(
        self, ask: Callable[[SensorSuite, BodyState], list[SensorEvent]]
    ) -> list[SensorEvent]:
        """What every vehicle's sensors answer now; a hopper's engines hear their own."""
        events: list[SensorEvent] = []
        for vehicle in self._vehicles.values():
            sensed = ask(vehicle.suite, vehicle.body.body_state(self._time_ns))
            if isinstance(vehicle.body, Hopper):
                vehicle.body.hear(sensed)
            events.extend(sensed)
        return events

    def _physics(self) -> None:
        mujoco.mj_step(self._model, self._data, self._substeps)
        for vehicle in self._vehicles.values():
            vehicle.body.update_contact()
        check_state(self._data, self._vehicles, self._time_ns)
