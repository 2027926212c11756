"""What the navigator hears besides maps and poses: the gate, the wheels, the ground's heights."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.control.entrapment import MotionEvidence, SlipWindow
from ilrs_robots.core.control.extrication import Extrication
from ilrs_robots.core.control.meeting import Meetings
from ilrs_robots.core.control.meeting_types import MeetingAnswer
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.control.refusal import RefusalWatch
from ilrs_robots.core.control.supply import HeldWatch
from ilrs_robots.core.control.terrain_memory import TerrainMemory
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.planning.costmap import NavigationCostmap
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.types import FloatArray

_NOBODY = MeetingAnswer()
_NO_WAY: FloatArray = np.zeros((0, 2))


class NavigatorInputs:
    """Hands what comes in to the part that it concerns.

    Attributes:
        way_m: (N, 2) metres, map: what other vehicles are told of the way ahead; empty for none.
    """

    def __init__(
        self, hold: HeldWatch, refusal: RefusalWatch, extrication: Extrication,
        ground: TerrainMemory,
    ) -> None:  # fmt: skip
        """Take the parts."""
        self._hold, self._refusal = hold, refusal
        self._extrication, self._ground = extrication, ground
        self._meetings: Meetings | None = None
        self.way_m = _NO_WAY
        self._now_ns = 0

    def keep_off(self, places: tuple[KeepOut, ...]) -> None:
        """Stay out of discs in map from the next map on; goals in them are refused."""
        self._ground.keep_outs = places

    def join(self, meetings: Meetings) -> None:
        """Take note of the other vehicles of a site from now on."""
        self._meetings = meetings

    @property
    def meetings(self) -> Meetings | None:
        """Meetings with other vehicles; None where the vehicle knows of none."""
        return self._meetings

    def _meet(
        self, pose: tuple[float, float, float], v: float, path: ArcPath | None
    ) -> MeetingAnswer:
        """What the other vehicles make this one do: pose in map (m, rad), speed in m/s."""
        if self._meetings is None:
            return _NOBODY
        self._ground.others = self._meetings.parked(self._now_ns)
        left = _NO_WAY if path is None else path.ahead()
        return self._meetings.look(self._now_ns, pose, v, left, self._ground)

    def _tell_way(self, path: ArcPath | None) -> None:
        self.way_m = _NO_WAY
        if self._meetings is not None and path is not None:
            self.way_m = self._meetings.way_m(path.ahead())

    def _reconfigure_meetings(self, config: NavigatorConfig) -> None:
        if self._meetings is not None:
            self._meetings.reconfigure(config)

    def _end_meetings(self) -> None:
        if self._meetings is not None:
            self._meetings.reset()

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
        self._extrication.on_gate(refuses_ground=self._refusal.by_ground)
