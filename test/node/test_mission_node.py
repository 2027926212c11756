"""A mission over real DDS: two rovers' own navigation actions, told by the mission node."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped, TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.mission import MissionNode, severity
from ilrs_robots.nodes.mission_client import MissionProgress, progress_of
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

pytestmark = pytest.mark.node
ONE = np.array([1.0, 0.0, 0.0, 0.0])
FASTER = 6.0
"""The test's rovers move by so much more than they are told: tests are short."""
FILE = """
name: short
site: shackleton
vehicles:
  long_range:
    - {task: tour, name: out, to: [[4.0, 0.0], [8.0, 0.0]]}
    - {task: go_to, name: far, to: [300.0, 0.0], tries: 1, on_failure: skip}
    - {task: wait, name: rest, for_s: 0.5}
  crewed_rover:
    - task: sortie_and_return
      name: sortie
      to: [[4.0, 8.0]]
      stay_s: 0.5
      start: {after: [long_range.out], charge: 0.5}
"""


class Rover:
    """A rover's navigation node, and ground on which it drives straight as it is told."""

    def __init__(self, graph: Any, host: Node, name: str, y_m: float) -> None:
        self.name, self.x_m, self.y_m, self.yaw = name, 0.0, y_m, 0.0
        self.command, self.sees = (0.0, 0.0), True
        self.node = host
        made = host.create_publisher
        self.tf = made(TFMessage, "/tf", qos.TF)
        self.odom = made(Odometry, f"/{name}/odom", qos.STREAM)
        self.map = made(OccupancyGrid, f"/{name}/traversability", qos.MAP)
        self.battery = made(BatteryState, f"/{name}/battery", qos.STATE)
        self.pose = made(PoseWithCovarianceStamped, f"/{name}/pose", qos.STATE)
        host.create_subscription(TwistStamped, f"/{name}/cmd_vel_nav", self._told, qos.COMMAND)
        settings = [Parameter("robot", value=name), Parameter("use_sim_time", value=True),
                    Parameter("autostart", value=False)]  # fmt: skip
        listener = TransformListener(graph.add(Node(f"{name}_host")))
        self.navigation = graph.add(
            NavigationNode(listener, namespace=f"/{name}", parameter_overrides=settings)
        )
        bring_up(self.navigation)

    def _told(self, msg: TwistStamped) -> None:
        self.command = (msg.twist.linear.x, msg.twist.angular.z)

    def step(self, now_ns: int, dt_s: float) -> None:
        v, w = self.command
        self.yaw += FASTER * w * dt_s
        self.x_m += FASTER * v * dt_s * math.cos(self.yaw)
        self.y_m += FASTER * v * dt_s * math.sin(self.yaw)
        at = np.array([self.x_m, self.y_m, 0.0])
        quat = np.array([math.cos(0.5 * self.yaw), 0.0, 0.0, math.sin(0.5 * self.yaw)])
        chain = (("map", f"{self.name}/odom", np.zeros(3), ONE),
                 (f"{self.name}/odom", f"{self.name}/base_link", at, quat))  # fmt: skip
        made = [convert.transform_message(a, b, now_ns, p, q) for a, b, p, q in chain]
        self.tf.publish(TFMessage(transforms=made))
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(now_ns)
        odom.pose.pose.position.x, odom.pose.pose.position.y = self.x_m, self.y_m
        odom.pose.pose.orientation.w, odom.pose.pose.orientation.z = quat[0], quat[3]
        odom.twist.twist.linear.x = v
        self.odom.publish(odom)
        if now_ns % 200_000_000 == 0:
            self._tell(now_ns)

    def _tell(self, now_ns: int) -> None:
        if self.sees:
            spec = GridSpec(-20.0, -20.0, 0.2, 300, 300)
            cost = np.zeros(spec.shape, dtype=np.float32)
            self.map.publish(convert.occupancy_message(cost, spec, f"{self.name}/odom", now_ns))
        self.battery.publish(BatteryState(percentage=0.8))
        pose = PoseWithCovarianceStamped()
        pose.pose.pose.position.x, pose.pose.pose.position.y = self.x_m, self.y_m
        self.pose.publish(pose)


class Site:
    """A clock, the two rovers, and somebody who listens to the mission."""

    def __init__(self, graph: Any) -> None:
        self.graph, self.now_ns = graph, 0
        self.node = graph.add(Node("site"))
        self.clock = self.node.create_publisher(Clock, "/clock", qos.STATE)
        self.rovers = [
            Rover(graph, self.node, name, y)
            for name, y in (("long_range", 0.0), ("crewed_rover", 8.0))
        ]
        self.progress: list[MissionProgress] = []
        self.log: list[Log] = []
        self.node.create_subscription(DiagnosticArray, "/mission/status", self._status, qos.MAP)
        self.node.create_subscription(Log, "/mission/log", self.log.append, qos.LOG)
        self.node.create_timer(0.02, self._tick)

    def _status(self, msg: DiagnosticArray) -> None:
        progress = progress_of(msg)
        assert progress is not None
        self.progress.append(progress)

    def _tick(self) -> None:
        self.now_ns += 40_000_000
        self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        for rover in self.rovers:
            rover.step(self.now_ns, 0.04)

    def states(self) -> dict[str, str]:
        return {task.name: task.state for task in self.progress[-1].tasks} if self.progress else {}

    def said(self) -> list[str]:
        return [f"{entry.name}: {entry.msg}" for entry in self.log]


def mission_node(graph: Any, path: Path, state: Path) -> MissionNode:
    settings = {"mission": str(path), "state_dir": str(state), "use_sim_time": True}
    made = [Parameter(name, value=value) for name, value in settings.items()]
    return graph.add(MissionNode(parameter_overrides=made))


@pytest.mark.timeout(500)
def test_two_rovers_do_their_tasks_and_the_node_may_die_on_the_way(
    graph: Any, tmp_path: Path
) -> None:
    path, state = tmp_path / "short.yaml", tmp_path / "state"
    path.write_text(FILE)
    state.mkdir()
    site = Site(graph)
    long_range, crewed = site.rovers
    first = mission_node(graph, path, state)
    graph.until(lambda: long_range.x_m > 2.0, "the tour")
    assert crewed.x_m == 0.0
    assert site.states()["crewed_rover.sortie"] == "waiting"

    graph.remove(first)
    mission_node(graph, path, state)
    graph.until(lambda: site.states().get("long_range.far") == "running", "the second task", 300.0)
    long_range.sees = False
    graph.until(lambda: site.progress and site.progress[-1].over, "the mission's end", 300.0)
    assert site.states() == {
        "long_range.out": "done", "long_range.far": "failed", "long_range.rest": "done",
        "crewed_rover.sortie": "done",
    }  # fmt: skip
    assert not site.progress[-1].succeeded
    assert math.hypot(crewed.x_m, crewed.y_m - 8.0) < 1.5
    times = {task.name: task for task in site.progress[-1].tasks}
    assert times["crewed_rover.sortie"].began_s >= times["long_range.out"].ended_s
    said = "\n".join(site.said())
    assert "crewed_rover.sortie: the crew works" in said
    assert "long_range.far: no terrain map has come" in said
    assert "goes on with the next task" in said
    grave = {entry.name for entry in site.log if entry.level != severity(Log.INFO)}
    assert grave == {"long_range.far"}


def test_a_mission_that_cannot_be_done_is_refused_at_once(graph: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(FILE.replace("crewed_rover", "submarine"))
    with pytest.raises(ConfigError, match=r"m\.yaml:9: .*no robot 'submarine'"):
        mission_node(graph, path, tmp_path)
