"""The terrain map over real DDS: kept and brought back, sent to whoever listens only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grid_map_msgs.msg import GridMap
from grid_map_msgs.srv import ProcessFile
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Empty
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener

LIDAR = "long_range/lidar_link"
HEIGHT_M = 1.5
S = 1_000_000_000
ROCK_XY = (3.0, 1.0)


def terrain(stamp_ns: int, seed: int) -> Cloud:
    """Level ground with one rock half a metre high."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-6.0, 6.0, (40_000, 2))
    xy = xy[np.hypot(*xy.T) > 1.8]
    rock = np.hypot(*(xy - ROCK_XY).T) < 0.35
    z = np.where(rock, 0.5, 0.0) - HEIGHT_M
    return Cloud(stamp_ns, LIDAR, np.column_stack((xy, z)).astype(np.float32))


class Rig:
    """The node, and a peer that feeds and questions it."""

    def __init__(self, graph: Any, maps_dir: Path, **settings: Any) -> None:
        self.graph = graph
        host = graph.add(Node("host"))
        self.mapper = graph.add(TerrainMappingNode(TransformListener(host)))
        for name, value in {"maps_dir": str(maps_dir), **settings}.items():
            self.mapper.declare_parameter(name, value)
        bring_up(self.mapper)
        self.node = graph.add(Node("peer"))
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.points = self.node.create_publisher(PointCloud2, "lidar/points", qos.SENSOR)
        self.seed = 0
        graph.until(
            lambda: self.points.get_subscription_count() and self.tf.get_subscription_count(),
            "discovery",
        )

    @property
    def step(self) -> Any:
        return self.mapper._step

    def scan(self, map_odom: tuple[float, float, float] = (5.0, 6.0, 7.0)) -> None:
        """Send scans until one is in the map."""
        fused = self.step.tally("lidar/points").fused
        turns = 0

        def came() -> bool:
            nonlocal turns
            if turns % 25 == 0:
                stamp = int(self.node.get_clock().now().nanoseconds)
                still = np.array([1.0, 0.0, 0.0, 0.0])
                self.tf.publish(TFMessage(transforms=[
                    convert.transform_message(parent, child, stamp, np.array(at), still)
                    for parent, child, at in (
                        ("map", "long_range/odom", map_odom),
                        ("long_range/odom", "long_range/base_link", (0.0, 0.0, 0.0)),
                        ("long_range/base_link", LIDAR, (0.0, 0.0, HEIGHT_M)),
                    )
                ]))  # fmt: skip
                self.seed += 1
                self.points.publish(convert.cloud_message(terrain(stamp, self.seed)))
            turns += 1
            return bool(self.step.tally("lidar/points").fused > fused)

        self.graph.until(came, "a scan in the map")

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(kind, name)
        self.graph.until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.graph.until(future.done, f"an answer of {name}")
        return future.result()

    def file(self, verb: str, path: str, topic: str = "") -> bool:
        request = ProcessFile.Request(file_path=path, topic_name=topic)
        return bool(self.call(ProcessFile, f"terrain/{verb}", request).success)

    def listen(self, kind: Any, topic: str) -> list[Any]:
        heard: list[Any] = []
        self.node.create_subscription(kind, topic, heard.append, qos.MAP)
        return heard


def test_a_map_is_saved_cleared_and_comes_back_where_it_was(graph: Any, tmp_path: Path) -> None:
    rig = Rig(graph, tmp_path)
    rig.scan()
    before = {k: v.tobytes() for k, v in rig.step.map.to_arrays().items()}
    assert rig.file("save", "site.npz")
    rig.call(Empty, "terrain/clear", Empty.Request())
    assert np.isnan(rig.step.map.layer("elevation")).all()
    for wrong in ("../site.npz", "none.npz", "", "site.tif"):
        assert not rig.file("load", wrong)
    assert rig.step.why_empty()
    assert rig.file("load", "site.npz")
    assert {k: v.tobytes() for k, v in rig.step.map.to_arrays().items()} == before
    # odom begins elsewhere: the map goes with it, the rock stays where it is in map
    rig.call(Empty, "terrain/clear", Empty.Request())
    rig.scan(map_odom=(2.0, 7.0, 6.0))
    assert rig.file("load", "site.npz")
    height, spec = rig.step.map.layer("upper_bound"), rig.step.map.spec
    row, col = spec.cell_of(np.array([ROCK_XY[0] + 3.0, ROCK_XY[1] - 1.0]))
    assert height[row, col] == pytest.approx(0.5 + 1.0, abs=0.03)


