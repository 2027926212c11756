"""The error-state filter through a hop: standing, thrust, free flight, contact."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization.error_state import rotation_matrix
from ilrs_robots.core.localization.filter_types import GroundHeight
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.types import FloatArray, ImuSample

Ground = Callable[[FloatArray], tuple[float, FloatArray, float]]
"""Place (2,) m -> height m, slope (2,), standard deviation m of the ground there.

A slope of zero says that the ground tells the height alone: place, attitude and biases stay what
they are, however they go with the height. Ground of its own map errs as its pose does, so
what it shows is the drift since it was seen and nothing else.
"""


class HopPhase(Enum):
    """What carries the vehicle."""

    STANDING = "standing"
    THRUST = "thrust"
    FLIGHT = "flight"
    CONTACT = "contact"


@dataclass(frozen=True)
class HopConfig:
    """How phases are told apart, and how each is trusted."""

    flight_force_mps2: float = param(
        0.15, doc="specific force below which nothing carries", unit="m/s2", low=0.0, high=10.0
    )
    impact_force_mps2: float = param(
        4.0, doc="specific force that only a landing makes", unit="m/s2", low=0.1, high=1e3
    )
    gravity_tolerance_mps2: float = param(
        0.03, doc="deviation from gravity that standing allows", unit="m/s2", low=0.0, high=10.0
    )
    standing_rate_rps: float = param(
        0.003, doc="rate below which it stands", unit="rad/s", low=0.0, high=1.0
    )
    standing_after_s: float = param(
        0.5, doc="quiet for so long is standing", unit="s", low=0.05, high=60.0
    )
    standing_speed_sigma_mps: float = param(
        0.01, doc="speed that remains while standing", unit="m/s", low=1e-6, high=1.0
    )
    thrust_noise_mps2_sqrt_hz: float = param(
        0.005, doc="what an engine adds to the force", unit="m/s2/sqrt(Hz)", low=0.0, high=10.0
    )
    thrust_tilt_rps_sqrt_hz: float = param(
        2e-4, doc="what an engine adds to the rate", unit="rad/s/sqrt(Hz)", low=0.0, high=1.0
    )
    impact_speed_sigma_mps: float = param(
        0.1, doc="speed that an impact hides", unit="m/s", low=0.0, high=100.0
    )
    impact_tilt_sigma_rad: float = param(
        0.003, doc="attitude that an impact hides", unit="rad", low=0.0, high=1.0
    )
    least_cosine: float = param(
        0.7, doc="an altimeter that points further from down is not used", low=0.1, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class HopOdometry:
    """Feeds a ``StateFilter`` on a vehicle that flies, and says which phase it is in.

    While standing, speed is zero and biases are learned; under thrust the engine's shaking is
    noise; in free flight the accelerometer shows its bias, and the fall is known exactly; at
    contact the impact hides a little of speed and attitude. An altimeter and known ground give
    the height all along.

    Args:
        inner: the filter; base_link axes.
        cfg: the phases.

    Attributes:
        phase: as the last sample showed it.
        filter: the filter.
        hops: how often it left the ground.
    """

    def __init__(self, inner: StateFilter, cfg: HopConfig) -> None:
        self.filter, self._cfg = inner, cfg
        self.phase = HopPhase.STANDING
        self.hops = 0
        self._quiet_ns: int | None = None
        self._last_ns: int | None = None
        self._forces: deque[float] = deque(maxlen=5)

    def on_imu(self, sample: ImuSample) -> HopPhase:
        """Take one inertial measurement in base_link axes; gives the phase."""
        rate = np.asarray(sample.angular_velocity_rps, dtype=np.float64)
        force = np.asarray(sample.specific_force_mps2, dtype=np.float64)
        before, self._last_ns = self._last_ns, sample.stamp_ns
        if not self.filter.imu(sample.stamp_ns, rate, force):
            self._last_ns = before
            return self.phase
        step_s = 0.0 if before is None else max((sample.stamp_ns - before) * 1e-9, 0.0)
        self._forces.append(float(np.sqrt(force @ force)))
        was, self.phase = self.phase, self._judge(sample.stamp_ns, rate)
        self._trust(was, sample.stamp_ns, step_s)
        self.filter.advance()
        return self.phase

    def on_altimeter(
        self, stamp_ns: int, range_m: float, sigma_m: float, mount: FloatArray,
        direction: FloatArray, ground: Ground,
    ) -> bool:  # fmt: skip
        """A beam's range over ground that is known; not used where it does not point down.

        Args:
            stamp_ns: when.
            range_m: along the beam, metres.
            sigma_m: its standard deviation, metres.
            mount: (3,) of the beam's origin in base_link, metres.
            direction: (3,) of the beam in base_link, unit vector.
            ground: what is known of the ground, same frame as the filter.

        Returns:
            whether it was put into the filter.
        """
        if not np.isfinite(range_m):
            self.filter.refused["altimeter_not_finite"] += 1
            return False
        state = self.filter.state()
        R = rotation_matrix(state.quat_wxyz)
        beam, arm = R @ direction, R @ mount
        if -beam[2] < self._cfg.least_cosine:
            self.filter.refused["altimeter_not_down"] += 1
            return False
        hit = state.position_m + arm + range_m * beam
        height, slope, spread = ground(hit[:2])
        if not np.isfinite(height):
            self.filter.refused["altimeter_unknown_ground"] += 1
            return False
        # height of base_link over the ground where the beam ends, carried there by its slope
        drop = -(arm[2] + range_m * beam[2])
        level = drop - float(slope @ (state.position_m[:2] - hit[:2]))
        place = np.array([hit[0], hit[1], height])
        sigma = float(np.hypot(sigma_m, spread))
        only = not slope.any()
        return self.filter.ground(GroundHeight(stamp_ns, level, place, slope, sigma, only))

    def _judge(self, now_ns: int, rate_rps: FloatArray) -> HopPhase:
        cfg, g = self._cfg, self.filter.shared.gravity_mps2
        force = float(np.median(self._forces))
        if self._forces[-1] > cfg.impact_force_mps2 and self.phase is not HopPhase.STANDING:
            self._quiet_ns = None
            return HopPhase.CONTACT
        quiet = abs(force - g) < cfg.gravity_tolerance_mps2
        quiet = quiet and float(np.abs(rate_rps).max()) < cfg.standing_rate_rps
        quiet = quiet and abs(self._forces[-1] - g) < 2.0 * cfg.gravity_tolerance_mps2
        if not quiet:
            self._quiet_ns = None
        elif self._quiet_ns is None:
            self._quiet_ns = now_ns
        if self.phase is HopPhase.STANDING and quiet:
            return HopPhase.STANDING
        stood_s = 0.0 if self._quiet_ns is None else (now_ns - self._quiet_ns) * 1e-9
        landed = self.phase in (HopPhase.CONTACT, HopPhase.STANDING)
        if landed and stood_s >= cfg.standing_after_s:
            return HopPhase.STANDING
        if force < cfg.flight_force_mps2:
            return HopPhase.FLIGHT
        return HopPhase.CONTACT if self.phase is HopPhase.CONTACT else HopPhase.THRUST

    def _trust(self, was: HopPhase, now_ns: int, step_s: float) -> None:
        cfg, phase = self._cfg, self.phase
        if phase is HopPhase.STANDING:
            white = self.filter.shared.gyro_noise_rps_sqrt_hz**2 / max(step_s, 1e-4)
            # what may rock and still stands is no contradiction: refusals would doubt the biases
            rate = white + (cfg.standing_rate_rps / 3.0) ** 2
            self.filter.stands(now_ns, cfg.standing_speed_sigma_mps**2, rate)
            return
        if was is HopPhase.STANDING:
            self.hops += 1
        root = float(np.sqrt(step_s))
        if phase is HopPhase.THRUST:
            speed, tilt = cfg.thrust_noise_mps2_sqrt_hz, cfg.thrust_tilt_rps_sqrt_hz
            self.filter.doubt(now_ns, np.array([0.0, speed * root, tilt * root, 0.0, 0.0, 0.0]))
        elif phase is HopPhase.CONTACT and was is not HopPhase.CONTACT:
            hidden = (0.0, cfg.impact_speed_sigma_mps, cfg.impact_tilt_sigma_rad, 0.0, 0.0, 0.0)
            self.filter.doubt(now_ns, np.array(hidden))
