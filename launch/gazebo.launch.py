"""Gazebo alone: a site's world, its vehicles and the bridge to ROS. No node of autonomy.

    ros2 launch ilrs_robots gazebo.launch.py --show-args
    ros2 launch ilrs_robots gazebo.launch.py headless:=true robots:=long_range
    ros2 launch ilrs_robots robot.launch.py robot:=long_range use_sim_time:=true

`site.launch.py sim:=gazebo` starts both at once.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from ilrs_robots.cli.own_packages import see_compiler

see_compiler()

from ilrs_robots.cli.launch_plan import LaunchPlan, gazebo_only_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.nodes.launch_actions import log_progress, planned

YES_NO = ["true", "false"]


def plan(arguments: dict[str, str], folder: Path) -> LaunchPlan:
    return gazebo_only_plan(arguments, folder, Machine(), log_progress)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "site",
                default_value="shackleton",
                description="A name from config/sites, or the path of a site file (.yaml).",
            ),
            DeclareLaunchArgument(
                "robots",
                default_value="",
                description="Names from the site file, separated by commas; empty for all.",
            ),
            DeclareLaunchArgument(
                "headless",
                default_value="false",
                choices=YES_NO,
                description="No window; sensors render without a display.",
            ),
            DeclareLaunchArgument(
                "lidar",
                default_value="gazebo",
                choices=["gazebo", "raycast"],
                description=(
                    "Who makes the lidar's points: Gazebo, or our own ray casting of the same "
                    "terrain from the true pose, where Gazebo's renderer cannot see heightmaps."
                ),
            ),
            DeclareLaunchArgument(
                "seed",
                default_value="",
                description="Seed of terrain and rocks; empty for the site's own.",
            ),
            DeclareLaunchArgument(
                "respawn",
                default_value="true",
                choices=YES_NO,
                description="Start the bridge again when it dies; Gazebo's end ends everything.",
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
                "network",
                default_value="false",
                choices=YES_NO,
                description="Let DDS and Gazebo's transport leave this machine.",
            ),
            planned(plan),
        ]
    )
