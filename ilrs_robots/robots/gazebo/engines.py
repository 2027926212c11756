"""A hopper's engines as one wrench on its ``base_link`` in Gazebo.

Gazebo keeps the mass that a vehicle was spawned with, that of a full tank. So the wrench is the
one that gives the heavy body the accelerations that the true one would have: force times the ratio
of the masses, torque about the centre of mass times the ratio of the moments of inertia. Gravity
acts on both alike. Only the weight on the legs stays that of a full tank.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ilrs_robots.core.constants import STANDARD_GRAVITY_MPS2
from ilrs_robots.core.types import FloatArray, TankSample
from ilrs_robots.robots.hop_valves import Valves
from ilrs_robots.robots.hop_vehicle import balance_of, dry_mass_kg
from ilrs_robots.robots.model import HopperModel


class Wrench(NamedTuple):
    """Force (3,), N, and torque (3,), N m, about the origin of a link; one set of axes."""

    force_n: FloatArray
    torque_nm: FloatArray


class GazeboEngines:
    """Valves, lag, errors of mounting and the tank; the same model as in the embedded simulator.

    Args:
        model: the vehicle.
        seed: of gains, directions and noise.

    Attributes:
        propellant_kg: what is left.
        thrust_n: (T,) of each at the end of the last period, newtons.
    """

    def __init__(self, model: HopperModel, seed: list[int]) -> None:
        self._model, self._valves = model, Valves(model)
        self.names = self._valves.names
        thrusters = list(model.thrusters.values())
        groups = [model.thruster_groups[t.group] for t in thrusters]
        self._rng = np.random.default_rng(seed)
        self._lag_s = np.array([max(g.lag_s, 1e-6) for g in groups])
        self._noise = np.array([g.noise for g in groups])
        self._gain = 1.0 + self._rng.standard_normal(len(groups)) * [g.gain_error for g in groups]
        sigma = np.radians([g.misalignment_deg for g in groups])
        exact = np.array([t.force_direction for t in thrusters])
        tilted = exact + sigma[:, None] * self._rng.standard_normal(exact.shape)
        self._along = tilted / np.linalg.norm(tilted, axis=1, keepdims=True)
        self._at_m = np.array([t.position_m for t in thrusters])
        self.thrust_n = np.zeros(len(groups))
        self.propellant_kg = model.tank.propellant_kg
        self._full = balance_of(model, model.tank.propellant_kg)

    def command(self, thrust_n: FloatArray) -> None:
        """Ask for (T,) newtons from now on.

        Raises:
            ConfigError: not one finite number for each thruster.
        """
        self._valves.command(thrust_n)

    def run(self, period_s: float) -> FloatArray:
        """Advance by a period of so many seconds; (T,) mean thrust in it, newtons.

        The lag is of first order, so the mean is exact, and so is the impulse.
        """
        shaken = 1.0 + self._noise * self._rng.standard_normal(len(self._noise))
        target = self._valves.flow_n(period_s) * self._gain * shaken
        if self.propellant_kg <= 0.0:
            target, self.thrust_n = np.zeros_like(target), np.zeros_like(target)
        left = np.exp(-period_s / self._lag_s)
        away = self.thrust_n - target
        mean: FloatArray = target + away * self._lag_s / period_s * (1.0 - left)
        self.thrust_n = target + away * left
        spent = float(mean.sum()) * period_s / (self._model.tank.isp_s * STANDARD_GRAVITY_MPS2)
        self.propellant_kg = max(self.propellant_kg - spent, 0.0)
        return mean

    def wrench(self, thrust_n: FloatArray) -> Wrench:
        """Of (T,) thrusts, newtons, on the true vehicle, in and about base_link."""
        forces = self._along * thrust_n[:, None]
        return Wrench(forces.sum(axis=0), np.cross(self._at_m, forces).sum(axis=0))

    def on_full(self, true: Wrench) -> Wrench:
        """The wrench that moves the body with a full tank as ``true`` moves the real one."""
        centre, inertia = balance_of(self._model, self.propellant_kg)
        full_centre, full_inertia = self._full
        dry = dry_mass_kg(self._model)
        ratio = (dry + self._model.tank.propellant_kg) / (dry + self.propellant_kg)
        spin = (true.torque_nm - np.cross(centre, true.force_n)) / inertia
        force = ratio * true.force_n
        return Wrench(force, full_inertia * spin + np.cross(full_centre, force))

    def gauge(self, stamp_ns: int) -> TankSample:
        """What the tank's pressure gauge says."""
        tank = self._model.tank
        noise = tank.pressure_sigma_pa * float(self._rng.standard_normal())
        return TankSample(
            stamp_ns, tank.pressure_of(self.propellant_kg) + noise, tank.pressure_sigma_pa
        )


def beam_range_m(start_m: FloatArray, beam: FloatArray, ground: object) -> float:
    """Way, m, along a beam to ground that is steeper nowhere than the beam; NaN for none.

    Args:
        start_m: (3,) where it begins, metres, map.
        beam: (3,) its direction, unit vector, map.
        ground: with ``height`` of (N, 2) places, metres.
    """
    if beam[2] > -0.2:
        return math.nan
    way = 0.0
    for _ in range(12):
        place = start_m + way * beam
        height = float(ground.height(place[None, :2])[0])  # type: ignore[attr-defined]
        step = (float(place[2]) - height) / -float(beam[2])
        way += step
        if not math.isfinite(way) or abs(step) < 1e-3:
            break
    return way if way > 0.0 else math.nan
