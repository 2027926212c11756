"""Navigation node: goals to velocity commands through the actions that users already know."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from grid_map_msgs.msg import GridMap
from nav2_msgs.action import FollowWaypoints, NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionServer, CancelResponse, GoalResponse

from ilrs_robots.core import warm
from ilrs_robots.core.control.navigator import NavigatorError, NavigatorOutput, NavigatorState
from ilrs_robots.core.errors import ExtrapolationError, IlrsError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.nodes import convert, missions, qos
from ilrs_robots.nodes.far_route import FarRoute
from ilrs_robots.nodes.goal_pose import MAX_AHEAD_NS, in_map, lies_ahead
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.missions import INVALID_GOAL, PREEMPTED, Mission
from ilrs_robots.nodes.slip_watch import SlipWatch
from ilrs_robots.nodes.walk_home import WalkHome
from ilrs_robots.robots.map_topics import HEIGHTS_TOPIC
from ilrs_robots.robots.periods import CONTROL_PERIOD_NS
from ilrs_robots.robots.site import load_prior
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    NavigationStep,
    base_frame,
    navigator_config_of,
    odom_frame,
)

if TYPE_CHECKING:
    from ilrs_robots.nodes.transforms import TransformListener

FEEDBACK_PERIOD_NS = 500_000_000
PLAN_PERIOD_NS = 1_000_000_000
RESULT_TIMEOUT_S = 60
"""For how long the outcome of a goal can be asked for after its end."""
_NEVER_NS = -(10**18)


class NavigationNode(ManagedNode):
    """Runs the navigator once per control period of odometry time.

    The control step hangs on odometry, not on a timer: without a fresh pose there is no command,
    and a simulation that runs faster or slower than the wall clock changes nothing. The action
    servers live as long as the node, because an answer may be under way when it is cleaned up;
    they reject goals while the node is not active.
    """

    def __init__(self, listener: TransformListener, **options: Any) -> None:
        super().__init__("navigation", **options)
        self._listener = listener
        self._mission: Mission | None = None
        self._servers = [
            self._serve(NavigateToPose, "navigate_to_pose", missions.PoseMission),
            self._serve(FollowWaypoints, "follow_waypoints", missions.WaypointMission),
        ]

    def _serve(self, kind: Any, name: str, make: Callable[[Any], Mission]) -> ActionServer:
        async def execute(handle: Any) -> Any:
            return await self._execute(handle, make, kind.Result())

        return ActionServer(
            self,
            kind,
            name,
            execute_callback=execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            result_timeout=RESULT_TIMEOUT_S,
        )

    def destroy_node(self) -> None:
        """Take the action servers down before what they stand on."""
        for server in self._servers:
            server.destroy()
        self._servers.clear()
        super().destroy_node()

    def setup(self) -> None:
        """Load robot and prior terrain, subscribe."""
        site, prior = load_prior(self.site_name, seed=self.seed)
        model = site.robot(self.robot).load_model()
        cfg = self.tunable(
            "navigator",
            navigator_config_of(model),
            lambda c: self._step.navigator.reconfigure(c),
            fixed=("costmap", "planner", "driving"),
            check=lambda c: model.limits.refuse_faster("navigator.tracker", c.tracker),
        )
        warm.navigation()
        self._step = NavigationStep(model, prior, cfg, self.robot)
        self._slip = SlipWatch(self, self._step, self._listener.tree)
        self._home = WalkHome(self, model, site, prior)
        self._far = FarRoute(self, model, site, self._step.navigator, self._home)
        self._control_ns = self._feedback_ns = self._plan_ns = _NEVER_NS
        self._output: NavigatorOutput | None = None
        self._command = self.publisher(TwistStamped, "cmd_vel_nav", qos.COMMAND)
        self._plan = self.publisher(Path, "plan", qos.MAP)
        self.subscribe(OccupancyGrid, "traversability", self._on_traversability, qos.MAP)
        self.subscribe(GridMap, HEIGHTS_TOPIC, self._on_heights, qos.MAP)
        self.subscribe(TwistStamped, "cmd_vel", self._on_given, qos.COMMAND)
        self.subscribe(DiagnosticStatus, "gate_status", self._on_gate, qos.MAP)
        self.subscribe(Odometry, "odom", self._on_odom, qos.STREAM)
        self.subscribe(PoseStamped, "goal_pose", self._on_goal_pose, qos.STATE)

    def pause(self) -> None:
        """End a goal that is under way and stand."""
        self._end("abort", PREEMPTED, "the navigation node was deactivated")
        if self._control_ns != _NEVER_NS:
            self._send(self._control_ns, 0.0, 0.0)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Report what the navigator does."""
        if self._output is None:
            return WARN, "no odometry yet", {}
        out = self._output
        values: dict[str, object] = {"state": out.state.value}
        values["distance_remaining_m"] = out.distance_remaining_m
        level, sentence, own = self._home.health()
        values |= self._slip.values() | own | self._far.goal.values()
        if level != OK:
            return level, sentence, values
        if self._step.navigator.held:
            return WARN, "held: the command gate does not let its commands through", values
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

    def _on_heights(self, msg: GridMap) -> None:
        try:
            layers, spec = convert.grid_map_layers(msg)
            T_map_odom = self._map_odom(convert.to_ns(msg.header.stamp))
            heights = Heights(spec, layers["elevation"], layers.get("upper_bound"), T_map_odom)
        except (IlrsError, KeyError) as error:
            self.get_logger().warning(f"heights not used: {error}", throttle_duration_sec=5.0)
            return
        self._step.navigator.on_heights(heights)

    def _on_given(self, msg: TwistStamped) -> None:
        given = convert.velocity_command(msg)
        self._step.navigator.on_given(given.stamp_ns, given.linear_mps, given.angular_rps)

    def _on_gate(self, msg: DiagnosticStatus) -> None:
        kind = next((pair.value for pair in msg.values if pair.key == "kind"), "")
        self._step.navigator.on_gate(kind, msg.message)

    def _on_odom(self, msg: Odometry) -> None:
        now_ns = convert.to_ns(msg.header.stamp)
        if now_ns < self._control_ns:
            self._control_ns = self._feedback_ns = self._plan_ns = _NEVER_NS
            self._step.forget()
            self._home.begin()
            self._far.begin()
        if now_ns - self._control_ns < CONTROL_PERIOD_NS:
            return
        try:
            T_map_odom = self._map_odom(now_ns)
        except TransformError as error:
            self.get_logger().warning(f"no control: {error}", throttle_duration_sec=2.0)
            return
        # Periods are counted on from when they were due, so that odometry every 40 ms gives 10 Hz.
        self._control_ns = max(
            self._control_ns + CONTROL_PERIOD_NS, now_ns - CONTROL_PERIOD_NS + 1
        )
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
        mission = self._mission
        if mission is not None:
            mission.started_ns = now_ns if mission.started_ns is None else mission.started_ns
            if mission.waits_since_ns is not None:
                self._aim()
        self._slip.look(now_ns)
        at = (float(T_map_base[0, 3]), float(T_map_base[1, 3]))
        self._far.step(now_ns, at)
        out = self._output = self._step.step(now_ns, T_map_base, msg.twist.twist.linear.x)
        no_way_home = self._home.look(now_ns, at, out)
        if no_way_home and self._mission is not None:
            self._send(now_ns, 0.0, 0.0)
            self._step.navigator.cancel()
            self._miss(int(NavigatorError.NO_WAY_HOME), no_way_home)
            return
        self._send(now_ns, out.v, out.w)
        if len(out.path_xy_m) and now_ns - self._plan_ns >= PLAN_PERIOD_NS:
            self._plan_ns = now_ns
            z_m = float(T_map_base[2, 3])
            self._plan.publish(convert.path_message(out.path_xy_m, z_m, MAP_FRAME, now_ns))
        self._output = self._far.told(now_ns, at, out)
        self._report(now_ns, T_map_base, self._output)
        self.latency.add(perf_counter() - begin)

    def _send(self, stamp_ns: int, v: float, w: float) -> None:
        command = VelocityCommand(stamp_ns, v, w)
        self._command.publish(convert.twist_message(command, base_frame(self.robot)))

    def _report(self, now_ns: int, T_map_base: FloatArray, out: NavigatorOutput) -> None:
        mission = self._mission
        if mission is None or mission.waits_since_ns is not None:
            return
        if out.state is NavigatorState.REACHED:
            if mission.reached():
                self._aim()
            else:
                self._end("succeed", 0, "")
        elif out.state is NavigatorState.FAILED:
            self._miss(int(out.error_code), out.reason)
        elif now_ns - self._feedback_ns >= FEEDBACK_PERIOD_NS:
            self._feedback_ns = now_ns
            feedback = mission.feedback(now_ns, T_map_base, out)
            if feedback is not None:
                mission.handle.publish_feedback(feedback)

    # -- goals ------------------------------------------------------------------------------
    def _on_goal(self, _goal: Any) -> GoalResponse:
        if not self.active:
            self.get_logger().warning("goal refused: the navigation node is not active")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: Any) -> CancelResponse:
        # The goal turns to "canceling" after this callback; what is queued now runs after that.
        self.executor.create_task(self._cancelled, handle)
        return CancelResponse.ACCEPT

    def _cancelled(self, handle: Any) -> None:
        mission = self._mission
        if mission is not None and mission.handle is handle and handle.is_cancel_requested:
            self._end("canceled", 0, "cancelled on request")

    def _on_goal_pose(self, msg: PoseStamped) -> None:
        self._begin(Mission([msg]))

    async def _execute(self, handle: Any, make: Callable[[Any], Mission], refused: Any) -> Any:
        if handle.is_cancel_requested:
            handle.canceled()
            return refused
        try:
            mission = make(handle)
        except IlrsError as error:
            refused.error_code, refused.error_msg = INVALID_GOAL, str(error)
            handle.abort()
            return refused
        self._begin(mission)
        await mission.finished
        return mission.result

    def _begin(self, mission: Mission) -> None:
        self._end("abort", PREEMPTED, "preempted by a newer goal")
        self._mission = mission
        self._aim()

    def _aim(self) -> None:
        """Give the navigator the mission's pose; one that cannot be had counts as missed."""
        mission = self._mission
        while mission is not None and mission is self._mission:
            try:
                mission.goal_xy_m = self._take(mission.pose)
            except ExtrapolationError as error:
                if self._may_wait(mission):
                    self._step.navigator.cancel()
                    return
                sentence = str(error)
            except IlrsError as error:
                sentence = str(error)
            else:
                mission.waits_since_ns = None
                return
            if not self._missed(mission, INVALID_GOAL, sentence):
                return

    def _may_wait(self, mission: Mission) -> bool:
        """Whether the transform at the pose's stamp may still come."""
        now_ns = max(self._control_ns, 0)
        if not lies_ahead(self._listener.tree, mission.pose):
            return False
        if mission.waits_since_ns is None:
            mission.waits_since_ns = now_ns
        return now_ns - mission.waits_since_ns <= MAX_AHEAD_NS

    def _take(self, pose: PoseStamped) -> FloatArray:
        T_map_goal = in_map(self._listener.tree, pose)
        x, y = (float(v) for v in T_map_goal[:2, 3])
        self._home.hurry()
        yaw = se3.yaw_of(se3.split_transform(T_map_goal)[1])
        self._step.navigator.set_goal(x, y, yaw)
        self._far.goal.aim(x, y, yaw)
        self.get_logger().info(f"goal ({x:.1f}, {y:.1f}) m in map")
        return np.array([x, y])

    def _miss(self, code: int, sentence: str) -> None:
        mission = self._mission
        if mission is not None and self._missed(mission, code, sentence):
            self._aim()

    def _missed(self, mission: Mission, code: int, sentence: str) -> bool:
        """Note a pose that was not reached; whether there is another, else the mission ends."""
        mission.waits_since_ns = None
        if mission.missed(code, sentence):
            self.get_logger().warning(f"waypoint missed: {sentence}")
            return True
        if mission.partly:
            self._end("succeed", 0, f"the last of the missed waypoints: {sentence}")
        else:
            self._end("abort", code, sentence)
        return False

    def _end(self, how: str, code: int, sentence: str) -> None:
        """End the mission under way, if there is one."""
        mission, self._mission = self._mission, None
        if mission is None:
            return
        far = self._far.goal.under_way
        self._far.goal.drop()
        if far or how == "canceled" or code in (PREEMPTED, INVALID_GOAL):
            self._step.navigator.cancel()
        if how == "abort":
            self.get_logger().error(f"goal aborted: {sentence}")
        mission.end(how, code, sentence)
