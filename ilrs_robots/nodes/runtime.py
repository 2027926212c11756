"""Start-up and shut-down that every program of the package shares."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import rclpy
from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.node import Node

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.dds_segment import segment_of
from ilrs_robots.nodes.dead_ports import dead_ports_held
from ilrs_robots.nodes.quick_executor import QuickExecutor, make_executor

SUPERVISED = "ILRS_SUPERVISED"
"""Environment variable that holds the supervisor's process id."""
HEARTBEAT = "ILRS_HEARTBEAT"
"""Environment variable that names a file to be touched once a second, for a health check."""
BEATS_PER_LIMIT = 4
"""Signs of life within the longest silence that is allowed."""
NOTIFY_TIMEOUT_S = 5.0
_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def notify(message: str, *, wait: bool = True) -> None:
    """Send a service notification (sd_notify protocol) when a supervisor listens.

    Args:
        message: for example ``READY=1``.
        wait: whether it must arrive; otherwise it is dropped when the supervisor is busy.

    Reference: sd_notify(3); the socket's address stands in NOTIFY_SOCKET.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    text = f"{message}\nMAINPID={os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(NOTIFY_TIMEOUT_S if wait else 0.0)
        try:
            sock.sendto(text.encode(), address)
        except BlockingIOError:
            pass
        except OSError as error:
            get_logger("runtime").warning(f"supervisor does not listen: {error}")


def keep_beating(node: Node) -> None:
    """Tell the supervisor from the node's executor that it turns, where that is asked for.

    Reference: sd_watchdog_enabled(3); the longest silence stands in WATCHDOG_USEC.
    """
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    if file := os.environ.get(HEARTBEAT, ""):
        node.create_timer(1.0, lambda: _touch(file), clock=steady)
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    if limit_us.isdecimal() and int(limit_us) > 0:
        period_s = int(limit_us) * 1e-6 / BEATS_PER_LIMIT
        node.create_timer(period_s, lambda: notify("WATCHDOG=1", wait=False), clock=steady)


def _touch(file: str) -> None:
    """A file that cannot be touched makes the health check fail, and nothing else."""
    with contextlib.suppress(OSError):
        Path(file).touch()


def end_with_parent() -> None:
    """Ask the kernel to end this process when a supervising parent dies.

    Raises:
        SystemExit: it has died already.
    """
    parent = os.environ.get(SUPERVISED, "")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent.isdecimal() and os.getppid() != int(parent):
        raise SystemExit("the supervisor is gone")


def keep_freed_memory() -> None:
    """Let glibc keep what arrays give back instead of returning it page by page.

    Every scan allocates and frees megabytes; without this each of them is paid for again in page
    faults (measured: decoding 131 072 points takes 4 ms instead of 1.5 ms).

    Reference: mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        mallopt(_M_MMAP_THRESHOLD, 64 << 20)


def give_back_memory() -> None:
    """Return what the start has taken and freed again: imports and compiled code, not scans.

    Reference: malloc_trim(3).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def bring_up(node: LifecycleNode) -> None:
    """Configure and activate a managed node.

    Raises:
        IlrsError: a transition failed; the node's log says why.
    """
    for name, trigger in (
        ("configure", node.trigger_configure),
        ("activate", node.trigger_activate),
    ):
        if trigger() != TransitionCallbackReturn.SUCCESS:
            raise IlrsError(f"node {node.get_name()} did not {name}: see its log")


def spin(executor: Executor, _nodes: Sequence[Node]) -> None:
    """Answer whatever comes, until asked to end."""
    executor.spin()


def run(
    make_nodes: Callable[[], Sequence[Node]],
    args: list[str] | None = None,
    live: Callable[[Executor, Sequence[Node]], None] = spin,
    segment_bytes: int | None = None,
) -> int:
    """Create nodes, bring the managed ones up, tell the supervisor, live until asked to end.

    SIGINT ends rclpy's context and nothing else: an exception out of the middle of a callback, or
    of a compiled loop, would leave a traceback where an orderly end was asked for.

    Args:
        make_nodes: creates the nodes; rclpy runs.
        args: command line, or None for the process's own.
        live: returns, or raises ExternalShutdownException, when the context has ended.
        segment_bytes: shared memory for what the nodes send; None for what the profile says.

    Returns:
        0 after an orderly end, 1 when the nodes could not be brought up.
    """
    end_with_parent()
    keep_freed_memory()
    signal.signal(signal.SIGINT, _leave_it_to_rclpy)
    with dead_ports_held():
        rclpy.init(args=args)
        return _live(make_nodes, live, segment_bytes)


def _live(
    make_nodes: Callable[[], Sequence[Node]],
    live: Callable[[Executor, Sequence[Node]], None],
    segment_bytes: int | None,
) -> int:
    nodes: list[Node] = []
    executor: Executor | None = None
    try:
        with segment_of(segment_bytes):
            nodes.extend(make_nodes())
        executor = make_executor()
        for node in nodes:
            executor.add_node(node)
            if isinstance(node, LifecycleNode) and node.get_parameter("autostart").value:
                bring_up(node)
        keep_beating(nodes[0])
        give_back_memory()
        notify("READY=1")
        live(executor, nodes)
    except ExternalShutdownException:
        pass
    except IlrsError as error:
        if rclpy.ok():
            get_logger("ilrs").fatal(str(error))
            return 1
    except (InvalidHandle, RCLError):
        if rclpy.ok():  # otherwise the end came between two steps of a start
            raise
    finally:
        if isinstance(executor, QuickExecutor):
            executor.let_go()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _leave_it_to_rclpy(_number: int, _frame: object) -> None:
    """Python's part of SIGINT: rclpy's handler has ended the context already."""
