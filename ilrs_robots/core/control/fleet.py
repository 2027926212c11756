"""Where the other vehicles of a site are: what they told of themselves, and where they may be now.

Each vehicle tells its pose and velocity in ``map`` a few times a second. Between two words, and
after the last one, its place is bounded: while the words are fresh it goes on as it went, with the
largest acceleration against it; one that has fallen silent stands somewhere between where it was
last seen and where it would have got to. It stays there as an obstacle for good: a vehicle that
has died still stands in the way.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.types import FloatArray

_NS = 1e-9
_SIGMAS = 2.0
"""Share of the pose's spread that a disc covers."""
_AHEAD_NS = 1_000_000_000
"""A word whose stamp lies further ahead of the clock is of another time."""


@dataclass(frozen=True)
class FleetConfig:
    """How the words of others become discs, and who lets whom pass."""

    accel_mps2: float = param(
        0.5, doc="acceleration that another vehicle may have between two words", unit="m/s2",
        low=0.0, high=10.0,
    )  # fmt: skip
    silent_s: float = param(
        3.0, doc="silence after which another vehicle is held to stand", unit="s", low=0.5,
        high=60.0,
    )  # fmt: skip
    margin_m: float = param(
        0.4, doc="kept between two vehicles that pass each other", unit="m", low=0.0, high=10.0
    )
    standing_mps: float = param(
        0.05, doc="speed below which another vehicle stands", unit="m/s", low=0.0, high=1.0
    )
    look_m: float = param(
        20.0, doc="how far along both ways a meeting is foreseen", unit="m", low=2.0, high=100.0
    )
    search_m: float = param(
        35.0, doc="how far a passing place may be", unit="m", low=2.0, high=200.0
    )
    swap_s: float = param(
        25.0, doc="standstill of the one that should yield after which the other yields",
        unit="s", low=1.0, high=600.0,
    )  # fmt: skip
    parked_s: float = param(
        60.0, doc="how long the way is waited for that a standing vehicle without a goal closes",
        unit="s", low=1.0, high=3600.0,
    )  # fmt: skip
    idle_s: float = param(
        10.0, doc="standstill without a goal after which another vehicle is driven around",
        unit="s", low=0.0, high=600.0,
    )  # fmt: skip
    pass_s: float = param(
        240.0, doc="how long another vehicle is let pass", unit="s", low=5.0, high=3600.0
    )
    max_meetings: int = param(
        4, doc="times of going aside for others within meeting_radius_m", low=1, high=100
    )
    meeting_radius_m: float = param(
        25.0, doc="way after which earlier meetings are forgotten", unit="m", low=1.0, high=1e4
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class PeerBody:
    """What is known of another vehicle before it speaks.

    Attributes:
        radius_m: of the circle around its footprint.
        half_width_m: of its footprint, across its way.
        rank: right of way, the lower goes first; different for all vehicles of a site.
    """

    radius_m: float
    half_width_m: float
    rank: tuple[int, str]


@dataclass(frozen=True)
class PeerWord:
    """What another vehicle told of itself, in ``map``.

    Attributes:
        stamp_ns: when.
        x_m: place.
        y_m: place.
        vx_mps: velocity.
        vy_mps: velocity.
        sigma_m: horizontal spread of its place, one sigma.
    """

    stamp_ns: int
    x_m: float
    y_m: float
    vx_mps: float = 0.0
    vy_mps: float = 0.0
    sigma_m: float = 0.0

    @property
    def speed_mps(self) -> float:
        """Over ground."""
        return math.hypot(self.vx_mps, self.vy_mps)

    def finite(self) -> bool:
        """Whether it can be used."""
        told = (self.x_m, self.y_m, self.vx_mps, self.vy_mps, self.sigma_m)
        return all(map(math.isfinite, told)) and self.sigma_m >= 0.0


@dataclass(frozen=True)
class PeerDisc:
    """Where another vehicle may be now.

    Attributes:
        name: of the vehicle.
        body: of the vehicle.
        x_m: centre, map.
        y_m: centre, map.
        radius_m: holds every point of the vehicle.
        velocity_mps: as it told.
        stands: it does not move, or has fallen silent.
        silent_s: since its last word.
        idle_s: since it last moved or wanted to, as far as is known.
        plan_m: (N, 2) its way ahead in map as it told, empty where it wants nowhere.
    """

    name: str
    body: PeerBody
    x_m: float
    y_m: float
    radius_m: float
    velocity_mps: tuple[float, float]
    stands: bool
    silent_s: float
    idle_s: float = 0.0
    plan_m: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))


