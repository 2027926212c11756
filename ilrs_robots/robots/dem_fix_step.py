"""Absolute position from the orbital map as a step: points of the ground in, fixes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization.dem_match import DemMatch, DemMatchConfig, match
from ilrs_robots.core.localization.ground_mosaic import GroundMosaic, GroundMosaicConfig
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class DemFixConfig:
    """How often the ground is taken and compared."""

    take_every_m: float = param(
        1.5, doc="way between two looks at the ground", unit="m", low=0.1, high=100.0
    )
    match_every_m: float = param(
        25.0, doc="way between two comparisons", unit="m", low=1.0, high=1e4
    )
    fix_every_m: float = param(
        150.0, doc="way after a fix before the next: fixes that share their ground err alike",
        unit="m", low=1.0, high=1e4,
    )  # fmt: skip
    same_m: float = param(
        15.0, doc="places found elsewhere that are nearer to one another agree", unit="m",
        low=1.0, high=1e3,
    )  # fmt: skip
    lost_after: int = param(
        3, doc="agreeing comparisons elsewhere after which the vehicle is lost", low=1, high=100
    )
    mosaic: GroundMosaicConfig = param(GroundMosaicConfig(), doc="memory of the ground")
    match: DemMatchConfig = param(DemMatchConfig(), doc="comparison with the orbital map")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class DemFix:
    """Where the vehicle is by the orbital map.

    Attributes:
        stamp_ns: of the pose that it corrects.
        position_m: (3,) of base_link in ``map``, in the place of the orbital map itself: where
            that is shifted, so is this.
        covariance: (3, 3) m2.
        T_map_odom: (4, 4) that puts the vehicle there; its heading and tilt are the old ones.
        match: details.
    """

    stamp_ns: int
    position_m: FloatArray
    covariance: FloatArray
    T_map_odom: FloatArray
    match: DemMatch


@dataclass
class DemFixStep:
    """Collects ground along the way and compares it with the orbital map from time to time.

    Attributes:
        prior: the orbital map, ``map`` frame.
        cfg: how often, and the rules.
        outcomes: comparisons by outcome: ``fix`` or the reason of the refusal.
        torn: how often the ground collected was forgotten because it no longer fitted.
        last: the newest comparison.
        fix_way_m: way since the last fix, or since the start.
    """

    prior: Dem
    cfg: DemFixConfig = field(default_factory=DemFixConfig)

    def __post_init__(self) -> None:
        self.mosaic = GroundMosaic(self.cfg.mosaic)
        self.outcomes: Counter[str] = Counter()
        self.torn = 0
        self.last: DemMatch | None = None
        self._taken_at: FloatArray | None = None
        self._matched_way_m = 0.0
        self._fix_way_m = 0.0
        self._fixed = False
        self._elsewhere: list[FloatArray] = []

    @property
    def fix_way_m(self) -> float:
        """Way since the last fix, or since the start, metres."""
        return self.mosaic.way_m - self._fix_way_m

    @property
    def lost_by_m(self) -> FloatArray | None:
        """(3,) map: how far from the believed place the ground fits, where it does not fit there.

        None unless several comparisons in a row agree on it.
        """
        found = self._elsewhere
        return found[-1].copy() if len(found) >= self.cfg.lost_after else None

    def reset(self) -> None:
        """Forget the ground: odometry broke, or the vehicle was moved."""
        self.mosaic.clear()
        self._taken_at = None
        self._matched_way_m = self._fix_way_m = 0.0
        self._fixed = False
        self._elsewhere.clear()

    def forget_elsewhere(self) -> None:
        """Whoever heard that the vehicle is lost has doubted its place."""
        self._elsewhere.clear()

    def due(self, T_odom_base: FloatArray) -> bool:
        """Whether the vehicle has moved so far that the ground is worth a look.

        Args:
            T_odom_base: (4, 4).
        """
        at = self._taken_at
        if at is None:
            return True
        return float(np.linalg.norm(T_odom_base[:2, 3] - at)) >= self.cfg.take_every_m

    def on_points(
        self,
        stamp_ns: int,
        xyz_odom_m: FloatArray,
        T_odom_base: FloatArray,
        T_map_odom: FloatArray,
        covariance: FloatArray,
    ) -> DemFix | None:
        """Take points of the ground, and compare what was collected where that is due.

        Args:
            stamp_ns: of the pose.
            xyz_odom_m: (N, 3) of a scan without the vehicle itself, or ``points_of_map`` of the
                elevation map.
            T_odom_base: (4, 4).
            T_map_odom: (4, 4) as it is believed.
            covariance: (2, 2) m2 of the vehicle's x and y in ``map``.

        Returns:
            a fix, where a comparison was due and was taken.
        """
        taken = self.mosaic.add(xyz_odom_m, T_odom_base[:2, 3])
        self._taken_at = T_odom_base[:2, 3].copy()
        if taken.torn:
            self.torn += 1
            self.reset()
            return None
        way = self.mosaic.way_m
        fixed_lately = self._fixed and self.fix_way_m < self.cfg.fix_every_m
        if fixed_lately or way - self._matched_way_m < self.cfg.match_every_m:
            return None
        self._matched_way_m = way
        at = (T_map_odom @ T_odom_base)[:3, 3]
        placed = self.mosaic.cells() @ T_map_odom[:3, :3].T + T_map_odom[:3, 3]
        found = match(
            placed[:, :2], placed[:, 2], at[:2], covariance, self.prior, self.cfg.match,
            self.cfg.mosaic.cell_m,
        )  # fmt: skip
        self.last = found
        self.outcomes[found.reason or "fix"] += 1
        self._watch(found)
        if not found.accepted:
            return None
        self._fixed, self._fix_way_m = True, way
        corrected = np.array(T_map_odom, dtype=np.float64)
        corrected[:3, 3] += found.shift_m
        return DemFix(stamp_ns, at + found.shift_m, found.covariance, corrected, found)

    def _watch(self, found: DemMatch) -> None:
        """Remember where the ground fits elsewhere, as long as comparisons agree."""
        if found.reason != "elsewhere":
            if found.accepted:
                self._elsewhere.clear()
            return
        before = self._elsewhere
        apart = np.linalg.norm(found.shift_m[:2] - before[-1][:2]) if before else np.inf
        self._elsewhere = [*(before if apart < self.cfg.same_m else []), found.shift_m]
