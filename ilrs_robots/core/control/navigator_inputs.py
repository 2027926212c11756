"""What the navigator hears besides maps and poses: the gate, the wheels, the ground's heights."""

from __future__ import annotations

from ilrs_robots.core.control.entrapment import MotionEvidence, SlipWindow
from ilrs_robots.core.control.extrication import Extrication
from ilrs_robots.core.control.refusal import RefusalWatch
from ilrs_robots.core.control.supply import HeldWatch
from ilrs_robots.core.control.terrain_memory import TerrainMemory
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.planning.costmap import NavigationCostmap


class NavigatorInputs:
    """Hands what comes in to the part that it concerns."""

    def __init__(
        self, hold: HeldWatch, refusal: RefusalWatch, extrication: Extrication,
        ground: TerrainMemory,
    ) -> None:  # fmt: skip
        """Take the parts."""
        self._hold, self._refusal = hold, refusal
        self._extrication, self._ground = extrication, ground
        self._now_ns = 0

    @property
    def held(self) -> bool:
        """Whether what ``on_given`` tells keeps the vehicle from moving as asked.

        A vehicle that the gate keeps off bad ground is not held: it must go elsewhere.
        """
        return self._hold.held(self._now_ns) and not self._refusal.by_ground

    @property
    def slip(self) -> SlipWindow:
        """Slip and sinkage over the wheels' last way."""
        return self._extrication.window

    @property
    def costmap(self) -> NavigationCostmap | None:
        """The map that is planned on; None before the first goal."""
        return self._ground.costmap

    def on_heights(self, heights: Heights) -> None:
        """Take the ground's heights; poses are in map."""
        self._ground.heights = heights

    def on_motion(self, span: MotionEvidence) -> None:
        """Take how far the wheels rolled and how far the vehicle really went."""
        self._extrication.on_motion(span)

    def on_given(self, stamp_ns: int, v: float, w: float) -> None:
        """Take what really goes to the wheels, so that a held vehicle is not called stuck.

        Args:
            stamp_ns: time of the stamps.
            v: forward speed that the command gate lets through, m/s.
            w: yaw rate, rad/s.
        """
        self._hold.on_given(stamp_ns, v, w)

    def on_gate(self, kind: str, reason: str) -> None:
        """Take what the command gate says.

        Args:
            kind: ``ground``, ``power`` or ``link`` where that is why it stops the vehicle.
            reason: one sentence.
        """
        self._refusal.on_gate(kind, reason)
