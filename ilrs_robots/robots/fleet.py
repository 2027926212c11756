"""The vehicles of a site as each of them knows the others: sizes, right of way, meetings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.control.fleet import FleetConfig, FleetMemory, PeerBody, PeerWord
from ilrs_robots.core.control.meeting import Meetings
from ilrs_robots.core.control.navigator import NavigatorConfig
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel, RoverModel
from ilrs_robots.robots.site import SiteConfig

POSES_TOPIC: Final = "/fleet/poses"
"""Where every vehicle of a site tells its pose and velocity."""
POSES_PERIOD_NS: Final = 500_000_000
WAY_TOPIC: Final = "way"
"""In each vehicle's namespace: where it is about to drive."""
WAY_PERIOD_NS: Final = 1_000_000_000
MASK_MARGIN_M: Final = 0.3
"""Beyond another vehicle's circle in which a scan shows that vehicle and not the ground."""


def body_of(model: RobotModel, name: str) -> PeerBody:
    """What others know of a vehicle: people go first, then machines by name, then what hops."""
    length, width = model.footprint.length_m, model.footprint.width_m
    order = 2
    if isinstance(model, RoverModel):
        order = 0 if model.crew is not None else 1
    return PeerBody(0.5 * math.hypot(length, width), 0.5 * width, (order, name))


def bodies_of(site: SiteConfig, robot: str) -> dict[str, PeerBody]:
    """Every vehicle of a site but one, by name."""
    return {p.name: body_of(p.load_model(), p.name) for p in site.robots if p.name != robot}


def memory_of(site: SiteConfig, robot: str, settings: FleetConfig | None = None) -> FleetMemory:
    """What one vehicle of a site will hear of the others."""
    return FleetMemory(bodies_of(site, robot), settings or FleetConfig())


def meetings_of(
    model: RobotModel, robot: str, config: NavigatorConfig, memory: FleetMemory
) -> Meetings:
    """A vehicle's side of its meetings with those that a memory hears of."""
    return Meetings(config, memory, body_of(model, robot), 0.5 * model.footprint.length_m)


def word_of(
    stamp_ns: int, T_map_base: FloatArray, linear_mps: FloatArray, covariance: FloatArray
) -> PeerWord:
    """What a vehicle tells of itself.

    Args:
        stamp_ns: when.
        T_map_base: (4, 4).
        linear_mps: (3,) velocity in base_link.
        covariance: (6, 6) of the pose as in ROS; its x and y count, m2.
    """
    vx, vy = (float(v) for v in (T_map_base[:3, :3] @ linear_mps)[:2])
    spread = float(np.linalg.eigvalsh(covariance[:2, :2])[-1])
    x, y = (float(v) for v in T_map_base[:2, 3])
    return PeerWord(stamp_ns, x, y, vx, vy, math.sqrt(max(spread, 0.0)))


@dataclass
class OwnPlace:
    """``map -> odom`` in the plane, from what a vehicle tells of itself and its odometry.

    A process without the tree of transforms learns it so: the same pose is told in both frames.
    """

    keep: int = 64
    _odom: dict[int, tuple[float, float, float]] | None = None
    _T_map_odom: FloatArray | None = None

    def on_odom(self, stamp_ns: int, x: float, y: float, yaw: float) -> None:
        """Take a pose in odom: m, m, rad."""
        held = {} if self._odom is None else self._odom
        held[stamp_ns] = (x, y, yaw)
        while len(held) > self.keep:
            del held[next(iter(held))]
        self._odom = held

    def on_map(self, stamp_ns: int, x: float, y: float, yaw: float) -> None:
        """Take the pose of the same stamp in map: m, m, rad; one that is unknown says nothing."""
        odom = (self._odom or {}).get(stamp_ns)
        if odom is None:
            return
        self._T_map_odom = _planar(x, y, yaw) @ se3.invert(_planar(*odom))

    def forget(self) -> None:
        """Time went back."""
        self._odom = self._T_map_odom = None

    def discs_in_odom(self, memory: FleetMemory, now_ns: int) -> FloatArray:
        """(N, 3) x, y and radius of the others in odom, metres; none while odom is unknown."""
        if self._T_map_odom is None:
            return np.zeros((0, 3))
        return masks_of(memory, now_ns, self._T_map_odom, 0.0)


def _planar(x: float, y: float, yaw: float) -> FloatArray:
    return se3.from_rpy((x, y, 0.0), (0.0, 0.0, yaw))


def masks_of(
    memory: FleetMemory, now_ns: int, T_map_odom: FloatArray, margin_m: float = MASK_MARGIN_M
) -> FloatArray:
    """Circles in odom that hold the other vehicles; by default all that a scan shows of them.

    Args:
        memory: what the others told.
        now_ns: of the scan.
        T_map_odom: (4, 4).
        margin_m: beyond each circle.

    Returns:
        (N, 3) x, y and radius, metres.
    """
    T_odom_map = se3.invert(T_map_odom)
    rows = [
        (*(T_odom_map @ [d.x_m, d.y_m, 0.0, 1.0])[:2], d.radius_m + margin_m)
        for d in memory.discs(now_ns)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
