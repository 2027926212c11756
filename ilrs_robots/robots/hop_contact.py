"""When a descent has ended on the ground: legs, impact, or a sinking that has stopped."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.localization.hop_odometry import HopPhase
from ilrs_robots.core.types import JointSample
from ilrs_robots.robots.hop_flight_types import HopFlightConfig
from ilrs_robots.robots.model import HopperModel

_NEAR_GROUND_M = 2.0
"""Height below which a leg's way or an impact can be a contact."""


class ContactWatch:
    """Feet that are pressed in are the first sign; two others stand in where they fail.

    Args:
        model: the vehicle.
        cfg: limits.

    Attributes:
        feet: how many are pressed in.
        how: what the last contact was known by.
    """

    def __init__(self, model: HopperModel, cfg: HopFlightConfig) -> None:
        legs, self._cfg = model.legs, cfg
        free = max(-legs.preload_n / legs.stiffness_npm, -legs.droop_m)
        self._pressed_m = free + cfg.contact_m
        self.feet, self.how = 0, ""
        self._sank_ns = 0

    def on_joints(self, sample: JointSample) -> None:
        """The legs' slides."""
        way = np.asarray(sample.position_rad, dtype=np.float64)
        self.feet = int(np.count_nonzero(way > self._pressed_m))

    def begin(self, now_ns: int) -> None:
        """The descent begins."""
        self._sank_ns, self.how = now_ns, ""

    @property
    def stands(self) -> bool:
        """Whether its feet carry it."""
        return self.feet >= self._cfg.contact_feet

    def down(self, now_ns: int, height_m: float, state: FilterState, phase: HopPhase) -> bool:
        """Whether the descent has ended.

        Args:
            now_ns: nanoseconds.
            height_m: over the ground as it is believed.
            state: of the filter.
            phase: what the inertial unit feels.
        """
        near = height_m < _NEAR_GROUND_M
        if near and self.stands:
            self.how = "feet"
        elif near and phase is HopPhase.CONTACT:
            self.how = "impact"
        else:
            if state.velocity_mps[2] < -self._cfg.stalled_mps or not near:
                self._sank_ns = now_ns
            if now_ns - self._sank_ns > self._cfg.stalled_s * 1e9:
                self.how = "it sinks no more"
        return bool(self.how)
