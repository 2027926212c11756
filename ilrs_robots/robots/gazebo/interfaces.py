"""The bridge between Gazebo and ROS: one table of names and types.

In ROS they are those of the embedded simulator (docs/frames_and_topics.md), so that a node cannot
tell which simulator it is in. Gazebo's topics carry the same names, which is what the vehicle's
overlay configures its plugins with. What Gazebo cannot say itself goes through ``/gazebo/...`` to
the support process, which publishes it as the embedded simulator does: the clock, which Gazebo
sends with every physics step, and the star tracker.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ilrs_robots.robots.model import RobotModel, RoverModel

GZ_TO_ROS: Final = "GZ_TO_ROS"
ROS_TO_GZ: Final = "ROS_TO_GZ"

FAST_CLOCK: Final = "/gazebo/clock"
"""Gazebo's clock, once per physics step; the support process thins it out to ``/clock``."""
SUN_LIGHT: Final = "sun"
"""Name of the one light in every world."""


@dataclass(frozen=True)
class Bridge:
    """One topic that ``ros_gz_bridge`` carries.

    Attributes:
        ros_topic: absolute name.
        ros_type: package/msg/Name.
        gz_topic: absolute name.
        gz_type: gz.msgs.Name.
        direction: ``GZ_TO_ROS`` or ``ROS_TO_GZ``.
        queue: depth of the publisher's and the subscriber's queue.
        sensor: whether ROS takes it with the best-effort profile.
    """

    ros_topic: str
    ros_type: str
    gz_topic: str
    gz_type: str
    direction: str
    queue: int = 10
    sensor: bool = False

    def entry(self) -> dict[str, str | int | bool]:
        """As the YAML of ``ros_gz_bridge`` wants it."""
        return {
            "ros_topic_name": self.ros_topic,
            "gz_topic_name": self.gz_topic,
            "ros_type_name": self.ros_type,
            "gz_type_name": self.gz_type,
            "direction": self.direction,
            "publisher_queue": self.queue,
            "subscriber_queue": self.queue,
            "lazy": False,
        }


def wheel_command_topic(robot: str, joint: str) -> str:
    """Where a wheel joint takes its speed, rad/s, in ROS (Float64) and Gazebo (Double) alike."""
    return f"/{robot}/joints/{joint}/cmd_vel"


def steer_command_topic(robot: str, joint: str) -> str:
    """Where a steering joint takes its angle, rad, in ROS (Float64) and Gazebo (Double) alike."""
    return f"/{robot}/joints/{joint}/cmd_pos"


def wrench_topic(world: str) -> str:
    """Where Gazebo takes wrenches that stay (system ApplyLinkWrench)."""
    return f"/world/{world}/wrench/persistent"


def wrench_clear_topic(world: str) -> str:
    """Where it takes the entities whose wrenches end."""
    return f"/world/{world}/wrench/clear"


def thrust_bridges(world: str) -> tuple[Bridge, ...]:
    """What a world with a hopper carries besides: its engines' wrench.

    The wrench stands first: of messages that wait, the bridge takes that of the first entry first.
    """
    put, clear = wrench_topic(world), wrench_clear_topic(world)
    return (
        Bridge(put, "ros_gz_interfaces/msg/EntityWrench", put, "gz.msgs.EntityWrench", ROS_TO_GZ),
        Bridge(clear, "ros_gz_interfaces/msg/Entity", clear, "gz.msgs.Entity", ROS_TO_GZ),
    )


def light_topic(world: str) -> str:
    """Where Gazebo takes changes of a light (user-commands system)."""
    return f"/world/{world}/light_config"


def world_bridges(world: str) -> tuple[Bridge, ...]:
    """What a world carries whatever stands in it.

    The clock is the world's own. ``/clock`` is Gazebo's only where nobody else publishes it when
    the server starts: not beside another server, nor soon after one that was killed.
    """
    clock = f"/world/{world}/clock"
    return (
        Bridge(FAST_CLOCK, "rosgraph_msgs/msg/Clock", clock, "gz.msgs.Clock", GZ_TO_ROS),
        Bridge(
            light_topic(world), "ros_gz_interfaces/msg/Light",
            light_topic(world), "gz.msgs.Light", ROS_TO_GZ, queue=1,
        ),
    )  # fmt: skip


def robot_bridges(
    robot: str, model: RobotModel, *, lidar_fallback: bool = False
) -> tuple[Bridge, ...]:
    """What one vehicle carries: its sensors, its truth and the commands to its joints.

    Args:
        robot: namespace.
        model: a rover's wheels take commands, and those that are steered take angles.
        lidar_fallback: whether the fallback publishes the lidar's points instead of Gazebo.
    """
    sensors = [
        ("imu/data", "sensor_msgs/msg/Imu", "gz.msgs.IMU", 50, False),
        ("joint_states", "sensor_msgs/msg/JointState", "gz.msgs.Model", 50, False),
        ("lidar/points", "sensor_msgs/msg/PointCloud2", "gz.msgs.PointCloudPacked", 5, True),
        ("truth/odom", "nav_msgs/msg/Odometry", "gz.msgs.Odometry", 10, False),
    ]
    found = [
        Bridge(f"/{robot}/{name}", ros, f"/{robot}/{name}", gz, GZ_TO_ROS, queue, sensor)
        for name, ros, gz, queue, sensor in sensors
        if not (lidar_fallback and name == "lidar/points")
    ]
    commands = []
    if isinstance(model, RoverModel):
        wheels = model.wheels
        commands += [wheel_command_topic(robot, f"{name}_wheel") for name in wheels.names]
        commands += [steer_command_topic(robot, f"{name}_steer") for name in wheels.steered]
    found += [
        Bridge(topic, "std_msgs/msg/Float64", topic, "gz.msgs.Double", ROS_TO_GZ, queue=1)
        for topic in commands
    ]
    return tuple(found)


def write_bridges(path: Path, bridges: tuple[Bridge, ...]) -> None:
    """Write the configuration file of ``ros_gz_bridge``."""
    text = yaml.safe_dump([bridge.entry() for bridge in bridges], sort_keys=False)
    path.write_text(f"# Generated; see {__name__}.\n{text}", encoding="utf-8")
