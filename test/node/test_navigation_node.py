"""The navigation actions over real DDS: refusals with a sentence, cancel, preemption, frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav2_msgs.action import FollowWaypoints, NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.nodes import convert, goal_server, missions, qos
from ilrs_robots.nodes.missions import INVALID_GOAL, PREEMPTED
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

ODOM = (np.array([100.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0]))
"""map -> odom: the odometry frame lies elsewhere."""
FRAMES = {"map": "map", "odom": "long_range/odom", "base_link": "long_range/base_link"}
STUCK_S = 1.5


class Operator:
    """A robot on open flat ground that drives as it is told, and somebody who gives it goals."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = graph.add(Node("operator"))
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.odom = self.node.create_publisher(Odometry, "odom", qos.STREAM)
        self.map = self.node.create_publisher(OccupancyGrid, "traversability", qos.MAP)
        self.given = self.node.create_publisher(TwistStamped, "cmd_vel", qos.COMMAND)
        self.commands: list[TwistStamped] = []
        self.feedback: list[Any] = []
        self.node.create_subscription(
            TwistStamped, "cmd_vel_nav", self.commands.append, qos.COMMAND
        )
        self.client = ActionClient(self.node, NavigateToPose, "navigate_to_pose")
        self.follow = ActionClient(self.node, FollowWaypoints, "follow_waypoints")
        self.time_ns = 0
        self.x_m = -100.0
        self.drives = self.tells = self.sends_odom = self.sends_map = True
        self.gate: float | None = None
        self.node.create_timer(0.02, self._tick)

    def _tick(self) -> None:
        self.time_ns += 20_000_000
        speed = self.commands[-1].twist.linear.x if self.commands and self.drives else 0.0
        self.x_m += 5.0 * speed * 0.02  # five times as fast as told: tests are short
        if not self.sends_odom:
            return
        here = (np.array([self.x_m, 0.0, 0.0]), ODOM[1])
        chain = (
            ("map", "long_range/odom", ODOM),
            ("long_range/odom", "long_range/base_link", here),
        )
        made = [convert.transform_message(a, b, self.time_ns, *T) for a, b, T in chain]
        self.tf.publish(TFMessage(transforms=made))
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(self.time_ns)
        odom.pose.pose.position.x = self.x_m
        odom.pose.pose.orientation.w = 1.0
        odom.twist.twist.linear.x = speed
        self.odom.publish(odom)
        if self.gate is not None:
            passed = VelocityCommand(self.time_ns, self.gate, 0.0)
            self.given.publish(convert.twist_message(passed, "long_range/base_link"))
        if self.sends_map and self.time_ns % 200_000_000 == 0:
            spec = GridSpec(-119.95, -19.95, 0.1, 400, 400)
            cost = np.zeros(spec.shape, dtype=np.float32)
            self.map.publish(
                convert.occupancy_message(cost, spec, "long_range/odom", self.time_ns)
            )

    def pose(self, x: float, y: float = 0.0, frame: str = "map", ahead_s: float = 0.0) -> Any:
        pose = PoseStamped()
        pose.header.frame_id = frame
        if ahead_s:
            pose.header.stamp = convert.to_stamp(self.time_ns + int(ahead_s * 1e9))
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation.w = 1.0
        return pose

    def send(self, x: float, y: float, frame: str = "map", **more: Any) -> Any:
        return self.send_pose(self.pose(x, y, frame, **more))

    def send_pose(self, pose: Any) -> Any:
        return self._sent(self.client, NavigateToPose.Goal(pose=pose))

    def send_waypoints(self, *poses: Any, **more: int) -> Any:
        return self._sent(self.follow, FollowWaypoints.Goal(poses=list(poses), **more))

    def _sent(self, client: Any, goal: Any) -> Any:
        self.feedback.clear()
        sending = client.send_goal_async(goal, feedback_callback=self.feedback.append)
        self.graph.until(sending.done, "an answer to the goal")
        assert sending.result().accepted
        return sending.result()

    def outcome(self, handle: Any) -> Any:
        return self.outcome_of(handle.get_result_async())

    def outcome_of(self, result: Any) -> Any:
        self.graph.until(result.done, "the goal's end")
        return result.result()

    def cancel(self, handle: Any) -> Any:
        answer = handle.cancel_goal_async()
        self.graph.until(answer.done, "the answer to cancel")
        return answer.result()

    def wait(self, seconds: float) -> None:
        until = self.time_ns + int(seconds * 1e9)
        self.graph.until(lambda: self.time_ns > until, f"{seconds} s of the robot's time")

    def moving(self) -> bool:
        return bool(self.commands) and self.commands[-1].twist.linear.x > 0.05

    def standing(self) -> bool:
        twist = self.commands[-1].twist
        return twist.linear.x == 0.0 and twist.angular.z == 0.0


