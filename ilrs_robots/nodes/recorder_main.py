"""The program ``recorder``: records until SIGINT or SIGTERM, then closes the bag."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.dds_segment import WORDS_BYTES, segment_of
from ilrs_robots.nodes.recorder import RecorderNode
from ilrs_robots.nodes.runtime import end_with_parent, keep_beating, keep_freed_memory, notify

_DRAIN_S: Final = 0.3
"""How long the recorder listens on after the signal: others say their last words then."""


def main(args: Sequence[str] | None = None) -> int:
    """Record until a signal comes. 0 when the bag is whole, 1 when it is not."""
    stop = threading.Event()
    end_with_parent()
    keep_freed_memory()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _record(stop)
    except IlrsError as error:
        sys.stderr.write(f"recorder: {error}\n")
        return 1
    finally:
        rclpy.try_shutdown()


def _record(stop: threading.Event) -> int:
    with segment_of(WORDS_BYTES):
        node = RecorderNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    keep_beating(node)
    spinner = threading.Thread(target=executor.spin, name="recorder_spin", daemon=True)
    spinner.start()
    notify("READY=1")
    while not stop.wait(0.5) and spinner.is_alive():
        pass
    alive = spinner.is_alive()
    if alive:
        time.sleep(_DRAIN_S)
    executor.shutdown(timeout_sec=2.0)
    spinner.join(timeout=2.0)
    whole = node.finish()
    node.destroy_node()
    return 0 if whole and alive else 1


if __name__ == "__main__":
    sys.exit(main())
