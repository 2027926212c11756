"""One vehicle's nodes and its command gate, on its own computer or beside a simulator.

    ros2 launch ilrs_robots robot.launch.py --show-args
    ros2 launch ilrs_robots robot.launch.py robot:=crewed_rover network:=true

The topics that drivers have to feed stand in docs/frames_and_topics.md.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from ilrs_robots.cli.own_packages import see_compiler

see_compiler()

from ilrs_robots.cli.launch_plan import LaunchPlan, robot_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.nodes.launch_actions import planned
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names

YES_NO = ["true", "false"]


def plan(arguments: dict[str, str], folder: Path) -> LaunchPlan:
    return robot_plan(arguments, folder, Machine())


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot",
                description="Name of the robot in the site file; its namespace.",
            ),
            DeclareLaunchArgument(
                "site",
                default_value="shackleton",
                description="A name from config/sites, or the path of a site file (.yaml).",
            ),
            DeclareLaunchArgument(
                "composed",
                default_value="true",
                choices=YES_NO,
                description=(
                    "The vehicle's nodes share one process; false gives each its own. The "
                    "command gate always has its own."
                ),
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="true",
                choices=YES_NO,
                description="Nodes configure and activate themselves; false waits for you.",
            ),
            DeclareLaunchArgument(
                "respawn",
                default_value="true",
                choices=YES_NO,
                description="Start a process again when it dies; emergency stop and pose stay.",
            ),
            DeclareLaunchArgument(
                "respawn_delay",
                default_value=str(Policy().first_delay_s),
                description="Pause before a restart, seconds of wall time.",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=YES_NO,
                description="Time from /clock; false on hardware.",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=YES_NO,
                description="RViz with the vehicle, its maps, route and hazards; needs a display.",
            ),
            DeclareLaunchArgument(
                "foxglove",
                default_value="false",
                choices=YES_NO,
                description="The bridge for Foxglove, and a layout for this vehicle.",
            ),
            DeclareLaunchArgument(
                "gamepad",
                default_value="",
                description="The robot's name, to drive it by hand; empty for no gamepad.",
            ),
            DeclareLaunchArgument(
                "record",
                default_value="",
                description=(
                    "New folder for a rosbag2 bag; true for runs/<time>; empty for none."
                ),
            ),
            DeclareLaunchArgument(
                "record_profile",
                default_value=DEFAULT_PROFILE,
                choices=profile_names(),
                description="Topics of the bag; config/recording/profiles.yaml names them.",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error", "fatal"],
                description="Least severity that every ROS node logs.",
            ),
            DeclareLaunchArgument(
                "seed",
                default_value="",
                description="Seed of a procedural terrain; empty for the site's own.",
            ),
            DeclareLaunchArgument(
                "network",
                default_value="false",
                choices=YES_NO,
                description="Let DDS leave this machine, for operators elsewhere.",
            ),
            planned(plan),
        ]
    )
