"""Messages to the core's types and back. Quaternions are (w, x, y, z) inside, xyzw in messages."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    Transform,
    TransformStamped,
    TwistStamped,
)
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import Imu, JointState, PointCloud2
from sensor_msgs.msg import PointField as PointFieldMsg
from std_msgs.msg import Float32MultiArray, MultiArrayDimension

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.grid_map import GridMapArrays, from_grid_map, to_grid_map_arrays
from ilrs_robots.core.io.occupancy import cost_to_occupancy, occupancy_to_cost
from ilrs_robots.core.io.pointcloud2 import PointField, decode_cloud, encode_cloud
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    Float32Array,
    FloatArray,
    GridSpec,
    ImuSample,
    JointSample,
    OdometryEstimate,
    VelocityCommand,
)

NS_PER_S = 1_000_000_000


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a message stamp."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def to_stamp(stamp_ns: int) -> Time:
    """Message stamp of nanoseconds."""
    sec, nanosec = divmod(stamp_ns, NS_PER_S)
    return Time(sec=int(sec), nanosec=int(nanosec))


def pose_matrix(pose: Pose) -> FloatArray:
    """(4, 4) transform of a pose message."""
    p, q = pose.position, pose.orientation
    return se3.make_transform(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))


def pose_message(T: FloatArray) -> Pose:
    """Pose message of a (4, 4) transform."""
    position, quat = se3.split_transform(T)
    msg = Pose()
    msg.position.x, msg.position.y, msg.position.z = (float(v) for v in position)
    set_quaternion(msg.orientation, quat)
    return msg


def set_quaternion(target: object, quat_wxyz: FloatArray) -> None:
    """Write (w, x, y, z) into a message's quaternion."""
    target.w, target.x, target.y, target.z = (float(v) for v in quat_wxyz)  # type: ignore[attr-defined]


def transform_message(
    parent: str, child: str, stamp_ns: int, position: FloatArray, quat_wxyz: FloatArray
) -> TransformStamped:
    """A stamped transform."""
    msg = TransformStamped()
    msg.header.frame_id, msg.child_frame_id = parent, child
    msg.header.stamp = to_stamp(stamp_ns)
    t = msg.transform.translation
    t.x, t.y, t.z = (float(v) for v in position)
    set_quaternion(msg.transform.rotation, quat_wxyz)
    return msg


def split_transform_message(transform: Transform) -> tuple[FloatArray, FloatArray]:
    """Position (3,) and quaternion wxyz (4,) of a transform message."""
    t, q = transform.translation, transform.rotation
    return np.array([t.x, t.y, t.z]), np.array([q.w, q.x, q.y, q.z])


def imu_sample(msg: Imu) -> ImuSample:
    """Inertial measurement of a message."""
    w, a = msg.angular_velocity, msg.linear_acceleration
    return ImuSample(to_ns(msg.header.stamp), np.array([w.x, w.y, w.z]), np.array([a.x, a.y, a.z]))


def imu_message(sample: ImuSample, frame_id: str) -> Imu:
    """Imu message without orientation (REP-145: covariance[0] = -1)."""
    msg = Imu()
    msg.header.stamp, msg.header.frame_id = to_stamp(sample.stamp_ns), frame_id
    msg.orientation_covariance[0] = -1.0
    w, a = sample.angular_velocity_rps, sample.specific_force_mps2
    v = msg.angular_velocity
    v.x, v.y, v.z = float(w[0]), float(w[1]), float(w[2])
    v = msg.linear_acceleration
    v.x, v.y, v.z = float(a[0]), float(a[1]), float(a[2])
    return msg


def attitude_sample(msg: Imu) -> AttitudeSample:
    """Star tracker answer of an orientation-only Imu message."""
    q = msg.orientation
    sigma = float(np.sqrt(max(msg.orientation_covariance[0], 0.0)))
    return AttitudeSample(to_ns(msg.header.stamp), np.array([q.w, q.x, q.y, q.z]), sigma)


def attitude_message(sample: AttitudeSample, frame_id: str) -> Imu:
    """Orientation-only Imu message (the other covariances start with -1)."""
    msg = Imu()
    msg.header.stamp, msg.header.frame_id = to_stamp(sample.stamp_ns), frame_id
    set_quaternion(msg.orientation, sample.quat_wxyz)
    for i in (0, 4, 8):
        msg.orientation_covariance[i] = sample.sigma_rad**2
    msg.angular_velocity_covariance[0] = -1.0
    msg.linear_acceleration_covariance[0] = -1.0
    return msg


