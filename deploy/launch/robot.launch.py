"""Example: a vehicle on hardware. Drivers under their own names, remapped to the vehicle's.

    ros2 launch deploy/launch/robot.launch.py robot:=crewed_rover

Copy it into a package of your own and put your drivers in; `ilrs deploy check` tells what of the
table is missing, of another type or too slow. Untested with hardware.

| the vehicle takes | type | rate | here from |
|---|---|---|---|
| lidar/points | sensor_msgs/PointCloud2 | 5 Hz | ouster_ros, `points` |
| imu/data | sensor_msgs/Imu | 50 Hz | microstrain_inertial_driver, `imu/data` |
| joint_states | sensor_msgs/JointState | 50 Hz | the wheels' controller, ros2_control |
| star_tracker/attitude | sensor_msgs/Imu, orientation | 1 Hz | a driver of yours, `attitude` |

| the vehicle gives | type | rate | here to |
|---|---|---|---|
| cmd_vel | geometry_msgs/TwistStamped | 20 Hz | the wheels' controller, `~/reference` |
"""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

TOPIC_MAP = {
    "lidar": {"points": "lidar/points"},
    "imu": {"imu/data": "imu/data"},
    "star_tracker": {"attitude": "star_tracker/attitude"},
    "wheels": {"~/reference": "cmd_vel", "joint_states": "joint_states"},
}
"""Of each driver: its name for a topic, and the vehicle's."""


def driver(key: str, package: str, executable: str, **parameters: object) -> Node:
    """A driver in the vehicle's namespace, its topics under the vehicle's names.

    It keeps its own node's name: one given here would go to every node of its process, and
    ros2_control_node has one for each controller.
    """
    return Node(
        package=package,
        executable=executable,
        namespace=LaunchConfiguration("robot"),
        remappings=list(TOPIC_MAP[key].items()),
        parameters=[parameters],
        respawn=True,
        respawn_delay=1.0,
    )


def generate_launch_description() -> LaunchDescription:
    """The vehicle's nodes with its gate, and its drivers."""
    ours = PathJoinSubstitution([FindPackageShare("ilrs_robots"), "launch", "robot.launch.py"])
    robot = LaunchConfiguration("robot")
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", default_value="crewed_rover"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(ours),
                launch_arguments={"robot": robot, "network": "true"}.items(),
            ),
            # Frames must be <robot>/lidar_link and so on: config/robots/<robot>.yaml has them.
            driver("lidar", "ouster_ros", "os_driver", sensor_frame=[robot, "/lidar_link"]),
            driver("imu", "microstrain_inertial_driver", "microstrain_inertial_driver_node"),
            driver("star_tracker", "your_star_tracker", "driver"),
            driver("wheels", "controller_manager", "ros2_control_node"),
        ]
    )
