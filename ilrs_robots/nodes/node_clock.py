"""What a node's clock does, and what is to be said of it.

Reference: docs/adr/0007-time.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from ilrs_robots.core.clock import ClockWatch
from ilrs_robots.nodes.managed import ManagedNode

STANDS_S: Final = 2.0
"""A simulated clock that shows the same time for so long (wall time) has stopped."""


class NodeClock:
    """Watches the clock of one managed node.

    Attributes:
        simulated: whether the node lives in simulated time.
    """

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self.simulated = bool(node.get_parameter("use_sim_time").value)
        self._watch = ClockWatch(self.simulated)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)

    def went_back_ns(self, now_ns: int) -> int:
        """How far the clock was set back since it was last looked at."""
        return self._watch.went_back_ns(now_ns)

    def trouble(self, now_ns: int) -> str:
        """One sentence when no simulated time comes, else nothing."""
        if not self.simulated:
            return ""
        standing_s = self._watch.standing_s(now_ns, time.monotonic())
        if now_ns == 0:
            return "no /clock has come, and use_sim_time of this node is true"
        if standing_s < STANDS_S:
            return ""
        return f"/clock has stood at {now_ns * 1e-9:.2f} s for {standing_s:.0f} s"

    def timer(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back in the time of the node while it is active.

        On hardware the period is counted by a steady clock: one on the wall clock would not fire
        for as long as that clock is set back.
        """
        if self.simulated:
            self._node.timer(period_s, callback)
        else:
            self.steady_timer(period_s, callback)

    def steady_timer(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back in wall time while the node is active, whatever its clock does."""
        node = self._node

        def guarded() -> None:
            if node.active:
                node.meter.work(callback)

        made = node.create_timer(period_s, guarded, clock=self._steady)
        node._owned.append((node.destroy_timer, made))