def joint_sample(msg: JointState) -> JointSample:
    """Joint states of a message."""
    return JointSample(
        to_ns(msg.header.stamp), tuple(msg.name), np.array(msg.position), np.array(msg.velocity)
    )


def joint_message(sample: JointSample) -> JointState:
    """JointState message."""
    msg = JointState()
    msg.header.stamp = to_stamp(sample.stamp_ns)
    msg.name = list(sample.names)
    msg.position = array("d", np.asarray(sample.position_rad, dtype=np.float64).tobytes())
    msg.velocity = array("d", np.asarray(sample.velocity_rps, dtype=np.float64).tobytes())
    return msg


def odometry_message(estimate: OdometryEstimate, frame: str, child: str) -> Odometry:
    """Odometry message."""
    msg = Odometry()
    msg.header.stamp, msg.header.frame_id = to_stamp(estimate.stamp_ns), frame
    msg.child_frame_id = child
    msg.pose.pose = pose_message(se3.make_transform(estimate.position_m, estimate.quat_wxyz))
    msg.pose.covariance = np.asarray(estimate.pose_covariance, dtype=np.float64).ravel()
    lin, ang = msg.twist.twist.linear, msg.twist.twist.angular
    lin.x, lin.y, lin.z = (float(v) for v in estimate.linear_mps)
    ang.x, ang.y, ang.z = (float(v) for v in estimate.angular_rps)
    return msg


def odometry_estimate(msg: Odometry) -> OdometryEstimate:
    """Pose in the message's frame, twist in its child's.

    Raises:
        TransformError: the quaternion is not one.
    """
    position, quat = se3.split_transform(pose_matrix(msg.pose.pose))
    lin, ang = msg.twist.twist.linear, msg.twist.twist.angular
    return OdometryEstimate(
        to_ns(msg.header.stamp),
        position,
        quat,
        np.array([lin.x, lin.y, lin.z]),
        np.array([ang.x, ang.y, ang.z]),
        np.array(msg.pose.covariance, dtype=np.float64).reshape(6, 6),
    )


def pose_covariance_message(
    frame: str, stamp_ns: int, transform: FloatArray, covariance: FloatArray
) -> PoseWithCovarianceStamped:
    """Pose (4, 4) with its covariance (6, 6), m2 and rad2."""
    msg = PoseWithCovarianceStamped()
    msg.header.stamp, msg.header.frame_id = to_stamp(stamp_ns), frame
    msg.pose.pose = pose_message(transform)
    msg.pose.covariance = np.asarray(covariance, dtype=np.float64).ravel()
    return msg


def cloud_of(msg: PointCloud2) -> Cloud:
    """Cloud of a message.

    Raises:
        InvalidCloudError: with the reason.
    """
    fields = [PointField(f.name, f.offset, f.datatype, f.count) for f in msg.fields]
    return decode_cloud(
        msg.data,
        msg.height,
        msg.width,
        fields,
        msg.point_step,
        msg.row_step,
        msg.is_bigendian,
        stamp_ns=to_ns(msg.header.stamp),
        frame_id=msg.header.frame_id,
    )


def cloud_message(cloud: Cloud) -> PointCloud2:
    """PointCloud2 of a cloud, unorganised and dense."""
    fields, point_step, data = encode_cloud(cloud)
    msg = PointCloud2()
    msg.header.stamp, msg.header.frame_id = to_stamp(cloud.stamp_ns), cloud.frame_id
    msg.height, msg.width = 1, len(cloud.xyz_m)
    msg.fields = [
        PointFieldMsg(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count)
        for f in fields
    ]
    msg.point_step, msg.row_step = point_step, point_step * msg.width
    msg.is_dense = True
    msg.data = data
    return msg


