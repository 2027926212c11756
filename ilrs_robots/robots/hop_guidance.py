"""Which thrust a hop needs now: along the plan, in its boost, while it coasts, coming down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ilrs_robots.core.control.hop_steering import BoostSteering, along_path, speed_to_go
from ilrs_robots.core.control.terminal_law import table_of, terminal_thrust
from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.planning.hop_types import HopPart, HopProfile, HopVehicle
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.hop_flight_types import FlightPhase, HopFlightConfig
from ilrs_robots.robots.hop_pilot import HopPilot

_UP = np.array([0.0, 0.0, 1.0])
_OF_PART = {
    HopPart.RISE: FlightPhase.RISE,
    HopPart.BOOST: FlightPhase.BOOST,
    HopPart.COAST: FlightPhase.COAST,
    HopPart.BRAKE: FlightPhase.BRAKE,
    HopPart.CRUISE: FlightPhase.CRUISE,
    HopPart.SENSE: FlightPhase.SENSE,
}
_POINT_S = 4.0
"""Seconds before the brake burn at which a coasting vehicle turns towards it."""


class HopGuidance:
    """Steers one hop.

    Args:
        pilot: turns a force into thrust.
        vehicle: bounds of thrust.
        cfg: parameters.
    """

    def __init__(self, pilot: HopPilot, vehicle: HopVehicle, cfg: HopFlightConfig) -> None:
        self._pilot, self._vehicle, self._cfg = pilot, vehicle, cfg
        # the law may let it fall: at their least thrust, engines would lean it to and fro
        self._table = table_of(replace(vehicle, min_thrust_n=0.0), cfg.terminal)
        self._profile: HopProfile | None = None
        self._boost: BoostSteering | None = None
        self._begun_ns, self._yaw_rad = 0, 0.0

    def begin(self, profile: HopProfile, now_ns: int, yaw_rad: float) -> None:
        """A hop starts now, with its heading held."""
        self._profile, self._begun_ns, self._yaw_rad = profile, now_ns, yaw_rad
        self._boost = None

    def elapsed_s(self, now_ns: int) -> float:
        """Since the engines started."""
        return (now_ns - self._begun_ns) * 1e-9

    def phase_at(self, now_ns: int, phase: FlightPhase) -> FlightPhase:
        """Which part of the plan it is in: by the clock, except that a boost ends itself."""
        time_s = (now_ns - self._begun_ns) * 1e-9
        for part in self._plan.phases:
            if part.part is not HopPart.DESCENT and part.start_s <= time_s < part.end_s:
                wanted = _OF_PART[part.part]
                burning = self._boost is not None and not self._boost.done
                if wanted is FlightPhase.COAST and phase is FlightPhase.BOOST and burning:
                    return FlightPhase.BOOST
                return wanted
        return FlightPhase.DESCENT

    def follow(self, phase: FlightPhase, now_ns: int, state: FilterState) -> FloatArray:
        """(T,) thrust, newtons, of every part before the descent."""
        profile, g = self._plan, self._vehicle.gravity_mps2
        time_s = (now_ns - self._begun_ns) * 1e-9
        place, speed = self._pilot.motion(state)
        coast, brake = profile.phase(HopPart.COAST), profile.phase(HopPart.BRAKE)
        if phase is FlightPhase.COAST and coast is not None and brake is not None:
            aim = brake.direction if coast.end_s - time_s < _POINT_S else _UP
            return self._pilot.thrust_n(state, aim, self._yaw_rad, False)
        if phase is FlightPhase.BOOST and coast is not None:
            meet, _ = profile.state_at(coast.end_s)
            to_go = speed_to_go(place, speed, meet, max(coast.end_s - time_s, 0.5), g)
            steering = self._steering()
            force = steering.force(to_go)
            lit = not steering.done
            return self._pilot.thrust_n(state, force, self._yaw_rad, lit, max_tilt_rad=math.pi)
        force = along_path(self._cfg.steering, profile, time_s, place, speed, g)
        return self._pilot.thrust_n(state, force, self._yaw_rad, True)

    def descend(self, state: FilterState, height_m: float, chosen_m: FloatArray) -> FloatArray:
        """(T,) thrust, newtons, towards (3,) a place, metres, map, from a height of the feet."""
        place, speed = self._pilot.motion(state)
        mass = self._pilot.mass_kg
        offset = chosen_m[:2] - place[:2]
        command = terminal_thrust(height_m, speed, mass, self._table, offset)
        size = float(np.linalg.norm(command.force_n))
        force = command.force_n / mass if size > 0.0 else command.axis
        return self._pilot.thrust_n(state, force, self._yaw_rad, size > 0.0)

    @property
    def _plan(self) -> HopProfile:
        assert self._profile is not None
        return self._profile

    def _steering(self) -> BoostSteering:
        if self._boost is None:
            boost, mass = self._plan.phase(HopPart.BOOST), self._pilot.mass_kg
            assert boost is not None
            self._boost = BoostSteering(
                self._cfg.steering, boost.thrust_n / mass, self._vehicle.min_thrust_n / mass
            )
        return self._boost
