"""Navigation node: goals to velocity commands through the action that users already know."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.duration import Duration
from rclpy.task import Future

from ilrs_robots.core import warm
from ilrs_robots.core.control.navigator import NavigatorOutput, NavigatorState
from ilrs_robots.core.errors import IlrsError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.parameters import declare
from ilrs_robots.robots.site import load_site
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    NavigationStep,
    base_frame,
    navigator_config_of,
    odom_frame,
)

if TYPE_CHECKING:
    from ilrs_robots.nodes.transforms import TransformListener

CONTROL_PERIOD_NS = 100_000_000
FEEDBACK_PERIOD_NS = 500_000_000
PLAN_PERIOD_NS = 1_000_000_000
INVALID_GOAL = 1001
"""Error code of a goal that cannot be understood; the navigator's own codes follow it."""
PREEMPTED = 1002


@dataclass
class _ActiveGoal:
    handle: Any
    finished: Future
    started_ns: int
    result: NavigateToPose.Result
    goal_xy_m: FloatArray = field(default_factory=lambda: np.zeros(2))


class NavigationNode(ManagedNode):
    """Runs the navigator once per control period of odometry time.

    The control step hangs on odometry, not on a timer: without a fresh pose there is no command,
    and a simulation that runs faster or slower than the wall clock changes nothing.
    """

    def __init__(self, listener: TransformListener) -> None:
        super().__init__("navigation")
        self._listener = listener
        self._active: _ActiveGoal | None = None

    def setup(self) -> None:
        """Load robot and prior terrain, offer the action."""
        site, terrain = load_site(self.site_name, seed=self.seed)
        model = site.robot(self.robot).load_model()
        cfg = declare(self, "navigator", navigator_config_of(model))
        warm.navigation()
        self._step = NavigationStep(model, terrain.prior, cfg)
        self._control_ns = self._feedback_ns = self._plan_ns = -(10**18)
        self._output: NavigatorOutput | None = None
        self._pose: FloatArray | None = None
        self._command = self.publisher(TwistStamped, "cmd_vel_nav", qos.COMMAND)
        self._plan = self.publisher(Path, "plan", qos.MAP)
        self.subscribe(OccupancyGrid, "traversability", self._on_traversability, qos.MAP)
        self.subscribe(Odometry, "odom", self._on_odom, qos.STREAM)
        self.subscribe(PoseStamped, "goal_pose", self._on_goal_pose, qos.STATE)
        server = ActionServer(
            self,
            NavigateToPose,
            "navigate_to_pose",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _handle: CancelResponse.ACCEPT,
        )
        self._owned.append((lambda made: made.destroy(), server))

    def reset(self) -> None:
        """End a goal that is still under way."""
        if self._active is not None:
            self._finish("abort", PREEMPTED, "the navigation node was shut down")

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Report what the navigator does."""
        if self._output is None:
            return WARN, "no odometry yet", {}
        out = self._output
        values: dict[str, object] = {
            "state": out.state.value,
            "distance_remaining_m": out.distance_remaining_m,
        }
        failed = out.state is NavigatorState.FAILED
        return (WARN if failed else OK), out.reason or out.state.value, values

    # -- input ------------------------------------------------------------------------------
    def _on_traversability(self, msg: OccupancyGrid) -> None:
        stamp_ns = convert.to_ns(msg.header.stamp)
        try:
            T_map_odom = self._map_odom(stamp_ns)
        except TransformError as error:
            self.get_logger().warning(f"hazards not used: {error}", throttle_duration_sec=2.0)
            return
        cost, spec = convert.occupancy_cost(msg)
        self._step.on_traversability(cost, spec, T_map_odom, stamp_ns)

    def _on_odom(self, msg: Odometry) -> None:
        now_ns = convert.to_ns(msg.header.stamp)
        if now_ns < self._control_ns:
            self._control_ns = self._feedback_ns = self._plan_ns = -(10**18)
        if now_ns - self._control_ns < CONTROL_PERIOD_NS:
            return
        try:
            T_map_odom = self._map_odom(now_ns)
        except TransformError as error:
            self.get_logger().warning(f"no control: {error}", throttle_duration_sec=2.0)
            return
        self._control_ns = now_ns
        self._control(now_ns, T_map_odom @ convert.pose_matrix(msg.pose.pose), msg)

    def _map_odom(self, stamp_ns: int) -> FloatArray:
        """``map -> odom`` at the stamp, or the newest when it has not come yet."""
        tree, frame = self._listener.tree, odom_frame(self.robot)
        latest = tree.latest_stamp(MAP_FRAME, frame)
        use_ns = stamp_ns if latest is None else min(stamp_ns, latest)
        return tree.lookup(MAP_FRAME, frame, use_ns)

    # -- control ----------------------------------------------------------------------------
    def _control(self, now_ns: int, T_map_base: FloatArray, msg: Odometry) -> None:
        begin = perf_counter()
        self._pose = T_map_base
        if self._active is not None and self._active.handle.is_cancel_requested:
            self._step.navigator.cancel()
            self._finish("canceled", 0, "cancelled on request")
        out = self._step.step(now_ns, T_map_base, msg.twist.twist.linear.x)
        self._output = out
        command = VelocityCommand(now_ns, out.v, out.w)
        self._command.publish(convert.twist_message(command, base_frame(self.robot)))
        if len(out.path_xy_m) and now_ns - self._plan_ns >= PLAN_PERIOD_NS:
            self._plan_ns = now_ns
            z_m = float(T_map_base[2, 3])
            self._plan.publish(convert.path_message(out.path_xy_m, z_m, MAP_FRAME, now_ns))
        self._report(now_ns, out)
        self.latency.add(perf_counter() - begin)

    def _report(self, now_ns: int, out: NavigatorOutput) -> None:
        if self._active is None:
            return
        if out.state is NavigatorState.REACHED:
            self._finish("succeed", 0, "")
        elif out.state is NavigatorState.FAILED:
            self._finish("abort", int(out.error_code), out.reason)
        elif now_ns - self._feedback_ns >= FEEDBACK_PERIOD_NS:
            self._feedback_ns = now_ns
            self._active.handle.publish_feedback(self._feedback(now_ns, out))

    def _feedback(self, now_ns: int, out: NavigatorOutput) -> NavigateToPose.Feedback:
        assert self._active is not None
        msg = NavigateToPose.Feedback()
        msg.current_pose.header.frame_id = MAP_FRAME
        msg.current_pose.header.stamp = convert.to_stamp(now_ns)
        if self._pose is not None:
            msg.current_pose.pose = convert.pose_message(self._pose)
        elapsed = now_ns - self._active.started_ns
        msg.navigation_time = Duration(nanoseconds=elapsed).to_msg()
        eta_ns = int(out.eta_s * 1e9) if math.isfinite(out.eta_s) else 0
        msg.estimated_time_remaining = Duration(nanoseconds=eta_ns).to_msg()
        msg.number_of_recoveries = out.recoveries
        left_m = out.distance_remaining_m
        if not len(out.path_xy_m) and self._pose is not None:
            left_m = float(np.linalg.norm(self._pose[:2, 3] - self._active.goal_xy_m))
        msg.distance_remaining = left_m
        return msg

    # -- goals ------------------------------------------------------------------------------
    def _on_goal(self, _goal: NavigateToPose.Goal) -> GoalResponse:
        if not self.active:
            self.get_logger().warning("goal refused: the navigation node is not active")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    async def _execute(self, handle: Any) -> NavigateToPose.Result:
        if self._active is not None:
            self._finish("abort", PREEMPTED, "preempted by a newer goal")
        goal = _ActiveGoal(handle, Future(), max(self._control_ns, 0), NavigateToPose.Result())
        self._active = goal
        try:
            goal.goal_xy_m = self._take(handle.request.pose)
        except IlrsError as error:
            self._step.navigator.cancel()
            self._finish("abort", INVALID_GOAL, str(error))
        await goal.finished
        return goal.result

    def _take(self, pose: PoseStamped) -> FloatArray:
        frame = pose.header.frame_id or MAP_FRAME
        T_map_goal = convert.pose_matrix(pose.pose)
        if frame != MAP_FRAME:
            tree = self._listener.tree
            latest = tree.latest_stamp(MAP_FRAME, frame)
            stamp_ns = convert.to_ns(pose.header.stamp) or (latest or 0)
            T_map_goal = tree.lookup(MAP_FRAME, frame, stamp_ns) @ T_map_goal
        x, y = (float(v) for v in T_map_goal[:2, 3])
        self._step.navigator.set_goal(x, y, se3.yaw_of(se3.split_transform(T_map_goal)[1]))
        self.get_logger().info(f"goal ({x:.1f}, {y:.1f}) m in map")
        return T_map_goal[:2, 3]

    def _finish(self, how: str, code: int, sentence: str) -> None:
        active, self._active = self._active, None
        if active is None:
            return
        active.result.error_code = code
        active.result.error_msg = sentence
        getattr(active.handle, how)()
        if how == "abort":
            self.get_logger().error(f"goal aborted: {sentence}")
        active.finished.set_result(None)

    def _on_goal_pose(self, msg: PoseStamped) -> None:
        if self._active is not None:
            self._finish("abort", PREEMPTED, "preempted by a newer goal")
        try:
            self._take(msg)
        except IlrsError as error:
            self._step.navigator.cancel()
            self.get_logger().error(f"goal refused: {error}")
