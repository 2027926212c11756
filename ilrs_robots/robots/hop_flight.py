"""The executive of a hop, without ROS: sensor samples in, thrust of each engine out.

It stands, checks, launches, coasts, looks at the landing place, comes down, settles and verifies.
Before the engines burn, a cancelled goal is a launch that does not happen; afterwards there is no
way to stop but to land.
"""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_stay import Stay
from ilrs_robots.core.planning.hop_types import HopProfile, HopRefusedError
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    FloatArray,
    ImuSample,
    JointSample,
    TankSample,
    ThrusterCommand,
)
from ilrs_robots.robots.hop_checks import bad_goal, refusal, silent, verdict
from ilrs_robots.robots.hop_clock import FlightClock, Sample
from ilrs_robots.robots.hop_contact import ContactWatch
from ilrs_robots.robots.hop_decision import LandingDecision, descent_of
from ilrs_robots.robots.hop_flight_types import (
    FlightPhase,
    HopFlightConfig,
    HopOutcome,
    HopStatus,
    Supplies,
)
from ilrs_robots.robots.hop_guidance import HopGuidance
from ilrs_robots.robots.hop_localization import HopLocalization
from ilrs_robots.robots.hop_pilot import HopPilot
from ilrs_robots.robots.hop_sensing import LandingView
from ilrs_robots.robots.hop_stay import SiteStay, stay_after
from ilrs_robots.robots.hop_vehicle import hop_vehicle_of
from ilrs_robots.robots.model import HopperModel

_LOOKS = (FlightPhase.BRAKE, FlightPhase.CRUISE, FlightPhase.SENSE, FlightPhase.DESCENT)
"""Phases from which the landing place can be seen."""
_TIED = (FlightPhase.CRUISE, FlightPhase.SENSE, FlightPhase.DESCENT)
_LOOKS_M = 2.5
"""Height that the terminal law is told while it looks: above ``release_m``, so that it still goes
to its place, and low enough to sink slowly."""
_OVER_M = 2.0
"""As near it is over its place: the ground below is that of the place."""


