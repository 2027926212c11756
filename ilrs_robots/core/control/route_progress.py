"""How far along its route, in space and time, a vehicle is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core.control.route_executive_types import DRIVE
from ilrs_robots.core.planning.route_types import RouteAnswer, RouteLeg
from ilrs_robots.core.types import FloatArray

_PARTS = 64


@dataclass
class RouteProgress:
    """A route in force.

    Attributes:
        answer: the route.
        depart_s: mission time of its zero.
        leg: index of the leg under way.
        via: index into the track of the point driven to.
        done: index of the last point that was passed.
    """

    answer: RouteAnswer
    depart_s: float
    leg: int = 0
    via: int = 0
    done: int = 0
    way_m: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Measure the track."""
        steps = np.hypot(*np.diff(self.answer.track.xy_m, axis=0).T)
        self.way_m = np.concatenate(([0.0], np.cumsum(steps)))

    @property
    def current(self) -> RouteLeg | None:
        """The leg under way, None behind the last."""
        legs = self.answer.legs
        return legs[self.leg] if self.leg < len(legs) else None

    def point(self, index: int) -> tuple[float, float]:
        """A point of the track."""
        x, y = self.answer.track.xy_m[index]
        return float(x), float(y)

    def next_via(self, hop_m: float) -> int:
        """The farthest point of the leg within a hop, at least the next one."""
        leg = self.current
        assert leg is not None
        ahead = self.way_m[self.done : leg.last + 1] - self.way_m[self.done]
        reach = int(np.searchsorted(ahead, hop_m, side="right")) - 1
        return min(self.done + max(reach, 1), leg.last)

    def planned(self, now_s: float, xy_m: tuple[float, float]) -> tuple[float, float, float]:
        """Time since the departure, energy (Wh) and light (0 to 1) that the plan has for now.

        On a drive that is where the vehicle is, on a stop what the time is.
        """
        track, leg = self.answer.track, self.current
        if leg is not None and leg.kind == DRIVE:
            share_at = self._share(leg, xy_m)
            time_s = float(np.interp(share_at, self.way_m[leg.first : leg.last + 1],
                                     track.time_s[leg.first : leg.last + 1]))  # fmt: skip
        else:
            last_s = float(track.time_s[-1] if leg is None else leg.end_s)
            time_s = min(now_s - self.depart_s, last_s)
        energy = float(np.interp(time_s, track.time_s, track.energy_wh))
        light = float(np.interp(time_s, track.time_s, track.light))
        return time_s, energy, light

    def left(self, now_s: float, xy_m: tuple[float, float]) -> tuple[float, float]:
        """Way and time to the end of the route: metres and seconds, as planned."""
        leg = self.current
        if leg is None:
            return 0.0, 0.0
        along_m = self.way_m[leg.first]
        if leg.kind == DRIVE:
            along_m = self._share(leg, xy_m)
        left_s = float(self.answer.track.time_s[-1]) - self.planned(now_s, xy_m)[0]
        return float(self.way_m[-1] - along_m), max(left_s, 0.0)

    def _share(self, leg: RouteLeg, xy_m: tuple[float, float]) -> float:
        """Way along the track up to the point of the present hop that is nearest."""
        first = min(max(self.done, leg.first), leg.last - 1)
        last = max(self.via, first + 1)
        a = self.answer.track.xy_m[first:last]
        b = self.answer.track.xy_m[first + 1 : last + 1]
        step = b - a
        length = np.maximum((step**2).sum(axis=1), 1e-12)
        along = np.clip(((np.array(xy_m) - a) * step).sum(axis=1) / length, 0.0, 1.0)
        off = np.hypot(*(a + along[:, None] * step - np.array(xy_m)).T)
        k = int(np.argmin(off))
        return float(self.way_m[first + k] + along[k] * math.sqrt(length[k]))

    def ahead(self, xy_m: tuple[float, float], away_m: float) -> tuple[float, float]:
        """The first place farther along the track that is so far from a place; at most the via."""
        leg = self.current
        assert leg is not None
        way = np.linspace(self._share(leg, xy_m), self.way_m[self.via], _PARTS)
        track = self.answer.track.xy_m
        places = np.stack([np.interp(way, self.way_m, track[:, i]) for i in range(2)], axis=-1)
        far = np.hypot(*(places - np.array(xy_m)).T) >= away_m
        x, y = places[int(np.argmax(far)) if far.any() else -1]
        return float(x), float(y)
