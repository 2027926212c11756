"""The flight of a hopper by its sensors' stamps: when it begins, and what it takes up again."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, ImuSample, JointSample, ThrusterCommand
from ilrs_robots.robots.hop_clock import Sample
from ilrs_robots.robots.hop_contact import ContactWatch
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.hop_flight_types import HopFlightConfig
from ilrs_robots.robots.model import HopperModel

CONTROL_PERIOD_NS: Final = 20_000_000
JITTER_NS: Final = 1_000_000
RESTED_NS: Final = 500_000_000
"""A vehicle that moved is at rest after so long without motion."""
SET_BACK_NS: Final = 1_000_000_000
_FORCE_MPS2: Final = 0.1
_RATE_RPS: Final = 0.02
START_SIGMA_M: Final = 0.5
UNKNOWN_SIGMA_M: Final = 100.0
"""Of the place after a flight that somebody else ended: no hop starts before it is told."""


class HopStep:
    """Begins a ``HopFlight`` once the vehicle stands on its feet, and steps it at its period.

    The executive may have died in flight: then the actuator end lands the vehicle, and the next
    life must neither take the engines nor believe in a place that it does not know.

    Args:
        model: the vehicle.
        name: its namespace.
        start_pose: (4, 4) T_map_base where the site says it stands, rigid.
        prior: the ground as known from orbit.
        cfg: parameters.
        simulated: whether the stamps are a simulation's: where they are set back it has begun
            anew. Otherwise the vehicle's clock was set, and nothing else has changed.

    Attributes:
        flight: the executive; None until it has begun.
        restarts: how often a simulation began anew.
    """

    def __init__(
        self, model: HopperModel, name: str, start_pose: FloatArray, prior: Dem,
        cfg: HopFlightConfig, simulated: bool = True,
    ) -> None:  # fmt: skip
        self._simulated = simulated
        self._model, self._name, self._prior, self._cfg = model, name, prior, cfg
        self._site_pose = start_pose
        self._contact = ContactWatch(model, cfg)
        self._mount = se3.quat_from_rpy(*model.imu.rpy_rad)
        self.flight: HopFlight | None = None
        self.restarts = 0
        self._imu_ns: int | None = None
        self.place_at(start_pose, START_SIGMA_M)
        self._moved_ns: int | None = None

    def place_at(self, pose: FloatArray, sigma_m: float) -> None:
        """Begin anew at (4, 4) a pose T_map_base, rigid; its place is known to a deviation, m."""
        self._pose, self._sigma_m = pose, sigma_m
        self._control_ns = -(10**18)
        self.flight = None

    def feed(self, sample: Sample, steady_ns: int | None = None) -> None:
        """Take one measurement; when it came by a clock that nobody sets, where there is one."""
        if isinstance(sample, ImuSample):
            self._on_imu(sample)
        elif isinstance(sample, JointSample):
            self._contact.on_joints(sample)
        if self.flight is not None:
            self.flight.feed(sample, steady_ns)

    def step(self, now_ns: int) -> tuple[bool, ThrusterCommand | None]:
        """Whether a control period is over at an inertial stamp, and the command if there is one.

        Args:
            now_ns: stamp of the newest inertial sample.
        """
        at_ns = None if self.flight is None else self.flight.clock.newest_ns
        if self.flight is None or at_ns is None:
            return False, None
        if at_ns - self._control_ns < CONTROL_PERIOD_NS - JITTER_NS:
            return False, None
        self._control_ns = at_ns
        return True, self.flight.step(now_ns)

    # -- what outlives a process ---------------------------------------------------------------
    def memory(self) -> dict[str, Any]:
        """What the next life needs."""
        assert self.flight is not None
        state = self.flight.localization.state
        sigma = float(np.sqrt(np.trace(state.covariance[:2, :2])))
        return {
            "stamp_ns": self.flight.clock.stamp(state.stamp_ns),
            "place_m": [float(v) for v in state.position_m],
            "yaw_rad": se3.yaw_of(state.quat_wxyz),
            "sigma_m": sigma,
            "flying": self.flight.flying,
            "estop": self.flight.estopped,
        }

    def resume(self, kept: dict[str, Any]) -> str:
        """Take up what was kept; gives a sentence for people.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        place = np.array(kept["place_m"], dtype=np.float64)
        yaw, sigma = float(kept["yaw_rad"]), float(kept["sigma_m"])
        if place.shape != (3,) or not (np.isfinite(place).all() and math.isfinite(yaw + sigma)):
            raise ValueError(f"kept place {place}, yaw {yaw}, sigma {sigma}")
        flying = bool(kept["flying"])
        sigma = UNKNOWN_SIGMA_M if flying else max(sigma, START_SIGMA_M)
        self.place_at(se3.from_rpy(place, (0.0, 0.0, yaw)), sigma)
        if flying:
            return "restarted after a loss in flight: its place is not known until it is told"
        return f"restarted: place ({place[0]:.1f}, {place[1]:.1f}) m taken up again"

    # -- inside --------------------------------------------------------------------------------
    def _on_imu(self, sample: ImuSample) -> None:
        before, self._imu_ns = self._imu_ns, sample.stamp_ns
        if before is not None and sample.stamp_ns < before - SET_BACK_NS:
            self._moved_ns = None
            if self._simulated:
                self.restarts += 1
                self.place_at(self._site_pose, START_SIGMA_M)
        if self.flight is None:
            self._look(sample)

    def _look(self, sample: ImuSample) -> None:
        """Begin when its feet carry it and nothing moves; at once at the first samples."""
        force = se3.quat_rotate(self._mount, np.asarray(sample.specific_force_mps2, np.float64))
        rate = np.asarray(sample.angular_velocity_rps, np.float64)
        size = float(np.sqrt(force @ force))
        quiet = abs(size - MOON_GRAVITY_MPS2) < _FORCE_MPS2
        quiet = quiet and float(np.abs(rate).max()) < _RATE_RPS and self._contact.stands
        if self._moved_ns is None:
            self._moved_ns = sample.stamp_ns - RESTED_NS
        if not quiet:
            self._moved_ns = sample.stamp_ns
        if sample.stamp_ns - self._moved_ns < RESTED_NS:
            return
        roll = math.atan2(force[1], force[2])
        pitch = math.atan2(-force[0], math.hypot(force[1], force[2]))
        yaw = se3.yaw_of(se3.split_transform(self._pose)[1])
        level = se3.from_rpy(self._pose[:3, 3], (roll, pitch, yaw))
        self.flight = HopFlight(
            self._model, self._name, level, self._prior, self._cfg, self._sigma_m
        )
