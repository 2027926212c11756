"""Brings the managed nodes of a vehicle up in order, and again whenever one begins anew.

For vehicles whose nodes wait (``autostart`` false). What a call answered, or that it did not
answer in time, is never taken for the state of a node: that is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

TURN_S: Final = 0.1
LOOK_S: Final = 1.0
"""How often the state of a node that is up is asked: a respawned one is found within it."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
"""Pause after a transition that a node refused; it doubles up to the longest."""

UP: Final = {
    State.PRIMARY_STATE_UNCONFIGURED: (Transition.TRANSITION_CONFIGURE, "configure"),
    State.PRIMARY_STATE_INACTIVE: (Transition.TRANSITION_ACTIVATE, "activate"),
}
"""What leads a node one step nearer to active."""


@dataclass
class _Post:
    """One managed node.

    Attributes:
        name: of the node.
        asking: client of ``get_state``.
        changing: client of ``change_state``.
        state: as it was last told, None while nobody knows.
        told_s: when, by the steady clock.
        answer: what is waited for.
        asked_s: since when.
        wish: the transition that was asked for, empty for a question.
        pause_s: before the next try, grows with every refusal.
        not_before_s: the next try.
    """

    name: str
    asking: Any
    changing: Any
    state: int | None = None
    told_s: float = -1e9
    answer: Any = None
    asked_s: float = 0.0
    wish: str = ""
    pause_s: float = FIRST_PAUSE_S
    not_before_s: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it was, when it was last asked."""
        return self.state == State.PRIMARY_STATE_ACTIVE


class LifecycleManager(Node):  # type: ignore[misc]
    """Leads nodes to active, in their order; a node waits until those before it are active.

    Args:
        names: of the nodes, relative to this node's namespace, in the order of the start.
        answer_s: after so long an answer is not waited for any longer.
        on_event: called with a sentence when a node's state changes or a transition fails.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        answer_s: float = 10.0,
        on_event: Callable[[str], None] = lambda _sentence: None,
        **kwargs: Any,
    ) -> None:
        super().__init__("lifecycle_manager", **kwargs)
        self._answer_s, self._on_event = answer_s, on_event
        self._posts = [
            _Post(
                name,
                self.create_client(GetState, f"{name}/get_state"),
                self.create_client(ChangeState, f"{name}/change_state"),
            )
            for name in names
        ]
        self.create_timer(TURN_S, self._turn, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def up(self) -> bool:
        """Whether every node was active when it was last asked."""
        return all(post.active for post in self._posts)

    @property
    def missing(self) -> list[str]:
        """Names of the nodes that are not active."""
        return [post.name for post in self._posts if not post.active]

    def _turn(self) -> None:
        now_s = time.monotonic()
        ready = True
        for post in self._posts:
            self._hear(post, now_s)
            if post.answer is None:
                self._ask(post, now_s)
            if post.answer is None and ready and post.state in UP and now_s >= post.not_before_s:
                self._change(post, now_s)
            ready = ready and post.active

    def _ask(self, post: _Post, now_s: float) -> None:
        """Ask for the state, where it is not known or old."""
        if post.state is not None and now_s - post.told_s < LOOK_S:
            return
        if not post.asking.service_is_ready():
            self._know(post, None, now_s)
            return
        post.wish, post.asked_s = "", now_s
        post.answer = post.asking.call_async(GetState.Request())

    def _change(self, post: _Post, now_s: float) -> None:
        assert post.state is not None
        number, post.wish = UP[post.state]
        post.asked_s = now_s
        request = ChangeState.Request(transition=Transition(id=number))
        post.answer = post.changing.call_async(request)

    def _hear(self, post: _Post, now_s: float) -> None:
        """Take an answer, or stop waiting for it."""
        if post.answer is None:
            return
        if not post.answer.done():
            if now_s - post.asked_s > self._answer_s:
                client = post.changing if post.wish else post.asking
                client.remove_pending_request(post.answer)
                self._on_event(f"{post.name} did not answer {post.wish or 'get_state'} in time")
                post.answer, post.told_s = None, -1e9
                if not post.wish:
                    self._know(post, None, now_s)  # it is there, but hangs
            return
        found, post.answer = post.answer.result(), None
        if not post.wish:
            self._know(post, int(found.current_state.id), now_s)
            return
        post.told_s = -1e9  # whatever it says: the state is asked next
        if found.success:
            post.pause_s = FIRST_PAUSE_S
            return
        self._on_event(f"{post.name} refused to {post.wish}: again in {post.pause_s:g} s")
        post.not_before_s = now_s + post.pause_s
        post.pause_s = min(2.0 * post.pause_s, LONGEST_PAUSE_S)

    def _know(self, post: _Post, state: int | None, now_s: float) -> None:
        before, was, post.state, post.told_s = post.state, post.active, state, now_s
        if post.active and not was:
            self._on_event(f"{post.name} is active")
        elif was and not post.active:
            self._on_event(f"{post.name} is not active any more")
        if before != state == State.PRIMARY_STATE_FINALIZED:
            ended = f"{post.name} is finalized: only a restart of its process brings it back"
            self._on_event(ended)


def manage(
    robot: str,
    names: Sequence[str],
    on_event: Callable[[str], None],
    go_on: Callable[[bool], bool],
) -> list[str]:
    """Lead a vehicle's nodes up for as long as that is wanted.

    Args:
        robot: namespace of the nodes.
        names: of the nodes, in the order of the start.
        on_event: see LifecycleManager.
        go_on: asked with whether all are up.

    Returns:
        Names of the nodes that are not active at the end.
    """
    context = Context()
    context.init()
    try:
        node = LifecycleManager(names, on_event=on_event, namespace=robot, context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        while context.ok() and go_on(node.up):
            executor.spin_once(timeout_sec=TURN_S)
        missing = node.missing
        executor.shutdown()
        node.destroy_node()
        return missing
    finally:
        context.try_shutdown()
