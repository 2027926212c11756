"""The last word on every command: sources, freshness, emergency stop, ground, power, limits."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final, NamedTuple

from ilrs_robots.core.clock import other_clock
from ilrs_robots.core.control.assist import closest_safe
from ilrs_robots.core.control.gate_supply import SupplyWatch
from ilrs_robots.core.control.gate_types import SOURCES, GateConfig, GateDecision
from ilrs_robots.core.control.ground_guard import ANOTHER, GroundGuard
from ilrs_robots.core.types import VelocityCommand

__all__ = ["SOURCES", "CommandGate", "GateConfig", "GateDecision"]

_NS: Final = 1e-9
_REST_MPS: Final = 0.02
"""A wheel's speed below which the ground ahead is said to stop the vehicle."""
_STOP: Final = (0.0, 0.0)


class _Choice(NamedTuple):
    """A source and what it wants, or why none is passed on."""

    source: str
    wanted: tuple[float, float]
    reason: str
    kind: str = ""
    limited: str = ""


class CommandGate:
    """Pass the command of the first fresh source, or stop and say why.

    A guard, where there is one, holds each command against the terrain map: it is slowed down on
    its own arc so that the vehicle stops before ground that it must not enter. With ``assist``
    the operator's command is bent to the closest safe one instead.

    The output ramps within the acceleration limits; a stop ramps at the safe deceleration. An
    emergency stop is latched and gives zero at once. When time goes backwards, as on a simulation
    reset, everything but the emergency stop is forgotten. A clock that is slewed back by less than
    ``back_tolerance_s`` only stands still.
    """

    def __init__(self, config: GateConfig, guard: GroundGuard | None = None) -> None:
        """Start closed: nothing passes before map, pose and command have come."""
        self.config = config
        self.guard = guard
        self.supply = SupplyWatch()
        self.refused: Counter[str] = Counter()
        self._estop = False
        self._now_ns: int | None = None
        self._commands: dict[str, VelocityCommand] = {}
        self._pose_ns: int | None = None
        self._map_ns: int | None = None
        self._linear_mps = 0.0
        self._angular_rps = 0.0

    def reconfigure(self, config: GateConfig) -> None:
        """Take other parameters; what is held stays."""
        self.config = config
        if self.guard is not None:
            self.guard.config = config.guard

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
        choice = self._guarded(self._choose(now_ns), now_ns)
        self._ramp(choice.wanted, min(elapsed_s, self.config.max_step_s))
        given = self._linear_mps, self._angular_rps
        return GateDecision(*given, choice.reason, choice.source, choice.kind, choice.limited)

    def stand(self, reason: str) -> GateDecision:
        """Stop at once, without a ramp: for a clock that stands still. What was held stays."""
        self._linear_mps = self._angular_rps = 0.0
        return GateDecision(0.0, 0.0, reason)

    def _clear(self) -> None:
        self._commands.clear()
        self._pose_ns = self._map_ns = None
        self._linear_mps = self._angular_rps = 0.0
        self.supply.forget()
        if self.guard is not None:
            self.guard.forget()

    def _guarded(self, choice: _Choice, now_ns: int) -> _Choice:
        """The choice as far as the ground allows it."""
        guard, (v, w) = self.guard, choice.wanted
        if guard is None or not guard.config.enabled or not choice.source:
            return choice
        if not guard.ready or self._stale_map(now_ns):
            if choice.source == "teleop" and not self.config.teleop_needs_map:
                return choice
            # stamps alone came: a fresh pose or map that nothing can be read from
            return _Choice("", _STOP, "no ground to judge by: pose or map cannot be read")
        if self.config.assist and choice.source == "teleop":
            top = self.config.max_speed_mps if v >= 0.0 else self.config.max_reverse_mps
            limits = max(top, _REST_MPS), max(self.config.max_yaw_rate_rps, _REST_MPS)
            v_out, w_out, what = closest_safe(guard, v, w, limits, now_ns)
        else:
            share, what = guard.allowed(v, w, now_ns)
            v_out, w_out = share * v, share * w
        if not what:
            return choice
        v_out, w_out = self._held_in_curve(v_out, w_out)
        if guard.rim_mps(v_out, w_out) >= _REST_MPS:
            return choice._replace(wanted=(v_out, w_out), limited=what)
        kind = "vehicle" if what == ANOTHER else "ground"
        return _Choice("", _STOP, f"{choice.source} command leads to {what}", kind)

    def _choose(self, now_ns: int) -> _Choice:
        """What is wanted and the reason; the reason is that of the source that would win."""
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
                return _Choice(
                    "",
                    _STOP,
                    f"{source} command is not finite "
                    f"({command.linear_mps} m/s, {command.angular_rps} rad/s)",
                )
            complaint = self._inputs(source, now_ns)
            kind = ""
            if not complaint:
                complaint, kind = self.supply.complaint(source, now_ns, self.config)
            if complaint:
                return _Choice("", _STOP, complaint, kind)
            return _Choice(source, self._clamp(command), "")
        return _Choice("", _STOP, complaint)

    def _inputs(self, source: str, now_ns: int) -> str:
        pose = self._stale("pose", self._pose_ns, now_ns, self.config.max_pose_age_s)
        if pose or (source == "teleop" and not self.config.teleop_needs_map):
            return pose
        return self._stale_map(now_ns)

    def _stale_map(self, now_ns: int) -> str:
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
        return self._held_in_curve(scale * v, scale * w)

    def _held_in_curve(self, v: float, w: float) -> tuple[float, float]:
        """As fast on the same arc as the limit of lateral acceleration allows."""
        excess = abs(v * w) / self.config.max_lateral_mps2
        share = 1.0 if excess <= 1.0 else excess**-0.5
        return share * v, share * w

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
        # while the speed still falls the vehicle turns on a wider arc
        fastest = limits.max_lateral_mps2 / max(abs(self._linear_mps), 1e-9)
        self._angular_rps = min(max(self._angular_rps, -fastest), fastest)


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
