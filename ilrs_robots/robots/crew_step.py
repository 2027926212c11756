"""The crew's way home while they ride: a map of where it holds, and a word before it is lost.

ROS-free; the navigation node calls it with poses and paths. It sees what is known from orbit, as
routes do (``core.planning.walk_back``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.planning.walk_back import SuitConfig, SuitState, walk_back
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.rover_parts import CrewConfig
from ilrs_robots.robots.site import SiteConfig

DOOR: Final = "habitat"
"""Kind of structure that a crew walks home to."""
WARNED: Final = 0.5
"""Cost from which on the crew's slack is below what it is warned at."""
_WORST_WALKED: Final = 0.98
_NS: Final = 1e-9


@dataclass(frozen=True)
class WalkBackConfig:
    """Who is on board, what is left in the suits now, and what a path that leads too far gets."""

    aboard: bool = param(True, doc="whether people are on board who must be able to walk home")
    hours_left: float = param(
        7.0, doc="of power, air and scrubber, in the suit that has least, from when it is set on",
        unit="h", low=0.0, high=100.0,
    )  # fmt: skip
    metabolic_wh_left: float = param(
        1904.0, doc="work that its oxygen and cooling do for, from when it is set on", unit="Wh",
        low=0.0, high=1e5,
    )  # fmt: skip
    policy: str = param(
        "refuse",
        doc="a path from which the crew could not walk home: refuse ends the goal, warn tells",
        choices=("refuse", "warn"),
    )
    period_s: float = param(10.0, doc="between two maps", unit="s", low=0.5, high=3600.0)
    most_cells: int = param(
        250_000, doc="cells of the map; of more ground each stands for several", low=100,
        high=10_000_000,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @classmethod
    def of(cls, suit: SuitConfig) -> WalkBackConfig:
        """With fresh suits."""
        return cls(hours_left=suit.endurance_h, metabolic_wh_left=suit.metabolic_wh)


class WalkBackLevel(IntEnum):
    """How much a crew has to be told."""

    FINE = 0
    WARN = 1
    CROSSES = 2
    LOST = 3


@dataclass(frozen=True)
class WalkBackWord:
    """What is to be said of a place and of the path from it.

    Attributes:
        level: how bad it is.
        slack_s: how much longer the crew may stay where it is; NaN where no way leads home.
        warn_in_s: seconds until the path's slack falls below what is warned at; infinite if never.
        cross_in_s: seconds until it falls below 0; infinite if never.
        homewards: the path ends where more is left than here.
        sentence: for people; empty where all is well.
    """

    level: WalkBackLevel
    slack_s: float
    warn_in_s: float
    cross_in_s: float
    homewards: bool
    sentence: str

    @property
    def refused(self) -> bool:
        """Whether the path leads the crew out of its way home.

        Where they have none as it is, a path that ends nearer home is all that is left.
        """
        lost = self.level is WalkBackLevel.LOST
        return math.isfinite(self.cross_in_s) and not (lost and self.homewards)


class CrewStep:
    """Suits that are used up as time passes, and the ground that is still in reach of home.

    Args:
        site: its habitats are home.
        dem: what is known from orbit.
        crew: of the vehicle.
        start_m: x and y in map; home where the site has no habitat.
        settings: what is left in the suits when time begins.
    """

    def __init__(
        self, site: SiteConfig, dem: Dem, crew: CrewConfig, start_m: tuple[float, float],
        settings: WalkBackConfig,
    ) -> None:  # fmt: skip
        doors = [(s.x_m, s.y_m) for s in site.structures if s.kind == DOOR] or [start_m]
        self.walk = walk_back(dem, crew.suit, crew.suited_mass_kg, doors)
        self.settings = settings
        self._left = self._given()
        self._at_ns: int | None = None

    def _given(self) -> SuitState:
        return SuitState(3600.0 * self.settings.hours_left, self.settings.metabolic_wh_left)

    def reconfigure(self, settings: WalkBackConfig) -> None:
        """Take other settings; what is left counts from now on if it is another number."""
        before, self.settings = self.settings, settings
        names = ("hours_left", "metabolic_wh_left")
        if any(getattr(before, name) != getattr(settings, name) for name in names):
            self._left = self._given()

    @property
    def left(self) -> SuitState:
        """What is left in the suits."""
        return self._left

    def begin(self) -> None:
        """A simulation was reset: the suits are as they were given."""
        self._left, self._at_ns = self._given(), None

    def memory(self) -> dict[str, Any]:
        """What ``resume`` needs in another life of this step."""
        left = self._left
        return {"seconds": left.seconds, "wh": left.metabolic_wh, "stamp_ns": self._at_ns}

    def resume(self, memory: Mapping[str, Any]) -> None:
        """Go on with what was kept; the time since then is counted at the next ``pass_to``.

        Raises:
            KeyError, TypeError, ValueError: it is not what ``memory`` gives; nothing was changed.
        """
        left = SuitState(float(memory["seconds"]), float(memory["wh"]))
        stamp_ns = int(memory["stamp_ns"])
        if not (math.isfinite(left.seconds) and math.isfinite(left.metabolic_wh)):
            raise ValueError(f"suits = {left}: not finite")
        self._left, self._at_ns = left, stamp_ns

    def pass_to(self, now_ns: int) -> SuitState:
        """Let time pass; what is left now."""
        if self._at_ns is not None and now_ns > self._at_ns:
            span_s = (now_ns - self._at_ns) * _NS
            used_wh = span_s * self.walk.suit.riding_w / 3600.0
            left = self._left
            self._left = SuitState(
                max(left.seconds - span_s, 0.0), max(left.metabolic_wh - used_wh, 0.0)
            )
        self._at_ns = now_ns
        return self._left

    def occupancy(self) -> tuple[Float32Array, GridSpec]:
        """Where the crew can still walk home from, as a cost.

        Returns:
            (rows, cols) float32 and its grid: 0 at the door of a fresh crew, rising as slack
            shrinks, 0.5 where it is what is warned at, below 1 where somebody who left at once
            would just come home; 1 where it is too late or no walkable way leads home; NaN where
            the ground is unknown.
        """
        slack = self.walk.slack_s(self._left)
        unknown = ~np.isfinite(self.walk.dem.heights_m)
        spec, size = self.walk.dem.spec, self._block()
        if size > 1:
            slack, unknown, spec = _blocks(slack, unknown, spec, size)
        suit = self.walk.suit
        longest_s = (1.0 - suit.reserve) * 3600.0 * suit.endurance_h
        warn_s = max(suit.warn_s, 1e-6)
        easy = WARNED * (1.0 - (slack - warn_s) / max(longest_s - warn_s, 1e-6))
        hard = _WORST_WALKED - (_WORST_WALKED - WARNED) * slack / warn_s
        cost = np.where(slack >= warn_s, np.clip(easy, 0.0, WARNED), hard)
        cost = np.where(slack >= 0.0, cost, 1.0)
        cost[unknown] = np.nan
        return cost.astype(np.float32), spec

    def _block(self) -> int:
        cells = self.walk.dem.spec.rows * self.walk.dem.spec.cols
        return max(1, math.ceil(math.sqrt(cells / self.settings.most_cells)))

    def judge(
        self, xy_m: tuple[float, float], path_xy_m: FloatArray, eta_s: float
    ) -> WalkBackWord:
        """What to say of a place and of the path that leads on from it.

        Args:
            xy_m: where the vehicle is, map.
            path_xy_m: (N, 2) metres, map, from there on; may be empty.
            eta_s: time that the whole path takes.
        """
        track, times = _timed(xy_m, path_xy_m, eta_s)
        slack = self.walk.slack_at(track, times, self._left)
        here, end = float(slack[0]), float(slack[-1] + times[-1])
        warn_s, least = self.walk.suit.warn_s, np.nan_to_num(slack, nan=-math.inf)
        warn_in, cross_in = _first(times, least < warn_s), _first(times, least < 0.0)
        homewards = len(track) > 1 and end >= (here if math.isfinite(here) else -math.inf)
        said = (here, warn_in, cross_in, homewards)
        if least[0] < 0.0:
            return WalkBackWord(WalkBackLevel.LOST, *said, self._too_late(here))
        if math.isfinite(cross_in):
            at = track[int(np.argmax(least < 0.0))]
            where = f"({at[0]:.0f}, {at[1]:.0f}) m, {cross_in / 60.0:.0f} min ahead on this path"
            sentence = f"the crew could not walk home from {where}"
            return WalkBackWord(WalkBackLevel.CROSSES, *said, sentence)
        if math.isfinite(warn_in):
            sentence = (
                f"walk-back: in {warn_in / 60.0:.0f} min on this path less than "
                f"{warn_s / 60.0:.0f} min are left before the crew must go home"
            )
            return WalkBackWord(WalkBackLevel.WARN, *said, sentence)
        return WalkBackWord(WalkBackLevel.FINE, *said, "")

    def _too_late(self, slack_s: float) -> str:
        if math.isnan(slack_s):
            return "walk-back: no walkable way leads home from here"
        return f"walk-back: the crew is {-slack_s / 60.0:.0f} min too far from home to walk"


def _timed(
    xy_m: tuple[float, float], path_xy_m: FloatArray, eta_s: float
) -> tuple[FloatArray, FloatArray]:
    """(N + 1, 2) places and (N + 1,) seconds from now."""
    track = np.concatenate((np.array([xy_m]), np.asarray(path_xy_m).reshape(-1, 2)))
    way = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(track, axis=0).T))))
    whole = max(float(way[-1]), 1e-9)
    return track, way / whole * max(eta_s if math.isfinite(eta_s) else 0.0, 0.0)


def _first(times: FloatArray, holds: Any) -> float:
    return float(times[int(np.argmax(holds))]) if holds.any() else math.inf


def _blocks(
    slack: Float32Array, unknown: Any, spec: GridSpec, size: int
) -> tuple[Float32Array, Any, GridSpec]:
    """Blocks of cells, each as bad as its worst known cell; what does not fill one is dropped."""
    rows, cols = spec.rows // size, spec.cols // size
    shape = (rows, size, cols, size)
    cut = np.nan_to_num(slack[: rows * size, : cols * size], nan=-np.inf)
    hidden = unknown[: rows * size, : cols * size].reshape(shape)
    least = np.where(hidden, np.inf, cut.reshape(shape)).min(axis=(1, 3))
    shift = 0.5 * (size - 1) * spec.resolution_m
    wide = replace(
        spec, origin_x_m=spec.origin_x_m + shift, origin_y_m=spec.origin_y_m + shift,
        resolution_m=size * spec.resolution_m, rows=rows, cols=cols,
    )  # fmt: skip
    return least.astype(np.float32), hidden.all(axis=(1, 3)), wide
