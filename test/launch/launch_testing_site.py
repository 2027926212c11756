"""``launch_testing``: the site of one vehicle comes up, and every process ends with code 0.

Run by ``launch_test``, in a process of its own, from test_launch_files.py.
"""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import launch_testing.actions
import launch_testing.asserts
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from ilrs_robots.cli.machine import Machine

SITE = Path(__file__).resolve().parents[2] / "launch" / "site.launch.py"
UP_S = 120.0


def generate_test_description() -> LaunchDescription:
    return LaunchDescription(
        [
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SITE)),
                launch_arguments={"robots": "long_range", "headless": "true"}.items(),
            ),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestUp(unittest.TestCase):
    def test_time_starts(self, proc_output: Any) -> None:
        proc_output.assertWaitFor("every vehicle listens", timeout=UP_S, stream="stderr")


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_every_process_has_ended_in_order(self, proc_info: Any) -> None:
        of_the_distribution = Machine().has_package("robot_state_publisher")
        assert len(list(proc_info.process_names())) == 3 + of_the_distribution
        launch_testing.asserts.assertExitCodes(proc_info)
