"""Base of the managed (lifecycle) nodes: robot, site, diagnostics, clean tear-down."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import rclpy.lifecycle
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.meter import NodeMeter
from ilrs_robots.nodes.parameters import Tunables, declare, declare_one
from ilrs_robots.nodes.statistics import LatencyWindow
from ilrs_robots.robots.vehicle_health import DiagnosticsConfig

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR

T = TypeVar("T")


class ManagedNode(rclpy.lifecycle.LifecycleNode):  # type: ignore[misc]
    """A lifecycle node with diagnostics at 1 Hz.

    Sub-classes override ``setup`` (create what is needed; raise IlrsError to refuse), ``pause``
    (end what is under way), ``reset`` (drop state) and ``health`` (level, sentence, values).
    """

    later: tuple[str, ...] = ()
    """Topics that it subscribes to only once somebody listens to it."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        declare_one(self, "autostart", True, "configure and activate by itself at start")
        self.robot = str(declare_one(self, "robot", "long_range", "name of the robot at the site"))
        self.site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        self.seed = int(declare_one(self, "seed", 1, "seed of a procedural terrain"))
        self.latency = LatencyWindow()
        self.meter = NodeMeter()
        self.active = False
        self._thresholds = DiagnosticsConfig()
        self._owned: list[tuple[Callable[[Any], Any], Any]] = []
        self._level = OK
        self._guard_transitions()
        self._tunables = Tunables(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._tunables.take)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.STATE)
        self._wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._publish_diagnostics, clock=self._wall)

    # -- for sub-classes --------------------------------------------------------------------
    def setup(self) -> None:
        """Create publishers, subscriptions, services and the core's objects."""

    def pause(self) -> None:
        """End what is under way, before callbacks stop; the node was active until now."""

    def reset(self) -> None:
        """Drop what ``setup`` created besides ROS entities."""

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Level, one sentence and values for /diagnostics."""
        return OK, "running", {}

    def publisher(self, kind: Any, topic: str, profile: Any) -> Any:
        """Create a publisher that goes away at clean-up."""
        made = self.create_publisher(kind, topic, profile)
        self._owned.append((self.destroy_publisher, made))
        return made

    def subscribe(self, kind: Any, topic: str, callback: Any, profile: Any) -> Any:
        """Create a subscription whose callback runs only while the node is active.

        A message that cannot be used is counted and named; it must not end the process.
        """
        count = self.meter.watch(topic)

        def guarded(msg: Any) -> None:
            if not self.active:
                return
            count(msg)
            try:
                self.meter.work(callback, msg)
            except IlrsError as error:
                self.meter.refuse(topic)
                self.get_logger().error(
                    f"{topic}: message not used: {error}", throttle_duration_sec=2.0
                )

        made = self.create_subscription(kind, topic, guarded, profile)
        self._owned.append((self.destroy_subscription, made))
        return made

    def service(self, kind: Any, name: str, callback: Any) -> Any:
        """Create a service that goes away at clean-up."""

        def measured(request: Any, response: Any) -> Any:
            return self.meter.work(callback, request, response)

        # The executor awaits a coroutine function itself; what it computes is not counted.
        direct = inspect.iscoroutinefunction(callback)
        made = self.create_service(kind, name, callback if direct else measured)
        self._owned.append((self.destroy_service, made))
        return made

    def timer(self, period_s: float, callback: Any) -> Any:
        """Create a timer on the node's clock that runs only while the node is active."""

        def guarded() -> None:
            if self.active:
                self.meter.work(callback)

        made = self.create_timer(period_s, guarded)
        self._owned.append((self.destroy_timer, made))
        return made

    def tunable(
        self,
        prefix: str,
        default: T,
        apply: Callable[[T], None],
        *,
        fixed: Sequence[str] = (),
        check: Callable[[T], None] = lambda _config: None,
    ) -> T:
        """Declare a group of parameters that may change while the node runs.

        Args:
            prefix: name of the group.
            default: instance of a parameter dataclass that holds the defaults.
            apply: hands a changed instance to the core's object; must not refuse.
            fixed: sub-groups that may not change after all.
            check: raises ConfigError for what the dataclass itself cannot know.

        Returns:
            An instance with the values in force.

        Raises:
            ConfigError: values that are wrong or do not go together.
        """
        made = declare(self, prefix, default, tunable=True, fixed=fixed)
        self._tunables.add(prefix, made, apply, check)
        return made

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters as rclpy does, but refuse in words: value, limit, unit."""
        for name in (p.name for p in parameter_list if not self.has_parameter(p.name)):
            reason = f"node {self.get_name()} has no parameter {name!r}"
            return SetParametersResult(successful=False, reason=reason)
        refused = self._check_parameters(parameter_list)
        if not refused.successful:
            return refused
        return super().set_parameters_atomically(parameter_list)

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        reason = self._tunables.refusal(parameters)
        return SetParametersResult(successful=not reason, reason=reason)

    def now_ns(self) -> int:
        """The node's clock in nanoseconds."""
        return int(self.get_clock().now().nanoseconds)

    # -- lifecycle --------------------------------------------------------------------------
    def _guard_transitions(self) -> None:
        """Refuse a transition that is not open; rclpy raises there and ends the whole process."""
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = self._guarded(service.callback)

    def _guarded(self, change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError as error:
                self.get_logger().error(f"transition refused: {error}")
                response.success = False
                return response

        return guarded

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build everything; refuse with a log line that names what is wrong."""
        try:
            self._thresholds = self.tunable("diagnostics", DiagnosticsConfig(), self._judge_by)
            self.setup()
        except IlrsError as error:
            self.get_logger().error(str(error))
            self._release()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            # rclpy turns any exception into a silent error state.
            self.get_logger().error(traceback.format_exc())
            raise
        return super().on_configure(state)

    def _judge_by(self, cfg: DiagnosticsConfig) -> None:
        self._thresholds = cfg

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let callbacks through."""
        self.meter.resume()
        self.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop callbacks; what is held stays."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything that ``on_configure`` made."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and release."""
        self._stop()
        self._release()
        return super().on_shutdown(state)

    def _stop(self) -> None:
        if self.active:
            self.pause()
        self.active = False

    def _release(self) -> None:
        self.reset()
        self._tunables.clear()
        self.meter.forget()
        for destroy, made in reversed(self._owned):
            destroy(made)
        self._owned.clear()

    # -- diagnostics ------------------------------------------------------------------------
    def _publish_diagnostics(self) -> None:
        level, message, values = self._own_health() if self.active else (WARN, "not active", {})
        now = self.get_clock().now()
        measured = {**self.latency.values(), **self.meter.values(now.nanoseconds)}
        if level == OK and self.active:
            trouble = self.meter.trouble(self._thresholds, measured, now.nanoseconds)
            level, message = (WARN, trouble) if trouble else (level, message)
        if level != self._level:
            self._log_change(level, message)
            self._level = level
        msg = DiagnosticArray()
        msg.header.stamp = now.to_msg()
        status = DiagnosticStatus(
            level=level,
            name=f"{self.robot}/{self.get_name()}",
            hardware_id=self.robot,
            message=message,
        )
        status.values = [
            KeyValue(key=k, value=text_of(v)) for k, v in {**values, **measured}.items()
        ]
        msg.status = [status]
        self._diagnostics.publish(msg)

    def _own_health(self) -> tuple[bytes, str, dict[str, object]]:
        """``health``, whose faults are told as such: they must not end the vehicle's process."""
        try:
            return self.health()
        except Exception as error:
            self.get_logger().error(traceback.format_exc(), throttle_duration_sec=30.0)
            return ERROR, f"diagnostics failed: {type(error).__name__}: {error}", {}

    def _log_change(self, level: bytes, message: str) -> None:
        """One line for a change of level; rclpy keeps one severity per calling line."""
        if level == OK:
            self.get_logger().info(f"diagnostics: {message}")
        elif level == WARN:
            self.get_logger().warning(f"diagnostics: {message}")
        else:
            self.get_logger().error(f"diagnostics: {message}")


def text_of(value: object) -> str:
    """A value of /diagnostics as text."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.6g}"
    return str(value)
