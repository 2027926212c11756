"""Do two participants on this machine hear each other? A cloud there, its size back.

The far end is a process of its own: inside one process Fast DDS hands messages over without any
transport, which would prove nothing.
"""

from __future__ import annotations

import array
import contextlib
import statistics
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Final

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import UInt32

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes import qos

CLOUD_BYTES: Final = 2_000_000
"""About a scan of a large lidar: too large for the middleware's own settings."""
PERIOD_S: Final = 0.1


@dataclass(frozen=True)
class LoopbackResult:
    """How it went.

    Attributes:
        met_s: until both ends knew of each other.
        sent: clouds sent.
        answered: of these, how many were answered.
        round_trip_ms: median of cloud there and answer back.
    """

    met_s: float
    sent: int
    answered: int
    round_trip_ms: float


def measure(count: int = 10, timeout_s: float = 20.0) -> LoopbackResult:
    """Send clouds to a process of our own over DDS, as this environment is set.

    Args:
        count: how many.
        timeout_s: for the two to find each other.

    Raises:
        IlrsError: they never do; the far end's last line is in the message.
    """
    namespace = f"/loopback_{uuid.uuid4().hex}"
    far = subprocess.Popen(
        [sys.executable, "-m", "ilrs_robots.nodes.loopback", namespace],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    context = rclpy.Context()
    try:
        context.init()
        return _measure(context, namespace, far, count, timeout_s)
    finally:
        context.try_shutdown()
        far.kill()
        far.communicate()


def _measure(
    context: rclpy.Context,
    namespace: str,
    far: subprocess.Popen[bytes],
    count: int,
    timeout_s: float,
) -> LoopbackResult:
    node = Node("loopback_near", namespace=namespace, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    answers: dict[int, float] = {}
    sent_s: list[float] = []
    out = node.create_publisher(PointCloud2, "cloud", qos.SENSOR)
    node.create_subscription(
        UInt32, "seen", lambda msg: answers.setdefault(msg.data, time.perf_counter()), qos.STATE
    )
    begin_s = time.perf_counter()
    try:
        while not (out.get_subscription_count() and node.count_publishers("seen")):
            executor.spin_once(timeout_sec=0.05)
            if far.poll() is not None or time.perf_counter() - begin_s > timeout_s:
                raise IlrsError(_why(far, timeout_s))
        met_s = time.perf_counter() - begin_s
        cloud = PointCloud2(data=array.array("B", bytes(CLOUD_BYTES)))
        for number in range(count):
            cloud.width = number
            sent_s.append(time.perf_counter())
            out.publish(cloud)
            while number not in answers and time.perf_counter() - sent_s[-1] < PERIOD_S:
                executor.spin_once(timeout_sec=0.01)
        end_s = time.perf_counter() + 1.0
        while len(answers) < count and time.perf_counter() < end_s:
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        node.destroy_node()
    trips = [(answers[n] - sent_s[n]) * 1e3 for n in answers]
    median = statistics.median(trips) if trips else float("nan")
    return LoopbackResult(met_s, count, len(answers), median)


def _why(far: subprocess.Popen[bytes], timeout_s: float) -> str:
    if far.poll() is None:
        return f"two processes on this machine did not find each other within {timeout_s:.0f} s"
    assert far.stderr is not None
    lines = far.stderr.read().decode(errors="replace").strip().splitlines()
    return f"the far end of the loop-back ended: {lines[-1] if lines else 'without a word'}"


def main() -> None:
    """Answer every cloud with its number, in the namespace of the first argument."""
    rclpy.init()
    node = Node("loopback_far", namespace=sys.argv[1])
    out = node.create_publisher(UInt32, "seen", qos.STATE)
    node.create_subscription(
        PointCloud2, "cloud", lambda msg: out.publish(UInt32(data=msg.width)), qos.SENSOR
    )
    with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
