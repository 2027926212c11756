"""One of two machines on a wire that a test holds: run in a network namespace of its own.

``network_peer.py vehicle|base OWN PEER FD``: makes the end of the wire, passes it to the test
through the socket FD, and writes one JSON object a line for everything that it hears.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
NAME = "wire"
"""The kernel's numbers and the device's name, linux/if_tun.h."""


def plug_in(own: str, test: socket.socket) -> None:
    """Make the device with its address, and give its other end away."""
    for command in (
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", "/dev/shm"],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "addr", "add", f"{own}/24", "dev", NAME], check=True)
    subprocess.run(["ip", "link", "set", NAME, "up"], check=True)
    socket.send_fds(test, [b"wire"], [tap])


def say(**what: Any) -> None:
    print(json.dumps({"wall_s": time.time(), **what}), flush=True)


def vehicle() -> Any:
    """A gate with pose and map of its own; the commands come from elsewhere."""
    import numpy as np
    from diagnostic_msgs.msg import DiagnosticArray
    from geometry_msgs.msg import TwistStamped
    from nav_msgs.msg import OccupancyGrid, Odometry
    from rclpy.node import Node

    from ilrs_robots.core.types import GridSpec
    from ilrs_robots.nodes import convert, qos
    from ilrs_robots.nodes.command_gate import CommandGateNode
    from ilrs_robots.nodes.runtime import bring_up

    gate, sensors = CommandGateNode(), Node("sensors")
    ground = GridSpec(-10.0, -10.0, 0.1, 201, 201)
    free = np.zeros(ground.shape, dtype=np.float32)
    odom = sensors.create_publisher(Odometry, "odom", qos.STATE)
    maps = sensors.create_publisher(OccupancyGrid, "traversability", qos.MAP)

    def sense() -> None:
        now_ns = sensors.get_clock().now().nanoseconds
        pose = Odometry()
        pose.header.stamp = convert.to_stamp(now_ns)
        pose.pose.pose.orientation.w = 1.0
        odom.publish(pose)
        maps.publish(convert.occupancy_message(free, ground, "odom", now_ns))

    def moves(msg: TwistStamped) -> None:
        say(stamp_s=convert.to_ns(msg.header.stamp) * 1e-9, speed_mps=msg.twist.linear.x)

    def told(msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name.endswith("command_gate"):
                say(gate=status.message)

    sensors.create_timer(0.1, sense)
    sensors.create_subscription(TwistStamped, "cmd_vel", moves, qos.COMMAND)
    sensors.create_subscription(DiagnosticArray, "/diagnostics", told, qos.STATE)
    bring_up(gate)
    return gate, sensors


def base() -> Any:
    """Somebody who drives the vehicle by hand from far away."""
    from geometry_msgs.msg import TwistStamped
    from rclpy.node import Node

    from ilrs_robots.core.types import VelocityCommand
    from ilrs_robots.nodes import convert, qos

    hand = Node("hand")
    stick = hand.create_publisher(TwistStamped, "cmd_vel_teleop", qos.COMMAND)

    def push() -> None:
        command = VelocityCommand(hand.get_clock().now().nanoseconds, 0.4, 0.0)
        stick.publish(convert.twist_message(command, "base_link"))

    hand.create_timer(0.05, push)
    return (hand,)


def main(role: str, own: str, peer: str, fd: str) -> None:
    plug_in(own, socket.socket(fileno=int(fd)))
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from ilrs_robots.robots.assembly import dds_environment
    from ilrs_robots.robots.peers_profile import peers_profile

    profile = Path(tempfile.mkdtemp()) / "fastdds.xml"
    profile.write_text(peers_profile(own, (peer,)), encoding="utf-8")
    os.environ.update(dds_environment({}, profile=profile))
    rclpy.init()
    executor = SingleThreadedExecutor()
    for node in {"vehicle": vehicle, "base": base}[role]():
        executor.add_node(node)
    say(ready=role)
    executor.spin()


if __name__ == "__main__":
    main(*sys.argv[1:])