def brought_up(graph: Any) -> Operator:
    made = Operator(graph)
    host = graph.add(Node("host"))
    made.robot = graph.add(NavigationNode(TransformListener(host)))
    bring_up(made.robot)
    impatient = Parameter("navigator.stuck_s", value=STUCK_S)
    assert made.robot.set_parameters_atomically([impatient]).successful
    graph.until(made.client.server_is_ready, "the action server")
    graph.until(made.follow.server_is_ready, "the other action server")
    graph.until(lambda: made.commands, "the first control step")
    return made


@pytest.fixture
def operator(graph: Any) -> Operator:
    return brought_up(graph)


def test_an_impossible_goal_is_aborted_with_a_sentence_and_the_node_lives_on(
    operator: Operator,
) -> None:
    no_heading = operator.pose(5.0)
    no_heading.pose.orientation.w = 0.0
    impossible = [
        (operator.pose(math.nan), "not finite"),
        (operator.pose(0.0, math.inf), "not finite"),
        (operator.pose(1e6), "goal x = 1000000.00 m is outside the terrain, which spans"),
        (operator.pose(5.0, frame="no_such_frame"), "no_such_frame"),
        (operator.pose(5.0, frame=FRAMES["base_link"], ahead_s=30.0), "long_range"),
        (no_heading, "quaternion"),
    ]
    for pose, words in impossible:
        answer = operator.outcome(operator.send_pose(pose))
        assert answer.status == GoalStatus.STATUS_ABORTED
        assert answer.result.error_code == INVALID_GOAL
        assert words in answer.result.error_msg
    assert operator.standing()
    operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command for the good goal")


def test_a_goal_in_another_frame_is_driven_to(operator: Operator) -> None:
    for goal, frame, ahead_s, end_m in (
        ((-97.0, 0.0), "long_range/odom", 0.0, 3.0),
        ((3.0, 0.0), "long_range/base_link", 0.0, 6.0),
        ((3.0, 0.0), "long_range/base_link", 0.1, 9.0),
        ((12.0, 0.0), "", 0.0, 12.0),
    ):
        handle = operator.send(*goal, frame=frame, ahead_s=ahead_s)
        assert operator.outcome(handle).status == GoalStatus.STATUS_SUCCEEDED
        assert operator.x_m + ODOM[0][0] == pytest.approx(end_m, abs=1.2)


def no_odometry(operator: Operator) -> None:
    operator.sends_odom = False
    operator.wait(0.2)


def odometry(operator: Operator) -> None:
    operator.sends_odom = True
    operator.wait(0.2)


def no_map_yet(operator: Operator) -> None:
    operator.robot.trigger_deactivate()
    operator.robot.trigger_cleanup()
    operator.sends_map = False
    operator.node.destroy_publisher(operator.map)
    bring_up(operator.robot)
    operator.wait(0.5)


def walled_in(operator: Operator) -> None:
    operator.drives = False


def nothing(_operator: Operator) -> None:
    pass


@dataclass(frozen=True)
class Phase:
    """How a phase is brought about, and how it shows."""

    prepare: Callable[[Operator], None]
    shows: Callable[[Operator], bool]


