"""Valves of a hopper's engines: what flows for what is asked, in every simulator alike."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import HopperModel

_OPENS = 0.5
"""Share of a pulse, or of the least thrust, that must be asked for before a valve opens."""


class Valves:
    """What throttled and pulsed engines make of a command.

    Throttled engines give what is asked for between their least and largest thrust, and shut
    where less than half the least is asked for. On-off thrusters collect what is asked for and
    fire whole pulses.

    Args:
        hopper: the vehicle.

    Attributes:
        names: thrusters in the order of the vehicle's file.
        max_n: (T,) largest thrust, newtons.
        asked_n: (T,) what is asked for, newtons.
    """

    def __init__(self, hopper: HopperModel) -> None:
        self.names = tuple(hopper.thrusters)
        groups = [hopper.thruster_groups[t.group] for t in hopper.thrusters.values()]
        self.max_n = np.array([t.max_thrust_n for t in hopper.thrusters.values()])
        self._min = self.max_n * [g.min_share for g in groups]
        self._pulse_s = np.array([g.pulse_s for g in groups])
        self._pulsed = self._pulse_s > 0.0
        self.asked_n = np.zeros(len(groups))
        self._owed = np.zeros(len(groups))
        self._fires_s = np.zeros(len(groups))

    def command(self, thrust_n: FloatArray) -> None:
        """Ask for (T,) newtons from now on.

        Raises:
            ConfigError: not one finite number for each thruster.
        """
        asked = np.asarray(thrust_n, dtype=np.float64)
        if asked.shape != self.asked_n.shape or not np.isfinite(asked).all():
            raise ConfigError(
                f"thrust {np.array2string(asked)}: {len(self.names)} finite numbers are needed"
            )
        self.asked_n = np.clip(asked, 0.0, self.max_n)

    def flow_n(self, period_s: float) -> FloatArray:
        """(T,) newtons that the valves let through in the coming period of so many seconds."""
        flow: FloatArray = np.where(self._pulsed, self._pulses(period_s), self._throttled())
        return flow

    def state(self) -> FloatArray:
        """(3 T,) what the coming periods depend on, newtons, newton seconds and seconds."""
        return np.concatenate((self.asked_n, self._owed, self._fires_s))

    def _throttled(self) -> FloatArray:
        lit = self.asked_n >= _OPENS * self._min
        return np.where(lit & (self.asked_n > 0.0), np.maximum(self.asked_n, self._min), 0.0)

    def _pulses(self, period_s: float) -> FloatArray:
        """On-off thrusters: what is asked for adds up until it makes a pulse."""
        bit = self.max_n * self._pulse_s
        owed = np.where(self.asked_n > 0.0, self._owed + self.asked_n * period_s, 0.0)
        starts = self._pulsed & (self._fires_s <= 1e-9) & (owed >= _OPENS * bit) & (owed > 0.0)
        self._fires_s = np.where(starts, self._pulse_s, self._fires_s)
        self._owed = np.where(starts, owed - bit, owed)
        on_s = np.minimum(self._fires_s, period_s)
        self._fires_s = self._fires_s - on_s
        share: FloatArray = self.max_n * on_s / period_s
        return share
