"""One vehicle's power: sources, battery and loads in balance, with a ledger of every joule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ilrs_robots.core.energy.battery import Battery
from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class Ledger:
    """Energies since the start, joules.

    ``offered = used + spilled`` and ``used = delivered + lost + gain of the store``.

    Attributes:
        offered_j: what sources could have given.
        used_j: what was taken of it.
        spilled_j: what nobody could take.
        delivered_j: to loads.
        unmet_j: asked for and not delivered.
        lost_j: in the battery.
    """

    offered_j: float = 0.0
    used_j: float = 0.0
    spilled_j: float = 0.0
    delivered_j: float = 0.0
    unmet_j: float = 0.0
    lost_j: float = 0.0


@dataclass(frozen=True)
class BusState:
    """One step; powers are means over it, watts.

    Attributes:
        battery_w: into the battery; negative out of it.
        delivered_w: to each load, by name.
        spilled_w: of the sources.
        shed: loads that got less than they asked for, the least vital first.
    """

    battery_w: float
    delivered_w: Mapping[str, float]
    spilled_w: float
    shed: tuple[str, ...]


@dataclass
class PowerBus:
    """Balances sources and loads over a battery.

    Attributes:
        battery: of the vehicle.
        ledger: of everything so far.
    """

    battery: Battery
    ledger: Ledger = field(default_factory=Ledger)

    def step(
        self, dt_s: float, sources_w: float, loads_w: Mapping[str, float], temperature_k: float
    ) -> BusState:
        """Run for a step: sources feed loads, the battery takes or gives the difference.

        Where both are too weak, loads go without from the last one named on.

        Args:
            dt_s: seconds, above 0.
            sources_w: power that sources can give.
            loads_w: asked for by each load, the most vital first.
            temperature_k: of the battery.

        Raises:
            ConfigError: a power below 0 or no number, or a step that is not above 0 s.
        """
        for name, power in (("sources", sources_w), *loads_w.items()):
            if not (math.isfinite(power) and power >= 0.0):
                raise ConfigError(f"power of {name} = {power} W: must be 0 W or more")
        asked = math.fsum(loads_w.values())
        flow = self.battery.step(sources_w - asked, dt_s, temperature_k)
        given_w, charged_w = flow.given_j / dt_s, flow.charged_j / dt_s
        delivered = _served(loads_w, sources_w + given_w) if asked > sources_w else dict(loads_w)
        total = math.fsum(delivered.values())
        used_w = total - given_w + charged_w
        old = self.ledger
        self.ledger = Ledger(
            old.offered_j + sources_w * dt_s,
            old.used_j + used_w * dt_s,
            old.spilled_j + (sources_w - used_w) * dt_s,
            old.delivered_j + total * dt_s,
            old.unmet_j + (asked - total) * dt_s,
            old.lost_j + flow.lost_j,
        )
        shed = [n for n, w in loads_w.items() if delivered[n] < w * (1.0 - 1e-12)]
        return BusState(charged_w - given_w, delivered, sources_w - used_w, tuple(shed[::-1]))


def _served(loads_w: Mapping[str, float], power_w: float) -> dict[str, float]:
    """What each load gets of a power that may not do for all."""
    left, served = power_w, {}
    for name, wanted in loads_w.items():
        served[name] = min(wanted, max(left, 0.0))
        left -= served[name]
    return served
