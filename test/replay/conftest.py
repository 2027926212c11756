"""Bags of analytic drives, written as a recorder writes them, with errors put in on purpose."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy.spatial.transform import Rotation

ROBOT = "rover"
UNDERLAY = Path(__file__).parents[2] / "underlay"
FEEDBACK = "nav2_msgs/action/NavigateToPose_Feedback"
FEEDBACK_TEXT = (
    (UNDERLAY / "nav2_msgs/action/NavigateToPose.action").read_text().split("---")[2].strip()
)
WRAPPER_TEXT = "unique_identifier_msgs/UUID goal_id\nNavigateToPose_Feedback feedback\n"


def jazzy():
    """A type store with what the standard one lacks."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in ("GridMapInfo", "GridMap"):
        text = (UNDERLAY / f"grid_map_msgs/msg/{name}.msg").read_text()
        store.register(get_types_from_msg(text, f"grid_map_msgs/msg/{name}"))
    store.register(get_types_from_msg(FEEDBACK_TEXT, FEEDBACK))
    store.register(get_types_from_msg(WRAPPER_TEXT, f"{FEEDBACK}Message"))
    return store


@dataclass
class Drive:
    """A straight drive in ``map`` over a tilted plane, at constant speed.

    The robot believes in ``truth + offset``, turned by ``yaw_error`` about the start, and maps
    accordingly; its heights are ``map_bias_m`` too high.
    """

    start: tuple[float, float] = (5.0, -3.0)
    yaw: float = 0.4
    length_m: float = 20.0
    speed_mps: float = 0.5
    rate_hz: float = 10.0
    roll: float = 0.0
    pitch: float = 0.0
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_error: float = 0.0
    map_bias_m: float = 0.0
    status: int | None = 4
    plane: tuple[float, float, float] = (0.15, -0.08, 2.0)
    real_time_factor: float = 4.0

    def surface(self, spec):
        a, b, c = self.plane
        return a * spec.x_m()[None, :] + b * spec.y_m()[:, None] + c

    def height(self, x, y):
        a, b, c = self.plane
        return a * x + b * y + c

    @property
    def heading(self):
        return np.array([np.cos(self.yaw), np.sin(self.yaw)])

    @property
    def end(self):
        return np.array(self.start) + self.length_m * self.heading

    @property
    def stamps_ns(self):
        count = round(self.length_m / self.speed_mps * self.rate_hz) + 1
        return (1_000_000_000 + np.arange(count) * (1e9 / self.rate_hz)).astype(np.int64)

    def positions(self):
        along = self.speed_mps * (self.stamps_ns - self.stamps_ns[0]) * 1e-9
        xy = np.array(self.start) + along[:, None] * self.heading
        return np.column_stack((xy, self.height(*xy.T)))


