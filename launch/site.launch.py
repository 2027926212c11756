"""A whole site: simulator, every vehicle's nodes and gates, and what one looks at them with.

    ros2 launch ilrs_robots site.launch.py --show-args
    ros2 launch ilrs_robots site.launch.py sim:=gazebo
    ros2 launch ilrs_robots site.launch.py sim:=mujoco headless:=true robots:=long_range

What is started stands in ilrs_robots/cli/launch_plan.py and the assembly that it reads, not here.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument

from ilrs_robots.cli.own_packages import see_compiler

see_compiler()

from ilrs_robots.cli.launch_plan import LaunchPlan, site_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.nodes.launch_actions import log_progress, planned
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names

YES_NO = ["true", "false"]


def plan(arguments: dict[str, str], folder: Path) -> LaunchPlan:
    return site_plan(arguments, folder, Machine(), log_progress)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "site",
                default_value="shackleton",
                description="A name from config/sites, or the path of a site file (.yaml).",
            ),
            DeclareLaunchArgument(
                "sim",
                default_value="mujoco",
                choices=["gazebo", "mujoco", "none"],
                description=(
                    "Simulator: Gazebo, the embedded one (MuJoCo; needs nothing else), or none: "
                    "the nodes alone, for hardware or a simulator of your own."
                ),
            ),
            DeclareLaunchArgument(
                "robots",
                default_value="",
                description="Names from the site file, separated by commas; empty for all.",
            ),
            DeclareLaunchArgument(
                "mission",
                default_value="",
                description=(
                    "A name from config/missions, or the path of a mission file; its vehicles "
                    "run unless robots names others. Empty for none."
                ),
            ),
            DeclareLaunchArgument(
                "headless",
                default_value="false",
                choices=YES_NO,
                description=(
                    "Simulator without a window; sensors render without a display. The embedded "
                    "simulator never opens one."
                ),
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=YES_NO,
                description="RViz with vehicles, maps, routes and hazards; needs a display.",
            ),
            DeclareLaunchArgument(
                "view",
                default_value="false",
                choices=YES_NO,
                description="The mission view in the browser, at http://127.0.0.1:8080.",
            ),
            DeclareLaunchArgument(
                "foxglove",
                default_value="false",
                choices=YES_NO,
                description="The bridge for Foxglove, and a layout for these vehicles.",
            ),
            DeclareLaunchArgument(
                "gamepad",
                default_value="",
                description="Name of a robot to drive by hand with a gamepad; empty for none.",
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
                "use_sim_time",
                default_value="auto",
                choices=["auto", *YES_NO],
                description="Time from /clock; auto: true with a simulator, false without.",
            ),
            DeclareLaunchArgument(
                "composed",
                default_value="true",
                choices=YES_NO,
                description=(
                    "A vehicle's nodes share one process; false gives each its own. The command "
                    "gate always has its own."
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
                description=(
                    "Start a vehicle's process again when it dies. The simulator's end always "
                    "ends everything."
                ),
            ),
            DeclareLaunchArgument(
                "respawn_delay",
                default_value=str(Policy().first_delay_s),
                description="Pause before a restart, seconds of wall time.",
            ),
            DeclareLaunchArgument(
                "lidar",
                default_value="gazebo",
                choices=["gazebo", "raycast"],
                description=(
                    "sim:=gazebo only. Who makes the lidar's points: Gazebo, or our own ray "
                    "casting of the same terrain from the true pose, where Gazebo's renderer "
                    "cannot see heightmaps. /diagnostics names the second."
                ),
            ),
            DeclareLaunchArgument(
                "rtf",
                default_value="0.0",
                description=(
                    "sim:=mujoco only. Upper bound of the real-time factor; 0: as fast as the "
                    "vehicles follow."
                ),
            ),
            DeclareLaunchArgument(
                "seed",
                default_value="",
                description="Seed of terrain and sensors; empty for the site's own.",
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
