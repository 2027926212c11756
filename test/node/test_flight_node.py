"""A hopper over real DDS: its node and the simulator, goals through the action."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMsg
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from ilrs_robots.nodes import qos
from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.flight import FlightNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import dds_environment
from ilrs_robots.robots.hop_flight_types import HopError

pytestmark = pytest.mark.node

SITE = """
name: hops
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-06-02T06:00:00Z"
terrain: {kind: procedural, seed: 3, size_m: 640.0, resolution_m: 5.0}
robots: [{name: hopper, model: hopper}]
"""
NAME = "hopper"


class Sortie:
    """Simulator, flight node and somebody who asks; the world goes on as the vehicle follows."""

    def __init__(self) -> None:
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Node] = []
        self.sim = self.add(EmbeddedSimNode())
        self.host = self.add(Node("host"))
        self.operator = self.add(Node("operator"))
        self.client = ActionClient(self.operator, NavigateToPose, "navigate_to_pose")
        self.estop = self.operator.create_client(SetBool, "estop")
        self.odom: list[Odometry] = []
        self.thrust: list[JointState] = []
        self.arcs: list[PathMsg] = []
        self.feedback: list[Any] = []
        listen = self.operator.create_subscription
        listen(Odometry, "odom", self.odom.append, qos.STREAM)
        listen(JointState, "thrusters/command", self.thrust.append, qos.STREAM)
        listen(PathMsg, "plan", self.arcs.append, qos.MAP)
        self.flight = self.new_flight()
        self.body = self.sim.world.hopper(NAME)

    def add(self, node: Any) -> Any:
        self.executor.add_node(node)
        self.nodes.append(node)
        return node

    def new_flight(self) -> FlightNode:
        """A flight node as its process makes it, up and heard by the simulator."""
        node = self.add(FlightNode(TransformListener(self.host)))
        bring_up(node)
        self.spin_until(lambda: self.sim.ready() and self.client.server_is_ready(), "the node")
        return node

    def lose_flight(self) -> None:
        """Its process dies: nothing is said any more."""
        self.nodes.remove(self.flight)
        self.executor.remove_node(self.flight)
        self.flight.destroy_node()

    def spin_until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + 120.0
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited in vain for {what}")
            self.executor.spin_once(timeout_sec=0.02)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 150.0) -> None:
        """Let simulated time go on until a condition holds."""
        end_ns = self.sim.time_ns + round(seconds * 1e9)
        while not condition():
            if self.sim.time_ns > end_ns:
                seen = self.sim.world.evaluation(NAME)
                pytest.fail(f"waited {seconds} simulated seconds in vain for {what}: {seen}")
            if self.sim.delay_s() <= 0.0:
                self.sim.step()
            self.executor.spin_once(timeout_sec=0.001)

    def ask(self, x_m: float, y_m: float) -> Any:
        goal = NavigateToPose.Goal()
        goal.pose.header.frame_id = "map"
        goal.pose.pose.position.x, goal.pose.pose.position.y = x_m, y_m
        goal.pose.pose.orientation.w = 1.0
        sending = self.client.send_goal_async(goal, feedback_callback=self.feedback.append)
        self.until(sending.done, "an answer")
        assert sending.result().accepted
        return sending.result()

    def result(self, handle: Any) -> Any:
        coming = handle.get_result_async()
        self.until(coming.done, "the end of the hop")
        return coming.result()

    def truth(self) -> Any:
        return self.sim.world.truth(NAME)

    def stands(self) -> bool:
        seen = self.sim.world.evaluation(NAME)
        return seen.feet_down >= 3 and not seen.tipped and float(seen.thrust_n.sum()) < 1.0


@pytest.fixture
def sortie(domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sortie]:
    site, state = tmp_path / "hops.yaml", tmp_path / "state"
    site.write_text(SITE)
    state.mkdir()
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    given = {"site": site, "robots": NAME, "robot": NAME, "use_sim_time": "true",
             "state_dir": state}  # fmt: skip
    arguments = [part for key, value in given.items() for part in ("-p", f"{key}:={value}")]
    rclpy.init(args=["--ros-args", "-r", f"__ns:=/{NAME}", *arguments], domain_id=domain_id)
    made = Sortie()
    yield made
    made.sim.world.close()
    for node in made.nodes:
        made.executor.remove_node(node)
        node.destroy_node()
    made.executor.shutdown()
    rclpy.shutdown()


def test_what_cannot_be_flown_is_refused_with_the_numbers_and_a_cancel_is_no_launch(
    sortie: Sortie,
) -> None:
    sortie.until(lambda: sortie.odom, "odometry", 5.0)
    off_the_map = sortie.result(sortie.ask(5000.0, 0.0))
    assert off_the_map.status == GoalStatus.STATUS_ABORTED
    assert off_the_map.result.error_code == HopError.REFUSED
    assert "no ground is known" in off_the_map.result.error_msg
    sortie.body.engines.fill(1.0)
    sortie.until(lambda: sortie.flight.health()[2]["propellant_kg"] < 1.5, "the gauge")
    poor = sortie.result(sortie.ask(60.0, 0.0))
    assert poor.result.error_code == HopError.REFUSED
    assert re.search(r"needs .* kg of propellant .* are held", poor.result.error_msg)
    sortie.body.engines.fill(50.0)
    sortie.until(lambda: sortie.flight.health()[2]["propellant_kg"] > 49.0, "the gauge")
    handle = sortie.ask(30.0, 0.0)
    cancelling = handle.cancel_goal_async()
    sortie.until(cancelling.done, "the answer to the cancel")
    cancelled = sortie.result(handle)
    assert cancelled.status == GoalStatus.STATUS_CANCELED
    assert "not launched" in cancelled.result.error_msg
    stopping = sortie.estop.call_async(SetBool.Request(data=True))
    sortie.until(stopping.done, "the emergency stop")
    stopped = sortie.result(sortie.ask(30.0, 0.0))
    assert stopped.status == GoalStatus.STATUS_ABORTED
    assert "emergency stop" in stopped.result.error_msg
    assert sortie.thrust == []


@pytest.mark.soak
def test_a_flight_node_that_dies_in_flight_is_landed_and_its_next_life_does_not_know_its_place(
    sortie: Sortie,
) -> None:
    """The actuator end lands it; a hop is flown again once somebody says where it stands."""
    sortie.until(lambda: sortie.odom, "odometry", 5.0)
    sortie.ask(20.0, 0.0)
    sortie.until(lambda: sortie.flight.health()[2].get("phase") in ("boost", "cruise"), "a boost")
    assert sortie.arcs
    assert sortie.thrust[-1].effort
    sortie.lose_flight()
    sortie.until(lambda: sortie.body.keeper.flying, "the keeper", 5.0)
    sortie.until(lambda: sortie.body.keeper.landed and sortie.stands(), "a landing", 60.0)
    count = len(sortie.odom)
    sortie.flight = sortie.new_flight()
    sortie.until(lambda: len(sortie.odom) > count + 300, "odometry again")
    handle = sortie.ask(20.0, 0.0)
    refused = sortie.result(handle)
    assert refused.status == GoalStatus.STATUS_ABORTED
    assert "the position is not known" in refused.result.error_msg
    assert sortie.stands()


@pytest.mark.soak
def test_a_hop_through_the_action_lands_on_its_place_and_costs_propellant(sortie: Sortie) -> None:
    sortie.until(lambda: sortie.odom, "odometry", 5.0)
    held = sortie.sim.world.evaluation(NAME).propellant_kg
    answer = sortie.result(sortie.ask(36.0, -12.0))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.error_msg
    assert sortie.stands()
    here = sortie.truth().position_m
    status = sortie.flight._step.flight.status
    own = sortie.odom[-1].pose.pose.position
    assert abs(own.x - here[0]) < 1.0
    assert abs(own.y - here[1]) < 1.0
    assert np.hypot(*(here - status.chosen_m)[:2]) < 2.0
    spent = held - sortie.sim.world.evaluation(NAME).propellant_kg
    planned = float(sortie.flight.health()[2]["planned_kg"])
    # The worst of 300 hops spent 1.66 of its plan: looking and a divert cost more of a short hop.
    assert planned < spent < 1.75 * planned
    left = [f.feedback.distance_remaining for f in sortie.feedback]
    assert left[0] > 30.0
    assert left[-1] < 5.0
    stamps = np.array([m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in sortie.thrust])
    assert np.diff(stamps).max() < 0.05
