"""Messages that a broken driver, a bad link or a stranger may send, made by hypothesis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TransformStamped
from grid_map_msgs.msg import GridMap
from hypothesis import strategies as st
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import FluidPressure, Imu, JointState, PointCloud2, PointField, Range
from std_msgs.msg import Float32MultiArray, MultiArrayDimension
from tf2_msgs.msg import TFMessage

NUMBERS = st.one_of(
    st.floats(-100.0, 100.0),
    st.floats(width=64),
    st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324]),
)
SHORTS = st.floats(width=32)
STAMPS = st.builds(
    Time,
    sec=st.one_of(st.integers(0, 100), st.integers(-(2**31), 2**31 - 1), st.just(2**31 - 1)),
    nanosec=st.one_of(st.integers(0, 10**9 - 1), st.integers(0, 2**32 - 1)),
)
FRAMES = st.sampled_from(
    [
        "long_range/lidar_link",
        "long_range/odom",
        "long_range/base_link",
        "crewed_rover/base_link",
        "map",
        "",
        "/",
        "x y",
        "\u00e9",
    ]
)


def headed(draw: Any, msg: Any) -> Any:
    msg.header.stamp, msg.header.frame_id = draw(STAMPS), draw(FRAMES)
    return msg


def vector(draw: Any, target: Any, names: str) -> None:
    for name in names:
        setattr(target, name, draw(NUMBERS))


@st.composite
def clouds(draw: Any) -> PointCloud2:
    msg = headed(draw, PointCloud2())
    msg.width, msg.height = draw(st.integers(0, 40)), draw(st.integers(0, 4))
    step = draw(st.integers(0, 40))
    msg.point_step = draw(st.one_of(st.just(step), st.integers(0, 2**32 - 1)))
    msg.row_step = draw(st.one_of(st.just(step * msg.width), st.integers(0, 2**32 - 1)))
    msg.is_bigendian, msg.is_dense = draw(st.booleans()), draw(st.booleans())
    names = draw(
        st.lists(st.sampled_from(["x", "y", "z", "t", "intensity", "ring", ""]), max_size=8)
    )
    names = draw(st.sampled_from([["x", "y", "z"], names]))
    for place, name in enumerate(names):
        field = PointField(name=name)
        field.offset = draw(st.one_of(st.just(4 * place), st.integers(0, 2**32 - 1)))
        field.datatype = draw(st.one_of(st.just(7), st.integers(0, 255)))
        field.count = draw(st.one_of(st.just(1), st.integers(0, 2**32 - 1)))
        msg.fields.append(field)
    size = draw(st.one_of(st.just(step * msg.width * msg.height), st.integers(0, 4000)))
    msg.data = draw(st.binary(min_size=size, max_size=size))
    return msg


@st.composite
def grid_maps(draw: Any) -> GridMap:
    msg = headed(draw, GridMap())
    msg.info.resolution = draw(st.one_of(st.just(0.1), NUMBERS))
    msg.info.length_x, msg.info.length_y = draw(NUMBERS), draw(NUMBERS)
    vector(draw, msg.info.pose.position, "xyz")
    vector(draw, msg.info.pose.orientation, "xyzw")
    msg.layers = draw(st.lists(st.sampled_from(["elevation", "upper_bound", ""]), max_size=3))
    for _ in range(draw(st.integers(0, 3))):
        rows, cols = draw(st.integers(0, 6)), draw(st.integers(0, 6))
        data = Float32MultiArray()
        for label in draw(st.sampled_from([["column_index", "row_index"], ["row_index"], []])):
            dim = MultiArrayDimension(label=label)
            dim.size = draw(st.one_of(st.just(rows), st.integers(0, 2**32 - 1)))
            dim.stride = draw(st.one_of(st.just(rows * cols), st.integers(0, 2**32 - 1)))
            data.layout.dim.append(dim)
        data.layout.data_offset = draw(st.one_of(st.just(0), st.integers(0, 2**32 - 1)))
        data.data = draw(st.lists(SHORTS, min_size=rows * cols, max_size=rows * cols))
        msg.data.append(data)
    msg.outer_start_index, msg.inner_start_index = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return msg


@st.composite
def occupancies(draw: Any) -> OccupancyGrid:
    msg = headed(draw, OccupancyGrid())
    cols, rows = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    msg.info.width = draw(st.one_of(st.just(cols), st.integers(0, 2**32 - 1)))
    msg.info.height = draw(st.one_of(st.just(rows), st.integers(0, 2**32 - 1)))
    msg.info.resolution = draw(st.one_of(st.just(0.1), SHORTS))
    vector(draw, msg.info.origin.position, "xyz")
    vector(draw, msg.info.origin.orientation, "xyzw")
    size = draw(st.one_of(st.just(cols * rows), st.integers(0, 80)))
    msg.data = draw(st.lists(st.integers(-128, 127), min_size=size, max_size=size))
    return msg


@st.composite
def joints(draw: Any) -> JointState:
    msg = headed(draw, JointState())
    wheels = [
        f"{side}_wheel" for side in ("front_left", "front_right", "middle_left", "rear_left")
    ]
    msg.name = draw(st.lists(st.sampled_from([*wheels, "front_left_steer", "", "?"]), max_size=12))
    for key in ("position", "velocity", "effort"):
        size = draw(st.one_of(st.just(len(msg.name)), st.integers(0, 14)))
        setattr(msg, key, draw(st.lists(NUMBERS, min_size=size, max_size=size)))
    return msg


@st.composite
def inertials(draw: Any) -> Imu:
    msg = headed(draw, Imu())
    vector(draw, msg.orientation, "xyzw")
    vector(draw, msg.angular_velocity, "xyz")
    vector(draw, msg.linear_acceleration, "xyz")
    return msg


@st.composite
def transforms(draw: Any) -> TFMessage:
    msg = TFMessage()
    for _ in range(draw(st.integers(0, 3))):
        item = headed(draw, TransformStamped())
        item.child_frame_id = draw(FRAMES)
        vector(draw, item.transform.translation, "xyz")
        vector(draw, item.transform.rotation, "xyzw")
        msg.transforms.append(item)
    return msg


@st.composite
def poses(draw: Any) -> PoseStamped:
    msg = headed(draw, PoseStamped())
    vector(draw, msg.pose.position, "xyz")
    vector(draw, msg.pose.orientation, "xyzw")
    return msg


@st.composite
def odometries(draw: Any) -> Odometry:
    msg = headed(draw, Odometry())
    msg.child_frame_id = draw(FRAMES)
    vector(draw, msg.pose.pose.position, "xyz")
    vector(draw, msg.pose.pose.orientation, "xyzw")
    vector(draw, msg.twist.twist.linear, "xyz")
    msg.pose.covariance = np.full(36, draw(NUMBERS))
    return msg


@st.composite
def paths(draw: Any) -> Path:
    msg = headed(draw, Path())
    msg.header.frame_id = draw(st.one_of(st.just("map"), FRAMES))
    msg.poses = draw(st.lists(poses(), max_size=5))
    return msg


@st.composite
def ranges(draw: Any) -> Range:
    msg = headed(draw, Range())
    for key in ("range", "min_range", "max_range", "variance"):
        setattr(msg, key, draw(SHORTS))
    return msg


@st.composite
def pressures(draw: Any) -> FluidPressure:
    msg = headed(draw, FluidPressure())
    msg.fluid_pressure, msg.variance = draw(NUMBERS), draw(NUMBERS)
    return msg
