"""What a robot says is wrong with it, over the time of a replay.

Every flag is read from what the steps of the core count or hold, as the nodes' diagnostics are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.perception import Perception

FLAGS: Final = {
    "no_odometry": "no new pose within half a second",
    "imu_refused": "inertial measurements are refused, or a gap in them is noticed",
    "joints_refused": "joint states are refused, or their encoders jump",
    "attitude_refused": "the star tracker's answers are refused",
    "stars_lost": "no star tracker holds the attitude",
    "scans_dropped": "scans are not used",
    "map_old": "the newest scan in the map is old",
    "sensor_frozen": "a sensor repeats one scan",
    "pose_jump": "the pose jumped",
    "time_set_back": "time was set back",
}
"""Name -> what it means."""
_PERIOD_NS: Final = 100_000_000
_EVER_NS: Final = -(2**62)
_HOLD_NS: Final = 1_000_000_000
"""A counter that rose keeps its flag up for so long."""
_NO_ODOMETRY_NS: Final = 500_000_000
_MAP_OLD_NS: Final = 2_000_000_000


@dataclass(frozen=True)
class Expectation:
    """Which flag must rise within which window, and when it must fall.

    Times are seconds since the bag's first message.
    """

    flag: str = param(doc="name of the flag", choices=tuple(FLAGS))
    rise_until: float = param(doc="not later than", unit="s", low=0.0)
    rise_from: float = param(0.0, doc="not before", unit="s", low=0.0)
    fall_until: float = param(0.0, doc="down again by; 0 for never asked", unit="s", low=0.0)
    never: bool = param(False, doc="the flag must stay down between rise_from and rise_until")

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        if self.rise_until < self.rise_from:
            raise ConfigError(
                f"rise_until = {self.rise_until} s: must not lie before rise_from = "
                f"{self.rise_from} s"
            )

    def failure(self, spans: list[tuple[float, float]]) -> str:
        """Why it is not met, empty when it is.

        Args:
            spans: (rise, fall) seconds of this flag.
        """
        inside = [s for s in spans if s[0] <= self.rise_until and s[1] >= self.rise_from]
        window = f"between {self.rise_from:g} and {self.rise_until:g} s"
        if self.never:
            return f"{self.flag} rose at {inside[0][0]:.1f} s" if inside else ""
        risen = [s for s in inside if s[0] >= self.rise_from]
        if not risen:
            return f"{self.flag} did not rise {window}"
        late = [s for s in risen if s[0] <= self.rise_until and s[1] > self.fall_until]
        if self.fall_until and late:
            return f"{self.flag} rose at {late[0][0]:.1f} s and stayed past {self.fall_until:g} s"
        return ""


class FlagWatch:
    """Polls a perception in the time of the replay and keeps when each flag was up."""

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[float, float]]] = {name: [] for name in FLAGS}
        self._up: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._raised_ns: dict[str, int] = {}
        self._first_ns: int | None = None
        self._polled_ns: int | None = None
        self._had_stars = False

    def raise_now(self, flag: str, now_ns: int) -> None:
        """Put a flag up for what happened just now."""
        self._raised_ns[flag] = now_ns

    def look(self, perception: Perception, now_ns: int) -> None:
        """Poll; cheap between two periods."""
        if self._first_ns is None:
            self._first_ns = now_ns
        last = self._polled_ns
        if last is not None and 0 <= now_ns - last < _PERIOD_NS:
            return
        odometry, step = perception.odometry, perception.localization
        odometry_ns = None if odometry is None else odometry.stamp_ns
        self.count(perception, now_ns)
        self._poll(perception, now_ns, odometry_ns, step is not None and step.stars_hold)

    def due_ns(self) -> int:
        """Time from which on ``look`` polls; time has not been set back since the last one."""
        return _EVER_NS if self._polled_ns is None else self._polled_ns + _PERIOD_NS

    def look_back(
        self, perception: Perception, now_ns: int, odometry_ns: int | None, *, stars_hold: bool
    ) -> None:
        """As ``look`` at a time that is over, when pose and stars were as given.

        Args:
            perception: whose other states and counters are still as they were then.
            now_ns: the time, not before ``due_ns``.
            odometry_ns: stamp of the newest pose then, None before the first.
            stars_hold: whether a star tracker held the attitude.
        """
        if self._first_ns is None:
            self._first_ns = now_ns
        self._poll(perception, now_ns, odometry_ns, stars_hold)

    def _poll(
        self, perception: Perception, now_ns: int, odometry_ns: int | None, stars_hold: bool
    ) -> None:
        self._polled_ns = now_ns
        up = {
            flag for flag, at in self._raised_ns.items() if 0 <= now_ns - at < _HOLD_NS
        } | self._states(perception, now_ns, odometry_ns, stars_hold)
        assert self._first_ns is not None
        since_s = (now_ns - self._first_ns) * 1e-9
        for flag in FLAGS:
            if flag in up and flag not in self._up:
                self._up[flag] = since_s
            elif flag not in up and flag in self._up:
                self.spans[flag].append((round(self._up.pop(flag), 3), round(since_s, 3)))

    def begin_again(self, now_ns: int) -> None:
        """A new segment: counters start anew, times go on where the old ones ended."""
        if self._first_ns is not None and self._polled_ns is not None:
            self._first_ns = now_ns - (self._polled_ns - self._first_ns)
            self._raised_ns = {}
        self._counts.clear()
        self._polled_ns, self._had_stars = None, False
        self.raise_now("time_set_back", now_ns)

    def close(self, now_ns: int) -> dict[str, list[tuple[float, float]]]:
        """Spans of every flag that was ever up."""
        since_s = 0.0 if self._first_ns is None else (now_ns - self._first_ns) * 1e-9
        for flag, rise in self._up.items():
            self.spans[flag].append((round(rise, 3), round(max(since_s, rise), 3)))
        self._up.clear()
        return {flag: spans for flag, spans in self.spans.items() if spans}

    def count(self, perception: Perception, now_ns: int) -> None:
        """Note which counters have risen; before ``look_back``, once for all its times."""
        found: dict[str, int] = {}
        if perception.localization is not None:
            for reason, count in perception.localization.counters.items():
                group = reason.split("_")[0]
                group = "joints" if group == "encoder" else group
                if f"{group}_refused" in FLAGS:
                    found[f"{group}_refused"] = found.get(f"{group}_refused", 0) + count
        dropped = perception.mapping.dropped
        found["scans_dropped"] = sum(dropped.values())
        found["pose_jump"] = dropped.get("pose_jump", 0) + perception.mapping.jumps
        for flag, count in found.items():
            if count > self._counts.get(flag, 0):
                self._raised_ns[flag] = now_ns
            self._counts[flag] = count

    def _states(
        self, perception: Perception, now_ns: int, odometry_ns: int | None, stars_hold: bool
    ) -> set[str]:
        up: set[str] = set()
        mapping = perception.mapping
        if odometry_ns is not None and now_ns - odometry_ns > _NO_ODOMETRY_NS:
            up.add("no_odometry")
        if mapping.last_stamp_ns is not None and now_ns - mapping.last_stamp_ns > _MAP_OLD_NS:
            up.add("map_old")
        if mapping.frozen:
            up.add("sensor_frozen")
        if perception.localization is not None:
            if stars_hold:
                self._had_stars = True
            elif self._had_stars:
                up.add("stars_lost")
        return up
