"""What a route is: its track, its legs, and an answer that says why where there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class RouteTrack:
    """A route point by point; times are seconds after the departure.

    Attributes:
        xy_m: (N, 2) map.
        height_m: (N,).
        time_s: (N,) never falling; a wait has two points at one place.
        energy_wh: (N,) in the battery.
        light: (N,) share of the Sun in sight, 0 to 1.
        slope_rad: (N,) of the ground.
        grade_rad: (N,) along the way that leads on, up positive.
    """

    xy_m: FloatArray
    height_m: FloatArray
    time_s: FloatArray
    energy_wh: FloatArray
    light: FloatArray
    slope_rad: FloatArray
    grade_rad: FloatArray

    def at(self, time_s: float) -> tuple[float, float]:
        """Where it is, x and y in metres, at seconds after the departure."""
        x, y = (float(np.interp(time_s, self.time_s, self.xy_m[:, i])) for i in range(2))
        return x, y


@dataclass(frozen=True)
class RouteLeg:
    """One row of a route's table.

    Attributes:
        kind: ``drive``, ``charge`` or ``wait``.
        first: index of its first point in the track.
        last: of its last.
        start_s: after the departure.
        end_s: likewise.
        length_m: over the ground as planned.
        climb_m: sum of what goes up.
        used_wh: by wheels and loads.
        income_wh: of the sources, taken or not.
        start_wh: in the battery.
        end_wh: likewise.
        least_wh: likewise, on the way.
        light: mean share.
        steepest_rad: of the ground under it.
        park_yaw_rad: heading in map that gets most of the Sun while it stands, or None.
    """

    kind: str
    first: int
    last: int
    start_s: float
    end_s: float
    length_m: float
    climb_m: float
    used_wh: float
    income_wh: float
    start_wh: float
    end_wh: float
    least_wh: float
    light: float
    steepest_rad: float
    park_yaw_rad: float | None = None


@dataclass(frozen=True)
class RouteAnswer:
    """What a planner found.

    Attributes:
        reached: the route ends at the goal.
        reason: one sentence on why it does not, or empty.
        changes: what would have to change, a sentence each.
        track: of the route; only the start where it leads nowhere.
        legs: of it, in order.
        floor_wh: energy that the plan keeps.
        capacity_wh: of the battery.
        stay_until_s: how long it can stand where the route ends, seconds after the departure; the
            end of the light maps where nothing shows an end.
        latest_s: latest departure, seconds after the one asked for, or None where it was not
            looked for or there is no route.
        latest_by: what sets it.
        notes: what else to know.
    """

    reached: bool
    reason: str
    changes: tuple[str, ...]
    track: RouteTrack
    legs: tuple[RouteLeg, ...]
    floor_wh: float
    capacity_wh: float
    stay_until_s: float
    latest_s: float | None = None
    latest_by: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def length_m(self) -> float:
        """Driven as planned."""
        return sum(leg.length_m for leg in self.legs)

    @property
    def arrive_s(self) -> float:
        """At the end of the track, after the departure."""
        return float(self.track.time_s[-1])

    @property
    def least_wh(self) -> float:
        """Least energy on the way."""
        return float(self.track.energy_wh.min())


@dataclass(frozen=True)
class RouteCharger:
    """A place that gives power to a vehicle that stands.

    Attributes:
        name: for people.
        x_m: map.
        y_m: map.
        reach_m: how near it must stand.
        power_w: that this vehicle gets.
    """

    name: str
    x_m: float
    y_m: float
    reach_m: float
    power_w: float


@dataclass(frozen=True)
class Found:
    """Labels of one search; see ``route_search.search``."""

    node: NDArray[np.int32]
    when: FloatArray
    has: NDArray[np.float32]
    parent: NDArray[np.int32]
    way: NDArray[np.int32]
    marks: NDArray[np.int64]

    @property
    def best(self) -> int:
        """Label at the goal, or -1."""
        return int(self.marks[0])

    def chain(self, label: int) -> list[int]:
        """Labels from the start to one."""
        out = [label]
        while self.parent[out[-1]] >= 0:
            out.append(int(self.parent[out[-1]]))
        return out[::-1]
