"""A recorded bag into the vehicles' nodes: sensors and /clock from the bag, all else anew.

    ros2 launch ilrs_robots replay.launch.py --show-args
    ros2 launch ilrs_robots replay.launch.py bag:=runs/a/bag record:=runs/again

It plays the sensors of the bag (`ros2 bag play --clock`), starts the nodes that hear them, and
ends with the bag. It does not wait for the nodes and does not compare with the recorded outputs:
what it gives is not the same from run to run to the last bit.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from ilrs_robots.cli.own_packages import see_compiler

see_compiler()

from ilrs_robots.cli.launch_plan import LaunchPlan, replay_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.nodes.launch_actions import planned
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names

YES_NO = ["true", "false"]


def plan(arguments: dict[str, str], folder: Path) -> LaunchPlan:
    return replay_plan(arguments, folder, Machine())


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "bag",
                description="Folder of a rosbag2 bag (the one with metadata.yaml).",
            ),
            DeclareLaunchArgument(
                "site",
                default_value="shackleton",
                description="The site it was recorded at: a name, or a site file (.yaml).",
            ),
            DeclareLaunchArgument(
                "robots",
                default_value="",
                description="Names separated by commas; empty for all that the bag has.",
            ),
            DeclareLaunchArgument(
                "rate",
                default_value="1.0",
                description="Speed of the bag's clock, 1 for real time.",
            ),
            DeclareLaunchArgument(
                "delay",
                default_value="15.0",
                description="Seconds of wall time before the first message: the nodes' start.",
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
                "rviz",
                default_value="false",
                choices=YES_NO,
                description="RViz with vehicles, maps, routes and hazards; needs a display.",
            ),
            DeclareLaunchArgument(
                "foxglove",
                default_value="false",
                choices=YES_NO,
                description="The bridge for Foxglove, and a layout for these vehicles.",
            ),
            DeclareLaunchArgument(
                "composed",
                default_value="true",
                choices=YES_NO,
                description="A vehicle's nodes share one process; false gives each its own.",
            ),
            DeclareLaunchArgument(
                "respawn",
                default_value="false",
                choices=YES_NO,
                description="Start a vehicle's process again when it dies.",
            ),
            DeclareLaunchArgument(
                "respawn_delay",
                default_value=str(Policy().first_delay_s),
                description="Pause before a restart, seconds of wall time.",
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
                description="Let DDS leave this machine.",
            ),
            planned(plan),
        ]
    )
