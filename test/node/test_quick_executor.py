"""The processes' executor over real DDS: it serves what rclpy's own serves, and ends likewise."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient, ActionServer
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String
from std_srvs.srv import Trigger

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes import convert, qos, quick_executor
from ilrs_robots.nodes.quick_executor import EXECUTOR, QuickExecutor, make_executor
from ilrs_robots.robots.assembly import dds_environment

pytestmark = pytest.mark.node
S = 1_000_000_000
TURNS = 3000


class Spun:
    """One executor, its nodes, and turns until something holds."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.nodes: list[Node] = []

    def node(self, name: str, **options: Any) -> Any:
        made = Node(name, **options)
        self.executor.add_node(made)
        self.nodes.append(made)
        return made

    def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(TURNS):
            if condition():
                return
            self.executor.spin_once(timeout_sec=0.02)
        pytest.fail("waited in vain")


@pytest.fixture(params=[QuickExecutor, SingleThreadedExecutor])
def spun(
    request: pytest.FixtureRequest, domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Spun]:
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    rclpy.init(domain_id=domain_id)
    made = Spun(request.param())
    yield made
    made.executor.shutdown()
    for node in made.nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_every_message_comes_once_in_order_also_what_waited_before(spun: Spun) -> None:
    node = spun.node("one")
    sent = node.create_publisher(String, "words", qos.STREAM)
    heard: list[str] = []
    node.create_subscription(String, "words", lambda m: heard.append(m.data), qos.STREAM)
    spun.until(sent.get_subscription_count)
    for n in range(40):
        sent.publish(String(data=str(n)))
    spun.until(lambda: len(heard) >= 40)
    assert heard == [str(n) for n in range(40)]


def test_callbacks_may_make_and_take_away_entities(spun: Spun) -> None:
    node = spun.node("one")
    sent = node.create_publisher(String, "words", qos.STREAM)
    heard: list[str] = []
    made: list[Any] = []

    def once() -> None:
        timer.cancel()
        node.destroy_timer(timer)
        for name in ("a", "b"):
            made.append(node.create_subscription(String, "words", take(name), qos.STREAM))

    def take(name: str) -> Callable[[String], None]:
        def took(_msg: String) -> None:
            heard.append(name)
            while made:  # both had a message; whoever is second must not be called any more
                node.destroy_subscription(made.pop())

        return took

    timer = node.create_timer(0.001, once)
    spun.until(lambda: sent.get_subscription_count() == 2)
    sent.publish(String(data="x"))
    spun.until(lambda: heard)
    spun.until(lambda: sent.get_subscription_count() == 0)
    assert len(heard) == 1


def test_services_actions_and_waiting_coroutines_are_served(spun: Spun) -> None:
    node = spun.node("one")

    async def slow(_request: Any, response: Any) -> Any:
        done = Future(executor=node.executor)
        threading.Thread(target=lambda: done.set_result("from a thread")).start()
        response.message = await done
        return response

    def drive(handle: Any) -> Any:
        handle.succeed()
        return NavigateToPose.Result()

    node.create_service(Trigger, "slow", slow)
    server = ActionServer(node, NavigateToPose, "drive", drive)
    peer = spun.node("peer")
    client, action = (
        peer.create_client(Trigger, "slow"),
        ActionClient(peer, NavigateToPose, "drive"),
    )
    spun.until(lambda: client.service_is_ready() and action.server_is_ready())
    answer = client.call_async(Trigger.Request())
    spun.until(answer.done)
    assert answer.result().message == "from a thread"
    goal = action.send_goal_async(NavigateToPose.Goal())
    spun.until(goal.done)
    result = goal.result().get_result_async()
    spun.until(result.done)
    assert result.result().status == GoalStatus.STATUS_SUCCEEDED
    action.destroy()
    server.destroy()


