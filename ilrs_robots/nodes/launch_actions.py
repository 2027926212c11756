"""A plan's plain data as actions of ``launch``: every launch file goes through here."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import launch.logging
from launch import LaunchContext
from launch.action import Action
from launch.actions import (
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.events.process import ProcessExited
from launch_ros.actions import Node
from launch_ros.descriptions import ParameterFile, ParameterValue

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.runtime import SUPERVISED
from ilrs_robots.robots.assembly import PACKAGE, ProcessSpec
from ilrs_robots.robots.tools import ToolSpec

PREFIX: Final = "launch-prefix"
"""Launch configuration that puts a debugger or a terminal between launch and a process."""


class Policy(Protocol):
    """When a process is started again, and when it is given up."""

    @property
    def first_delay_s(self) -> float:
        """Pause before a restart, seconds."""
        ...

    @property
    def max_deaths(self) -> int:
        """So many deaths within ``window_s`` and all is given up."""
        ...

    @property
    def window_s(self) -> float:
        """Seconds."""
        ...


class Plan(Protocol):
    """What is started, and how."""

    @property
    def processes(self) -> tuple[ProcessSpec | ToolSpec, ...]:
        """In start order."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of every process."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """Lines for the user."""
        ...

    @property
    def respawn(self) -> bool:
        """Whether processes are started again."""
        ...

    @property
    def policy(self) -> Policy:
        """When and how often."""
        ...

    @property
    def log_level(self) -> str:
        """Of every ROS node."""
        ...


def log_progress(what: str, share: float) -> None:
    """Say in launch's log how far something is that takes long.

    Args:
        what: in words.
        share: 0 to 1.
    """
    launch.logging.get_logger(PACKAGE).info(f"{what}: {share:.0%}")


def planned(make: Callable[[dict[str, str], Path], Plan]) -> OpaqueFunction:
    """The action that makes a plan from a launch file's arguments and starts it.

    Args:
        make: from the arguments, and a folder of the run's own, to the plan. What it refuses
            ends the launch with its one line.
    """

    def start(context: LaunchContext) -> list[Action]:
        folder = Path(launch.logging.launch_config.log_dir) / PACKAGE
        folder.mkdir(parents=True, exist_ok=True)
        try:
            plan = make(dict(context.launch_configurations), folder)
        except IlrsError as error:
            raise RuntimeError(str(error)) from error
        return actions_of(plan, prefixed=PREFIX in context.launch_configurations)

    return OpaqueFunction(function=start)


FOLLOW: Final = "setpriv --pdeathsig INT --"
"""Lets the kernel end a program of others when launch dies without saying so (util-linux)."""


def actions_of(plan: Plan, *, prefixed: bool = False) -> list[Action]:
    """The plan's environment, remarks and processes as actions.

    Args:
        plan: what is started.
        prefixed: whether something stands between launch and the processes, so that these must
            not look whether launch is their parent.
    """
    environment = dict(plan.environment)
    if not prefixed:
        environment[SUPERVISED] = str(os.getpid())
    follow = {} if prefixed or shutil.which("setpriv") is None else {"prefix": FOLLOW}
    settings: list[Action] = [SetEnvironmentVariable(k, v) for k, v in environment.items()]
    remarks: list[Action] = [LogInfo(msg=f"{PACKAGE}: {line}") for line in plan.remarks]
    posts = (_Post(plan, spec, follow) for spec in plan.processes)
    return [*settings, *remarks, *(post.action() for post in posts)]


@dataclass
class _Post:
    """A process of the plan through all its lives."""

    plan: Plan
    spec: ProcessSpec | ToolSpec
    follow: Mapping[str, str]
    life: int = 1
    deaths: deque[float] = field(default_factory=deque)

    def action(self) -> Action:
        """The action that runs it, and knows what to do when it ends."""
        if isinstance(self.spec, ProcessSpec):
            return _our_process(self.spec, self.plan.log_level, **self._fate())
        return _their_process(self.spec, self.plan.log_level, **self.follow, **self._fate())

    @property
    def _returns(self) -> bool:
        """Whether it is started again when it dies."""
        wanted = isinstance(self.spec, ProcessSpec) or self.spec.respawn
        return self.plan.respawn and wanted and not self.spec.essential

    @property
    def _renewed(self) -> bool:
        """Whether each life needs arguments of its own, which launch's own respawn cannot give."""
        return isinstance(self.spec, ProcessSpec) and bool(self.spec.new_folder)

    def _fate(self) -> dict[str, Any]:
        delay_s = self.plan.policy.first_delay_s
        return {
            "respawn": self._returns and not self._renewed,
            "respawn_delay": delay_s,
            "on_exit": self._on_exit,
            "output": "screen",
        }

    def _on_exit(self, event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        """End everything, give up, start anew, or leave it to launch.

        Raises:
            RuntimeError: the launch must fail; its line says why.
        """
        if context.is_shutdown:
            return None
        how = f"{self.spec.name} ended with exit code {event.returncode}"
        if self.spec.essential:
            if event.returncode == 0:
                return [Shutdown(reason=f"{self.spec.name} has ended")]
            raise RuntimeError(f"{how}: nothing goes on without it")
        if isinstance(self.spec, ToolSpec) and self.spec.once:
            if event.returncode == 0:
                return None
            raise RuntimeError(f"{how}: what it was to do is not done")
        if not self._returns:
            return None
        if not (isinstance(self.spec, ProcessSpec) and self.spec.spare):
            self._count_death(how, context)
        if not self._renewed:
            return None
        self.life += 1
        assert isinstance(self.spec, ProcessSpec)
        again = _our_process(self.spec.again(self.life), self.plan.log_level, **self._fate())
        return [TimerAction(period=self.plan.policy.first_delay_s, actions=[again])]

    def _count_death(self, how: str, context: LaunchContext) -> None:
        now_s, policy = context.asyncio_loop.time(), self.plan.policy
        self.deaths.append(now_s)
        while now_s - self.deaths[0] > policy.window_s:
            self.deaths.popleft()
        if len(self.deaths) >= policy.max_deaths:
            raise RuntimeError(
                f"{how}, {len(self.deaths)} deaths within {policy.window_s:.0f} s: given up"
            )


def _our_process(spec: ProcessSpec, log_level: str, **fate: Any) -> Node:
    """A program of this package. ``name`` is not set: it would rename every node inside."""
    return Node(
        package=PACKAGE,
        executable=spec.executable,
        exec_name=spec.name,
        namespace=spec.namespace or None,
        ros_arguments=[*spec.parameter_arguments(), "--log-level", log_level],
        **fate,
    )


def _their_process(tool: ToolSpec, log_level: str, **fate: Any) -> ExecuteProcess:
    """A program of others: a ROS node, or a command of the system."""
    environment = dict(tool.environment) or None
    if not tool.package:
        command = [tool.executable, *tool.arguments]
        return ExecuteProcess(cmd=command, name=tool.name, additional_env=environment, **fate)
    values = {
        key: ParameterValue(value, value_type=type(value))
        for key, value in (tool.parameters or {}).items()
    }
    files = [ParameterFile(str(tool.parameter_file))] if tool.parameter_file else []
    return Node(
        package=tool.package,
        executable=tool.executable,
        exec_name=tool.name,
        namespace=tool.namespace or None,
        arguments=list(tool.arguments),
        parameters=[*files, *([values] if values else [])],
        remappings=list(tool.remappings),
        ros_arguments=["--log-level", log_level],
        additional_env=environment,
        **fate,
    )
