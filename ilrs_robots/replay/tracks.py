"""Messages of a bag as arrays: trajectories, transforms, maps, occupancy, diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.grid_map import GridMapArrays, from_grid_map
from ilrs_robots.core.io.occupancy import occupancy_to_cost
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec, IntArray
from ilrs_robots.replay.bag import Bag, BagError, RawMessage, stamp_ns

_TURNED = 1e-6


@dataclass(frozen=True)
class PoseTrack:
    """Poses of ``child_frame_id`` in ``frame_id`` over time, stamps strictly increasing.

    Attributes:
        frame_id: parent frame.
        child_frame_id: moving frame.
        stamps_ns: (N,) int64 header stamps.
        positions_m: (N, 3) metres.
        quats_wxyz: (N, 4).
        linear_mps: (N, 3) in the moving frame; NaN where the message carries no twist.
        angular_rps: (N, 3) in the moving frame; NaN likewise.
        dropped: messages left out because their stamp was not newer than all before.
    """

    frame_id: str
    child_frame_id: str
    stamps_ns: IntArray
    positions_m: FloatArray
    quats_wxyz: FloatArray
    linear_mps: FloatArray
    angular_rps: FloatArray
    dropped: int = 0

    def __len__(self) -> int:
        """Number of poses."""
        return int(self.stamps_ns.size)

    def within(self, query_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which stamps lie inside the track."""
        inside: NDArray[np.bool_] = (query_ns >= self.stamps_ns[0]) & (
            query_ns <= self.stamps_ns[-1]
        )
        return inside

    def at(self, query_ns: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Interpolated (M, 3) positions and (M, 4) attitudes; raises ``ExtrapolationError``."""
        return se3.interpolate_poses(
            self.stamps_ns, self.positions_m, self.quats_wxyz, np.asarray(query_ns, np.int64)
        )

    def at_or_hold(self, query_ns: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """As ``at``, but the first and the last pose hold outside (for slow transforms)."""
        return self.at(np.clip(query_ns, self.stamps_ns[0], self.stamps_ns[-1]))


def read_odometry(bag: Bag, topic: str) -> PoseTrack:
    """Read a ``nav_msgs/Odometry`` topic.

    Raises:
        BagError: the bag has no message of that topic.
    """
    rows: list[tuple[float, ...]] = []
    stamps: list[int] = []
    frames = ("", "")
    for item in bag.messages(topic):
        pose, twist = item.msg.pose.pose, item.msg.twist.twist
        stamps.append(stamp_ns(item.msg.header))
        rows.append(
            (
                *_xyz(pose.position),
                *_wxyz(pose.orientation),
                *_xyz(twist.linear),
                *_xyz(twist.angular),
            )
        )
        frames = (item.msg.header.frame_id, item.msg.child_frame_id)
    if not rows:
        raise BagError(f"no message of {topic} in the bag")
    return _track(frames, stamps, rows)


def read_transforms(
    bag: Bag, topics: tuple[str, ...] = ("/tf", "/tf_static")
) -> dict[tuple[str, str], PoseTrack]:
    """Read every edge of the transform tree: (parent, child) -> poses of child in parent."""
    rows: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    stamps: dict[tuple[str, str], list[int]] = {}
    nan = (np.nan,) * 6
    for item in bag.messages(topics):
        for edge in item.msg.transforms:
            key = (edge.header.frame_id.lstrip("/"), edge.child_frame_id.lstrip("/"))
            pose = edge.transform
            rows.setdefault(key, []).append((*_xyz(pose.translation), *_wxyz(pose.rotation), *nan))
            stamps.setdefault(key, []).append(stamp_ns(edge.header))
    return {key: _track(key, stamps[key], rows[key]) for key in rows}


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _wxyz(quat: Any) -> tuple[float, float, float, float]:
    return quat.w, quat.x, quat.y, quat.z


def _track(frames: tuple[str, str], stamps: list[int], rows: list[tuple[float, ...]]) -> PoseTrack:
    """Sort by stamp and keep the first of equal stamps."""
    times, table = np.array(stamps, dtype=np.int64), np.array(rows, dtype=np.float64)
    unique, first = np.unique(times, return_index=True)
    table = table[first]
    quats = table[:, 3:7] / np.linalg.norm(table[:, 3:7], axis=1, keepdims=True)
    return PoseTrack(
        frame_id=frames[0],
        child_frame_id=frames[1],
        stamps_ns=unique,
        positions_m=table[:, :3],
        quats_wxyz=quats,
        linear_mps=table[:, 7:10],
        angular_rps=table[:, 10:13],
        dropped=times.size - unique.size,
    )


@dataclass(frozen=True)
class GridMapSample:
    """One ``grid_map_msgs/GridMap``.

    Attributes:
        stamp_ns: header stamp.
        frame_id: frame of the map.
        spec: its window; rows along y, columns along x, both rising.
        layers: name -> (rows, cols) float32, NaN unknown.
    """

    stamp_ns: int
    frame_id: str
    spec: GridSpec
    layers: dict[str, Float32Array]


def grid_map_sample(message: Any) -> GridMapSample:
    """Layers of a GridMap in row/column order, circular start indices undone.

    Raises:
        MessageLayoutError: the layout does not fit the map's lengths.
        BagError: the map is turned.
    """
    header = message.header if hasattr(message, "header") else message.info.header
    info = message.info
    if abs(info.pose.orientation.z) > _TURNED:
        raise BagError("GridMap is turned, cannot be read")
    dims = message.data[0].layout.dim if len(message.data) else ()
    content = GridMapArrays(
        resolution=info.resolution,
        length_x=info.length_x,
        length_y=info.length_y,
        position=(info.pose.position.x, info.pose.position.y),
        layers=tuple(message.layers),
        data=tuple(array.data for array in message.data),
        dims=tuple((dim.label, dim.size, dim.stride) for dim in dims),
        outer_start_index=int(message.outer_start_index),
        inner_start_index=int(message.inner_start_index),
    )
    layers, spec = from_grid_map(content)
    return GridMapSample(stamp_ns(header), header.frame_id, spec, layers)


@dataclass(frozen=True)
class OccupancySample:
    """One ``nav_msgs/OccupancyGrid``: ``cost`` (rows, cols) float32 0..1, NaN unknown."""

    stamp_ns: int
    frame_id: str
    spec: GridSpec
    cost: Float32Array


def occupancy_sample(message: Any) -> OccupancySample:
    """Occupancy as an array.

    Raises:
        MessageLayoutError: the values do not fit the size.
        BagError: the map is turned.
    """
    info, origin = message.info, message.info.origin
    if abs(origin.orientation.z) > _TURNED:
        raise BagError("OccupancyGrid is turned, cannot be read")
    cost, spec = occupancy_to_cost(
        message.data,
        int(info.height),
        int(info.width),
        float(info.resolution),
        (origin.position.x, origin.position.y),
    )
    return OccupancySample(stamp_ns(message.header), message.header.frame_id, spec, cost)


def read_path(bag: Bag, topic: str) -> list[tuple[int, str, FloatArray]]:
    """Every ``nav_msgs/Path``: (stamp_ns, frame_id, (N, 2) xy_m)."""
    found = []
    for item in bag.messages(topic):
        xy = np.array([_xyz(p.pose.position)[:2] for p in item.msg.poses], dtype=np.float64)
        header = item.msg.header
        found.append((stamp_ns(header), header.frame_id, xy.reshape(-1, 2)))
    return found


def sample_evenly(
    bag: Bag, topic: str, count: int, wanted: Callable[[RawMessage], bool] | None = None
) -> Iterator[Any]:
    """Decode up to ``count`` messages of a topic, evenly spread, the last among them.

    Only the chosen messages are decoded and one at a time is held.
    """
    total = sum(1 for raw in bag.raw(topic) if wanted is None or wanted(raw))
    if total == 0:
        return
    chosen = set(np.unique(np.linspace(total - 1, 0, min(count, total)).round().astype(int)))
    index = -1
    for raw in bag.raw(topic):
        if wanted is not None and not wanted(raw):
            continue
        index += 1
        if index in chosen:
            yield bag.decode(raw).msg


@dataclass
class DiagnosticSeries:
    """What one diagnostic status said over time.

    Attributes:
        stamps_ns: (N) header stamps.
        levels: worst first is 3 (stale), 2 error, 1 warning, 0 fine.
        messages: sentences.
        values: key -> list of (stamp_ns, text).
    """

    stamps_ns: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    values: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def numbers(self, key: str) -> FloatArray:
        """(N,) finite numbers of a key; what is not a number is passed over."""
        found = []
        for _, text in self.values.get(key, []):
            try:
                found.append(float(text))
            except ValueError:
                continue
        numbers = np.array(found, dtype=np.float64)
        return numbers[np.isfinite(numbers)]


def read_diagnostics(bag: Bag, topic: str = "/diagnostics") -> dict[str, DiagnosticSeries]:
    """Diagnostics by status name."""
    series: dict[str, DiagnosticSeries] = {}
    for item in bag.messages(topic):
        stamp = stamp_ns(item.msg.header)
        for status in item.msg.status:
            one = series.setdefault(status.name, DiagnosticSeries())
            one.stamps_ns.append(stamp)
            one.levels.append(_level(status.level))
            one.messages.append(status.message)
            for pair in status.values:
                one.values.setdefault(pair.key, []).append((stamp, pair.value))
    return series


def _level(level: Any) -> int:
    return level[0] if isinstance(level, bytes) else int(level)