def test_layers_of_a_topic_are_exported_as_named_bands(graph: Any, tmp_path: Path) -> None:
    import rasterio

    rig = Rig(graph, tmp_path, maps="hazards: cost, reason @ 0.2")
    rig.scan()
    assert rig.file("save", "a.tif")
    assert rig.file("save", "b.tif", "hazards")
    assert not rig.file("save", "c.tif", "nothing")
    assert not rig.file("save", "no_such_folder/d.tif")
    with rasterio.open(tmp_path / "b.tif") as data:
        assert data.descriptions == ("cost", "reason")
        row, col = data.index(ROCK_XY[0] + 5.0, ROCK_XY[1] + 6.0)
        assert data.read(1)[row - 4 : row + 5, col - 4 : col + 5].max() == 1.0
    with rasterio.open(tmp_path / "a.tif") as data:
        assert data.descriptions[0] == "elevation"
        row, col = data.index(5.0 - 3.0, 6.0 - 3.0)
        assert data.read(1)[row, col] == pytest.approx(7.0, abs=0.02)


def test_what_nobody_listens_to_is_not_computed_and_each_topic_has_its_layers(
    graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(graph, tmp_path, maps="hazards: cost, reason @ 0.0", map_period_s=0.0)
    judged: list[int] = []
    truth = rig.step.traversability
    monkeypatch.setattr(rig.step, "traversability", lambda: judged.append(1) or truth())
    rig.scan()
    assert judged == []
    maps = rig.listen(GridMap, "elevation_map")
    hazards = rig.listen(GridMap, "hazards")
    # the map that is there comes to who begins to listen, without another scan
    graph.until(lambda: maps and hazards, "maps of the scan that was")
    assert judged
    assert list(hazards[-1].layers) == ["cost", "reason"]
    assert "elevation" in maps[-1].layers
    assert list(maps[-1].basic_layers) == ["elevation"]
    layers, spec = convert.grid_map_layers(maps[-1])
    for name, values in layers.items():
        expected = rig.mapper._output._view.layers((name,), None)[0][name]
        np.testing.assert_array_equal(values, expected)
    assert spec.origin_x_m == pytest.approx(rig.step.map.spec.origin_x_m)


def test_the_eye_is_told_why_a_cell_is_closed(graph: Any, tmp_path: Path) -> None:
    rig = Rig(graph, tmp_path)
    shown = rig.listen(MarkerArray, "markers")
    rig.scan()
    graph.until(lambda: shown, "markers")
    markers = shown[-1].markers
    assert markers[0].action == Marker.DELETEALL
    cubes = [m for m in markers if m.type == Marker.CUBE_LIST]
    texts = [m.text for m in markers if m.type == Marker.TEXT_VIEW_FACING]
    assert any(text.startswith(("obstacle", "step")) for text in texts)
    points = np.array([(p.x, p.y, p.z) for m in cubes for p in m.points])
    assert np.hypot(*(points[:, :2] - ROCK_XY).T).max() < 1.2
    assert points[:, 2].max() == pytest.approx(0.5, abs=0.03)
    assert {m.header.frame_id for m in markers} == {"long_range/odom"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("map.size_cells", 1_000_000, "1000000"),
        ("layers", "gold", "no layer 'gold'"),
        ("maps", "hazards cost", "must be 'topic: layer, layer @ seconds'"),
    ],
)
def test_what_cannot_be_is_refused_at_configure_and_the_node_stays_inactive(
    graph: Any, name: str, value: Any, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = graph.add(Node("host"))
    mapper = TerrainMappingNode(TransformListener(host))
    graph.add(mapper)
    mapper._parameter_overrides[name] = Parameter(name, value=value)
    assert mapper.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert not mapper.active
    assert said in capfd.readouterr().err