PHASES = {
    "without odometry": Phase(no_odometry, lambda _o: True),
    "at once": Phase(odometry, lambda _o: True),
    "driving": Phase(nothing, Operator.moving),
    "recovering": Phase(walled_in, lambda o: "recovering" in str(o.robot.health()[2])),
    "before the first map": Phase(no_map_yet, lambda o: bool(o.feedback) and o.standing()),
}


def test_cancel_ends_the_goal_in_every_phase_and_stands(operator: Operator) -> None:
    for name, phase in PHASES.items():
        phase.prepare(operator)
        handle = operator.send(12.0, 0.0)
        operator.graph.until(lambda phase=phase: phase.shows(operator), name)
        assert operator.cancel(handle).return_code == CancelGoal.Response.ERROR_NONE, name
        answer = operator.outcome(handle)
        assert answer.status == GoalStatus.STATUS_CANCELED, name
        assert answer.result.error_msg == "cancelled on request"
        operator.graph.until(operator.standing, "standing still")


def test_cancel_after_the_end_says_that_the_goal_is_over(operator: Operator) -> None:
    handle = operator.send(0.1, 0.0)
    assert operator.outcome(handle).status == GoalStatus.STATUS_SUCCEEDED
    assert operator.cancel(handle).return_code == CancelGoal.Response.ERROR_GOAL_TERMINATED
    assert operator.outcome(handle).status == GoalStatus.STATUS_SUCCEEDED


def test_feedback_tells_how_far_it_is(operator: Operator) -> None:
    operator.drives = False
    operator.send(8.0, 0.0)
    operator.graph.until(lambda: operator.feedback, "feedback")
    assert operator.feedback[-1].feedback.distance_remaining == pytest.approx(8.0, abs=1.0)


