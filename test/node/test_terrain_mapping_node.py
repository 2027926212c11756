"""The mapping node over real DDS: what good scans give and what bad ones cost."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener

LIDAR = "long_range/lidar_link"
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
HEIGHT_M = 1.5


def flat_cloud(stamp_ns: int, frame: str = LIDAR) -> Cloud:
    side = np.linspace(-6.0, 6.0, 240)
    x, y = (axis.ravel() for axis in np.meshgrid(side, side))
    keep = np.hypot(x, y) > 1.0
    xyz = np.stack((x, y, np.full_like(x, -HEIGHT_M)), axis=1)[keep].astype(np.float32)
    return Cloud(stamp_ns, frame, xyz)


class Peer:
    """Publishes transforms and scans, holds what the node says."""

    def __init__(self, graph: Any) -> None:
        self.node = graph.add(Node("peer"))
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.points = self.node.create_publisher(PointCloud2, "lidar/points", qos.SENSOR)
        self.costs: list[OccupancyGrid] = []
        self.health: dict[str, str] = {}
        self.message = ""
        self.node.create_subscription(OccupancyGrid, "traversability", self.costs.append, qos.MAP)
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.STATE
        )

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name.endswith("terrain_mapping"):
                self.message = status.message
                self.health = {item.key: item.value for item in status.values}

    def send_pose(self, stamp_ns: int) -> None:
        lift = np.array([0.0, 0.0, HEIGHT_M])
        self.tf.publish(
            TFMessage(
                transforms=[
                    convert.transform_message(
                        "map", "long_range/odom", stamp_ns, np.zeros(3), IDENTITY
                    ),
                    convert.transform_message(
                        "long_range/odom", "long_range/base_link", stamp_ns, np.zeros(3), IDENTITY
                    ),
                    convert.transform_message(
                        "long_range/base_link", LIDAR, stamp_ns, lift, IDENTITY
                    ),
                ]
            )
        )

    def now_ns(self) -> int:
        return int(self.node.get_clock().now().nanoseconds)

    def send(self, msg: PointCloud2) -> None:
        self.points.publish(msg)


@pytest.fixture
def peer(graph: Any) -> Peer:
    host = graph.add(Node("host"))
    node = graph.add(TerrainMappingNode(TransformListener(host)))
    bring_up(node)
    made = Peer(graph)
    graph.until(
        lambda: made.points.get_subscription_count() and made.tf.get_subscription_count(),
        "discovery",
    )
    return made


def drive_one_scan(graph: Any, peer: Peer) -> OccupancyGrid:
    """Send scans until one came back as a map (best-effort scans may be lost)."""
    before = len(peer.costs)
    attempt = 0

    def came_back() -> bool:
        nonlocal attempt
        if attempt % 25 == 0:
            stamp_ns = peer.now_ns()
            peer.send_pose(stamp_ns)
            peer.send(convert.cloud_message(flat_cloud(stamp_ns)))
        attempt += 1
        return len(peer.costs) > before

    graph.until(came_back, "a traversability grid")
    return peer.costs[-1]


def test_flat_ground_is_seen_free_and_the_rest_stays_unknown(graph: Any, peer: Peer) -> None:
    msg = drive_one_scan(graph, peer)
    cost, spec = convert.occupancy_cost(msg)
    row, col = spec.cell_of(np.array([[3.0, 2.0], [-4.0, 1.0], [15.0, 15.0]]))
    seen = cost[row, col]
    assert seen[0] < 0.1
    assert seen[1] < 0.1
    assert np.isnan(seen[2])
    assert msg.header.frame_id == "long_range/odom"


def bad_cloud(kind: str, stamp_ns: int) -> PointCloud2:
    good = convert.cloud_message(flat_cloud(stamp_ns))
    if kind == "empty":
        good.width, good.row_step, good.data = 0, 0, array("B")
    elif kind == "all_nan":
        cloud = flat_cloud(stamp_ns)
        cloud.xyz_m[:] = np.nan
        good = convert.cloud_message(cloud)
    elif kind == "truncated":
        good.data = good.data[: len(good.data) // 2]
    elif kind == "missing_transform":
        good.header.frame_id = "no_such_frame"
    return good


@pytest.mark.parametrize("kind", ["empty", "all_nan", "truncated", "missing_transform"])
def test_a_bad_cloud_is_counted_by_reason_and_the_map_lives_on(
    graph: Any, peer: Peer, kind: str
) -> None:
    before = convert.occupancy_cost(drive_one_scan(graph, peer))[0]
    turns = 0

    def counted() -> bool:
        nonlocal turns
        if turns % 25 == 0:
            peer.send(bad_cloud(kind, peer.now_ns()))
        turns += 1
        return any(key.startswith("dropped_") for key in peer.health)

    graph.until(counted, f"the count of {kind} clouds")
    assert [k for k in peer.health if k.startswith("dropped_")] == [f"dropped_{kind}"]
    after = convert.occupancy_cost(drive_one_scan(graph, peer))[0]
    known = ~np.isnan(before)
    assert np.all(~np.isnan(after[known]))


def test_an_empty_map_says_why(graph: Any, peer: Peer) -> None:
    graph.until(lambda: peer.message, "diagnostics")
    assert "the map is empty" in peer.message
    assert "no scan has come" in peer.message
