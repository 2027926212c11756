"""Make the reference bags beside this script: ``python test/replay/make_bags.py``.

Each vehicle runs in the embedded simulator, in lock-step, on a small field of rocks. The bag holds
what its sensors say under the names of the running nodes, and the truth on topics of its own:
``truth/odom`` (pose) and ``truth/ground`` (a GridMap with the true height of each cell and
whether the vehicle may not cross it). Lidars scan more coarsely than the vehicles' own and
numbers are cut to what the sensors resolve, so that a bag stays small.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from scipy import ndimage

from ilrs_robots.core.io.grid_map import to_grid_map_arrays
from ilrs_robots.core.io.pointcloud2 import encode_cloud
from ilrs_robots.core.terrain.features import BlockField, Features, SurfaceConfig
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    GridSpec,
    ImuSample,
    JointSample,
    OdometryEstimate,
    VelocityCommand,
)
from ilrs_robots.replay.terrain_truth import ScoreConfig, true_cells
from ilrs_robots.robots.model import RobotModel, load_robot
from ilrs_robots.robots.steps import limits_of
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

HERE = Path(__file__).resolve().parent
UNDERLAY = HERE.parents[1] / "underlay" / "grid_map_msgs" / "msg"
S = 1_000_000_000
START_NS = 1_000 * S
"""Time of the bags' first message: a robot's clock does not begin at zero."""
NEAR_M = 8.0
TRUTH_NS = S // 10


@dataclass(frozen=True)
class Drive:
    """What a vehicle does in its bag; turns are (from s, yaw rate)."""

    robot: str
    duration_s: float
    speed_mps: float = 0.0
    turns: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    columns: int = 160
    every: int = 5  # one scan of so many is kept
    seed: int = 3


DRIVES = (
    Drive("long_range", 15.0, 0.6, ((1.0, 0.0), (4.0, 0.12), (10.0, -0.12))),
    Drive("crewed_rover", 12.0, 1.0, ((1.0, 0.0), (4.0, -0.15), (8.0, 0.1))),
    Drive("hopper", 5.0, columns=256, every=3),
)


def surface(seed: int) -> Surface:
    """Gentle ground with rocks on both sides of the way."""
    dem = procedural_dem(seed, 320.0, 5.0)
    fields = tuple(
        BlockField(x_m=x, y_m=y, radius_m=3.0, k=0.2, min_diameter_m=0.5)
        for x, y in ((6.0, 6.5), (6.0, -5.5), (12.0, -5.0), (-5.0, 5.0))
    )
    return Surface(dem, seed, SurfaceConfig(), Features(block_fields=fields))


class BagMaker:
    """Writes samples of the core's types as messages."""

    def __init__(self, path: Path, robot: str) -> None:
        self.store = get_typestore(Stores.ROS2_JAZZY)
        for name in ("GridMapInfo", "GridMap"):
            text = (UNDERLAY / f"{name}.msg").read_text()
            self.store.register(get_types_from_msg(text, f"grid_map_msgs/msg/{name}"))
        self.robot = robot
        self.writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self.writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self.writer.open()
        self.connections: dict[str, Any] = {}

    def make(self, kind: str, **values: Any) -> Any:
        return self.store.types[kind](**values)

    def write(self, topic: str, log_ns: int, message: Any) -> None:
        name, kind = f"/{self.robot}/{topic}", message.__msgtype__
        if name not in self.connections:
            self.connections[name] = self.writer.add_connection(name, kind, typestore=self.store)
        self.writer.write(self.connections[name], log_ns, self.store.serialize_cdr(message, kind))

    def header(self, stamp_ns: int, frame: str) -> Any:
        sec, nanosec = divmod(int(stamp_ns), S)
        stamp = self.make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def xyz(self, values: Any, kind: str = "Vector3") -> Any:
        x, y, z = (float(v) for v in values)
        return self.make(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)

    def quat(self, wxyz: Any) -> Any:
        w, x, y, z = (float(v) for v in wxyz)
        return self.make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def sample(self, sample: Any, model: RobotModel, log_ns: int) -> None:
        if isinstance(sample, ImuSample):
            self.imu(
                "imu/data",
                f"{self.robot}/{model.imu.frame}",
                sample.stamp_ns,
                log_ns,
                force=sample.specific_force_mps2,
                rate=sample.angular_velocity_rps,
            )
        elif isinstance(sample, AttitudeSample):
            frame = f"{self.robot}/{model.star_tracker.frame}"
            self.imu(
                "star_tracker/attitude",
                frame,
                sample.stamp_ns,
                log_ns,
                quat=sample.quat_wxyz,
                sigma=sample.sigma_rad,
            )
        elif isinstance(sample, JointSample):
            message = self.make(
                "sensor_msgs/msg/JointState",
                header=self.header(sample.stamp_ns, ""),
                name=list(sample.names),
                position=coarse(sample.position_rad, 26),
                velocity=coarse(sample.velocity_rps, 26),
                effort=np.zeros(0),
            )
            self.write("joint_states", log_ns, message)
        elif isinstance(sample, Cloud):
            self.cloud(sample, log_ns)

    def imu(self, topic, frame, stamp_ns, log_ns, *, force=None, rate=None, quat=None, sigma=0.0):
        unknown = np.zeros(9)
        unknown[0] = -1.0
        known = np.diag([sigma**2] * 3).ravel()
        zero, level = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        message = self.make(
            "sensor_msgs/msg/Imu",
            header=self.header(stamp_ns, frame),
            orientation=self.quat(level if quat is None else quat),
            orientation_covariance=unknown if quat is None else known,
            angular_velocity=self.xyz(zero if rate is None else coarse(rate, 26)),
            angular_velocity_covariance=unknown if rate is None else np.zeros(9),
            linear_acceleration=self.xyz(zero if force is None else coarse(force, 26)),
            linear_acceleration_covariance=unknown if force is None else np.zeros(9),
        )
        self.write(topic, log_ns, message)

    def cloud(self, cloud: Cloud, log_ns: int) -> None:
        bare = replace(cloud, xyz_m=np.round(cloud.xyz_m * 256.0) / 256.0, intensity=None)
        bare = replace(bare, xyz_m=bare.xyz_m.astype(np.float32))
        fields, point_step, data = encode_cloud(bare)
        count = len(bare.xyz_m)
        message = self.make(
            "sensor_msgs/msg/PointCloud2",
            header=self.header(cloud.stamp_ns, cloud.frame_id),
            height=1,
            width=count,
            fields=[
                self.make("sensor_msgs/msg/PointField", name=f.name, offset=f.offset,
                          datatype=f.datatype, count=f.count)
                for f in fields
            ],
            is_bigendian=False,
            point_step=point_step,
            row_step=point_step * count,
            data=np.frombuffer(data, dtype=np.uint8),
            is_dense=True,
        )  # fmt: skip
        self.write("lidar/points", log_ns, message)

    def truth(self, truth: OdometryEstimate, stamp_ns: int) -> None:
        pose = self.make(
            "geometry_msgs/msg/Pose",
            position=self.xyz(truth.position_m, "Point"),
            orientation=self.quat(truth.quat_wxyz),
        )
        twist = self.make(
            "geometry_msgs/msg/Twist",
            linear=self.xyz(truth.linear_mps),
            angular=self.xyz(truth.angular_rps),
        )
        message = self.make(
            "nav_msgs/msg/Odometry",
            header=self.header(stamp_ns, "map"),
            child_frame_id=f"{self.robot}/truth/base_link",
            pose=self.make("geometry_msgs/msg/PoseWithCovariance", pose=pose,
                           covariance=np.zeros(36)),
            twist=self.make("geometry_msgs/msg/TwistWithCovariance", twist=twist,
                            covariance=np.zeros(36)),
        )  # fmt: skip
        self.write("truth/odom", stamp_ns, message)

    def ground(self, layers: dict[str, NDArray[np.float32]], spec: GridSpec, stamp_ns: int):
        content = to_grid_map_arrays(layers, spec)
        dim = "std_msgs/msg/MultiArrayDimension"
        layout = self.make(
            "std_msgs/msg/MultiArrayLayout",
            dim=[self.make(dim, label=k, size=n, stride=m) for k, n, m in content.dims],
            data_offset=0,
        )
        position = self.xyz((*content.position, 0.0), "Point")
        level = self.quat((1.0, 0.0, 0.0, 0.0))
        message = self.make(
            "grid_map_msgs/msg/GridMap",
            header=self.header(stamp_ns, "map"),
            info=self.make(
                "grid_map_msgs/msg/GridMapInfo",
                resolution=content.resolution,
                length_x=content.length_x,
                length_y=content.length_y,
                pose=self.make("geometry_msgs/msg/Pose", position=position, orientation=level),
            ),
            layers=list(content.layers),
            basic_layers=["elevation"],
            data=[
                self.make("std_msgs/msg/Float32MultiArray", layout=layout,
                          data=np.frombuffer(data, dtype=np.float32))
                for data in content.data
            ],
            outer_start_index=0,
            inner_start_index=0,
        )  # fmt: skip
        self.write("truth/ground", stamp_ns, message)