def test_an_emergency_stop_does_not_look_like_being_stuck(operator: Operator) -> None:
    operator.drives = False
    operator.gate = 0.0
    handle = operator.send(12.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    operator.wait(2.0 * STUCK_S)
    assert operator.feedback[-1].feedback.number_of_recoveries == 0
    assert "held" in operator.robot.health()[1]
    operator.drives, operator.gate = True, 0.5
    assert operator.outcome(handle).status == GoalStatus.STATUS_SUCCEEDED
    assert operator.feedback[-1].feedback.number_of_recoveries == 0


def test_ten_goals_a_second_end_one_by_one_and_the_last_one_wins(
    graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goal_server, "RESULT_TIMEOUT_S", 1)
    made = brought_up(graph)
    tracked: list[GoalStatusArray] = []
    made.node.create_subscription(
        GoalStatusArray, "navigate_to_pose/_action/status", tracked.append, qos.MAP
    )
    results = []
    for number in range(30):
        handle = made.send(20.0 * math.cos(number), 20.0 * math.sin(number))
        results.append(handle.get_result_async())
        made.wait(0.1)
    last = made.send(made.x_m + ODOM[0][0] + 5.0, 0.0)
    for result in results:
        answer = made.outcome_of(result)
        assert answer.status == GoalStatus.STATUS_ABORTED
        assert answer.result.error_code == PREEMPTED
        assert answer.result.error_msg == "preempted by a newer goal"
    assert made.outcome(last).status == GoalStatus.STATUS_SUCCEEDED

    def forgotten() -> bool:
        made.send(made.x_m + ODOM[0][0], 0.0)
        made.wait(0.5)
        return len(tracked[-1].status_list) <= 5

    graph.until(forgotten, "the goals that are over to be forgotten")


def test_waypoints_are_driven_to_and_those_missed_are_reported(operator: Operator) -> None:
    handle = operator.send_waypoints(
        operator.pose(3.0),
        operator.pose(5.0, frame="no_such_frame"),
        operator.pose(1e6),
        operator.pose(6.0),
    )
    answer = operator.outcome(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert [m.index for m in answer.result.missed_waypoints] == [1, 2]
    assert answer.result.missed_waypoints[0].goal.header.frame_id == "no_such_frame"
    assert {m.error_code for m in answer.result.missed_waypoints} == {INVALID_GOAL}
    assert operator.x_m + ODOM[0][0] == pytest.approx(6.0, abs=0.5)


def test_waypoints_begin_where_asked_and_go_round_again(operator: Operator) -> None:
    step = operator.pose(2.0, frame=FRAMES["base_link"])
    poses = [operator.pose(40.0, frame="no_such_frame"), step, step]
    answer = operator.outcome(operator.send_waypoints(*poses, goal_index=1, number_of_loops=1))
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert [m.index for m in answer.result.missed_waypoints] == [0]
    assert operator.x_m + ODOM[0][0] == pytest.approx(8.0, abs=1.5)


def test_waypoints_that_cannot_be_followed_are_aborted_with_a_sentence(
    operator: Operator,
) -> None:
    for count, more, words in (
        (0, {}, "0 waypoints: there must be 1 to 10000"),
        (2, {"goal_index": 2}, "goal_index = 2: the last of 2 waypoints is 1"),
        (2, {"number_of_loops": 4_000_000_000}, "no_such_frame"),
    ):
        poses = [operator.pose(40.0, frame="no_such_frame")] * count
        answer = operator.outcome(operator.send_waypoints(*poses, **more))
        assert answer.status == GoalStatus.STATUS_ABORTED
        assert answer.result.error_code == INVALID_GOAL
        assert words in answer.result.error_msg


def test_a_goal_ends_waypoints_and_cancel_ends_them_too(operator: Operator) -> None:
    first = operator.send_waypoints(operator.pose(12.0))
    goal = operator.send(11.0, 0.0)
    assert operator.outcome(first).result.error_code == PREEMPTED
    second = operator.send_waypoints(operator.pose(12.0))
    assert operator.outcome(goal).result.error_code == PREEMPTED
    operator.graph.until(
        lambda: any(getattr(f.feedback, "current_waypoint", None) == 0 for f in operator.feedback),
        "feedback of the waypoints, behind that of the goal before",
    )
    operator.cancel(second)
    assert operator.outcome(second).status == GoalStatus.STATUS_CANCELED


def test_a_missed_waypoint_fits_the_type_of_later_distributions() -> None:
    @dataclass
    class WaypointStatus:
        """As nav2_msgs has it after Jazzy; its generated class is not installed here."""

        waypoint_status: int = 0
        waypoint_index: int = 0
        waypoint_pose: Any = None
        error_code: int = 0
        error_msg: str = ""
        FAILED = 3

    made = missions.fill_missed(WaypointStatus, 4, PoseStamped(), 208, "no way")
    assert made == WaypointStatus(3, 4, PoseStamped(), 208, "no way")


@pytest.mark.parametrize("transition", ["trigger_deactivate", "trigger_shutdown"])
def test_a_goal_under_way_ends_when_the_node_is_deactivated(
    operator: Operator, transition: str
) -> None:
    handle = operator.send(12.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    getattr(operator.robot, transition)()
    answer = operator.outcome(handle)
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_ABORTED, PREEMPTED)
    operator.graph.until(operator.standing, "the command to stand")
    refused = operator.client.send_goal_async(NavigateToPose.Goal(pose=operator.pose(1.0)))
    operator.graph.until(refused.done, "an answer")
    assert not refused.result().accepted


def test_a_newer_goal_ends_the_older_one(operator: Operator) -> None:
    older = operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    newer = operator.send(6.0, 3.0)
    answer = operator.outcome(older)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "newer goal" in answer.result.error_msg
    operator.graph.until(operator.moving, "a command for the newer goal")
    newer.cancel_goal_async()
    operator.outcome(newer)


def test_a_goal_where_the_robot_stands_succeeds_at_once(operator: Operator) -> None:
    assert operator.outcome(operator.send(0.1, 0.0)).status == GoalStatus.STATUS_SUCCEEDED


def test_without_odometry_there_is_no_command(operator: Operator) -> None:
    operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    operator.sends_odom = False
    operator.graph.spin(20)
    count = len(operator.commands)
    operator.wait(0.5)
    assert len(operator.commands) <= count + 1
