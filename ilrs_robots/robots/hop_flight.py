"""The executive of a hop, without ROS: sensor samples in, thrust of each engine out.

It stands, checks, launches, coasts, looks at the landing place, comes down, settles and verifies.
Before the engines burn, a cancelled goal is a launch that does not happen; afterwards there is no
way to stop but to land.
"""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.hop_steering import BoostSteering, along_path, speed_to_go
from ilrs_robots.core.control.terminal_law import table_of, terminal_thrust
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.hop_odometry import HopPhase
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_types import (
    HopKind,
    HopPart,
    HopProfile,
    HopRefusedError,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    FloatArray,
    ImuSample,
    JointSample,
    RangeSample,
    TankSample,
    ThrusterCommand,
)
from ilrs_robots.robots.hop_checks import refusal
from ilrs_robots.robots.hop_flight_types import (
    FlightPhase,
    HopFlightConfig,
    HopOutcome,
    HopStatus,
    Supplies,
)
from ilrs_robots.robots.hop_localization import HopLocalization
from ilrs_robots.robots.hop_pilot import HopPilot
from ilrs_robots.robots.hop_sensing import LandingView
from ilrs_robots.robots.hop_vehicle import hop_vehicle_of
from ilrs_robots.robots.model import HopperModel

Sample = ImuSample | JointSample | AttitudeSample | RangeSample | TankSample | Cloud

_UP = np.array([0.0, 0.0, 1.0])
_OF_PART = {
    HopPart.RISE: FlightPhase.RISE,
    HopPart.BOOST: FlightPhase.BOOST,
    HopPart.COAST: FlightPhase.COAST,
    HopPart.BRAKE: FlightPhase.BRAKE,
    HopPart.CRUISE: FlightPhase.CRUISE,
    HopPart.SENSE: FlightPhase.SENSE,
}
_LOOKS = (FlightPhase.BRAKE, FlightPhase.CRUISE, FlightPhase.SENSE, FlightPhase.DESCENT)
"""Phases from which the landing place can be seen."""
_TIED = (FlightPhase.CRUISE, FlightPhase.SENSE, FlightPhase.DESCENT)
_TIED_SCANS = 3
_NEAR_GROUND_M = 2.0
"""Height below which a leg's way or an impact can be a contact."""
_POINT_S = 4.0
"""Seconds before the brake burn at which a coasting vehicle turns towards it."""


