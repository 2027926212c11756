"""What the ground tells the error-state filter: motions between scans, places on the orbital map.

Matching takes long (a scan some ten milliseconds, a comparison up to half a second), so it is
apart from the filter: ``process`` needs a tree of transforms and what is believed, and gives what
was heard; ``tell`` puts that into the filter. A node calls ``process`` in a worker thread, replay
and lock-step call both in turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core.cloud.self_filter import OwnBox
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.localization.filter_types import PositionFix
from ilrs_robots.core.localization.scan_odometry import ScanMotion, ScanOdometryConfig
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Cloud, FloatArray
from ilrs_robots.robots.dem_fix_step import DemFix, DemFixConfig, DemFixStep
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.scan_odometry_step import ScanOdometryStep, SeenGround

_STRIDE_POINTS: Final = 20_000
"""Points of a scan that a look at the ground takes at most: cells are 5 m wide."""


@dataclass(frozen=True)
class Believed:
    """What the filter believes while the ground is looked at.

    Attributes:
        T_map_odom: (4, 4).
        covariance: (2, 2) of the vehicle's x and y in ``map``, m2.
    """

    T_map_odom: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, step: InertialStep) -> Believed:
        """A copy of what a filter believes now."""
        return cls(step.T_map_odom.copy(), step.map_covariance()[:2, :2].copy())


@dataclass
class Heard:
    """What came of looking.

    Attributes:
        motions: between scans.
        fixes: places on the orbital map.
        lost_m: how far away several comparisons in a row found the vehicle, 0 where none did.
    """

    motions: list[ScanMotion] = field(default_factory=list)
    fixes: list[DemFix] = field(default_factory=list)
    lost_m: float = 0.0


class GroundStep:
    """Scan odometry, and fixes on the orbital map where there is one.

    Args:
        robot: its name, which frame ids begin with.
        boxes: the vehicle's own body in base_link.
        prior: the orbital map, ``map`` frame; None for no fixes.
        scans: rules of scan odometry.
        places: rules of the fixes.

    Attributes:
        scans: scan odometry.
        places: fixes, None without an orbital map.
        unseen: scans that did not see their motion along some direction.
        lost: how often comparisons agreed that the vehicle is elsewhere.
    """

    def __init__(
        self,
        robot: str,
        boxes: tuple[OwnBox, ...] = (),
        prior: Dem | None = None,
        scans: ScanOdometryConfig | None = None,
        places: DemFixConfig | None = None,
    ) -> None:
        self.scans = ScanOdometryStep(robot, scans or ScanOdometryConfig(), boxes)
        self.places = None if prior is None else DemFixStep(prior, places or DemFixConfig())
        self.unseen = self.lost = 0

    def add(self, cloud: Cloud) -> None:
        """Queue a scan."""
        self.scans.add(cloud)

    def reset(self) -> None:
        """Forget scans and ground: time was set back, or the vehicle was moved."""
        self.scans.reset()
        if self.places is not None:
            self.places.reset()

    def process(self, tree: TransformTree, now_ns: int, believed: Believed) -> Heard:
        """Look at the scans whose transforms have arrived.

        Args:
            tree: transforms, odometry among them.
            now_ns: the clock that the stamps are of.
            believed: where the vehicle is thought to be.
        """
        heard = Heard(self.scans.process(tree, now_ns))
        self.unseen += sum(motion.registration.unseen > 0 for motion in heard.motions)
        seen, self.scans.seen = self.scans.seen, None
        if self.places is not None and seen is not None and self.places.due(seen.T_odom_base):
            self._look(self.places, seen, believed, heard)
        return heard

    def _look(
        self, places: DemFixStep, seen: SeenGround, believed: Believed, heard: Heard
    ) -> None:
        xyz = seen.xyz_base_m[:: -(-len(seen.xyz_base_m) // _STRIDE_POINTS)]
        T = seen.T_odom_base
        points = xyz @ T[:3, :3].T + T[:3, 3]
        fix = places.on_points(seen.stamp_ns, points, T, believed.T_map_odom, believed.covariance)
        if fix is not None:
            heard.fixes.append(fix)
        lost = places.lost_by_m
        if lost is not None:
            heard.lost_m = float(np.linalg.norm(lost[:2]))
            self.lost += 1
            places.forget_elsewhere()

    def values(self) -> dict[str, object]:
        """Counts for diagnostics."""
        scans = self.scans
        found: dict[str, object] = {"scans_matched": scans.matched, "scans_unseen": self.unseen}
        found["scan_map_restarts"] = scans.odometry.restarts
        found |= {f"scans_{reason}": count for reason, count in scans.dropped.items()}
        if self.places is None:
            return found
        outcomes = self.places.outcomes
        found["dem_fix"] = outcomes["fix"]
        found |= {f"dem_{why}": count for why, count in outcomes.items() if why != "fix"}
        found["dem_torn"], found["dem_lost"] = self.places.torn, self.lost
        found["dem_fix_way_m"] = round(self.places.fix_way_m, 1)
        return found


def tell(step: InertialStep, heard: Heard) -> None:
    """Put what was heard into a filter; ``odom`` stays smooth.

    A fix says where odom lies in ``map``, and holds for the vehicle's place of now as for that at
    the scan: a comparison that took long comes in time all the same. Where comparisons agree that
    the vehicle is elsewhere, its place is doubted by so much, and the next one may be taken.
    """
    for motion in heard.motions:
        step.on_motion(
            motion.from_ns, motion.to_ns, motion.T_from_to, motion.covariance, motion.key
        )
    for fix in heard.fixes:
        stamp_ns, T_odom_base = step.newest()
        place = (fix.T_map_odom @ T_odom_base)[:3, 3]
        step.on_fix(PositionFix(stamp_ns, place, fix.covariance))
    if heard.lost_m > 0.0:
        step.doubt_place(heard.lost_m)
