"""What goes wrong with scans and poses, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ilrs_robots.core.clock import other_clock
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig, UpdateReport
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.mapping_types import MappingConfig, SensorTally, Waiting, seconds


class JumpWatch:
    """Tells a vehicle that drives from a pose that jumps.

    Odom does not jump (REP-105). Where it does all the same, scans are left out for
    ``jump_hold_s``, so that a pose that comes back has spoiled nothing; one that stays is
    believed.

    Attributes:
        accepted: jumps that stayed.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self._last: tuple[FloatArray, int] | None = None
        self._since_ns: int | None = None

    def refusal(self, position_m: FloatArray, stamp_ns: int, cfg: MappingConfig) -> str:
        """Why a scan at this pose is not to be used; empty when it is.

        Args:
            position_m: (3,) of base_link in odom.
            stamp_ns: of the pose.
            cfg: what a jump is.
        """
        if self._last is None:
            self._last = position_m.copy(), stamp_ns
            return ""
        place, last_ns = self._last
        moved_m = float(np.linalg.norm(position_m - place))
        limit_m = cfg.jump_m + cfg.jump_speed_mps * max(stamp_ns - last_ns, 0) * 1e-9
        if moved_m > limit_m:
            if self._since_ns is None:
                self._since_ns = stamp_ns
            if stamp_ns - self._since_ns <= cfg.jump_hold_s * 1e9:
                return f"the pose in odom jumped by {moved_m:.2f} m, limit {limit_m:.2f} m"
            self.accepted += 1
        self._last, self._since_ns = (position_m.copy(), max(stamp_ns, last_ns)), None
        return ""

    def clear(self) -> None:
        """Forget the last pose."""
        self._last = self._since_ns = None


def stamp_refusal(item: Waiting, now_ns: int, cfg: MappingConfig) -> tuple[str, str]:
    """Why a scan's stamp cannot be used, now or soon: reason and sentence, empty where it can."""
    ahead_s = (item.last_ns - now_ns) * 1e-9
    says = other_clock("the scan", item.last_ns, now_ns)
    when = f"the scan of {seconds(item.last_ns)} is {abs(ahead_s):.3f} s"
    if says:
        return "other_clock", says
    if ahead_s > cfg.max_wait_s:
        return "from_the_future", f"{when} ahead, limit {cfg.max_wait_s} s"
    if -ahead_s > cfg.max_age_s:
        return "too_old", f"{when} old, limit {cfg.max_age_s} s"
    return "", ""


def why_empty(
    tallies: Mapping[str, SensorTally],
    last_error: str,
    last_report: UpdateReport | None,
    waiting: int,
    config: ElevationMapConfig,
) -> str:
    """Why the map is empty, in one sentence.

    Args:
        tallies: what came of the scans by sensor.
        last_error: of the last scan that was dropped.
        last_report: of the last scan that was fused.
        waiting: scans that wait for their transforms.
        config: of the map.
    """
    if last_report is not None:
        return f"no point of the last scan could be used: {_lost(last_report, config)}"
    dropped: dict[str, int] = {}
    for tally in tallies.values():
        for reason, count in tally.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    if dropped:
        total = sum(dropped.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        whole = "the only scan was" if total == 1 else f"all {total} scans were"
        return f"{whole} dropped ({reasons}); {last_error}"
    if waiting:
        return f"{waiting} scans wait for their transforms"
    return f"no scan has come on {', '.join(tallies) or 'any topic'}"


def _lost(report: UpdateReport, config: ElevationMapConfig) -> str:
    half_m = 0.5 * config.size_cells * config.resolution_m
    words = {
        "range": f"out of range ({config.range_min_m} to {config.range_max_m} m)",
        "outside": f"out of the window ({half_m} m to each side)",
        "non_finite": "not finite",
    }
    parts = [f"{report.dropped[k]} {said}" for k, said in words.items() if report.dropped.get(k)]
    return f"of {report.points} points {' and '.join(parts) or 'none'}"