class HopFlight:
    """Flies one hop after the other.

    Args:
        model: the vehicle.
        name: its namespace.
        start_pose: (4, 4) T_map_base where it stands, rigid.
        prior: the ground as known from orbit.
        cfg: parameters.

    Attributes:
        localization: where it is.
        pilot: mass, attitude, allocation.
        view: the landing map and the altimeter.
        status: of the goal in hand, or of the last one; None before the first.
        profile: the hop in hand.
        estopped: whether the emergency stop is latched.
    """

    def __init__(
        self, model: HopperModel, name: str, start_pose: FloatArray, prior: Dem,
        cfg: HopFlightConfig | None = None,
    ) -> None:  # fmt: skip
        self.cfg = cfg if cfg is not None else HopFlightConfig()
        self._model, self._prior = model, prior
        self.localization = HopLocalization(model, start_pose)
        self.pilot = HopPilot(model, self.cfg.attitude)
        self.view = LandingView(model, name, self.cfg.map_size_m, self.cfg.map_cell_m)
        self._vehicle = hop_vehicle_of(model, self.cfg.attitude.max_tilt_rad)
        self._table = table_of(self._vehicle, self.cfg.terminal)
        self.status: HopStatus | None = None
        self.profile: HopProfile | None = None
        self.supplies: Supplies | None = None
        self.estopped = False
        self._cancelled = ""
        self._feet = 0
        self._boost: BoostSteering | None = None
        self._begun_ns = self._phase_ns = self._rest_ns = self._sank_ns = 0
        self._stood_ns: int | None = None
        self._yaw_rad = 0.0

    # -- what it is told -----------------------------------------------------------------------
    def feed(self, sample: Sample) -> None:
        """Take one measurement, in the order of arrival."""
        if isinstance(sample, ImuSample):
            self.localization.on_imu(sample)
        elif isinstance(sample, AttitudeSample):
            self.localization.on_stars(sample)
        elif isinstance(sample, RangeSample):
            self._on_range(sample)
        elif isinstance(sample, TankSample):
            self.pilot.on_tank(sample)
        elif isinstance(sample, JointSample):
            legs = self._model.legs
            free = max(-legs.preload_n / legs.stiffness_npm, -legs.droop_m)
            pressed = np.asarray(sample.position_rad) > free + self.cfg.contact_m
            self._feet = int(np.count_nonzero(pressed))
        elif self.status is not None and self.status.phase in _LOOKS:
            self.view.on_scan(sample)

    def _on_range(self, sample: RangeSample) -> None:
        """The altimeter: ground below, and what ties the pose to the height of its own map.

        Ground from orbit is off by metres, more than the inertial unit drifts in a hop, so before
        there is a map the height is the inertial unit's alone.
        """
        view, status = self.view, self.status
        view.on_range(sample, self.localization.state)
        if status is not None and status.phase in _TIED and view.scans >= _TIED_SCANS:
            self.localization.odometry.on_altimeter(
                sample.stamp_ns, sample.range_m, sample.sigma_m, view.beam_from_m, view.beam,
                view.ground,
            )  # fmt: skip

    def set_goal(self, x_m: float, y_m: float, now_ns: int) -> HopStatus:
        """Ask for a hop to a place in ``map``; it launches once it has stood long enough.

        Raises:
            HopRefusedError: it is not flown; the message has the numbers.
        """
        ground = float(self._prior.height(np.array([[x_m, y_m]]))[0])
        goal = np.array([x_m, y_m, ground])
        status = HopStatus(goal)
        try:
            if self.flying:
                raise HopRefusedError("busy", "it is in flight: a goal is taken on the ground")
            if not math.isfinite(ground):
                raise HopRefusedError(
                    "unknown_ground", f"goal ({x_m:.1f}, {y_m:.1f}) m: no ground is known there"
                )
            profile = self._plan(goal)
        except HopRefusedError as error:
            status.outcome, status.reason = HopOutcome.REFUSED, str(error)
            if not self.flying:
                self.status = status
            raise
        self.status, self.profile, self._cancelled = status, profile, ""
        status.chosen_m = goal.copy()
        self._phase_ns = now_ns
        return status

    def cancel(self, why: str = "cancelled") -> None:
        """No launch if it still stands; otherwise a landing, as safe as it can be had."""
        if self.status is not None and self.status.outcome is None:
            self._cancelled = why

    def set_estop(self, on: bool) -> None:
        """The emergency stop: nothing launches; what flies lands."""
        self.estopped = on
        if on:
            self.cancel("emergency stop")

    @property
    def flying(self) -> bool:
        """Whether it has launched and not yet come to rest."""
        status = self.status
        return (
            status is not None
            and status.outcome is None
            and status.phase is not FlightPhase.STANDING
        )

    # -- what it does --------------------------------------------------------------------------
    def step(self, now_ns: int) -> ThrusterCommand | None:
        """One control period; None while the engines have nothing to do."""
        self.view.fuse(self.localization)
        status = self.status
        landed = status is not None and status.phase is FlightPhase.SETTLE
        if (landed or not self.flying) and self._feet >= self.cfg.contact_feet:
            self.localization.on_ground()
        if status is None or status.outcome is not None or self.profile is None:
            return None
        state = self.localization.state
        status.left_m = float(np.linalg.norm(status.goal_m[:2] - state.position_m[:2]))
        if status.phase is FlightPhase.STANDING:
            self._stand(status, now_ns)
            if status.phase is FlightPhase.STANDING:
                return None
        if status.phase is FlightPhase.SETTLE:
            return self._settle(status, now_ns)
        if status.phase is not FlightPhase.DESCENT:
            self._next_part(status, now_ns)
        if status.phase is FlightPhase.DESCENT:
            thrust = self._descend(status, now_ns)
        else:
            thrust = self._follow(status, now_ns)
        return ThrusterCommand(now_ns, thrust)

    def _plan(self, goal: FloatArray) -> HopProfile:
        here = self.localization.state.position_m
        return plan_hop(
            here, goal, self.pilot.mass_kg, self._vehicle, self.cfg.plan, dem=self._prior
        )

    def _stand(self, status: HopStatus, now_ns: int) -> None:
        """Launch once everything is in order; a reason against it ends the goal."""
        assert self.profile is not None
        if self._cancelled:
            self._end(status, HopOutcome.CANCELLED, f"{self._cancelled}: not launched")
            return
        if now_ns - self._phase_ns < self.cfg.stand_s * 1e9:
            return
        health = self.localization.health(now_ns)
        standing = self.localization.phase is HopPhase.STANDING
        reason = refusal(
            self.profile, self.pilot.propellant_kg, self.cfg.plan, self._model.tank,
            health, standing, self.supplies,
        )  # fmt: skip
        if reason:
            self._end(status, HopOutcome.REFUSED, reason)
            return
        self.profile = self._plan(status.goal_m)  # from where the filter now knows it stands
        self._begun_ns = now_ns
        state = self.localization.state
        way = status.goal_m - state.position_m
        self._yaw_rad = math.atan2(way[1], way[0])
        self._yaw_rad = se3.yaw_of(state.quat_wxyz)
        self._boost = None
        self.view.begin(status.goal_m)
        self._enter(status, FlightPhase.RISE, now_ns)

    def _next_part(self, status: HopStatus, now_ns: int) -> None:
        """Which part of the plan it is in: by the clock, except that a boost ends itself."""
        assert self.profile is not None
        time_s = (now_ns - self._begun_ns) * 1e-9
        if status.phase is FlightPhase.RISE and self._cancelled and self._rising_back(status):
            return
        for phase in self.profile.phases:
            if phase.part is HopPart.DESCENT:
                continue
            if phase.start_s <= time_s < phase.end_s:
                wanted = _OF_PART[phase.part]
                burning = self._boost is not None and not self._boost.done
                if wanted is FlightPhase.COAST and status.phase is FlightPhase.BOOST and burning:
                    wanted = FlightPhase.BOOST
                if wanted is not status.phase:
                    self._enter(status, wanted, now_ns)
                return
        self._enter(status, FlightPhase.DESCENT, now_ns)
        self._sank_ns = now_ns

    def _rising_back(self, status: HopStatus) -> bool:
        """Cancelled before it has left its place: it goes down where it stood."""
        assert self.profile is not None
        status.chosen_m = self.profile.start_m.copy()
        status.notes.append(f"{self._cancelled} while rising: back to where it stood")
        status.phase = FlightPhase.DESCENT
        self._sank_ns = self.localization.state.stamp_ns
        return True

    def _follow(self, status: HopStatus, now_ns: int) -> FloatArray:
        """Thrust of every part before the descent."""
        assert self.profile is not None
        profile, state, cfg = self.profile, self.localization.state, self.cfg.steering
        time_s, g = (now_ns - self._begun_ns) * 1e-9, self._vehicle.gravity_mps2
        place, speed = self.pilot.motion(state)
        coast = profile.phase(HopPart.COAST)
        if status.phase is FlightPhase.COAST and coast is not None:
            brake = profile.phase(HopPart.BRAKE)
            assert brake is not None
            soon = coast.end_s - time_s < _POINT_S
            aim = brake.direction if soon else _UP
            return self.pilot.thrust_n(state, aim, self._yaw_rad, False)
        if status.phase is FlightPhase.BOOST and coast is not None:
            meet, _ = profile.state_at(coast.end_s)
            to_go = speed_to_go(place, speed, meet, coast.end_s - time_s, g)
            if self._boost is None:
                boost = profile.phase(HopPart.BOOST)
                assert boost is not None
                self._boost = BoostSteering(
                    cfg, boost.thrust_n / self.pilot.mass_kg,
                    self._vehicle.min_thrust_n / self.pilot.mass_kg,
                )  # fmt: skip
            force = self._boost.force(to_go)
            return self.pilot.thrust_n(
                state, force, self._yaw_rad, not self._boost.done, max_tilt_rad=math.pi
            )
        force = along_path(cfg, profile, time_s, place, speed, g)
        return self.pilot.thrust_n(state, force, self._yaw_rad, True)

    def _height_m(self, chosen_m: FloatArray) -> float:
        """Of the feet over the higher of the ground below and that of the chosen place."""
        state, view = self.localization.state, self.view
        fresh = state.stamp_ns - view.below_ns < 1_000_000_000
        away = float(np.linalg.norm(chosen_m[:2] - state.position_m[:2]))
        grounds = [view.below_m] if fresh else []
        if not fresh or away > 2.0:
            grounds.append(float(chosen_m[2]))
        return float(state.position_m[2] - max(grounds))

    def _descend(self, status: HopStatus, now_ns: int) -> FloatArray:
        state = self.localization.state
        chosen = status.chosen_m
        seen = self.view.ground_m(chosen[:2])
        if math.isfinite(seen):
            chosen[2] = seen
            status.verified = True
        height = self._height_m(chosen)
        if self._down(now_ns, height):
            status.touchdown_mps = state.velocity_mps.copy()
            self._enter(status, FlightPhase.SETTLE, now_ns)
            self._rest_ns = now_ns
            return np.zeros(len(self._model.thrusters))
        place, speed = self.pilot.motion(state)
        command = terminal_thrust(
            height, speed, self.pilot.mass_kg, self._table, chosen[:2] - place[:2]
        )
        size = float(np.linalg.norm(command.force_n))
        force = command.force_n / self.pilot.mass_kg if size > 0.0 else command.axis
        return self.pilot.thrust_n(state, force, self._yaw_rad, size > 0.0)

    def _down(self, now_ns: int, height_m: float) -> bool:
        """Whether it stands: feet pressed in, an impact, or a sinking that has stopped."""
        if self._feet >= self.cfg.contact_feet and height_m < _NEAR_GROUND_M:
            return True
        if self.localization.phase is HopPhase.CONTACT and height_m < _NEAR_GROUND_M:
            return True
        sinking = self.localization.state.velocity_mps[2] < -self.cfg.stalled_mps
        if sinking or height_m > 2.0:
            self._sank_ns = now_ns
        return now_ns - self._sank_ns > self.cfg.stalled_s * 1e9

    def _settle(self, status: HopStatus, now_ns: int) -> ThrusterCommand:
        state = self.localization.state
        off = ThrusterCommand(now_ns, np.zeros(len(self._model.thrusters)))
        still = float(np.abs(state.velocity_mps).max()) < 0.1
        still = still and float(np.abs(state.rate_rps).max()) < 0.03
        if not still:
            self._rest_ns = now_ns
        rested = now_ns - self._rest_ns > self.cfg.rest_s * 1e9
        late = now_ns - self._phase_ns > self.cfg.settle_s * 1e9
        if rested or late:
            self._verify(status, rested)
        return off

    def _verify(self, status: HopStatus, rested: bool) -> None:
        """Say how it stands."""
        state, limits = self.localization.state, self._model.limits
        roll, pitch, _ = (float(v) for v in se3.rpy_from_quat(state.quat_wxyz))
        status.landed_m = state.position_m.copy()
        lean = math.degrees(math.acos(min(max(math.cos(roll) * math.cos(pitch), -1.0), 1.0)))
        if lean > max(limits.max_roll_deg, limits.max_pitch_deg):
            self._end(status, HopOutcome.LOST, f"it leans by {lean:.0f} deg after the landing")
        elif not rested:
            self._end(status, HopOutcome.LOST, "it does not come to rest after the landing")
        elif self._cancelled:
            self._end(status, HopOutcome.CANCELLED, f"{self._cancelled}: landed safely")
        else:
            self._end(status, HopOutcome.LANDED, "" if status.verified else "place not seen")

    def _enter(self, status: HopStatus, phase: FlightPhase, now_ns: int) -> None:
        status.phase, self._phase_ns = phase, now_ns

    def _end(self, status: HopStatus, outcome: HopOutcome, reason: str) -> None:
        status.outcome, status.reason, status.phase = outcome, reason, FlightPhase.STANDING


def kind_of(profile: HopProfile) -> HopKind:
    """Of a hop; what tests and views ask."""
    return profile.kind
