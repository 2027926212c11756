"""Why there is no route, and what would have to change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from ilrs_robots.core.planning.route_ground import Closed
from ilrs_robots.core.planning.route_survive import NEVER

if TYPE_CHECKING:
    from ilrs_robots.core.planning.route_plan import RoutePlanner
    from ilrs_robots.core.types import BoolArray, Float32Array

_STEEPEST_DEG: Final = 40.0
_PROBES: Final = 16
_ALL_ROUND: Final = np.ones((3, 3))


def why_none(planner: RoutePlanner, energy_wh: float) -> tuple[str, tuple[str, ...]]:
    """A sentence on why there is no route, and sentences on what would have to change."""
    ground = planner.ground
    closed = ground.why_closed(planner.goal)
    if closed:
        return f"the goal {closed}", _changes_of_ground(planner)
    if not joined(ground.closed == Closed.NO, planner.start, planner.goal):
        reason = (
            f"no way from start to goal keeps to slopes of {math.degrees(ground.limit_rad):.1f} "
            "deg and out of what is closed"
        )
        return reason, _changes_of_ground(planner)
    start = planner.place_of(planner.start)
    floor = planner.battery[1]
    none = np.full_like(planner.need, floor), np.full_like(planner.onward, floor)
    if planner.latest.min() < NEVER and planner.look(energy_wh, walk=False).best >= 0:
        return (
            planner.leave_words.none,
            _suit_change(planner, energy_wh),
        )
    changes = _changes_of_time(planner, energy_wh) + _changes_of_energy(planner, energy_wh)
    if energy_wh < planner.battery[1]:
        return (
            f"the battery holds {energy_wh:.0f} Wh, and the plan keeps "
            f"{planner.battery[1]:.0f} Wh in reserve", changes,
        )  # fmt: skip
    if planner.need[0, start] > energy_wh:
        return "the vehicle does not survive at the start, whatever it does", changes
    risky = planner.look(energy_wh, needs=none)
    if risky.best >= 0:
        when = float(risky.when[risky.best]) / 3600.0
        held = float(risky.has[risky.best])
        return (
            f"the goal can be reached after {when:.1f} h with {held:.0f} Wh, but not by a way on "
            "which the vehicle can live on until the light maps end", changes,
        )  # fmt: skip
    return (
        f"the energy does not do: {energy_wh:.0f} Wh at the start and the light along every way "
        f"bring it nowhere near enough within {planner.light.span_s / 3600.0:.0f} h", changes,
    )  # fmt: skip


def joined(free: BoolArray, start: tuple[int, int], goal: tuple[int, int]) -> bool:
    """Whether two cells lie in one piece of free ground, (rows, cols) bool cells."""
    if not (free[start] and free[goal]):
        return False
    # 0.3 s of imports that only a refusal has to pay for.
    from scipy import ndimage

    pieces, _ = ndimage.label(free, structure=_ALL_ROUND)
    return bool(pieces[start] == pieces[goal])


def _changes_of_ground(planner: RoutePlanner) -> tuple[str, ...]:
    """Which limit alone would open the way."""
    ground, closed = planner.ground, planner.ground.closed
    ends = planner.start, planner.goal
    if closed[planner.goal] == Closed.UNKNOWN:
        return ("the ground at the goal would have to be measured",)
    out = []
    for reason, words in (
        (Closed.KEEP_OUT, "the keep-outs would have to be lifted"),
        (Closed.NO_LINK, "the vehicle would have to be allowed out of the radio's reach"),
        (Closed.ROUGH, f"a roughness over {ground.config.max_roughness_m:g} m would have to be "
                       "allowed"),
    ):  # fmt: skip
        if joined((closed == Closed.NO) | (closed == reason), *ends):
            out.append(words)
    steep = (closed == Closed.NO) | (closed == Closed.SLOPE)
    low, high = math.degrees(ground.limit_rad), _STEEPEST_DEG
    if joined(steep & _gentler(ground.tangent, high), *ends):
        while high - low > 0.1:
            middle = 0.5 * (low + high)
            if joined(steep & _gentler(ground.tangent, middle), *ends):
                high = middle
            else:
                low = middle
        out.append(
            f"slopes of {high:.1f} deg would have to be allowed; the plan allows "
            f"{math.degrees(ground.limit_rad):.1f} deg"
        )
    return tuple(out) or ("no single limit opens a way",)


def _gentler(tangent: Float32Array, limit_deg: float) -> BoolArray:
    gentle: BoolArray = tangent <= math.tan(math.radians(limit_deg))
    return gentle


def _changes_of_time(planner: RoutePlanner, energy_wh: float) -> tuple[str, ...]:
    """A later departure with the same charge."""
    steps = planner.light.steps
    for step in sorted({round(k * steps / _PROBES) for k in range(1, _PROBES)}):
        if 0 < step < steps and planner.look(energy_wh, step).best >= 0:
            later = step * planner.light.step_s / 3600.0
            return (f"with the same charge it could leave {later:.0f} h later",)
    return ()


def _changes_of_energy(planner: RoutePlanner, energy_wh: float) -> tuple[str, ...]:
    """A full battery, or a larger one."""
    capacity = float(planner.battery[0])
    if energy_wh < capacity and planner.look(capacity).best >= 0:
        low, high = energy_wh, capacity
        while high - low > 0.01 * capacity:
            middle = 0.5 * (low + high)
            if planner.look(middle).best >= 0:
                high = middle
            else:
                low = middle
        return (f"it needs {high - energy_wh:.0f} Wh more in the battery at the departure",)

    def does(more_wh: float) -> bool:
        larger = planner.battery.copy()
        larger[:2] *= 1.0 + more_wh / capacity
        needs = planner.survivable(larger)
        return planner.look(float(larger[0]), needs=needs, battery=larger).best >= 0

    low, high = 0.0, 0.25 * capacity
    while not does(high):
        low, high = high, 2.0 * high
        if high > 8.0 * capacity:
            return ("no battery of up to nine times the size would do",)
    while high - low > 0.03 * capacity:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if does(middle) else (middle, high)
    return (f"it needs a battery that holds {high:.0f} Wh more, full at the departure",)


def _suit_change(planner: RoutePlanner, energy_wh: float) -> tuple[str, ...]:
    """How late the vehicle would be at the worst point of the best route without that limit."""
    free = planner.look(energy_wh, walk=False)
    late = 0.0
    for label in free.chain(free.best):
        place = int(free.node[label])
        if planner.latest[place] < NEVER:
            late = max(late, float(free.when[label]) - float(planner.latest[place]))
    if math.isfinite(late) and late < 1e6:
        return (planner.leave_words.longer.format(late / 3600.0),)
    return (planner.leave_words.never,)
