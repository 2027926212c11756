"""What ``ilrs deploy check`` hears of a topic that falls silent, over real DDS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rclpy.node import Node
from sensor_msgs.msg import Imu

from ilrs_robots.nodes import qos
from ilrs_robots.nodes.deploy_probe import listen
from ilrs_robots.robots.deployment import topic
from ilrs_robots.robots.findings import BAD
from ilrs_robots.robots.interfaces import contract

pytestmark = pytest.mark.node
TOPIC = "/long_range/imu/data"


def test_a_sensor_that_dies_while_it_is_listened_to_is_an_error(graph: Any) -> None:
    """Its messages come at far more than the rate, and then no more."""
    driver = graph.add(Node("driver", namespace="/long_range"))
    out = driver.create_publisher(Imu, TOPIC, qos.SENSOR)
    row = next(row for row in contract(drives=True) if row.name == "imu/data")
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(listen, "long_range", {TOPIC: row.kind}, 2.0, 30.0)
        graph.until(lambda: out.get_subscription_count() or check.done(), "the listener")
        for _ in range(4):
            out.publish(Imu())
        graph.until(check.done, "the end of the check")
    heard = check.result().topics[TOPIC]
    assert heard.count >= 1
    (found,) = topic(row, TOPIC, heard, waited_s=2.0)
    assert found.level == BAD, found.what
