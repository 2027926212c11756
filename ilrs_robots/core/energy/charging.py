"""Who of those at a base's chargers gets how much power.

The base's own load comes first, then vehicles whose battery is at its reserve, then the others.
Within each group nobody gets more than he asks for, and what is short is shared so that the
smallest share is as large as it can be (max-min fair). What is granted, with what is lost on the
lines to the chargers, and the base's own load never exceed what the sources give.

Reference: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2 (max-min fairness).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class PluggedVehicle:
    """A vehicle that stands at a charger.

    Attributes:
        name: of the vehicle, unique among those who ask.
        demand_w: most that it takes now.
        limit_w: most that its charger gives.
        urgent: whether its battery is at its reserve.
    """

    name: str
    demand_w: float
    limit_w: float
    urgent: bool = False

    def __post_init__(self) -> None:
        """Check the powers.

        Raises:
            ConfigError: a power that is no number of 0 W or more.
        """
        for key, value in (("demand", self.demand_w), ("limit", self.limit_w)):
            if not 0.0 <= value < math.inf:
                raise ConfigError(f"{self.name}: {key} = {value} W: must be 0 W or more")

    @property
    def wanted_w(self) -> float:
        """Power that would be of use."""
        return min(self.demand_w, self.limit_w)


def fair_shares(available: float, wanted: Sequence[float]) -> list[float]:
    """Shares of something: what is asked for, or an equal part of what is left.

    Args:
        available: to be shared; what is below 0 counts as 0.
        wanted: by each, 0 or more.
    """
    left = max(available, 0.0)
    shares = [0.0] * len(wanted)
    for k, n in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[n] = min(wanted[n], left / (len(wanted) - k))
        left = max(left - shares[n], 0.0)
    return shares


def grants_w(
    sources_w: float,
    base_load_w: float,
    line_efficiency: float,
    plugged: Sequence[PluggedVehicle],
) -> Mapping[str, float]:
    """Power for each vehicle at a charger, W, by name.

    Args:
        sources_w: that all sources of the base give.
        base_load_w: that the base needs itself.
        line_efficiency: from the sources to the chargers, above 0 and at most 1.
        plugged: vehicles at chargers, one for each charger.

    Raises:
        ConfigError: an efficiency out of range, a power that is no number, or two vehicles of one
            name.
    """
    if not 0.0 < line_efficiency <= 1.0:
        raise ConfigError(f"line_efficiency = {line_efficiency}: above 0 and at most 1")
    for key, value in (("sources", sources_w), ("base load", base_load_w)):
        if not 0.0 <= value < math.inf:
            raise ConfigError(f"{key} = {value} W: must be 0 W or more")
    names = [one.name for one in plugged]
    if len(set(names)) != len(names):
        raise ConfigError(f"vehicles {', '.join(names)}: two of one name at the chargers")
    left_w = max(sources_w - base_load_w, 0.0) * line_efficiency
    granted: dict[str, float] = {}
    for urgent in (True, False):
        group = [one for one in plugged if one.urgent == urgent]
        shares = fair_shares(left_w, [one.wanted_w for one in group])
        granted |= {one.name: share for one, share in zip(group, shares, strict=True)}
        left_w = max(left_w - math.fsum(shares), 0.0)
    return granted
