"""What the vehicles of a site tell one another: where each is, and where it is about to drive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import cv2
import numpy as np
from nav_msgs.msg import Odometry, Path

from ilrs_robots.core.clock import ClockWatch
from ilrs_robots.core.control.fleet import FleetMemory, PeerWord
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray, OdometryEstimate
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.robots.fleet import (
    POSES_PERIOD_NS,
    POSES_TOPIC,
    WAY_PERIOD_NS,
    WAY_TOPIC,
    OwnPlace,
    word_of,
)
from ilrs_robots.robots.frames import MAP_FRAME, base_frame

_NEVER_NS: Final = -(10**18)
_JITTER_NS: Final = 1_000_000
_KEEP_PERIOD_NS: Final = 5_000_000_000
_KEEP_MOVED_M: Final = 0.5
_ABOVE_M: Final = 30.0
"""A vehicle that is so much higher or lower flies, or is too far away to matter."""
_BEND_M: Final = 0.1
"""A way is told by the corners of a line that is nowhere farther from it than this."""


class FleetVoice:
    """Tells a vehicle's pose and velocity in ``map`` to the others, a few times a second."""

    def __init__(self, node: ManagedNode) -> None:
        self._child = base_frame(node.robot)
        self._poses = node.publisher(Odometry, POSES_TOPIC, qos.STATE)
        self._told_ns = _NEVER_NS

    def due(self, stamp_ns: int) -> bool:
        """Whether it is time for a word."""
        return not 0 <= stamp_ns - self._told_ns < POSES_PERIOD_NS - _JITTER_NS

    def tell(self, estimate: OdometryEstimate) -> None:
        """Tell a pose that is given in ``map``."""
        self._told_ns = estimate.stamp_ns
        self._poses.publish(convert.odometry_message(estimate, MAP_FRAME, self._child))


class WayVoice:
    """Tells where a vehicle is about to drive; an empty way once it wants nowhere."""

    def __init__(self, node: ManagedNode) -> None:
        self._way = node.publisher(Path, WAY_TOPIC, qos.STATE)
        self._told_ns, self._empty = _NEVER_NS, True

    def tell(self, now_ns: int, way_m: FloatArray, z_m: float) -> None:
        """Tell a way of (N, 2) metres in ``map``, not more often than is due."""
        empty = not len(way_m)
        if empty and self._empty:
            return
        if empty == self._empty and 0 <= now_ns - self._told_ns < WAY_PERIOD_NS - _JITTER_NS:
            return
        self._told_ns, self._empty = now_ns, empty
        corners = way_m
        if len(way_m) > 2:
            line = way_m.astype(np.float32).reshape(-1, 1, 2)
            corners = cv2.approxPolyDP(line, _BEND_M, False).reshape(-1, 2).astype(np.float64)
        self._way.publish(convert.path_message(corners, z_m, MAP_FRAME, now_ns))


class FleetEars:
    """Hears the others for a node.

    Args:
        node: that subscribes.
        memory: what is heard goes there.
        ways: names of the vehicles whose ways matter as well.
        keep: whether what was heard outlives the process.

    Attributes:
        memory: of what was heard.
        own: ``map -> odom``, for a node that gives it its odometry by ``own.on_odom``.
    """

    def __init__(
        self, node: ManagedNode, memory: FleetMemory, ways: tuple[str, ...] = (),
        *, keep: bool = False,
    ) -> None:  # fmt: skip
        self._node, self.memory, self.own = node, memory, OwnPlace()
        self._watch = ClockWatch(bool(node.get_parameter("use_sim_time").value))
        self._kept = KeptState.of(node, f"{node.robot}.fleet")
        self._keeps, self._kept_ns = keep, _NEVER_NS
        self._saved: dict[str, PeerWord] = {}
        self._z_m = float("nan")
        self._take_up()
        node.subscribe(Odometry, POSES_TOPIC, self._on_pose, qos.STATE)
        for name in ways:
            node.subscribe(Path, f"/{name}/{WAY_TOPIC}", self._on_way(name), qos.STATE)

    def _take_up(self) -> None:
        """Where the others were when the last life of the process ended: some may be silent."""
        for name, told in (self._kept.load() or {}).items():
            try:
                word = PeerWord(**told)
                self.memory.hear(name, word, word.stamp_ns)
            except TypeError as error:
                self._node.get_logger().error(f"a kept place is damaged and not used: {error}")

    def _on_pose(self, msg: Odometry) -> None:
        now_ns = self._node.now_ns()
        if self._watch.went_back_ns(now_ns):
            self.memory.forget()
            self.own.forget()
        name, stamp_ns = msg.child_frame_id.partition("/")[0], convert.to_ns(msg.header.stamp)
        estimate = convert.odometry_estimate(msg)
        T_map_base = se3.make_transform(estimate.position_m, estimate.quat_wxyz)
        if msg.header.frame_id != MAP_FRAME:
            self.memory.refused["other_frame"] += 1
        elif name == self._node.robot:
            x, y, self._z_m = (float(v) for v in T_map_base[:3, 3])
            self.own.on_map(stamp_ns, x, y, se3.yaw_of(estimate.quat_wxyz))
        elif abs(float(T_map_base[2, 3]) - self._z_m) > _ABOVE_M:
            self.memory.leave(name)
        else:
            covariance = np.array(msg.pose.covariance, dtype=np.float64).reshape(6, 6)
            word = word_of(stamp_ns, T_map_base, estimate.linear_mps, covariance)
            if self.memory.hear(name, word, now_ns) and self._keeps:
                self._keep(now_ns)

    def _keep(self, now_ns: int) -> None:
        if 0 <= now_ns - self._kept_ns < _KEEP_PERIOD_NS:
            return
        self._kept_ns, words = now_ns, self.memory.words

        def moved(name: str, word: PeerWord) -> bool:
            old = self._saved.get(name)
            away = (0.0, 0.0) if old is None else (word.x_m - old.x_m, word.y_m - old.y_m)
            return old is None or float(np.hypot(*away)) > _KEEP_MOVED_M

        if any(moved(name, word) for name, word in words.items()):
            self._saved = words
            self._kept.save({name: asdict(word) for name, word in words.items()})

    def _on_way(self, name: str) -> Any:
        def receive(msg: Path) -> None:
            if msg.header.frame_id != MAP_FRAME:
                self.memory.refused["plan_other_frame"] += 1
                return
            points = [(p.pose.position.x, p.pose.position.y) for p in msg.poses]
            stamp_ns = convert.to_ns(msg.header.stamp)
            plan_m = np.array(points).reshape(-1, 2)
            self.memory.hear_plan(name, stamp_ns, plan_m, self._node.now_ns())

        return receive

    def values(self) -> dict[str, object]:
        """For diagnostics: how many are heard, who is silent, what was refused."""
        discs = self.memory.discs(self._node.now_ns())
        if not discs and not self.memory.refused:
            return {}
        silent = [d.name for d in discs if d.silent_s > self.memory.config.silent_s]
        found: dict[str, object] = {"fleet": len(discs), "fleet_silent": ",".join(silent)}
        return found | {f"fleet_{why}": n for why, n in self.memory.refused.items()}