class FleetMemory:
    """The newest word of every other vehicle of the site.

    Attributes:
        refused: words that were not used, by reason.
    """

    def __init__(self, bodies: Mapping[str, PeerBody], settings: FleetConfig) -> None:
        """Take who may speak, by name; others are strangers and are refused."""
        self.config = settings
        self.refused: Counter[str] = Counter()
        self._bodies = dict(bodies)
        self._words: dict[str, PeerWord] = {}
        self._plans: dict[str, tuple[int, FloatArray]] = {}
        self._busy_ns: dict[str, int] = {}

    @property
    def words(self) -> dict[str, PeerWord]:
        """The newest word of each vehicle that spoke."""
        return dict(self._words)

    def hear(self, name: str, word: PeerWord, now_ns: int) -> bool:
        """Take a word; whether it was used.

        Args:
            name: of the vehicle that speaks.
            word: what it says.
            now_ns: the listener's clock.
        """
        held = self._words.get(name)
        reason = ""
        if name not in self._bodies:
            reason = "stranger"
        elif not word.finite():
            reason = "not_finite"
        elif word.stamp_ns > now_ns + _AHEAD_NS:
            reason = "from_the_future"
        elif held is not None and word.stamp_ns < held.stamp_ns <= now_ns + _AHEAD_NS:
            reason = "late"
        if reason:
            self.refused[reason] += 1
            return False
        self._words[name] = word
        fresh = held is None or word.stamp_ns < held.stamp_ns
        if fresh or word.speed_mps > self.config.standing_mps:
            self._busy_ns[name] = word.stamp_ns
        return True

    def hear_plan(self, name: str, stamp_ns: int, plan_m: FloatArray, now_ns: int) -> bool:
        """Take where a vehicle wants to go; whether it was used.

        Args:
            name: of the vehicle.
            stamp_ns: when it told.
            plan_m: (N, 2) metres, map; empty where it wants nowhere.
            now_ns: the listener's clock.
        """
        plan = np.asarray(plan_m, dtype=np.float64).reshape(-1, 2)
        usable = name in self._bodies and bool(np.isfinite(plan).all())
        if not usable or stamp_ns > now_ns + _AHEAD_NS:
            self.refused["plan_from_the_future" if usable else "plan"] += 1
            return False
        self._plans[name] = (stamp_ns, plan)
        if len(plan):
            self._busy_ns[name] = max(stamp_ns, self._busy_ns.get(name, stamp_ns))
        return True

    def leave(self, name: str) -> None:
        """A vehicle is no obstacle now: it flies high above the others."""
        for held in (self._words, self._plans, self._busy_ns):
            held.pop(name, None)

    def forget(self) -> None:
        """Time went back: a simulation was reset."""
        self._words.clear()
        self._plans.clear()
        self._busy_ns.clear()

    def discs(self, now_ns: int) -> list[PeerDisc]:
        """Where the others may be, in the order of their names.

        Args:
            now_ns: time of the stamps.
        """
        return [
            self._disc(name, word, now_ns)
            for name, word in sorted(self._words.items())
            if word.stamp_ns <= now_ns + _AHEAD_NS
        ]

    def _disc(self, name: str, word: PeerWord, now_ns: int) -> PeerDisc:
        """Fresh: x + v t within a t^2 / 2. Silent: anywhere on the way it would have gone."""
        settings, body = self.config, self._bodies[name]
        age_s = max((now_ns - word.stamp_ns) * _NS, 0.0)
        silent = age_s > settings.silent_s
        radius_m = body.radius_m + _SIGMAS * word.sigma_m
        if silent:
            share = 0.5 * settings.silent_s
            radius_m += share * word.speed_mps
        else:
            share = age_s
            radius_m += 0.5 * settings.accel_mps2 * age_s**2 * (word.speed_mps > 0.0)
        stamp_ns, plan = self._plans.get(name, (0, np.zeros((0, 2))))
        told = not silent and (now_ns - stamp_ns) * _NS <= settings.silent_s
        return PeerDisc(
            name,
            body,
            word.x_m + share * word.vx_mps,
            word.y_m + share * word.vy_mps,
            radius_m,
            (0.0, 0.0) if silent else (word.vx_mps, word.vy_mps),
            silent or word.speed_mps <= settings.standing_mps,
            age_s,
            max((now_ns - self._busy_ns.get(name, word.stamp_ns)) * _NS, 0.0),
            plan if told else np.zeros((0, 2)),
        )
