"""Launch a site, drive one vehicle to a goal, end it all; the exit code says whether all was well.

    python tools/launch_goal.py --robot long_range --to 8,0 sim:=gazebo

What CI runs in a ROS container. Needs a sourced workspace; further arguments go to ros2 launch.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

END_S = 60.0


def main() -> int:
    """0 when the vehicle has arrived and every process has ended in order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--robot", default="long_range")
    parser.add_argument("--to", default="8,0", help="goal in map, metres")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds of wall time")
    parser.add_argument("launch", nargs="*", help="name:=value")
    asked = parser.parse_args()
    package = "ilrs_robots"
    site = ["site.launch.py", "headless:=true", f"robots:={asked.robot}", *asked.launch]
    launch = subprocess.Popen(["ros2", "launch", package, *site])
    goal = ["ilrs", "goal", asked.robot, "--to", asked.to, "--timeout", str(asked.timeout)]
    client = subprocess.Popen(["ros2", "run", package, *goal])
    while client.poll() is None and launch.poll() is None:
        time.sleep(0.5)
    if launch.poll() is not None:
        client.kill()
    arrived = client.wait() == 0
    launch.send_signal(signal.SIGINT)
    try:
        ended = launch.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        launch.kill()
        ended = -signal.SIGKILL
    print(f"arrived: {arrived}, launch ended with {ended}", flush=True)
    return 0 if arrived and ended == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