def coarse(values: Any, bits: int) -> NDArray[np.float64]:
    """Numbers in steps of 2^-bits, whose spare bits compress away."""
    steps: NDArray[np.float64] = np.round(np.asarray(values, np.float64) * 2.0**bits) / 2.0**bits
    return steps


def moments(drive: Drive, world: EmbeddedWorld) -> Iterator[list[Any]]:
    """Drive open loop; gives what the sensors say in each period."""
    while world.time_ns < drive.duration_s * S:
        now_s = world.time_ns / S
        rate = next((w for start, w in reversed(drive.turns) if now_s >= start), None)
        if drive.speed_mps and rate is not None:
            command = VelocityCommand(world.time_ns, drive.speed_mps, rate)
            world.command(drive.robot, command)
        yield [event.payload for event in world.step()]


def true_ground(ground: Surface, path_xy_m: NDArray[np.float64], model: RobotModel):
    """True heights and hazards of the cells near the path; NaN elsewhere."""
    step = 0.1
    low = np.floor((path_xy_m.min(axis=0) - NEAR_M) / step) * step
    rows, cols = (int(n) for n in np.ceil((np.ptp(path_xy_m, axis=0) + 2 * NEAR_M) / step)[::-1])
    spec = GridSpec(float(low[0]), float(low[1]), step, rows, cols)
    truth = true_cells(ground, spec, ScoreConfig())
    driven = np.ones(spec.shape, np.bool_)
    row, col = spec.cell_of(path_xy_m)
    driven[row, col] = False
    far = ndimage.distance_transform_edt(driven) * step > NEAR_M
    height = coarse(truth.top_m, 10)
    hazard = (~truth.safe(limits_of(model))).astype(np.float32)
    height[far] = hazard[far] = np.nan
    return {"elevation": height.astype(np.float32), "hazard": hazard}, spec


