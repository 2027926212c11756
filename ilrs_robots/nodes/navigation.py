"""Navigation node: goals to velocity commands through the actions that users already know."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry, Path

from ilrs_robots.core import warm
from ilrs_robots.core.control.navigator import NavigatorError, NavigatorOutput, NavigatorState
from ilrs_robots.core.errors import IlrsError, TransformError
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.far_route import FarRoute
from ilrs_robots.nodes.fleet import FleetEars, WayVoice
from ilrs_robots.nodes.goal_server import GoalServerNode
from ilrs_robots.nodes.managed import OK, WARN
from ilrs_robots.nodes.missions import PREEMPTED
from ilrs_robots.nodes.slip_watch import SlipWatch
from ilrs_robots.nodes.walk_home import WalkHome
from ilrs_robots.robots.map_topics import HEIGHTS_TOPIC
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.periods import CONTROL_PERIOD_NS
from ilrs_robots.robots.site import SiteConfig, load_prior
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    NavigationStep,
    base_frame,
    navigator_config_of,
    odom_frame,
)

if TYPE_CHECKING:
    from ilrs_robots.core.geometry.transform_tree import TransformTree
    from ilrs_robots.nodes.transforms import TransformListener

FEEDBACK_PERIOD_NS = 500_000_000
PLAN_PERIOD_NS = 1_000_000_000
_NEVER_NS = -(10**18)


class NavigationNode(GoalServerNode):
    """Runs the navigator once per control period of odometry time.

    The control step hangs on odometry, not on a timer: without a fresh pose there is no command,
    and a simulation that runs faster or slower than the wall clock changes nothing.
    """

    def __init__(self, listener: TransformListener, **options: Any) -> None:
        super().__init__("navigation", **options)
        self._listener = listener

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
        self._step = NavigationStep(model, prior, cfg, self.robot, site)
        self._fleet = self._listen_to_fleet(site)
        self._way = WayVoice(self)
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
        self.subscribe(PoseStamped, "goal_pose", self.on_goal_pose, qos.STATE)

    def _listen_to_fleet(self, site: SiteConfig) -> FleetEars | None:
        memory = self._step.fleet
        if memory is None:
            return None
        drive = [p.name for p in site.robots if isinstance(p.load_model(), RoverModel)]
        ways = tuple(name for name in drive if name != self.robot)
        return FleetEars(self, memory, ways, keep=True)

    def pause(self) -> None:
        """End a goal that is under way and stand."""
        self.end_mission("abort", PREEMPTED, "the navigation node was deactivated")
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
        values |= {} if self._fleet is None else self._fleet.values()
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
        mission = self.mission
        if mission is not None:
            mission.started_ns = now_ns if mission.started_ns is None else mission.started_ns
            if mission.waits_since_ns is not None:
                self.aim()
        self._slip.look(now_ns)
        at = (float(T_map_base[0, 3]), float(T_map_base[1, 3]))
        self._far.step(now_ns, at)
        out = self._output = self._step.step(now_ns, T_map_base, msg.twist.twist.linear.x)
        no_way_home = self._home.look(now_ns, at, out)
        if no_way_home and self.mission is not None:
            self._send(now_ns, 0.0, 0.0)
            self._step.navigator.cancel()
            self.mission_missed(int(NavigatorError.NO_WAY_HOME), no_way_home)
            return
        self._send(now_ns, out.v, out.w)
        if len(out.path_xy_m) and now_ns - self._plan_ns >= PLAN_PERIOD_NS:
            self._plan_ns = now_ns
            z_m = float(T_map_base[2, 3])
            self._plan.publish(convert.path_message(out.path_xy_m, z_m, MAP_FRAME, now_ns))
        self._way.tell(now_ns, self._step.navigator.way_m, float(T_map_base[2, 3]))
        self._output = self._far.told(now_ns, at, out)
        self._report(now_ns, T_map_base, self._output)
        self.latency.add(perf_counter() - begin)

    def _send(self, stamp_ns: int, v: float, w: float) -> None:
        command = VelocityCommand(stamp_ns, v, w)
        self._command.publish(convert.twist_message(command, base_frame(self.robot)))

    def _report(self, now_ns: int, T_map_base: FloatArray, out: NavigatorOutput) -> None:
        mission = self.mission
        if mission is None or mission.waits_since_ns is not None:
            return
        if out.state is NavigatorState.REACHED:
            self.mission_reached()
        elif out.state is NavigatorState.FAILED:
            self.mission_missed(int(out.error_code), out.reason)
        elif now_ns - self._feedback_ns >= FEEDBACK_PERIOD_NS:
            self._feedback_ns = now_ns
            feedback = mission.feedback(now_ns, T_map_base, out)
            if feedback is not None:
                mission.handle.publish_feedback(feedback)

    # -- goals ------------------------------------------------------------------------------
    def frames(self) -> TransformTree:
        """The process's transforms."""
        return self._listener.tree

    def mission_time_ns(self) -> int:
        """Stamp of the newest control step."""
        return self._control_ns

    def aim_at(self, x_m: float, y_m: float, yaw_rad: float) -> None:
        """Give the navigator a goal."""
        self._home.hurry()
        self._step.navigator.set_goal(x_m, y_m, yaw_rad)
        self._far.goal.aim(x_m, y_m, yaw_rad)

    def drop_goal(self) -> None:
        """Take the navigator's goal away."""
        self._step.navigator.cancel()

    def end_mission(self, how: str, code: int, sentence: str) -> None:
        """End the mission under way, and the route that it drives along."""
        if self.mission is not None:
            far = self._far.goal.under_way
            self._far.goal.drop()
            if far:
                self._step.navigator.cancel()
        super().end_mission(how, code, sentence)
