"""The last word on every command: sources, freshness, emergency stop, limits."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from ilrs_robots.core import config
from ilrs_robots.core.clock import other_clock
from ilrs_robots.core.config import param
from ilrs_robots.core.types import VelocityCommand

SOURCES: Final = ("teleop", "nav")
"""Sources in order of precedence."""

_NS: Final = 1e-9


@dataclass(frozen=True)
class GateConfig:
    """Limits of the command gate. Ages are counted in the time of the stamps."""

    max_speed_mps: float = param(0.7, doc="forward speed", unit="m/s", low=0.0, high=20.0)
    max_reverse_mps: float = param(0.4, doc="backward speed", unit="m/s", low=0.0, high=20.0)
    max_yaw_rate_rps: float = param(0.35, doc="yaw rate", unit="rad/s", low=0.0, high=5.0)
    max_accel_mps2: float = param(0.3, doc="speeding up", unit="m/s2", low=0.01, high=10.0)
    max_decel_mps2: float = param(
        0.8,
        doc="slowing down that is safe from tipping and sliding",
        unit="m/s2",
        low=0.01,
        high=10.0,
    )
    max_yaw_accel_rps2: float = param(
        0.5, doc="yaw rate growing", unit="rad/s2", low=0.01, high=10.0
    )
    max_yaw_decel_rps2: float = param(
        1.0, doc="yaw rate falling", unit="rad/s2", low=0.01, high=10.0
    )
    max_map_age_s: float = param(1.5, doc="age of the terrain map", unit="s", low=0.0, high=60.0)
    max_pose_age_s: float = param(0.5, doc="age of the pose", unit="s", low=0.0, high=60.0)
    max_nav_age_s: float = param(0.3, doc="age of a nav command", unit="s", low=0.0, high=60.0)
    max_teleop_age_s: float = param(
        0.5, doc="age of a teleop command", unit="s", low=0.0, high=60.0
    )
    future_tolerance_s: float = param(
        0.1, doc="how far a stamp may lie ahead of now", unit="s", low=0.0, high=10.0
    )
    back_tolerance_s: float = param(
        0.05, doc="how far the clock may go back without a stop", unit="s", low=0.0, high=1.0
    )
    max_step_s: float = param(
        0.2, doc="longest time over which one output may ramp", unit="s", low=0.001, high=2.0
    )
    teleop_needs_map: bool = param(True, doc="whether teleop stops on a stale map as well")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class GateDecision:
    """What goes to the wheels.

    Attributes:
        linear_mps: forward speed.
        angular_rps: yaw rate.
        reason: empty when a source is passed on, otherwise one short sentence.
        source: the source passed on, empty when none is.
    """

    linear_mps: float
    angular_rps: float
    reason: str
    source: str = ""


class CommandGate:
    """Pass the command of the first fresh source, or stop and say why.

    The output ramps within the acceleration limits; a stop ramps at the safe deceleration. An
    emergency stop is latched and gives zero at once. When time goes backwards, as on a simulation
    reset, everything but the emergency stop is forgotten. A clock that is slewed back by less than
    ``back_tolerance_s`` only stands still.
    """

    def __init__(self, config: GateConfig) -> None:
        """Start closed: nothing passes before map, pose and command have come."""
        self.config = config
        self.refused: Counter[str] = Counter()
        self._estop = False
        self._now_ns: int | None = None
        self._commands: dict[str, VelocityCommand] = {}
        self._pose_ns: int | None = None
        self._map_ns: int | None = None
        self._linear_mps = 0.0
        self._angular_rps = 0.0

    @property
    def estop(self) -> bool:
        """Whether the emergency stop is latched."""
        return self._estop

    def on_command(self, source: str, command: VelocityCommand) -> None:
        """Take a command from ``teleop`` or ``nav``; one that is not finite stops its source.

        Raises:
            ValueError: unknown source.
        """
        if source not in SOURCES:
            raise ValueError(f"unknown source {source!r}; known: {', '.join(SOURCES)}")
        if not (math.isfinite(command.linear_mps) and math.isfinite(command.angular_rps)):
            self.refused[f"{source}_not_finite"] += 1
        self._commands[source] = command

    def on_pose(self, stamp_ns: int) -> None:
        """Note the stamp of a pose."""
        self._pose_ns = stamp_ns

    def on_map(self, stamp_ns: int) -> None:
        """Note the stamp of the data in a terrain map."""
        self._map_ns = stamp_ns

    def set_estop(self, active: bool) -> None:
        """Latch or release the emergency stop; commands from before the release are void."""
        if self._estop and not active:
            self._commands.clear()
        self._estop = bool(active)
        if self._estop:
            self._linear_mps = self._angular_rps = 0.0

    def output(self, now_ns: int) -> GateDecision:
        """Decide what the wheels get now."""
        back_s = 0.0 if self._now_ns is None else (self._now_ns - now_ns) * _NS
        if back_s > self.config.back_tolerance_s:
            self._clear()
            self._now_ns = now_ns
            self.refused["time_went_back"] += 1
            return GateDecision(0.0, 0.0, f"time went back by {back_s:.1f} s")
        elapsed_s = 0.0 if self._now_ns is None else max(-back_s, 0.0)
        self._now_ns = now_ns if self._now_ns is None else max(now_ns, self._now_ns)
        if self._estop:
            return GateDecision(0.0, 0.0, "emergency stop is set")
        source, command, reason = self._choose(now_ns)
        self._ramp(command, min(elapsed_s, self.config.max_step_s))
        return GateDecision(self._linear_mps, self._angular_rps, reason, source)

    def stand(self, reason: str) -> GateDecision:
        """Stop at once, without a ramp: for a clock that stands still. What was held stays."""
        self._linear_mps = self._angular_rps = 0.0
        return GateDecision(0.0, 0.0, reason)

    def _clear(self) -> None:
        self._commands.clear()
        self._pose_ns = self._map_ns = None
        self._linear_mps = self._angular_rps = 0.0

    def _choose(self, now_ns: int) -> tuple[str, tuple[float, float], str]:
        """Source, wanted (v, w) and reason; the reason is that of the source that would win."""
        stop = (0.0, 0.0)
        complaint = "no command yet"
        for source in SOURCES:
            command = self._commands.get(source)
            if command is None:
                continue
            limit_s = getattr(self.config, f"max_{source}_age_s")
            complaint = self._stale(f"{source} command", command.stamp_ns, now_ns, limit_s)
            if complaint:
                continue
            if not (math.isfinite(command.linear_mps) and math.isfinite(command.angular_rps)):
                return (
                    "",
                    stop,
                    (
                        f"{source} command is not finite "
                        f"({command.linear_mps} m/s, {command.angular_rps} rad/s)"
                    ),
                )
            complaint = self._inputs(source, now_ns)
            if complaint:
                return "", stop, complaint
            return source, self._clamp(command), ""
        return "", stop, complaint

    def _inputs(self, source: str, now_ns: int) -> str:
        pose = self._stale("pose", self._pose_ns, now_ns, self.config.max_pose_age_s)
        if pose or (source == "teleop" and not self.config.teleop_needs_map):
            return pose
        return self._stale("map", self._map_ns, now_ns, self.config.max_map_age_s)

    def _stale(self, what: str, stamp_ns: int | None, now_ns: int, limit_s: float) -> str:
        if stamp_ns is None:
            return f"no {what} yet"
        foreign = other_clock(what, stamp_ns, now_ns)
        if foreign:
            return foreign
        age_s = (now_ns - stamp_ns) * _NS
        if age_s < -self.config.future_tolerance_s:
            ahead, limit = _pair(-age_s, self.config.future_tolerance_s)
            return f"{what} is {ahead} s in the future, limit {limit} s"
        if age_s > limit_s:
            age, limit = _pair(age_s, limit_s)
            return f"{what} is {age} s old, limit {limit} s"
        return ""

    def _clamp(self, command: VelocityCommand) -> tuple[float, float]:
        """Scale speed and yaw rate together, so that the vehicle stays on the same arc."""
        v, w = command.linear_mps, command.angular_rps
        limit = self.config.max_speed_mps if v >= 0.0 else self.config.max_reverse_mps
        scale = 1.0
        if abs(v) > limit:
            scale = limit / abs(v)
        if abs(w) > self.config.max_yaw_rate_rps:
            scale = min(scale, self.config.max_yaw_rate_rps / abs(w))
        return scale * v, scale * w

    def _ramp(self, wanted: tuple[float, float], step_s: float) -> None:
        limits = self.config
        self._linear_mps = _approach(
            self._linear_mps, wanted[0], limits.max_accel_mps2, limits.max_decel_mps2, step_s
        )
        self._angular_rps = _approach(
            self._angular_rps,
            wanted[1],
            limits.max_yaw_accel_rps2,
            limits.max_yaw_decel_rps2,
            step_s,
        )


def _approach(value: float, wanted: float, accel: float, decel: float, step_s: float) -> float:
    """Move towards ``wanted``: towards zero at ``decel``, away from it at ``accel``."""
    if value * wanted < 0.0:
        wanted, remainder = 0.0, wanted
        slowed = _approach(value, wanted, accel, decel, step_s)
        if slowed != 0.0:
            return slowed
        spent_s = abs(value) / decel
        return _approach(0.0, remainder, accel, decel, max(step_s - spent_s, 0.0))
    rate = decel if abs(wanted) < abs(value) else accel
    return value + min(max(wanted - value, -rate * step_s), rate * step_s)


def _pair(value: float, limit: float) -> tuple[str, str]:
    """Value and limit with the fewest decimals (one to three) that tell them apart."""
    for decimals in (1, 2, 3):
        pair = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if pair[0] != pair[1]:
            break
    return pair