def test_timers_follow_a_simulated_clock_that_stands_goes_and_is_set_back(spun: Spun) -> None:
    node = spun.node("one", parameter_overrides=[Parameter("use_sim_time", value=True)])
    clock = spun.node("clock").create_publisher(ClockMessage, "/clock", qos.STATE)
    fired: list[int] = []
    steady: list[int] = []
    node.create_timer(1.0, lambda: fired.append(node.get_clock().now().nanoseconds // S))
    wall = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(0.01, lambda: steady.append(1), clock=wall)
    spun.until(clock.get_subscription_count)
    spun.until(lambda: len(steady) > 3)
    assert not fired  # no time has come: nothing is due, and steady timers go on

    def at(second: float) -> None:
        now = int(second * S)
        clock.publish(ClockMessage(clock=convert.to_stamp(now)))
        spun.until(lambda: node.get_clock().now().nanoseconds == now)
        before = len(steady)
        spun.until(lambda: len(steady) > before + 2)

    for second in (10.0, 10.5, 11.2, 12.3, 12.4):
        at(second)
    assert fired[-2:] == [11, 12]
    count = len(fired)
    for second in (5.0, 5.5, 6.2, 7.3):
        at(second)
    assert len(fired) > count
    assert fired[-1] == 7


def test_an_exception_of_a_callback_comes_out_and_the_rest_goes_on(spun: Spun) -> None:
    node = spun.node("one")
    heard: list[int] = []

    def fail() -> None:
        timer.cancel()
        raise ValueError("from a timer")

    timer = node.create_timer(0.001, fail)
    node.create_timer(0.001, lambda: heard.append(1))
    with pytest.raises(ValueError, match="from a timer"):
        spun.until(lambda: False)
    spun.until(lambda: len(heard) > 3)


def test_the_end_of_the_context_ends_the_spin(spun: Spun) -> None:
    node = spun.node("one")
    node.create_timer(0.01, rclpy.shutdown)
    with contextlib.suppress(ExternalShutdownException):
        spun.executor.spin()
    assert not rclpy.ok()


@pytest.mark.parametrize("spun", [QuickExecutor], indirect=True)
def test_a_callback_or_a_thread_may_shut_it_down(spun: Spun) -> None:
    """Its guards and entities are taken away while the turn under way still uses them."""
    node = spun.node("one")
    heard: list[str] = []

    def end(name: str) -> None:
        heard.append(name)
        spun.executor.shutdown()

    node.create_timer(0.001, lambda: end("a"))
    node.create_timer(0.001, lambda: end("b"))
    spun.executor.spin()
    assert len(heard) == 1  # the other was due as well, and is not called any more
    spun.executor.spin_once(timeout_sec=0.01)
    assert len(heard) == 1

    other = QuickExecutor()
    silent = Node("two")
    spun.nodes.append(silent)
    other.add_node(silent)
    thread = threading.Thread(target=other.spin)
    thread.start()
    assert other.shutdown()
    thread.join(20.0)
    assert not thread.is_alive()


def _served(node: Node, spun: Spun, count: int) -> None:
    """Let a number of messages go round, one after the other."""
    sent = node.create_publisher(String, "words", qos.STREAM)
    heard: list[str] = []
    node.create_subscription(String, "words", lambda m: heard.append(m.data), qos.STREAM)
    spun.until(sent.get_subscription_count)
    for n in range(count):
        sent.publish(String(data=str(n)))
        spun.until(lambda n=n: len(heard) > n)


@pytest.mark.parametrize("spun", [QuickExecutor], indirect=True)
def test_neither_an_answered_service_nor_a_goal_under_way_makes_it_slow(
    spun: Spun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message cost one of rclpy's rounds once, because of what was done and still listed."""
    monkeypatch.setattr(quick_executor, "ROUND_S", 1e3)  # none of its own while this is counted
    node = spun.node("one")
    end = Future(executor=spun.executor)

    async def drive(handle: Any) -> Any:
        await end
        handle.succeed()
        return NavigateToPose.Result()

    server = ActionServer(node, NavigateToPose, "drive", drive)
    node.create_service(Trigger, "ask", lambda _request, answer: answer)
    asks, action = node.create_client(Trigger, "ask"), ActionClient(node, NavigateToPose, "drive")
    spun.until(lambda: asks.service_is_ready() and action.server_is_ready())
    answer = asks.call_async(Trigger.Request())
    spun.until(answer.done)
    goal = action.send_goal_async(NavigateToPose.Goal())
    spun.until(goal.done)

    rounds: list[int] = []
    make_round = SingleThreadedExecutor.wait_for_ready_callbacks

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        rounds.append(1)
        return make_round(self, *args, **kwargs)

    monkeypatch.setattr(SingleThreadedExecutor, "wait_for_ready_callbacks", counted)
    _served(node, spun, 50)
    assert len(rounds) < 25  # the goal's status and the graph may ask for some
    end.set_result(None)
    result = goal.result().get_result_async()
    spun.until(result.done)
    assert result.result().status == GoalStatus.STATUS_SUCCEEDED
    action.destroy()
    server.destroy()


def test_the_environment_chooses_and_an_rclpy_of_other_insides_keeps_its_own(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclpy.init(domain_id=domain_id)
    monkeypatch.delenv(EXECUTOR, raising=False)
    made = make_executor()
    assert isinstance(made, QuickExecutor)
    made.shutdown()
    monkeypatch.setenv(EXECUTOR, "rclpy")
    plain = make_executor()
    assert type(plain) is SingleThreadedExecutor
    plain.shutdown()
    monkeypatch.setenv(EXECUTOR, "qick")
    with pytest.raises(ConfigError, match="'qick' is neither 'quick' nor 'rclpy'"):
        make_executor()
    monkeypatch.delenv(EXECUTOR)
    monkeypatch.setattr(quick_executor, "_NEEDED", ("_what_it_lacks",))
    other = make_executor()
    assert type(other) is SingleThreadedExecutor
    other.shutdown()
    rclpy.shutdown()