def grid_map_message(
    layers: dict[str, Float32Array], spec: GridSpec, frame_id: str, stamp_ns: int
) -> GridMap:
    """GridMap message in the convention of grid_map."""
    content = to_grid_map_arrays(layers, spec)
    msg = GridMap()
    msg.header.stamp, msg.header.frame_id = to_stamp(stamp_ns), frame_id
    msg.info.resolution = content.resolution
    msg.info.length_x, msg.info.length_y = content.length_x, content.length_y
    msg.info.pose.position.x, msg.info.pose.position.y = content.position
    msg.info.pose.orientation.w = 1.0
    msg.layers = list(content.layers)
    msg.basic_layers = [name for name in ("elevation",) if name in content.layers]
    for data in content.data:
        item = Float32MultiArray()
        item.layout.dim = [
            MultiArrayDimension(label=label, size=size, stride=stride)
            for label, size, stride in content.dims
        ]
        item.data = data
        msg.data.append(item)
    return msg


def grid_map_layers(msg: GridMap) -> tuple[dict[str, Float32Array], GridSpec]:
    """Layers of a GridMap message and their grid, whatever its start indices and storage order.

    Raises:
        MessageLayoutError: with the reason.
    """
    dims = [tuple((d.label, d.size, d.stride) for d in item.layout.dim) for item in msg.data]
    if any(other != dims[0] for other in dims):
        raise MessageLayoutError("dims", "the layers of a GridMap differ in their dimensions")
    place = msg.info.pose.position
    return from_grid_map(
        GridMapArrays(
            msg.info.resolution,
            msg.info.length_x,
            msg.info.length_y,
            (place.x, place.y),
            tuple(msg.layers),
            tuple(item.data for item in msg.data),
            dims[0] if dims else (),
            msg.outer_start_index,
            msg.inner_start_index,
        )
    )


def occupancy_message(
    cost: Float32Array, spec: GridSpec, frame_id: str, stamp_ns: int
) -> OccupancyGrid:
    """OccupancyGrid of a cost in 0..1 (NaN becomes -1)."""
    content = cost_to_occupancy(cost, spec)
    msg = OccupancyGrid()
    msg.header.stamp, msg.header.frame_id = to_stamp(stamp_ns), frame_id
    msg.info.map_load_time = msg.header.stamp
    msg.info.resolution = spec.resolution_m
    msg.info.width, msg.info.height = spec.cols, spec.rows
    msg.info.origin.position.x, msg.info.origin.position.y = content.corner_m
    msg.info.origin.orientation.w = 1.0
    msg.data = content.data
    return msg


def occupancy_cost(msg: OccupancyGrid) -> tuple[Float32Array, GridSpec]:
    """Cost in 0..1 (-1 becomes NaN) and the grid of an OccupancyGrid."""
    origin = msg.info.origin.position
    return occupancy_to_cost(
        msg.data, msg.info.height, msg.info.width, msg.info.resolution, (origin.x, origin.y)
    )


def path_message(xy_m: FloatArray, z_m: float, frame_id: str, stamp_ns: int) -> Path:
    """Path message of points in a plane; each pose faces the next point."""
    msg = Path()
    msg.header.stamp, msg.header.frame_id = to_stamp(stamp_ns), frame_id
    step = np.diff(xy_m, axis=0, append=xy_m[-1:]) if len(xy_m) else np.zeros((0, 2))
    if len(step) > 1:
        step[-1] = step[-2]
    half_yaw = 0.5 * np.arctan2(step[:, 1], step[:, 0])
    for (x, y), half in zip(xy_m, half_yaw, strict=True):
        pose = PoseStamped()
        pose.header = msg.header
        pose.pose.position.x, pose.pose.position.y = float(x), float(y)
        pose.pose.position.z = z_m
        pose.pose.orientation.z, pose.pose.orientation.w = float(np.sin(half)), float(np.cos(half))
        msg.poses.append(pose)
    return msg


def twist_message(command: VelocityCommand, frame_id: str) -> TwistStamped:
    """TwistStamped of a planar command."""
    msg = TwistStamped()
    msg.header.stamp, msg.header.frame_id = to_stamp(command.stamp_ns), frame_id
    msg.twist.linear.x = float(command.linear_mps)
    msg.twist.angular.z = float(command.angular_rps)
    return msg


def velocity_command(msg: TwistStamped) -> VelocityCommand:
    """Planar command of a TwistStamped."""
    return VelocityCommand(to_ns(msg.header.stamp), msg.twist.linear.x, msg.twist.angular.z)
