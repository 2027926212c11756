"""What speaks against a launch, with the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_stay import Stay
from ilrs_robots.core.planning.hop_types import HopProfile
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.hop_flight_types import HopOutcome, HopStatus, Supplies
from ilrs_robots.robots.hop_localization import NavigationHealth
from ilrs_robots.robots.hop_stay import AFTER_S
from ilrs_robots.robots.hopper_parts import HopperLimitsConfig, TankConfig
from ilrs_robots.robots.model import HopperModel

_AT_PLACE_M = 2.0
"""As near to its chosen place a landing is one there."""


def supplies_of(model: HopperModel, charge: float, box_k: float, stay_s: float) -> Supplies:
    """What battery and box allow, with every load on and the heater at its most.

    Args:
        model: the vehicle.
        charge: of its battery, 0 to 1.
        box_k: temperature of the box.
        stay_s: in the dark after the landing.
    """
    power = model.power
    load_w = sum(power.loads_w.values()) + power.box.heater_w
    usable = max(charge - power.battery.reserve, 0.0) * power.battery.capacity_wh
    return Supplies(usable, load_w, load_w * stay_s / 3600.0, box_k)


def refusal(
    profile: HopProfile, propellant_kg: float, plan: HopPlanConfig, tank: TankConfig,
    health: NavigationHealth, standing: bool, supplies: Supplies | None,
    stay: Stay | None = None,
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
        stay: after the landing, by its Sun; None counts on the dark.
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
    flight_wh = supplies.load_w * (profile.duration_s + AFTER_S) / 3600.0
    stay_wh = supplies.dark_wh if stay is None else stay.drawn_wh
    if flight_wh + stay_wh > supplies.battery_wh:
        return (
            f"battery: the flight takes {flight_wh:.1f} Wh, the stay {stay_wh:.0f} Wh, "
            f"{supplies.battery_wh:.0f} Wh are held"
        )
    if not supplies.coldest_k <= supplies.temperature_k <= supplies.hottest_k:
        return (
            f"temperature: {supplies.temperature_k:.0f} K, "
            f"{supplies.coldest_k:.0f} to {supplies.hottest_k:.0f} K are allowed"
        )
    return ""


def bad_goal(
    goal_xy_m: FloatArray, prior: Dem, max_slope_rad: float, reach_m: float,
    keep_outs: Sequence[KeepOut],
) -> tuple[str, str]:  # fmt: skip
    """Why nobody lands there, as a code and a sentence; both empty where nothing is known.

    Slopes from orbit are means over metres. One place within reach that is not too steep is
    enough: what is better on its own map the vehicle finds on the way down.

    Args:
        goal_xy_m: (2,) asked for, metres, map.
        prior: the ground as known from orbit.
        max_slope_rad: that the vehicle may stand on.
        reach_m: of a divert.
        keep_outs: discs to stay out of.
    """
    x, y = (float(v) for v in goal_xy_m)
    if not math.isfinite(float(prior.height(goal_xy_m[None, :])[0])):
        return "unknown_ground", f"goal ({x:.1f}, {y:.1f}) m: no ground is known there"
    for k in keep_outs:
        away = math.hypot(x - k.x_m, y - k.y_m)
        if away <= k.radius_m:
            return "keep_out", (
                f"goal ({x:.1f}, {y:.1f}) m: {away:.1f} m from {k.name}, which is kept out of "
                f"by {k.radius_m:.1f} m"
            )
    angle = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False)
    ring = reach_m * np.column_stack((np.cos(angle), np.sin(angle)))
    places = goal_xy_m + np.concatenate((np.zeros((1, 2)), 0.5 * ring, ring))
    slopes = prior.slope_rad(places)
    least = float(np.nanmin(slopes))
    if least > max_slope_rad:
        return "steep", (
            f"goal ({x:.1f}, {y:.1f}) m: {math.degrees(float(slopes[0])):.0f} deg steep, and "
            f"nowhere within {reach_m:.0f} m less than {math.degrees(least):.0f} deg; "
            f"{math.degrees(max_slope_rad):.0f} deg are allowed"
        )
    return "", ""


def silent(gauge: bool, altimeter_ns: int) -> str:
    """Which sensor that a flight needs does not speak; empty where all do.

    Args:
        gauge: whether the tank's has spoken.
        altimeter_ns: since the altimeter saw the ground.
    """
    if not gauge:
        return "the tank's gauge has not spoken: what is held is not known"
    if altimeter_ns > 1_000_000_000:
        return "the altimeter is silent: it has not seen the ground for a second"
    return ""


def verdict(
    status: HopStatus,
    quat_wxyz: FloatArray,
    limits: HopperLimitsConfig,
    rested: bool,
    cancelled: str,
) -> tuple[HopOutcome, str]:
    """How a hop ended, with the reason where it is not a plain landing.

    Args:
        status: of the hop.
        quat_wxyz: (4,) attitude after it, base_link in map, no unit.
        limits: of the vehicle.
        rested: whether it has come to rest.
        cancelled: why it was cancelled, or empty.
    """
    roll, pitch, _ = (float(v) for v in se3.rpy_from_quat(quat_wxyz))
    lean = math.degrees(math.acos(min(max(math.cos(roll) * math.cos(pitch), -1.0), 1.0)))
    if lean > max(limits.max_roll_deg, limits.max_pitch_deg):
        return HopOutcome.LOST, f"it leans by {lean:.0f} deg after the landing"
    down, side = -float(status.touchdown_mps[2]), float(np.hypot(*status.touchdown_mps[:2]))
    for name, speed, limit in (
        ("down", down, limits.max_touchdown_down_mps),
        ("sideways", side, limits.max_touchdown_side_mps),
    ):
        if speed > limit:
            return HopOutcome.LOST, (
                f"it came down hard: {speed:.1f} m/s {name}, limit {limit:.1f} m/s: its legs may "
                "be broken though it stands"
            )
    if not rested:
        return HopOutcome.LOST, "it does not come to rest after the landing"
    if cancelled:
        return HopOutcome.CANCELLED, f"{cancelled}: landed safely"
    away = float(np.hypot(*(status.landed_m - status.chosen_m)[:2]))
    if away > _AT_PLACE_M:
        return HopOutcome.LANDED, f"landed {away:.1f} m from the place that it chose"
    if not status.verified:
        return HopOutcome.LANDED, "place not seen"
    if status.safe is False:
        return HopOutcome.LANDED, f"its map calls the place {status.why}, none better in reach"
    return HopOutcome.LANDED, ""
