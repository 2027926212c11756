"""An executor of rclpy that does not ask every entity about every message.

A vehicle's process has some two hundred entities: each of its nodes alone has a dozen services for
parameters and life cycle. rclpy's executor enters, adds, asks and leaves every one of them in
Python for each message, and once more because its own guard condition woke it.

Here they are entered once, until one comes or goes, and afterwards only what is ready is looked
at. Timers and subscriptions with plain callbacks are served at once, by rclpy's own methods; for
everything else (services, clients, actions, coroutines) rclpy's executor makes its usual round.

Reference: docs/adr/0023-executor.md.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any, Final

from rclpy._rclpy_pybind11 import InvalidHandle, WaitSet
from rclpy.event_handler import EventHandler
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.node import Node

from ilrs_robots.core.errors import ConfigError

EXECUTOR: Final = "ILRS_EXECUTOR"
"""Environment variable that chooses: ``rclpy`` for rclpy's own, ``quick`` or nothing for this."""
QUICK: Final = "quick"
PLAIN: Final = "rclpy"
ROUND_S: Final = 0.5
"""Wall time between two of rclpy's rounds: events of quality of service are seen only then."""
_NEEDED: Final = (
    "_take_timer", "_take_subscription", "_tasks", "_tasks_lock",
    "_guard", "_sigint_gc",
)  # fmt: skip
_KINDS: Final = ("subscription", "guard_condition", "timer", "client", "service")


def make_executor() -> Executor:
    """The quick executor, or rclpy's own where ``ILRS_EXECUTOR=rclpy`` asks for it.

    Where rclpy has other insides than those known here it is rclpy's all the same.

    Raises:
        ConfigError: the environment names neither.
    """
    wanted = os.environ.get(EXECUTOR, "") or QUICK
    if wanted not in (QUICK, PLAIN):
        raise ConfigError(f"{EXECUTOR} = {wanted!r} is neither {QUICK!r} nor {PLAIN!r}")
    known = SingleThreadedExecutor()
    if wanted == PLAIN or not all(hasattr(known, name) for name in _NEEDED):
        return known
    known.shutdown()
    return QuickExecutor()


