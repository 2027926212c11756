"""The actuator end of a hopper: without commands in flight it lands by itself.

It sits beside the valves, apart from the flight computer. As long as commands come it only keeps
the last pose that it was told. When they stop it goes on from there with the inertial unit, takes
its height from the altimeter, and flies the terminal law straight down to where it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ilrs_robots.core.control.terminal_law import table_of, terminal_thrust
from ilrs_robots.core.localization.error_state import quat_exp, quat_product, rotation_matrix
from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.localization.hop_odometry import HopPhase
from ilrs_robots.core.types import (
    AltimeterSample,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
    TankSample,
)
from ilrs_robots.robots.hop_clock import FlightClock
from ilrs_robots.robots.hop_contact import ContactWatch
from ilrs_robots.robots.hop_flight_types import HopFlightConfig
from ilrs_robots.robots.hop_pilot import HopPilot
from ilrs_robots.robots.hop_vehicle import hop_vehicle_of
from ilrs_robots.robots.model import HopperModel

TAKES_OVER_S = 0.1
"""After the last command. Engines that are throttled apart to turn it would spin it within 0.25 s
faster than its small thrusters can stop."""
_SPIN_RPS = 0.25
"""Turning faster than this, it lights its main engines to stop that, even where it would fall."""
_HEIGHT_SHARE = 0.35
_LONGEST_STEP_S = 0.5


class HopKeeper:
    """Flies from the last known pose to touchdown.

    Args:
        model: the vehicle.
        cfg: of the flight, for its terminal law and contact.

    Attributes:
        flying: whether it holds the engines.
        landed: whether it has brought the vehicle down.
    """

    def __init__(self, model: HopperModel, cfg: HopFlightConfig | None = None) -> None:
        cfg = cfg if cfg is not None else HopFlightConfig()
        vehicle = hop_vehicle_of(model, cfg.attitude.max_tilt_rad)
        self._table, self._g = (
            table_of(replace(vehicle, min_thrust_n=0.0), cfg.terminal),
            vehicle.gravity_mps2,
        )
        self._pilot, self._contact = HopPilot(model, cfg.attitude), ContactWatch(model, cfg)
        self._beam_from_m = np.array(model.altimeter.position_m)
        self._state: FilterState | None = None
        self._none_n = np.zeros(len(model.thrusters))
        self._clock = FlightClock()
        self._ground_m = math.nan
        self._yaw_rad = 0.0
        self.flying = self.landed = False

    def on_estimate(self, estimate: OdometryEstimate) -> None:
        """The flight computer's pose, as long as there is one."""
        at_ns = self._clock.of(estimate.stamp_ns)
        if self.flying or at_ns is None:
            return
        R = rotation_matrix(estimate.quat_wxyz)
        self._yaw_rad = math.atan2(R[1, 0], R[0, 0])
        self._state = self._made(
            at_ns, estimate.position_m, estimate.quat_wxyz,
            R @ estimate.linear_mps, estimate.angular_rps,
        )  # fmt: skip

    def feed(self, sample: object) -> None:
        """Take one measurement; kinds that it does not use are left alone."""
        if isinstance(sample, ImuSample):
            self._on_imu(sample)
        elif isinstance(sample, AltimeterSample):
            self._on_range(sample)
        elif isinstance(sample, JointSample):
            self._contact.on_joints(sample)
        elif isinstance(sample, TankSample):
            self._pilot.on_tank(sample)

    def release(self) -> None:
        """Commands come again."""
        self.flying = self.landed = False

    def thrust_n(self, now_ns: int) -> FloatArray:
        """(T,) newtons now that nobody commands; none on the ground or without a pose."""
        state = self._state
        if state is None or self.landed or (not self.flying and self._contact.stands):
            return self._none_n
        if not self.flying:
            self.flying = True
            self._contact.begin(now_ns)
        height = self._height_m(state)
        if self._contact.down(now_ns, height, state, HopPhase.THRUST):
            self.landed = True
            return self._none_n
        _, speed = self._pilot.motion(state)
        mass = self._pilot.mass_kg
        command = terminal_thrust(height, speed, mass, self._table)
        size = float(np.linalg.norm(command.force_n))
        force = command.force_n / mass if size > 0.0 else command.axis
        spins = float(np.hypot(state.rate_rps[0], state.rate_rps[1])) > _SPIN_RPS
        if spins and size == 0.0:
            force = self._g * command.axis
        return self._pilot.thrust_n(state, force, self._yaw_rad, size > 0.0 or spins)

    def _height_m(self, state: FilterState) -> float:
        """Over the ground; without an altimeter's answer, as if it were already near."""
        if math.isnan(self._ground_m):
            return 1.0
        return float(state.position_m[2] - self._ground_m)

    def _on_imu(self, sample: ImuSample) -> None:
        state, at_ns = self._state, self._clock.on_imu(sample.stamp_ns)
        if state is None or at_ns is None or at_ns <= state.stamp_ns:
            return
        rate = np.asarray(sample.angular_velocity_rps, dtype=np.float64)
        force = np.asarray(sample.specific_force_mps2, dtype=np.float64)
        step = (at_ns - state.stamp_ns) * 1e-9
        if not (np.isfinite(rate).all() and np.isfinite(force).all()):
            return
        step = min(step, _LONGEST_STEP_S)  # what was missed is lost, but it goes on from here
        half = quat_product(state.quat_wxyz, quat_exp(0.5 * step * rate))
        gained = rotation_matrix(half) @ force
        gained[2] -= self._g
        speed = state.velocity_mps + step * gained
        self._state = self._made(
            at_ns, state.position_m + 0.5 * step * (speed + state.velocity_mps),
            quat_product(state.quat_wxyz, quat_exp(step * rate)), speed, rate,
        )  # fmt: skip

    def _on_range(self, sample: AltimeterSample) -> None:
        """The beam points straight down in base_link."""
        state = self._state
        if state is None or not math.isfinite(sample.range_m):
            return
        R = rotation_matrix(state.quat_wxyz)
        hit = float((state.position_m + R @ self._beam_from_m - sample.range_m * R[:, 2])[2])
        first = math.isnan(self._ground_m)
        self._ground_m = hit if first else self._ground_m + _HEIGHT_SHARE * (hit - self._ground_m)

    @staticmethod
    def _made(
        stamp_ns: int, place_m: FloatArray, quat: FloatArray, speed: FloatArray, rate: FloatArray
    ) -> FilterState:
        none = np.zeros(3)
        quat = quat / math.sqrt(float(quat @ quat))
        return FilterState(
            stamp_ns, place_m, quat, speed, rate, none, none, np.zeros(2), np.zeros((15, 15))
        )