def make_bag(drive: Drive, path: Path) -> None:
    """Drive and record."""
    shutil.rmtree(path, ignore_errors=True)
    model = load_robot(drive.robot)
    lidar = replace(model.lidar, columns=drive.columns)
    model = replace(model, lidar=lidar)
    ground, bag = surface(drive.seed), BagMaker(path, drive.robot)
    where: list[NDArray[np.float64]] = []
    with EmbeddedWorld(ground, [SimRobot(drive.robot, model, 0.0, 0.0, 0.0)], drive.seed) as world:
        next_truth_ns = scans = 0
        for samples in moments(drive, world):
            now_ns = START_NS + world.time_ns
            for sample in samples:
                scans += isinstance(sample, Cloud)
                if isinstance(sample, Cloud) and scans % drive.every != 1:
                    continue
                later = replace(sample, stamp_ns=sample.stamp_ns + START_NS)
                bag.sample(later, model, now_ns)
            if world.time_ns >= next_truth_ns:
                next_truth_ns += TRUTH_NS
                truth = world.truth(drive.robot)
                where.append(truth.position_m[:2].copy())
                bag.truth(truth, now_ns)
        now_ns = START_NS + world.time_ns
    layers, spec = true_ground(ground, np.array(where), model)
    bag.ground(layers, spec, now_ns)
    bag.writer.set_custom_data("ilrs_robot", drive.robot)
    bag.writer.set_custom_data("ilrs_seed", str(drive.seed))
    bag.writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "suite" / "bags")
    parser.add_argument("robots", nargs="*")
    arguments = parser.parse_args()
    for drive in DRIVES:
        if not arguments.robots or drive.robot in arguments.robots:
            make_bag(drive, arguments.out / drive.robot)
            size = sum(f.stat().st_size for f in (arguments.out / drive.robot).iterdir())
            print(f"{drive.robot}: {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
