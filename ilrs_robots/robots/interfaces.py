"""What a vehicle's topics must be: name, type, rate and who sends them.

The table says what drivers have to feed and what a working vehicle gives; ``ilrs deploy check``
holds a running one against it. Which node has which endpoint stands in the nodes themselves
(``ilrs_robots/nodes/interface_table.py`` reads it from them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRIVER: Final = "driver"
"""Sent by hardware drivers, or by a simulator in their place."""
VEHICLE: Final = "vehicle"
"""Sent by the vehicle's own nodes."""
OPERATOR: Final = "operator"
"""Sent by people and their tools, when they want to."""


@dataclass(frozen=True)
class TopicContract:
    """One topic of a vehicle.

    Attributes:
        name: relative to the vehicle's namespace, or absolute.
        kind: ``package/msg/Name``.
        rate_hz: messages per second of ROS time; 0 where they come by occasion.
        source: ``DRIVER``, ``VEHICLE`` or ``OPERATOR``.
        rovers: whether only vehicles that drive have it.
        on_demand: whether it is sent only while somebody listens.
    """

    name: str
    kind: str
    rate_hz: float = 0.0
    source: str = VEHICLE
    rovers: bool = False
    on_demand: bool = False


_ROVER: Final = (
    TopicContract("imu/data", "sensor_msgs/msg/Imu", 50.0, DRIVER, rovers=True),
    TopicContract("joint_states", "sensor_msgs/msg/JointState", 50.0, DRIVER, rovers=True),
    TopicContract("star_tracker/attitude", "sensor_msgs/msg/Imu", 1.0, DRIVER, rovers=True),
    TopicContract("lidar/points", "sensor_msgs/msg/PointCloud2", 5.0, DRIVER, rovers=True),
    TopicContract("odom", "nav_msgs/msg/Odometry", 25.0, rovers=True),
    TopicContract(
        "traversability", "nav_msgs/msg/OccupancyGrid", 5.0, rovers=True, on_demand=True
    ),
    TopicContract(
        "terrain_heights", "grid_map_msgs/msg/GridMap", 2.0, rovers=True, on_demand=True
    ),
    TopicContract("elevation_map", "grid_map_msgs/msg/GridMap", 1.0, rovers=True, on_demand=True),
    TopicContract("cmd_vel", "geometry_msgs/msg/TwistStamped", 20.0, rovers=True),
    TopicContract("cmd_vel_nav", "geometry_msgs/msg/TwistStamped", 10.0, rovers=True),
    TopicContract("gate_status", "diagnostic_msgs/msg/DiagnosticStatus", rovers=True),
    TopicContract("plan", "nav_msgs/msg/Path", rovers=True),
    TopicContract("way", "nav_msgs/msg/Path", rovers=True),
    TopicContract("cmd_vel_teleop", "geometry_msgs/msg/TwistStamped", 0.0, OPERATOR, rovers=True),
    TopicContract("goal_pose", "geometry_msgs/msg/PoseStamped", 0.0, OPERATOR, rovers=True),
    TopicContract(
        "initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", 0.0, OPERATOR, rovers=True
    ),
)
_HOPPER: Final = (
    TopicContract("imu/data", "sensor_msgs/msg/Imu", 100.0, DRIVER),
    TopicContract("joint_states", "sensor_msgs/msg/JointState", 50.0, DRIVER),
    TopicContract("star_tracker/attitude", "sensor_msgs/msg/Imu", 2.0, DRIVER),
    TopicContract("lidar/points", "sensor_msgs/msg/PointCloud2", 5.0, DRIVER),
    TopicContract("altimeter/range", "sensor_msgs/msg/Range", 20.0, DRIVER),
    TopicContract("tank/pressure", "sensor_msgs/msg/FluidPressure", 5.0, DRIVER),
    TopicContract("odom", "nav_msgs/msg/Odometry", 50.0),
    TopicContract("elevation_map", "grid_map_msgs/msg/GridMap", on_demand=True),
    TopicContract("thrusters/command", "sensor_msgs/msg/JointState"),
    TopicContract("plan", "nav_msgs/msg/Path"),
    TopicContract("goal_pose", "geometry_msgs/msg/PoseStamped", 0.0, OPERATOR),
    TopicContract("initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", 0.0, OPERATOR),
)
_EVERY: Final = (
    TopicContract("battery", "sensor_msgs/msg/BatteryState", 1.0),
    TopicContract("link", "std_msgs/msg/Bool", 1.0),
    TopicContract("health", "diagnostic_msgs/msg/DiagnosticStatus", 1.0),
    TopicContract("robot_description", "std_msgs/msg/String"),
    TopicContract("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", 1.0),
    TopicContract("/fleet/poses", "nav_msgs/msg/Odometry", 2.0),
)


def contract(*, drives: bool) -> tuple[TopicContract, ...]:
    """The topics of a vehicle.

    Args:
        drives: whether it is a rover; otherwise it hops.
    """
    return (*(_ROVER if drives else _HOPPER), *_EVERY)


def regular_rate_hz(topic: str) -> float:
    """How often a topic comes on a healthy vehicle, 0 where nothing is promised.

    Where rovers and hoppers differ it is the rover's rate, which is the lower one.

    Args:
        topic: as a node names it: relative to the vehicle's namespace, or absolute.
    """
    rates = (row.rate_hz for row in (*_ROVER, *_EVERY, *_HOPPER) if row.name == topic)
    return next(rates, 0.0)
