"""Hears how a mission goes until it is over; plain data out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ilrs_robots.nodes import qos
from ilrs_robots.nodes.dead_ports import dead_ports_held
from ilrs_robots.nodes.mission import MISSION


@dataclass(frozen=True)
class TaskLine:
    """One task for the terminal."""

    name: str
    state: str
    sentence: str
    began_s: float
    ended_s: float


@dataclass(frozen=True)
class MissionProgress:
    """A mission as it stands; times are mission time.

    Attributes:
        name: of the mission.
        time_s: when this was said.
        over: whether every task has ended.
        succeeded: whether every task is done.
        summary: one sentence.
        tasks: in the order of the file.
    """

    name: str
    time_s: float
    over: bool
    succeeded: bool
    summary: str
    tasks: tuple[TaskLine, ...]


def progress_of(msg: DiagnosticArray) -> MissionProgress | None:
    """What a message of ``mission/status`` says, or None where it is none."""
    whole = next((s for s in msg.status if s.name == MISSION), None)
    if whole is None:
        return None
    values = _values(whole)
    tasks = []
    for status in msg.status:
        if status is whole:
            continue
        own = _values(status)
        times = (float(own["began_s"]), float(own["ended_s"]))
        tasks.append(TaskLine(status.name, own["state"], status.message, *times))
    return MissionProgress(
        values["mission"], float(values["time_s"]), values["over"] == "true",
        values["succeeded"] == "true", whole.message, tuple(tasks),
    )  # fmt: skip


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def watch_mission(
    keep_waiting: Callable[[MissionProgress | None], bool],
    on_progress: Callable[[MissionProgress], None] = lambda _p: None,
) -> MissionProgress | None:
    """Listen until the mission is over.

    Args:
        keep_waiting: asked ten times a second or so, with the newest; says no to end early.
        on_progress: called at every status.

    Returns:
        How it stands at the end, None where nothing was ever heard.
    """
    newest: list[MissionProgress] = []

    def on_status(msg: DiagnosticArray) -> None:
        progress = progress_of(msg)
        if progress is not None:
            newest[:] = [progress]
            on_progress(progress)

    context = rclpy.Context()
    with dead_ports_held():
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("mission_watcher", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        node.create_subscription(DiagnosticArray, "/mission/status", on_status, qos.MAP)
        asked_s = 0.0
        try:
            while not (newest and newest[0].over):
                executor.spin_once(timeout_sec=0.1)
                if time.monotonic() - asked_s < 0.05:
                    continue
                asked_s = time.monotonic()
                if not keep_waiting(newest[0] if newest else None):
                    break
        finally:
            executor.shutdown(timeout_sec=1.0)
            node.destroy_node()
            rclpy.try_shutdown(context=context)
    return newest[0] if newest else None
