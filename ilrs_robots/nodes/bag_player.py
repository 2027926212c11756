"""Plays a bag over DDS: what sensors said, and ``/clock``; plain data in, plain data out.

As with the embedded simulator the rate is an upper bound: time waits for vehicles that have begun
to follow, so that a busy machine loses no sample.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.recorder_types import message_class
from ilrs_robots.replay.playback import Playback, Played
from ilrs_robots.robots.frames import MAP_FRAME

CLOCK_PERIOD_NS: Final = 40_000_000
"""As the embedded simulator's."""
MAX_AHEAD_NS: Final = 200_000_000
"""Time waits when the joints that were played are so far ahead of a vehicle's odometry."""
SILENT_AFTER_S: Final = 1.0
"""A vehicle that says nothing for so long (wall time) is no longer waited for."""
TAIL_NS: Final = 1_500_000_000
"""Time goes on for so long after the last message: what nodes do once a second is done."""
FOLLOW_S: Final = 3.0
"""After the first listener the others may take so long (wall time)."""
SETTLE_S: Final = 0.3
"""Between the start pose and the first sample, so that the pose is taken first."""
_TURN_S: Final = 0.01
_PAUSE_SERVICE: Final = "/replay/pause"


@dataclass(frozen=True)
class PlayOptions:
    """How a bag is played.

    Attributes:
        rate: seconds of the bag in a second of wall time at most; 0 for no bound.
        paused: whether time stands until ``/replay/pause`` is called with false.
        patience_s: wall seconds to wait for the first listener.
    """

    rate: float = 1.0
    paused: bool = False
    patience_s: float = 60.0


@dataclass
class PlayState:
    """Where a player is; the caller may set ``paused``.

    Attributes:
        time_ns: on the clock of the bag.
        share: of the bag that was played, 0 to 1.
        published: messages.
        paused: whether time stands.
        waited_s: wall time in which it was waited for vehicles.
    """

    time_ns: int
    share: float = 0.0
    published: int = 0
    paused: bool = False
    waited_s: float = 0.0