class QuickExecutor(SingleThreadedExecutor):  # type: ignore[misc]
    """Runs callbacks in the thread that spins; of what is ready timers come first."""

    def __init__(self, *, context: Any = None) -> None:
        self._stale = True
        self._held: _Held | None = None
        self._round_s = time.monotonic()
        self._in_a_turn = False
        super().__init__(context=context)

    def wake(self) -> None:
        """An entity came or went."""
        self._stale = True
        super().wake()

    def add_node(self, node: Node) -> bool:
        """Take a node's entities."""
        self._stale = True
        return bool(super().add_node(node))

    def remove_node(self, node: Node) -> None:
        """Leave a node's entities."""
        self._stale = True
        super().remove_node(node)

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """End, and let go of every entity; from a callback or another thread, after the turn."""
        ended = bool(super().shutdown(timeout_sec))
        if not self._in_a_turn:
            self.let_go()
        return ended

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait once, at most for a time, and serve everything that is ready; nothing once ended.

        Args:
            timeout_sec: wall seconds; None or less than 0 for as long as it takes.

        Raises:
            ExternalShutdownException: the context has ended.
        """
        self._in_a_turn = True
        try:
            self._check_context()
            if self._is_a_group_blocked():
                super().spin_once(timeout_sec)
            else:
                self._take_turn(timeout_sec)
        finally:
            self._in_a_turn = False
            if self._is_shutdown or not self._context.ok():
                self.let_go()

    def _take_turn(self, timeout_sec: float | None) -> None:
        self._go_on_with_tasks()
        held = self._hold()
        if held is None:
            return
        wait_s = max(self._round_s + ROUND_S - time.monotonic(), 0.0)
        if timeout_sec is not None and timeout_sec >= 0.0:
            wait_s = min(wait_s, timeout_sec)
        others = held.wait(wait_s)
        self._check_context()
        for timer in held.timers_ready:
            # not cancelled, nor called by another's callback, nor the end called for
            if not self._is_shutdown and timer.handle.is_timer_ready():
                _serve(self._take_timer(timer))
        for subscription in held.subscriptions_ready:
            if not self._is_shutdown:
                _serve(self._take_subscription(subscription))
        if others or time.monotonic() >= self._round_s + ROUND_S:
            self._check_context()  # a callback may have ended it
            self._make_round()

    def _hold(self) -> _Held | None:
        """What to wait for, entered anew where entities came or went; None once ended."""
        with self._shutdown_lock:  # another thread's shutdown takes the guards away
            if self._is_shutdown:
                return None
            if self._stale or self._held is None:
                self.let_go()
                self._stale = False
                self._held = _Held(self._context, self.get_nodes(), self._guard, self._sigint_gc)
            return self._held

    def _make_round(self) -> None:
        """Everything that is ready, as rclpy's executor serves it."""
        with suppress(TimeoutException, ShutdownException):
            while True:
                handler, _entity, _node = self.wait_for_ready_callbacks(0.0)
                _step(handler)
        self._round_s = time.monotonic()

    def _is_a_group_blocked(self) -> bool:
        """Whether an entity's coroutine is under way: callbacks of its group have to wait."""
        if not self._tasks:
            return False
        with self._tasks_lock:  # rclpy lets go of what is done before it waits, and not after
            self._tasks = [
                entry for entry in self._tasks if not (entry[0].done() or entry[0].cancelled())
            ]
            return any(entity is not None for _task, entity, _node in self._tasks)

    def _go_on_with_tasks(self) -> None:
        """A step of every goal under way, and of what callbacks have left to be done."""
        if not self._tasks:
            return
        with self._tasks_lock:
            tasks = [task for task, _entity, _node in self._tasks]
        for task in tasks:
            if not (task.executing() or task.done()):
                _step(task)

    def _check_context(self) -> None:
        if not self._context.ok():
            raise ExternalShutdownException

    def let_go(self) -> None:
        """Hold no entity any more, so that nodes can be destroyed."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


def _serve(work: Callable[[], Any] | None) -> None:
    """Run what rclpy wraps a plain callback in: a coroutine that waits for nothing."""
    if work is not None:
        with suppress(StopIteration):
            work().send(None)


def _step(task: Any) -> None:
    """Let a task go on until it waits or is done.

    Raises:
        Exception: whatever came out of it.
    """
    task()
    if task.exception() is not None:
        raise task.exception()


def _is_plain(entity: Any) -> bool:
    return not inspect.iscoroutinefunction(entity.callback)


class _Held:
    """All entities of some nodes, kept from being destroyed, and a wait set of their size.

    Attributes:
        timers_ready: after ``wait``, those with plain callbacks.
        subscriptions_ready: likewise.
    """

    def __init__(self, context: Any, nodes: Iterable[Node], wake: Any, interrupt: Any) -> None:
        self.timers_ready: list[Any] = []
        self.subscriptions_ready: list[Any] = []
        self._stack = ExitStack()
        nodes = list(nodes)
        self._handles = {
            "subscription": self._enter(s for node in nodes for s in node.subscriptions),
            "guard_condition": self._enter(
                [*(g for n in nodes for g in n.guards), wake, interrupt]
            ),
            "timer": self._enter(t for node in nodes for t in node.timers),
            "client": self._enter(c for node in nodes for c in node.clients),
            "service": self._enter(s for node in nodes for s in node.services),
        }
        self._wake = wake.handle.pointer
        self._waitables = [
            w for node in nodes for w in node.waitables if not isinstance(w, EventHandler)
        ]
        for waitable in self._waitables:
            self._stack.enter_context(waitable)
        self._stack.enter_context(context.handle)
        self._set = self._empty_set(context)

    def _enter(self, entities: Iterable[Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for entity in entities:
            with suppress(InvalidHandle):  # it is being destroyed
                self._stack.enter_context(entity.handle)
                found[entity.handle.pointer] = entity
        return found

    def _empty_set(self, context: Any) -> Any:
        sizes = [len(self._handles[kind]) for kind in _KINDS]
        events = 0
        for waitable in self._waitables:
            more = waitable.get_num_entities()
            events += more.num_events
            extra = (
                more.num_subscriptions, more.num_guard_conditions, more.num_timers,
                more.num_clients, more.num_services,
            )  # fmt: skip
            sizes = [size + n for size, n in zip(sizes, extra, strict=True)]
        return WaitSet(*sizes, events, context.handle)

    def wait(self, wait_s: float) -> bool:
        """Wait, note which timers and subscriptions are ready, and say whether anything else is.

        Args:
            wait_s: longest wall time, seconds.
        """
        waits, handles = self._set, self._handles
        waits.clear_entities()
        for entity in handles["subscription"].values():
            waits.add_subscription(entity.handle)
        for entity in handles["client"].values():
            waits.add_client(entity.handle)
        for entity in handles["service"].values():
            waits.add_service(entity.handle)
        for entity in handles["timer"].values():
            waits.add_timer(entity.handle)
        for entity in handles["guard_condition"].values():
            waits.add_guard_condition(entity.handle)
        for waitable in self._waitables:
            waitable.add_to_wait_set(waits)
        waits.wait(int(wait_s * 1e9))
        self.timers_ready, more_timers = self._plain("timer")
        self.subscriptions_ready, more = self._plain("subscription")
        # woken alone it has tasks to go on with or other entities, and looks at both anyway
        guards = waits.get_ready_entities("guard_condition")
        return (
            more_timers
            or more
            or any(pointer != self._wake for pointer in guards)
            or any(waits.get_ready_entities(kind) for kind in ("client", "service"))
        )

    def _plain(self, kind: str) -> tuple[list[Any], bool]:
        """Ready entities with plain callbacks, and whether there are ready ones besides."""
        known = self._handles[kind]
        ready = self._set.get_ready_entities(kind)
        found = [known[pointer] for pointer in ready if pointer in known]
        plain = [entity for entity in found if _is_plain(entity)]
        return plain, len(plain) < len(ready)

    def close(self) -> None:
        """Let go."""
        self._stack.close()
