"""The mapping node over real DDS: what good scans give and what bad ones cost."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener

LIDAR = "long_range/lidar_link"
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
HEIGHT_M = 1.5
S = 1_000_000_000


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

    def send_pose(self, stamp_ns: int, base: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        lift = np.array([0.0, 0.0, HEIGHT_M])
        self.tf.publish(
            TFMessage(
                transforms=[
                    convert.transform_message(
                        "map", "long_range/odom", stamp_ns, np.zeros(3), IDENTITY
                    ),
                    convert.transform_message(
                        "long_range/odom",
                        "long_range/base_link",
                        stamp_ns,
                        np.array(base),
                        IDENTITY,
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


def mapper(graph: Any, **settings: Any) -> Peer:
    """The node with some parameters, and its peer."""
    host = graph.add(Node("host"))
    node = graph.add(TerrainMappingNode(TransformListener(host)))
    for name, value in settings.items():
        node.declare_parameter(name, value)
    bring_up(node)
    made = Peer(graph)
    graph.until(
        lambda: made.points.get_subscription_count() and made.tf.get_subscription_count(),
        "discovery",
    )
    return made


@pytest.fixture
def peer(graph: Any) -> Peer:
    return mapper(graph)


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
        good.width, good.row_step = 10**8, 12 * 10**8  # so many points are claimed
    elif kind == "point_step":
        good.point_step = 11
    elif kind == "row_step":
        good.height, good.row_step = 2, 12
    elif kind == "missing_xyz":
        good.fields = good.fields[:2]
    elif kind == "datatype":
        good.fields[0].datatype = 99
    elif kind == "duplicate_field":
        good.fields[1].name = "x"
    elif kind == "missing_transform":
        good.header.frame_id = "no_such_frame"
    elif kind == "from_the_future":
        good.header.stamp = convert.to_stamp(stamp_ns + 60 * S)
    elif kind == "own_body":
        body = np.tile(np.array([0.0, 0.0, -0.9], np.float32), (50, 1))
        good = convert.cloud_message(Cloud(stamp_ns, LIDAR, body))
    return good


BAD = (
    "empty", "all_nan", "truncated", "point_step", "row_step", "missing_xyz", "datatype",
    "duplicate_field", "missing_transform", "from_the_future", "own_body",
)  # fmt: skip


def test_bad_clouds_are_counted_by_reason_and_the_map_lives_on(graph: Any, peer: Peer) -> None:
    before = convert.occupancy_cost(drive_one_scan(graph, peer))[0]
    turns = 0

    def counted() -> bool:
        nonlocal turns
        if turns % 50 == 0:
            for kind in BAD:
                if f"dropped_{kind}" not in peer.health:
                    stamp_ns = peer.now_ns()
                    peer.send_pose(stamp_ns)
                    peer.send(bad_cloud(kind, stamp_ns))
                    graph.spin(3)
        turns += 1
        return all(f"dropped_{kind}" in peer.health for kind in BAD)

    graph.until(counted, "the counts of bad clouds")
    dropped = {key for key in peer.health if key.startswith("dropped_")}
    assert dropped == {f"dropped_{kind}" for kind in BAD}
    after = convert.occupancy_cost(drive_one_scan(graph, peer))[0]
    known = ~np.isnan(before)
    assert np.all(~np.isnan(after[known]))


def strange_cloud(stamp_ns: int, order: str, kind: str, padding: int) -> PointCloud2:
    """Organised, x y z in another order between other columns, rows padded."""
    xyz = flat_cloud(stamp_ns).xyz_m[:48_000]
    height, width, step = 160, 300, 41 if kind == "f8" else 29
    size = np.dtype(kind).itemsize
    where = {"z": 3, "x": 3 + size + 2, "y": 3 + 3 * size}
    dtype = np.dtype(
        {
            "names": list(where),
            "formats": [order + kind] * 3,
            "offsets": list(where.values()),
            "itemsize": step,
        }
    )
    row_step = width * step + padding
    data = bytearray(height * row_step)
    view = np.ndarray((height, width), dtype, data, strides=(row_step, step))
    for k, axis in enumerate("xyz"):
        view[axis] = xyz[:, k].reshape(height, width)
    msg = PointCloud2(height=height, width=width, point_step=step, row_step=row_step)
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(stamp_ns), LIDAR
    msg.is_bigendian = order == ">"
    code = {"f4": 7, "f8": 8}[kind]
    msg.fields = [PointField(name=n, offset=o, datatype=code, count=1) for n, o in where.items()]
    msg.data = array("B", data)
    return msg


def test_big_endian_padded_unaligned_and_double_clouds_are_mapped(graph: Any, peer: Peer) -> None:
    for layout in (("<", "f4", 13), (">", "f4", 0), (">", "f8", 7), ("<", "f8", 1)):
        seen = len(peer.costs)

        def send(layout: tuple[str, str, int] = layout) -> None:
            stamp_ns = peer.now_ns()
            peer.send_pose(stamp_ns)
            peer.send(strange_cloud(stamp_ns, *layout))

        repeat_until(graph, send, lambda seen=seen: len(peer.costs) > seen, f"map of {layout}")
        cost, spec = convert.occupancy_cost(peer.costs[-1])
        row, col = spec.cell_of(np.array([[3.0, 2.0], [-4.0, 1.0]]))
        assert np.all(cost[row, col] < 0.1)
    assert not [key for key in peer.health if key.startswith("dropped_")]


def repeat_until(graph: Any, send: Any, condition: Any, what: str) -> None:
    """Send again and again (best-effort scans may be lost) until the condition holds."""
    turns = 0

    def held() -> bool:
        nonlocal turns
        if turns % 40 == 0:
            send()
        turns += 1
        return bool(condition())

    graph.until(held, what)


# name, datatype, numpy's, unit, absolute, header stamp at the scan's end
MAKERS = {
    "ouster": ("t", 6, "<u4", 1.0, False, False),
    "velodyne": ("time", 7, "<f4", 1e-9, False, True),
    "hesai": ("timestamp", 8, "<f8", 1e-9, True, False),
    "livox": ("timestamp", 8, "<f8", 1.0, True, False),
}


def turning(stamps_ns: np.ndarray, start_ns: int) -> tuple[np.ndarray, np.ndarray]:
    t = (np.asarray(stamps_ns) - start_ns) * 1e-9
    position = np.stack((2.0 * t, 0.0 * t, 0.0 * t), axis=1)
    return position, np.array([se3.quat_from_rpy(0.0, 0.0, 1.5 * s) for s in t])


def terraces(x_m: np.ndarray) -> np.ndarray:
    return np.where(np.floor(x_m) % 2 == 0, 0.2, 0.0)


def makers_cloud(maker: str, quarter: int, start_ns: int) -> PointCloud2:
    """A quarter of the terraces, seen while turning; each point in the frame of its own time."""
    name, code, kind, unit, absolute, at_end = MAKERS[maker]
    span_ns, count = 100_000_000, 12_000
    stamps = np.linspace(start_ns, start_ns + span_ns, count).astype(np.int64)
    rng = np.random.default_rng(quarter)
    xy = rng.uniform((2.0, 2.5 * quarter - 5.0), (8.0, 2.5 * quarter - 2.5), (count, 2))
    position, quat = turning(stamps, start_ns)
    ground = np.column_stack((xy, terraces(xy[:, 0])))
    seen = se3.quat_rotate(se3.quat_conjugate(quat), ground - position)
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), (name, kind)])
    points = np.zeros(count, dtype)
    for k, axis in enumerate("xyz"):
        points[axis] = seen[:, k] - (HEIGHT_M if axis == "z" else 0.0)
    header_ns = start_ns + (span_ns if at_end else 0)
    points[name] = (stamps if absolute else stamps - header_ns) * unit
    msg = convert.cloud_message(
        Cloud(header_ns, f"{maker}_link", np.zeros((count, 3), np.float32))
    )
    msg.fields.append(PointField(name=name, offset=12, datatype=code, count=1))
    msg.point_step, msg.row_step = dtype.itemsize, dtype.itemsize * count
    msg.data = array("B", points.tobytes())
    return msg


def send_turning(peer: Peer, start_ns: int) -> None:
    stamps = start_ns + np.arange(0, 220_000_001, 20_000_000)
    lift = np.array([0.0, 0.0, HEIGHT_M])
    for stamp_ns, position, quat in zip(stamps, *turning(stamps, start_ns), strict=True):
        moved = [("long_range/odom", "long_range/base_link", position, quat)]
        moved += [("long_range/base_link", f"{maker}_link", lift, IDENTITY) for maker in MAKERS]
        messages = [
            convert.transform_message(parent, child, int(stamp_ns), at, turn)
            for parent, child, at, turn in moved
        ]
        peer.tf.publish(TFMessage(transforms=messages))


def test_four_makers_at_once_give_one_sharp_map_and_each_is_counted(graph: Any) -> None:
    peer = mapper(graph, cloud_topics=", ".join(["lidar/points", *MAKERS]), map_period_s=0.05)
    out = {m: peer.node.create_publisher(PointCloud2, m, qos.SENSOR) for m in MAKERS}
    maps: list[GridMap] = []
    peer.node.create_subscription(GridMap, "elevation_map", maps.append, qos.MAP)
    graph.until(lambda: all(p.get_subscription_count() for p in out.values()), "discovery")

    def send() -> None:
        start_ns = peer.now_ns() - 300_000_000
        send_turning(peer, start_ns)
        for quarter, maker in enumerate(MAKERS):
            out[maker].publish(makers_cloud(maker, quarter, start_ns))

    def all_fused() -> bool:
        return all(peer.health.get(f"{maker}.scans", "0") != "0" for maker in MAKERS)

    repeat_until(graph, send, lambda: all_fused() and maps, "scans of all in the map")
    assert peer.health["lidar/points.scans"] == "0"
    assert "lidar/points" not in peer.message
    layers, spec = convert.grid_map_layers(maps[-1])
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    known = np.isfinite(layers["elevation"]) & (np.abs(x - np.rint(x)) > 0.11)
    error = np.abs(layers["elevation"] - terraces(x))[known]
    for quarter in range(4):
        assert np.sum((y[known] > 2.5 * quarter - 5.0) & (y[known] < 2.5 * quarter - 2.5)) > 500
    assert np.mean(error > 0.03) < 0.01


def test_real_scans_of_22_bytes_a_point_are_mapped_as_they_are(
    graph: Any, peer: Peer, shared_data: Path
) -> None:
    scan = np.load(shared_data / "lidar" / "os1_128_scan0.npy")
    codes = {"<f4": 7, "<u4": 6, "<u2": 4}
    msg = PointCloud2(height=1, width=scan.size, point_step=22, row_step=22 * scan.size)
    msg.fields = [
        PointField(name=name, offset=offset, datatype=codes[kind.str], count=1)
        for name, (kind, offset) in scan.dtype.fields.items()
    ]
    msg.header.frame_id, msg.data = LIDAR, array("B", scan.tobytes())

    def send() -> None:
        stamp_ns = peer.now_ns() - 200_000_000
        msg.header.stamp = convert.to_stamp(stamp_ns)
        for k in range(3):
            peer.send_pose(stamp_ns + k * 50_000_000)
        peer.send(msg)

    repeat_until(graph, send, lambda: peer.costs, "a map of the real scan")
    cost, spec = convert.occupancy_cost(peer.costs[-1])
    xy = np.column_stack((scan["x"], scan["y"])).astype(np.float64)
    inside = spec.contains(xy) & (np.hypot(*xy.T) > 3.0)
    row, col = spec.cell_of(xy[inside])
    hit = np.zeros(spec.shape, dtype=bool)
    hit[row, col] = True
    assert hit.sum() > 2000
    assert np.isfinite(cost).sum() > 0.5 * hit.sum()
    assert not [key for key in peer.health if key.startswith("dropped_")]


def test_an_empty_map_says_why(graph: Any, peer: Peer) -> None:
    graph.until(lambda: peer.message, "diagnostics")
    assert "the map is empty" in peer.message
    assert "no scan has come" in peer.message


def test_a_sensor_that_repeats_one_scan_and_a_pose_that_jumps_are_named(graph: Any) -> None:
    peer = mapper(graph, **{"mapping.frozen_after": 2, "mapping.jump_speed_mps": 0.0})

    def same() -> None:
        stamp_ns = peer.now_ns()
        peer.send_pose(stamp_ns)
        peer.send(convert.cloud_message(flat_cloud(stamp_ns)))

    repeat_until(graph, same, lambda: "repeats one scan" in peer.message, "a stuck sensor's name")
    assert "lidar/points" in peer.message
    assert int(peer.health["dropped_frozen"]) >= 1
    node = next(n for n in graph.nodes if n.get_name() == "terrain_mapping")
    before = node._step.map.to_arrays()

    def jumped() -> None:
        stamp_ns = peer.now_ns()
        peer.send_pose(stamp_ns, (0.0, 20.0, 0.0))
        cloud = flat_cloud(stamp_ns)
        cloud.xyz_m[:, 2] += np.float32(1e-3 * len(peer.costs) + 1e-6 * (stamp_ns % 997))
        peer.send(convert.cloud_message(cloud))

    repeat_until(graph, jumped, lambda: "dropped_pose_jump" in peer.health, "a jump's count")
    after = node._step.map.to_arrays()
    assert all(after[name].tobytes() == before[name].tobytes() for name in before)