def play(
    playback: Playback,
    options: PlayOptions,
    on_turn: Callable[[PlayState], None] = lambda _state: None,
    stop: Callable[[], bool] = lambda: False,
) -> PlayState:
    """Play until the end of the bag, or until ``stop`` says so.

    Args:
        playback: what is played.
        options: how.
        on_turn: called about a hundred times a second.
        stop: asked as often.

    Raises:
        BagError: the file is damaged; what was read until then was played.
        IlrsError: nobody listens.
        UnknownTypeError: a message type is not installed here.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        player = _Player(context, playback, options, on_turn, stop)
        try:
            player.run()
        finally:
            player.close()
    finally:
        rclpy.try_shutdown(context=context)
    return player.state


class _Player:
    def __init__(
        self,
        context: rclpy.Context,
        playback: Playback,
        options: PlayOptions,
        on_turn: Callable[[PlayState], None],
        stop: Callable[[], bool],
    ) -> None:
        self._playback, self._options = playback, options
        self._on_turn, self._stop = on_turn, stop
        self.state = PlayState(playback.first_ns, paused=options.paused)
        self._node: Node = rclpy.create_node("bag_player", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._clock = self._node.create_publisher(Clock, "/clock", qos.STATE)
        self._clock_ns = self.state.time_ns - CLOCK_PERIOD_NS
        self._publishers = {
            name: self._node.create_publisher(
                message_class(kind),
                name,
                qos.CLOUDS if playback.kinds[name] == "cloud" else qos.STREAM,
            )
            for name, kind in playback.topics.items()
        }
        place = f"/{playback.robot}/initialpose"
        self._start = self._node.create_publisher(PoseWithCovarianceStamped, place, qos.STATE)
        odom = f"/{playback.robot}/odom"
        self._node.create_subscription(Odometry, odom, self._on_odom, qos.STREAM)
        self._node.create_service(SetBool, _PAUSE_SERVICE, self._on_pause)
        self._joints_ns: int | None = None
        self._followed_ns: int | None = None
        self._heard_s = self._turned_s = time.monotonic()

    def close(self) -> None:
        """Take the participant out of the graph."""
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()

    def run(self) -> None:
        """Wait for listeners, play, let time go on a little."""
        if not self._listened_to():
            return
        self._place()
        self._turned_s = time.monotonic()
        last_ns = self._playback.first_ns
        with contextlib.closing(self._playback.messages()) as messages:
            for message in messages:
                last_ns = max(last_ns, message.clock_ns)
                if not self._reach(message.clock_ns):
                    return
                self._publish(message)
        self._followed_ns = None
        self._reach(last_ns + TAIL_NS)
        self.state.share = 1.0
        self._on_turn(self.state)

    # -- before ---------------------------------------------------------------------------------
    def _listened_to(self) -> bool:
        """Wait until the sensors' topics are heard; False where the end is wanted before."""
        sensed = [n for n, kind in self._playback.kinds.items() if kind != "truth"]
        begin_s, first_s = time.monotonic(), None
        while not self._stop():
            heard = [self._heard(name) for name in sensed]
            now_s = time.monotonic()
            first_s = now_s if first_s is None and any(heard) else first_s
            if all(heard) or (first_s is not None and now_s - first_s > FOLLOW_S):
                return True
            if first_s is None and now_s - begin_s > self._options.patience_s:
                raise IlrsError(
                    f"nobody has listened to {', '.join(self._playback.topics)} for "
                    f"{self._options.patience_s:.0f} s: start the nodes in the same "
                    "ROS_DOMAIN_ID, or give --site"
                )
            self._turn()
        return False

    def _heard(self, topic: str) -> bool:
        """Whether a node that is no recorder is connected."""
        there = self._node.get_subscriptions_info_by_topic(topic)
        count = self._publishers[topic].get_subscription_count()
        return count >= len(there) and any(info.node_name != "recorder" for info in there)

    def _place(self) -> None:
        """Say where the vehicle stands, where the bag knows it."""
        self._tick()
        T_map_base = self._playback.start_pose()
        if T_map_base is None or self._start.get_subscription_count() == 0:
            return
        message = PoseWithCovarianceStamped()
        message.header.stamp = convert.to_stamp(self.state.time_ns)
        message.header.frame_id = MAP_FRAME
        message.pose.pose = convert.pose_message(T_map_base)
        self._start.publish(message)
        until_s = time.monotonic() + SETTLE_S
        while time.monotonic() < until_s and not self._stop():
            self._turn()

    # -- time -----------------------------------------------------------------------------------
    def _reach(self, clock_ns: int) -> bool:
        """Let time go on to a message; False where the end is wanted before."""
        rate = self._options.rate
        while not self._stop():
            now_s = time.monotonic()
            passed_s, self._turned_s = now_s - self._turned_s, now_s
            if self._waits(now_s):
                self.state.waited_s += passed_s
                self._turn()
            elif self.state.paused:
                self._turn()
            else:
                ahead_ns = max(clock_ns - self.state.time_ns, 0)
                passed_ns = round(passed_s * rate * 1e9) if rate else ahead_ns
                self._advance(min(passed_ns, ahead_ns))
                if passed_ns >= ahead_ns:
                    if rate:  # the rest of this turn counts for the next message
                        self._turned_s -= (passed_ns - ahead_ns) * 1e-9 / rate
                    return True
                self._turn(min((ahead_ns - passed_ns) * 1e-9 / rate, _TURN_S))
        return False

    def _advance(self, step_ns: int) -> None:
        end_ns = self.state.time_ns + step_ns
        while self._clock_ns + CLOCK_PERIOD_NS <= end_ns:
            self.state.time_ns = self._clock_ns + CLOCK_PERIOD_NS
            self._tick()
        self.state.time_ns = end_ns

    def _tick(self) -> None:
        self._clock_ns = self.state.time_ns
        self._clock.publish(Clock(clock=convert.to_stamp(self._clock_ns)))

    def _waits(self, now_s: float) -> bool:
        """Whether the vehicle has fallen behind; one that has gone silent is not waited for."""
        if self._followed_ns is None or self._joints_ns is None:
            return False
        if self._joints_ns - self._followed_ns < MAX_AHEAD_NS:
            return False
        if now_s - self._heard_s > SILENT_AFTER_S:
            self._node.get_logger().warning(
                f"{self._playback.robot} has said nothing for {SILENT_AFTER_S:.0f} s: "
                "the replay goes on without waiting for it"
            )
            self._followed_ns = None
            return False
        return True

    def _turn(self, timeout_s: float = _TURN_S) -> None:
        """Take what came, for a moment."""
        self._executor.spin_once(timeout_sec=timeout_s)
        span_ns = max(self._playback.last_ns - self._playback.first_ns, 1)
        self.state.share = min((self.state.time_ns - self._playback.first_ns) / span_ns, 1.0)
        self._on_turn(self.state)

    # -- messages -------------------------------------------------------------------------------
    def _publish(self, message: Played) -> None:
        self._publishers[message.topic].publish(message.data)
        self.state.published += 1
        if message.kind == "joints":
            self._joints_ns = message.stamp_ns

    def _on_odom(self, message: Odometry) -> None:
        self._followed_ns = convert.to_ns(message.header.stamp)
        self._heard_s = time.monotonic()

    def _on_pause(self, request: Any, response: Any) -> Any:
        self.state.paused = bool(request.data)
        response.success, response.message = True, "paused" if request.data else "playing"
        return response