class BagBuilder:
    """Writes messages by keyword dictionaries."""

    def __init__(self, path, plugin):
        self.store = jazzy()
        self.writer = Writer(path, version=9, storage_plugin=plugin)
        self.connections = {}

    def type(self, msgtype, /, **values):
        return self.store.types[msgtype](**values)

    def header(self, stamp_ns, frame):
        return self.type("std_msgs/msg/Header", stamp=self.stamp(stamp_ns), frame_id=frame)

    def stamp(self, stamp_ns):
        sec, nanosec = divmod(int(stamp_ns), 10**9)
        return self.type("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)

    def xyz(self, values, kind="Vector3"):
        x, y, z = (float(v) for v in values)
        return self.type(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)

    def quat(self, rotation):
        x, y, z, w = (float(v) for v in rotation.as_quat())
        return self.type("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def pose(self, position, rotation):
        return self.type(
            "geometry_msgs/msg/Pose",
            position=self.xyz(position, "Point"),
            orientation=self.quat(rotation),
        )

    def write(self, topic, msgtype, log_ns, message):
        if topic not in self.connections:
            self.connections[topic] = self._connect(topic, msgtype)
        data = self.store.serialize_cdr(message, msgtype)
        self.writer.write(self.connections[topic], int(log_ns), data)

    def _connect(self, topic, msgtype):
        if not msgtype.startswith(FEEDBACK):
            return self.writer.add_connection(topic, msgtype, typestore=self.store)
        pose, _ = self.store.generate_msgdef("geometry_msgs/msg/PoseStamped", ros_version=2)
        uuid, _ = self.store.generate_msgdef("unique_identifier_msgs/msg/UUID", ros_version=2)
        duration, _ = self.store.generate_msgdef("builtin_interfaces/msg/Duration", ros_version=2)
        bar = "=" * 80 + "\n"
        text = (
            f"{WRAPPER_TEXT}{bar}MSG: {FEEDBACK}\n{FEEDBACK_TEXT}\n"
            f"{bar}MSG: unique_identifier_msgs/UUID\n{uuid}"
            f"{bar}MSG: builtin_interfaces/Duration\n{duration}"
            f"{bar}MSG: geometry_msgs/PoseStamped\n{pose}"
        )
        return self.writer.add_connection(
            topic, msgtype, msgdef=text, rihs01=self.store.hash_rihs01(msgtype)
        )

    def odometry(self, topic, stamp, frames, position, rotation, speed):
        zero = np.zeros(36)
        message = self.type(
            "nav_msgs/msg/Odometry",
            header=self.header(stamp, frames[0]),
            child_frame_id=frames[1],
            pose=self.type(
                "geometry_msgs/msg/PoseWithCovariance",
                pose=self.pose(position, rotation),
                covariance=zero,
            ),
            twist=self.type(
                "geometry_msgs/msg/TwistWithCovariance",
                twist=self.type(
                    "geometry_msgs/msg/Twist",
                    linear=self.xyz((speed, 0, 0)),
                    angular=self.xyz((0, 0, 0)),
                ),
                covariance=zero,
            ),
        )
        self.write(topic, "nav_msgs/msg/Odometry", stamp, message)

    def transform(self, stamp, parent, child, position, rotation):
        edge = self.type(
            "geometry_msgs/msg/TransformStamped",
            header=self.header(stamp, parent),
            child_frame_id=child,
            transform=self.type(
                "geometry_msgs/msg/Transform",
                translation=self.xyz(position),
                rotation=self.quat(rotation),
            ),
        )
        message = self.type("tf2_msgs/msg/TFMessage", transforms=[edge])
        self.write("/tf", "tf2_msgs/msg/TFMessage", stamp, message)

    def grid_map(self, topic, stamp, frame, centre, resolution, layers, start=(0, 0)):
        """``layers``: name -> (rows, cols), rows along y and columns along x, both rising."""
        rows, cols = next(iter(layers.values())).shape
        dim = "std_msgs/msg/MultiArrayDimension"
        layout = self.type(
            "std_msgs/msg/MultiArrayLayout",
            dim=[
                self.type(dim, label="column_index", size=rows, stride=rows * cols),
                self.type(dim, label="row_index", size=cols, stride=cols),
            ],
            data_offset=0,
        )
        data = [
            self.type(
                "std_msgs/msg/Float32MultiArray",
                layout=layout,
                data=np.roll(
                    layer[::-1, ::-1].astype(np.float32), (start[1], start[0]), (0, 1)
                ).ravel(),
            )
            for layer in layers.values()
        ]
        info = self.type(
            "grid_map_msgs/msg/GridMapInfo",
            resolution=resolution,
            length_x=cols * resolution,
            length_y=rows * resolution,
            pose=self.pose((*centre, 0.0), Rotation.identity()),
        )
        message = self.type(
            "grid_map_msgs/msg/GridMap",
            header=self.header(stamp, frame),
            info=info,
            layers=list(layers),
            basic_layers=[],
            data=data,
            outer_start_index=start[0],
            inner_start_index=start[1],
        )
        self.write(topic, "grid_map_msgs/msg/GridMap", stamp, message)

    def diagnostics(self, stamp, name, values):
        pair = "diagnostic_msgs/msg/KeyValue"
        status = self.type(
            "diagnostic_msgs/msg/DiagnosticStatus",
            level=0,
            name=name,
            message="running",
            hardware_id="",
            values=[self.type(pair, key=k, value=v) for k, v in values.items()],
        )
        message = self.type(
            "diagnostic_msgs/msg/DiagnosticArray", header=self.header(stamp, ""), status=[status]
        )
        self.write("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", stamp, message)

    def goal_status(self, stamp, goal_ns, code):
        uuid = self.type("unique_identifier_msgs/msg/UUID", uuid=np.arange(16, dtype=np.uint8))
        info = self.type("action_msgs/msg/GoalInfo", goal_id=uuid, stamp=self.stamp(goal_ns))
        status = self.type("action_msgs/msg/GoalStatus", goal_info=info, status=code)
        message = self.type("action_msgs/msg/GoalStatusArray", status_list=[status])
        topic = f"/{ROBOT}/navigate_to_pose/_action/status"
        self.write(topic, "action_msgs/msg/GoalStatusArray", stamp, message)

    def feedback(self, stamp, remaining, recoveries):
        duration = self.type("builtin_interfaces/msg/Duration", sec=0, nanosec=0)
        stamped = self.type(
            "geometry_msgs/msg/PoseStamped",
            header=self.header(stamp, "map"),
            pose=self.pose((0, 0, 0), Rotation.identity()),
        )
        inner = self.type(
            FEEDBACK,
            current_pose=stamped,
            navigation_time=duration,
            estimated_time_remaining=duration,
            number_of_recoveries=recoveries,
            distance_remaining=remaining,
        )
        uuid = self.type("unique_identifier_msgs/msg/UUID", uuid=np.arange(16, dtype=np.uint8))
        message = self.type(f"{FEEDBACK}Message", goal_id=uuid, feedback=inner)
        topic = f"/{ROBOT}/navigate_to_pose/_action/feedback"
        self.write(topic, f"{FEEDBACK}Message", stamp, message)


def write_drive(path, drive, plugin=StoragePlugin.MCAP, without=()):
    """Write the bag of a drive; topics named in ``without`` are left out."""
    builder = BagBuilder(path, plugin)
    stamps, true = drive.stamps_ns, drive.positions()
    attitude = Rotation.from_euler("ZYX", [drive.yaw, drive.pitch, drive.roll])
    turn = Rotation.from_euler("z", drive.yaw_error)
    origin, offset = true[0], np.array(drive.offset_m)
    believed = turn.apply(true - origin) + offset
    odom, base = f"{ROBOT}/odom", f"{ROBOT}/base_link"
    with builder.writer:
        for k, stamp in enumerate(stamps):
            if "truth" not in without:
                topic, frames = f"/{ROBOT}/truth/odom", ("map", f"{ROBOT}/truth/base_link")
                builder.odometry(topic, stamp, frames, true[k], attitude, drive.speed_mps)
            if "tf" not in without:
                builder.transform(stamp, "map", odom, origin, Rotation.identity())
            if "odom" not in without:
                topic = f"/{ROBOT}/odom"
                args = (believed[k], turn * attitude, drive.speed_mps)
                builder.odometry(topic, stamp, (odom, base), *args)
            if k % 50 == 0 and "map" not in without:
                _write_map(builder, drive, stamp, believed[k], turn, origin, offset)
            if k % 20 == 0 and "diagnostics" not in without:
                seconds = (stamp - stamps[0]) * 1e-9
                wall = {"simulated_s": seconds, "wall_s": seconds / drive.real_time_factor}
                builder.diagnostics(stamp, "sim", {n: f"{v:.6f}" for n, v in wall.items()})
                builder.diagnostics(stamp, f"{ROBOT}/mapping", {"latency_p95_ms": f"{10 + k % 3}"})
                builder.diagnostics(stamp, f"{ROBOT}/idle", {"latency_p95_ms": "nan"})
        if drive.status is not None:
            builder.goal_status(stamps[0], stamps[0], 2)
            builder.feedback(stamps[1], 3.0, 2)
            builder.goal_status(stamps[-1], stamps[0], drive.status)
    return path


def _write_map(builder, drive, stamp, believed, turn, origin, offset):
    """What a mapper sees that believes in a wrong pose: the truth, moved along with it."""
    resolution, size = 0.25, 60
    centre = np.round(believed[:2] / resolution) * resolution
    axis = (np.arange(size) - (size - 1) / 2) * resolution
    xx, yy = np.meshgrid(centre[0] + axis, centre[1] + axis)
    cells = np.stack((xx - offset[0], yy - offset[1], np.zeros_like(xx)), axis=-1)
    seen = turn.inv().apply(cells.reshape(-1, 3)).reshape(cells.shape) + origin
    z = drive.height(seen[..., 0], seen[..., 1]) - origin[2] + offset[2] + drive.map_bias_m
    z[:, : size // 4] = np.nan
    builder.grid_map(
        f"/{ROBOT}/elevation_map", stamp, f"{ROBOT}/odom", centre, resolution,
        {"elevation": z, "variance": np.full_like(z, 1e-4)}, start=(7, 11),
    )  # fmt: skip


@pytest.fixture
def drive_bag(tmp_path):
    """Factory: write the bag of a drive, return its folder."""

    def make(drive, **kwargs):
        return write_drive(tmp_path / "bag", drive, **kwargs)

    return make


@pytest.fixture
def drive_type():
    """The description of a drive."""
    return Drive


@pytest.fixture
def bag_builder(tmp_path):
    """A builder of an empty bag, to be opened by ``with builder.writer``."""
    return BagBuilder(tmp_path / "bag", StoragePlugin.MCAP)
