"""What speaks against a launch, with the numbers."""

from __future__ import annotations

from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_types import HopProfile
from ilrs_robots.robots.hop_flight_types import Supplies
from ilrs_robots.robots.hop_localization import NavigationHealth
from ilrs_robots.robots.hopper_parts import TankConfig

_AFTER_S = 60.0
"""Settling, verifying and saying so, seconds."""


def refusal(
    profile: HopProfile, propellant_kg: float, plan: HopPlanConfig, tank: TankConfig,
    health: NavigationHealth, standing: bool, supplies: Supplies | None,
) -> str:  # fmt: skip
    """Why this hop is not launched now; empty where nothing speaks against it.

    Args:
        profile: the hop.
        propellant_kg: held.
        plan: reserves and dispersion.
        tank: when full.
        health: of the navigation.
        standing: whether the vehicle is at rest.
        supplies: battery and heat; None where nobody counts them.
    """
    if not standing:
        return "it does not stand still"
    if not health.good:
        return f"navigation: {health.reason}"
    needed = profile.propellant_kg * (1.0 + plan.dispersion_share)
    reserve = plan.reserve_share * tank.propellant_kg
    if needed + reserve > propellant_kg:
        return (
            f"propellant: the hop takes {needed:.2f} kg and {reserve:.2f} kg are kept, "
            f"{propellant_kg:.2f} kg are held"
        )
    if supplies is None:
        return ""
    flight_wh = supplies.load_w * (profile.duration_s + _AFTER_S) / 3600.0
    if flight_wh + supplies.dark_wh > supplies.battery_wh:
        return (
            f"battery: the flight takes {flight_wh:.1f} Wh, the dark {supplies.dark_wh:.0f} Wh, "
            f"{supplies.battery_wh:.0f} Wh are held"
        )
    if not supplies.coldest_k <= supplies.temperature_k <= supplies.hottest_k:
        return (
            f"temperature: {supplies.temperature_k:.0f} K, "
            f"{supplies.coldest_k:.0f} to {supplies.hottest_k:.0f} K are allowed"
        )
    return ""
