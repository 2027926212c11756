"""Program ``gazebo_drive``: wheels and steering of one rover in Gazebo.

The command gate's ``cmd_vel`` comes in, a speed for each wheel joint and an angle for each
steering joint goes out, by the same drive as in the embedded simulator. Its clock is the stamp of
``joint_states``: it acts on what Gazebo says of the joints, and where Gazebo pauses so does it.
Commands that stay away for 0.25 s stop the vehicle. Should this program itself end, it stops the
wheels first; killed, it is started again and then stops them.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from ilrs_robots.core.control.drive import ACTUATOR_TIMEOUT_S
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.runtime import run
from ilrs_robots.robots.gazebo.interfaces import steer_command_topic, wheel_command_topic
from ilrs_robots.robots.model import require_rover
from ilrs_robots.robots.settings import wheel_drive_of
from ilrs_robots.robots.site import load_placement

PERIOD_NS: Final = 20_000_000
"""The embedded simulator's; joint states that come faster are passed over."""
REPEAT_NS: Final = 500_000_000
"""What has not changed is said again so often: a first message may be lost to discovery."""
LONGEST_NS: Final = 100_000_000
"""After a longer gap the speed changes by no more than this period's worth."""
SAME: Final = 1e-3
"""Smaller changes of a set point (rad, rad/s) are not worth a message."""


class _Joint:
    """Where one joint takes its set point, and what it was told last."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher, self._value, self._stamp_ns = publisher, math.nan, 0

    def tell(self, value: float, stamp_ns: int) -> None:
        """Publish what is new, what is zero now, and what has not been said for long."""
        old = abs(stamp_ns - self._stamp_ns) >= REPEAT_NS
        changed = not abs(value - self._value) <= SAME
        if changed or old or (value == 0.0 and self._value != 0.0):
            self._publisher.publish(Float64(data=value))
            self._value, self._stamp_ns = value, stamp_ns


class GazeboDriveNode(Node):  # type: ignore[misc]
    """Drives one rover's joints."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("gazebo_drive", **node_options)
        site = str(declare_one(self, "site", "shackleton", "site name or site file"))
        robot = str(declare_one(self, "robot", "long_range", "name of the robot at the site"))
        model = require_rover(load_placement(site, robot).load_model(), "gazebo_drive")
        self._names = model.wheels.names
        self._steered = [name for name in self._names if name in model.wheels.steered]
        self.drive = wheel_drive_of(model)
        self._wheels = [
            _Joint(self._float(wheel_command_topic(robot, f"{n}_wheel"))) for n in self._names
        ]
        self._steers = {
            n: _Joint(self._float(steer_command_topic(robot, f"{n}_steer"))) for n in self._steered
        }
        self._now_ns: int | None = None
        self.create_subscription(TwistStamped, "cmd_vel", self._on_command, qos.COMMAND)
        self.create_subscription(JointState, "joint_states", self._on_joints, qos.SENSOR)

    def _float(self, topic: str) -> Publisher:
        return self.create_publisher(Float64, topic, qos.COMMAND)

    def _on_command(self, msg: TwistStamped) -> None:
        command = convert.velocity_command(msg)
        if not (math.isfinite(command.linear_mps) and math.isfinite(command.angular_rps)):
            self.get_logger().error(
                f"a command of {command.linear_mps} m/s, {command.angular_rps} rad/s is not a "
                "number: standing still instead",
                throttle_duration_sec=2.0,
            )
            command = VelocityCommand(command.stamp_ns, 0.0, 0.0)
        now_ns = self._now_ns
        if now_ns is None or now_ns - command.stamp_ns > ACTUATOR_TIMEOUT_S * 1e9:
            return  # nothing is known of the joints, or it has lain in a queue
        self.drive.command(command, now_ns)

    def _on_joints(self, msg: JointState) -> None:
        stamp_ns = convert.to_ns(msg.header.stamp)
        if self._now_ns is not None and stamp_ns < self._now_ns:
            self.get_logger().warning("time was set back: standing still")
            self.drive.reset()
            self._now_ns = None
        before_ns = stamp_ns - PERIOD_NS if self._now_ns is None else self._now_ns
        if stamp_ns - before_ns < PERIOD_NS:
            return
        known = dict(zip(msg.name, msg.position, strict=False))
        angles = np.array([known.get(f"{name}_steer", 0.0) for name in self._names])
        missing = [n for n in self._steered if f"{n}_steer" not in known]
        if missing or not np.isfinite(angles).all():
            what = f"{missing[0]}_steer is missing" if missing else "an angle is not a number"
            self.get_logger().error(f"joint_states: {what}", throttle_duration_sec=2.0)
            return
        self._now_ns = stamp_ns
        period_s = min(stamp_ns - before_ns, LONGEST_NS) * 1e-9
        wanted = self.drive.step(stamp_ns, period_s, angles)
        for joint, speed in zip(self._wheels, wanted.wheel_rps, strict=True):
            joint.tell(float(speed), stamp_ns)
        if wanted.steer_rad is not None:
            for name, angle in zip(self._names, wanted.steer_rad, strict=True):
                if name in self._steers:
                    self._steers[name].tell(float(angle), stamp_ns)

    def destroy_node(self) -> None:
        """Stop the wheels, then end."""
        if self.context.ok():
            for joint in self._wheels:
                joint.tell(0.0, 0)
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(lambda: [GazeboDriveNode()], args)


if __name__ == "__main__":
    sys.exit(main())
