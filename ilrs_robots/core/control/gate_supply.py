"""What the command gate knows of power and radio: whether there is enough of both to drive."""

from __future__ import annotations

import math
from typing import Final

from ilrs_robots.core.control.gate_types import GateConfig

_NS: Final = 1e-9


class SupplyWatch:
    """Newest charge and the time since somebody could be reached.

    What was never said is not held against the vehicle: one without a power node drives.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._charge: tuple[int, float] | None = None
        self._link_lost_ns: int | None = None

    def on_battery(self, stamp_ns: int, charge: float) -> None:
        """Take a charge, 0 to 1; what is no number says nothing."""
        if math.isfinite(charge):
            self._charge = stamp_ns, charge

    def on_link(self, stamp_ns: int, up: bool) -> None:
        """Note whether the Earth or the base can be reached."""
        if up:
            self._link_lost_ns = None
        elif self._link_lost_ns is None:
            self._link_lost_ns = stamp_ns

    def forget(self) -> None:
        """Time went back."""
        self._charge = self._link_lost_ns = None

    def complaint(self, source: str, now_ns: int, config: GateConfig) -> tuple[str, str]:
        """Why a source must not drive and ``power`` or ``link``; two empty words if it may."""
        if self._charge is not None:
            stamp_ns, charge = self._charge
            limit = config.min_charge_teleop if source == "teleop" else config.min_charge_nav
            age_s = (now_ns - stamp_ns) * _NS
            if charge < limit:  # in force until a higher one is heard, however old
                who = "nobody drives" if source == "teleop" else "only an operator drives"
                return (
                    f"battery is at {100.0 * charge:.0f} %, limit {100.0 * limit:.0f} %: {who}",
                    "power",
                )
            if source == "nav" and age_s > config.max_battery_age_s:
                return (
                    f"the battery's charge is {age_s:.0f} s old, limit "
                    f"{config.max_battery_age_s:.0f} s",
                    "power",
                )
        if config.link_loss == "stop" and source == "nav" and self._link_lost_ns is not None:
            lost_s = (now_ns - self._link_lost_ns) * _NS
            if lost_s > config.max_link_loss_s:
                return (
                    f"nobody can be reached for {lost_s:.0f} s, limit "
                    f"{config.max_link_loss_s:.0f} s",
                    "link",
                )
        return "", ""
