"""Thrusters and tank of a hopper in the running physics.

A thruster is a force at its own place in the body, which MuJoCo turns and integrates with it at
every physics step. Valves, noise and what is left in the tank are ours.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import mujoco
import numpy as np

from ilrs_robots.core.constants import STANDARD_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray, TankSample
from ilrs_robots.robots.hop_valves import Valves
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.sim.inertia import ball_inertia
from ilrs_robots.sim.mjcf_parts import child, text

STUCK = ("off", "on")


def add_thrusters(root: ET.Element, base: ET.Element, model: HopperModel, prefix: str) -> None:
    """A site for each thruster, its z axis along the force, and an actuator that lags.

    Args:
        root: an ``<mujoco>`` element.
        base: the vehicle's body.
        model: the vehicle.
        prefix: put before every name.
    """
    actuators = child(root, "actuator")
    for name, thruster in model.thrusters.items():
        ET.SubElement(
            base,
            "site",
            name=f"{prefix}{name}",
            pos=text(np.array(thruster.position_m)),
            zaxis=text(np.array(thruster.force_direction)),
        )
        ET.SubElement(
            actuators,
            "general",
            name=f"{prefix}{name}",
            site=f"{prefix}{name}",
            gear="0 0 1 0 0 0",
            dyntype="filterexact",
            dynprm=repr(model.thruster_groups[thruster.group].lag_s),
            gainprm="1",
            biastype="none",
        )


class Thrusters:
    """Valves, lag, noise, errors of mounting, and the propellant they burn.

    Whatever was drawn for a run (thrust and direction errors) stays.

    Reference: Tsiolkovsky; mass flow = thrust / (specific impulse x standard gravity).

    Attributes:
        names: thrusters in the order of the vehicle's file.
        propellant_kg: what is left.
    """

    def __init__(
        self, hopper: HopperModel, model: mujoco.MjModel, data: mujoco.MjData, prefix: str,
        seed: list[int],
    ) -> None:  # fmt: skip
        self._model, self._data, self._tank = model, data, hopper.tank
        self._valves = Valves(hopper)
        self.names = self._valves.names
        ids = [model.actuator(f"{prefix}{n}").id for n in self.names]
        self._ctrl = np.array(ids, dtype=np.int64)
        self._act = model.actuator_actadr[self._ctrl]
        groups = [hopper.thruster_groups[t.group] for t in hopper.thrusters.values()]
        self._noise = np.array([g.noise for g in groups])
        self._rng = np.random.default_rng(seed)
        self._gain = 1.0 + self._rng.standard_normal(len(groups)) * [g.gain_error for g in groups]
        self._misalign(prefix, np.radians([g.misalignment_deg for g in groups]))
        self.propellant_kg = hopper.tank.propellant_kg
        self._body = model.body(f"{prefix}tank").id if self.propellant_kg > 0.0 else -1
        self._before = np.zeros(len(groups))
        self._stuck: dict[int, str] = {}

    @property
    def thrust_n(self) -> FloatArray:
        """(T,) thrust of each now, newtons."""
        return self._data.act[self._act].copy()

    def command(self, thrust_n: FloatArray) -> None:
        """Ask for (T,) newtons from now on.

        Raises:
            ConfigError: not one finite number for each thruster.
        """
        self._valves.command(thrust_n)

    def fail(self, name: str, how: str) -> None:
        """Let a thruster be stuck ``off`` or ``on`` until the end.

        Raises:
            ConfigError: there is no such thruster or fault.
        """
        if name not in self.names or how not in STUCK:
            raise ConfigError(
                f"thruster {name!r} stuck {how!r}: known are {', '.join(self.names)}; "
                f"{', '.join(STUCK)}"
            )
        self._stuck[self.names.index(name)] = how

    def actuate(self, period_s: float) -> None:
        """Set the valves for the coming period."""
        flow = self._valves.flow_n(period_s)
        for k, how in self._stuck.items():
            flow[k] = self._valves.max_n[k] if how == "on" else 0.0
        if self.propellant_kg <= 0.0:
            flow[:] = 0.0
            self._data.act[self._act] = 0.0
        shaken = 1.0 + self._noise * self._rng.standard_normal(len(flow))
        self._data.ctrl[self._ctrl] = flow * self._gain * shaken

    def burn(self, period_s: float) -> None:
        """Take what the last period has burned out of the tank."""
        thrust = self.thrust_n
        mean_n = 0.5 * float(np.sum(np.maximum(thrust, 0.0) + np.maximum(self._before, 0.0)))
        self._before = thrust
        if self._body < 0 or mean_n == 0.0:
            return
        spent = mean_n * period_s / (self._tank.isp_s * STANDARD_GRAVITY_MPS2)
        self.fill(max(self.propellant_kg - spent, 0.0))

    def fill(self, propellant_kg: float) -> None:
        """Let so much be in the tank; mass and inertia follow."""
        model, body = self._model, self._body
        change = propellant_kg - model.body_mass[body]
        self.propellant_kg = propellant_kg
        model.body_mass[body] += change
        model.body_inertia[body] = ball_inertia(max(propellant_kg, 1e-9), self._tank.radius_m)
        while True:
            model.body_subtreemass[body] += change
            if body == 0:
                return
            body = model.body_parentid[body]

    def gauge(self, stamp_ns: int) -> TankSample:
        """What the tank's pressure gauge says."""
        sigma = self._tank.pressure_sigma_pa
        true = self._tank.pressure_of(self.propellant_kg)
        return TankSample(stamp_ns, true + sigma * float(self._rng.standard_normal()), sigma)

    def state(self) -> bytes:
        """What the coming steps depend on."""
        parts = (self._valves.state(), np.array([self.propellant_kg]))
        return np.concatenate(parts).tobytes() + str(self._rng.bit_generator.state).encode()

    def _misalign(self, prefix: str, sigma_rad: FloatArray) -> None:
        for name, sigma in zip(self.names, sigma_rad, strict=True):
            tilt = sigma * self._rng.standard_normal(2)
            angle = math.hypot(*tilt)
            if angle == 0.0:
                continue
            half = math.sin(0.5 * angle) / angle
            turn = np.array([math.cos(0.5 * angle), half * tilt[0], half * tilt[1], 0.0])
            site = self._model.site(f"{prefix}{name}").id
            turned = np.empty(4)
            mujoco.mju_mulQuat(turned, self._model.site_quat[site], turn)
            self._model.site_quat[site] = turned
            self._model.site_sameframe[site] = 0  # or MuJoCo takes the body's axes for its own