class HopFlight:
    """Flies one hop after the other.

    Args:
        model: the vehicle.
        name: its namespace.
        start_pose: (4, 4) T_map_base where it stands, rigid.
        prior: the ground as known from orbit.
        cfg: parameters.
        place_sigma_m: of each coordinate of the start.

    Attributes:
        clock: the time of everything that it holds. What it is told, and what it tells in
            commands, is in the time of the stamps.
        localization: where it is.
        pilot: mass, attitude, allocation.
        view: the landing map and the altimeter.
        decision: where it lands, by that map.
        status: of the goal in hand, or of the last one; None before the first.
        profile: the hop in hand.
        estopped: whether the emergency stop is latched.
        keep_outs: discs in map where nobody lands.
        stays: light, battery and links of the site; None where nobody counts them.
    """

    def __init__(
        self, model: HopperModel, name: str, start_pose: FloatArray, prior: Dem,
        cfg: HopFlightConfig | None = None, place_sigma_m: float = 0.5,
    ) -> None:  # fmt: skip
        self.cfg = cfg if cfg is not None else HopFlightConfig()
        self._model, self._prior = model, prior
        self.clock = FlightClock()
        self.localization = HopLocalization(model, start_pose, place_sigma_m)
        self.pilot = HopPilot(model, self.cfg.attitude)
        self.view = LandingView(model, name, self.cfg.map_size_m, self.cfg.map_cell_m)
        self._vehicle = hop_vehicle_of(model, self.cfg.attitude.max_tilt_rad)
        self._guidance = HopGuidance(self.pilot, self._vehicle, self.cfg)
        self._contact = ContactWatch(model, self.cfg)
        self.decision = LandingDecision(model, self.cfg)
        self.status: HopStatus | None = None
        self.profile: HopProfile | None = None
        self.supplies: Supplies | None = None
        self.estopped = False
        self.keep_outs: tuple[KeepOut, ...] = ()
        self.stays: SiteStay | None = None
        self._stay: Stay | None = None
        self._cancelled = ""
        self._phase_ns = self._rest_ns = self._judged_ns = self._rocked_ns = 0

    # -- what it is told -----------------------------------------------------------------------
    def feed(self, measured: Sample, steady_ns: int | None = None) -> None:
        """Take one measurement, in the order of arrival; when it came by a clock nobody sets."""
        sample = self.clock.restamped(measured, steady_ns)
        if sample is None:
            return
        if isinstance(sample, ImuSample):
            self.localization.on_imu(sample)
        elif isinstance(sample, AttitudeSample):
            self.localization.on_stars(sample)
        elif isinstance(sample, AltimeterSample):
            self._on_range(sample)
        elif isinstance(sample, TankSample):
            self.pilot.on_tank(sample)
        elif isinstance(sample, JointSample):
            self._contact.on_joints(sample)
        elif self.looks:
            self.view.on_scan(sample)

    @property
    def looks(self) -> bool:
        """Whether a scan would be used now."""
        return self.status is not None and self.status.phase in _LOOKS

    def _on_range(self, sample: AltimeterSample) -> None:
        """The altimeter: ground below, and what ties the pose to the height of its own map."""
        self.view.on_range(sample, self.localization.state)
        if self.status is not None and self.status.phase in _TIED:
            self.view.tie(sample, self.localization)

    def set_goal(
        self, x_m: float, y_m: float, now_ns: int, way_station: bool = False
    ) -> HopStatus:
        """Ask for a hop to a place in ``map``; it launches once it has stood long enough.

        Args:
            x_m: of the place.
            y_m: likewise.
            now_ns: stamp of the newest inertial sample.
            way_station: whether another hop follows from there: it must be lit and linked.

        Raises:
            HopRefusedError: it is not flown; the message has the numbers.
        """
        ground = float(self._prior.height(np.array([[x_m, y_m]]))[0])
        goal = np.array([x_m, y_m, ground])
        status = HopStatus(goal)
        try:
            if self.flying:
                raise HopRefusedError("busy", "it is in flight: a goal is taken on the ground")
            steepest = math.radians(self._model.limits.max_slope_deg)
            code, why = bad_goal(
                goal[:2], self._prior, steepest, self.cfg.divert_m, self.keep_outs
            )
            if code:
                raise HopRefusedError(code, why)
            profile = self._plan(goal)
            stay = stay_after(self.stays, profile, now_ns, self.supplies, self.cfg, way_station)
        except HopRefusedError as error:
            status.outcome, status.reason = HopOutcome.REFUSED, str(error)
            if not self.flying:
                self.status = status
            raise
        self.status, self.profile, self._cancelled = status, profile, ""
        status.chosen_m, self._stay = goal.copy(), stay
        if stay is not None:
            status.notes.append(f"there: {stay.told}")
        self._phase_ns = self._rocked_ns = self.clock.now(now_ns)
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

    def time_left_s(self, now_ns: int) -> float:
        """Until touchdown by the plan; infinite without one."""
        if self.profile is None or self.status is None or self.status.outcome is not None:
            return math.inf
        now_ns = self.clock.now(now_ns)
        if self.status.phase is FlightPhase.STANDING:
            waited_s = (now_ns - self._phase_ns) * 1e-9
            return self.profile.duration_s + max(self.cfg.stand_s - waited_s, 0.0)
        return max(self.profile.duration_s - self._guidance.elapsed_s(now_ns), 0.0)

    # -- what it does --------------------------------------------------------------------------
    def step(self, now_ns: int) -> ThrusterCommand | None:
        """One control period; None while the engines have nothing to do."""
        thrust = self._step(self.clock.now(now_ns))
        return None if thrust is None else ThrusterCommand(now_ns, thrust)

    def _step(self, now_ns: int) -> FloatArray | None:
        self.view.fuse(self.localization)
        status = self.status
        landed = status is not None and status.phase is FlightPhase.SETTLE
        if (landed or not self.flying) and self._contact.stands:
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
            self._next_phase(status, now_ns)
        if status.phase in (FlightPhase.SENSE, FlightPhase.DESCENT):
            self._decide(status, now_ns)
        if status.phase is FlightPhase.DESCENT:
            return self._descend(status, now_ns)
        return self._guidance.follow(status.phase, now_ns, state)

    def _next_phase(self, status: HopStatus, now_ns: int) -> None:
        if status.phase is FlightPhase.RISE and self._cancelled:
            self._rising_back(status, now_ns)
            return
        wanted = self._guidance.phase_at(now_ns, status.phase)
        if wanted is not status.phase:
            self._enter(status, wanted, now_ns)
            self._contact.begin(now_ns)

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
        if not self.localization.calm:
            self._rocked_ns = now_ns
        waited_s = (now_ns - self._phase_ns) * 1e-9
        if waited_s < self.cfg.stand_s:
            return
        health = self.localization.health(now_ns)
        standing = now_ns - self._rocked_ns >= self.cfg.stand_s * 1e9
        late = waited_s >= self.cfg.stand_s + self.cfg.settle_s
        if not (standing or late) and health.good:
            return
        reason = silent(self.pilot.heard, now_ns - self.view.below_ns) or refusal(
            self.profile, self.pilot.propellant_kg, self.cfg.plan, self._model.tank,
            health, standing, self.supplies, self._stay,
        )  # fmt: skip
        if reason:
            self._end(status, HopOutcome.REFUSED, reason)
            return
        self.profile = self._plan(status.goal_m)  # from where the filter now knows it stands
        yaw = se3.yaw_of(self.localization.state.quat_wxyz)
        self._guidance.begin(self.profile, now_ns, yaw)
        self.view.begin(status.goal_m)
        self.decision.begin(self.keep_outs)
        self._enter(status, FlightPhase.RISE, now_ns)

    def _rising_back(self, status: HopStatus, now_ns: int) -> None:
        """Cancelled before it has left its place: it goes down where it stood."""
        assert self.profile is not None
        status.chosen_m = self.profile.start_m.copy()
        status.notes.append(f"{self._cancelled} while rising: back to where it stood")
        self._enter(status, FlightPhase.DESCENT, now_ns)
        self._contact.begin(now_ns)

    def _height_m(self, chosen_m: FloatArray) -> float:
        """Of the feet over the higher of the ground below and that of the chosen place."""
        state, view = self.localization.state, self.view
        fresh = state.stamp_ns - view.below_ns < 1_000_000_000
        away = float(np.linalg.norm(chosen_m[:2] - state.position_m[:2]))
        grounds = [view.below_m] if fresh else []
        if not fresh or away > _OVER_M:
            grounds.append(float(chosen_m[2]))
        return float(state.position_m[2] - max(grounds))

    def _descend(self, status: HopStatus, now_ns: int) -> FloatArray:
        state, chosen = self.localization.state, status.chosen_m
        height = self._height_m(chosen)
        if self._contact.down(now_ns, height, state, self.localization.phase):
            status.touchdown_mps = state.velocity_mps.copy()
            if self._contact.how != "feet":
                status.notes.append(f"contact known by: {self._contact.how}")
            self._enter(status, FlightPhase.SETTLE, now_ns)
            self._rest_ns = now_ns
            return np.zeros(len(self._model.thrusters))
        looking = self.view.scans > 0 and not status.safe and math.isnan(status.decided_m)
        if looking:  # as if the ground lay higher: a place that is not seen is not rushed at
            height = min(height, max(height - self.cfg.look_m, _LOOKS_M))
        return self._guidance.descend(state, height, chosen)

    def _decide(self, status: HopStatus, now_ns: int) -> None:
        """Look at the map of the landing area, at its own pace."""
        if now_ns - self._judged_ns < self.cfg.judge_s * 1e9:
            return
        self._judged_ns = now_ns
        height = self._height_m(status.chosen_m)
        now = descent_of(
            self._model, self.cfg, self._vehicle, self.pilot, height, self.localization
        )
        self.decision.look(status, self.view, now)

    def _settle(self, status: HopStatus, now_ns: int) -> FloatArray:
        state = self.localization.state
        still = float(np.abs(state.velocity_mps).max()) < 0.1
        still = still and float(np.abs(state.rate_rps).max()) < 0.03
        if not still:
            self._rest_ns = now_ns
        rested = now_ns - self._rest_ns > self.cfg.rest_s * 1e9
        late = now_ns - self._phase_ns > self.cfg.settle_s * 1e9
        if rested or late:
            self._verify(status, rested)
        return np.zeros(len(self._model.thrusters))

    def _verify(self, status: HopStatus, rested: bool) -> None:
        """Say how it stands."""
        state = self.localization.state
        status.landed_m = state.position_m.copy()
        end = verdict(status, state.quat_wxyz, self._model.limits, rested, self._cancelled)
        self._end(status, *end)

    def _enter(self, status: HopStatus, phase: FlightPhase, now_ns: int) -> None:
        status.phase, self._phase_ns = phase, now_ns

    def _end(self, status: HopStatus, outcome: HopOutcome, reason: str) -> None:
        status.outcome, status.reason, status.phase = outcome, reason, FlightPhase.STANDING
