"""Mission view node: hears every vehicle of a site and hands a viewer what there is to see.

The viewer comes from outside (``cli`` puts the two together): this file knows topics, and no
browser. The node never publishes anything but goals and the pause that a person asks for.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.clock import Clock as RosClock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.mission import MISSION
from ilrs_robots.nodes.mission_client import progress_of
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.view_goals import Desk
from ilrs_robots.nodes.view_samples import Sampled, newest
from ilrs_robots.nodes.view_vehicle import LEVELS, VehicleFeed, transform_of
from ilrs_robots.robots.description import urdf_of
from ilrs_robots.robots.frames import MAP_FRAME, odom_frame
from ilrs_robots.robots.site import SiteConfig, load_prior
from ilrs_robots.robots.view_state import (
    ERROR,
    INFO,
    WARN,
    EventView,
    MissionScene,
    Orders,
    SiteView,
    TaskView,
)

PERIOD_S: Final = 0.1
TELL_EVERY, TF_EVERY, MAP_EVERY = 5, 3, 7
"""Frames between two looks at what changes less often."""
EVENTS: Final = 200
STANDS_S: Final = 1.5
"""A clock that has not moved for so long (wall) stands: nobody is silent then."""

Open = Callable[[SiteConfig, Dem, Mapping[str, str], Orders, "ViewParameters"], MissionScene]


class ViewParameters:
    """Where the view listens.

    Args:
        node: that gets the parameters.
    """

    def __init__(self, node: Node) -> None:
        self.host = str(declare_one(node, "host", "127.0.0.1", "address of the view"))
        self.port = int(declare_one(node, "port", 8080, "TCP port of the view, 0 for any"))
        self.token = str(declare_one(node, "token", "", "that a browser must bring"))


class MissionViewNode(Node):  # type: ignore[misc]
    """Ten times a second: hears, and has it shown.

    Args:
        open_scene: opens the viewer.
    """

    def __init__(self, open_scene: Open, **options: Any) -> None:
        super().__init__("mission_view", **options)
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        seed = int(declare_one(self, "seed", -1, "seed of procedural terrain, -1: the site's"))
        doc = "whether time comes from /clock, also before it has come"
        self._simulated = bool(declare_one(self, "simulated", False, doc))
        chosen = str(declare_one(self, "robots", "", "comma-separated robots, empty for all"))
        self._site, prior = load_prior(site_name, seed=None if seed < 0 else seed)
        names = [n for n in chosen.split(",") if n] or [r.name for r in self._site.robots]
        placed = {name: self._site.robot(name) for name in names}
        self._samples = Node(
            "mission_view_samples", context=self.context, enable_rosout=False,
            start_parameter_services=False,
        )  # fmt: skip
        self._feeds = {
            name: VehicleFeed(self._samples, name, at.load_model()) for name, at in placed.items()
        }
        self._clock_in = Sampled(self._samples, Clock, "/clock", newest())
        self._tf = Sampled(self._samples, TFMessage, "/tf", newest(8 * len(names)))
        self._state, self._events = SiteView(), deque[EventView](maxlen=EVENTS)
        self._levels: dict[str, int] = {}
        self._desk = Desk(self, names, self._say, self._goal_said)
        self._clock_s = math.nan
        self._moved_wall_s = self._frame_wall_s = time.monotonic()
        self._rate_from, self._rate, self._frame = (self._frame_wall_s, math.nan), math.nan, 0
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.STATE)
        self.create_subscription(DiagnosticArray, "/mission/status", self._on_mission, qos.MAP)
        self.create_subscription(Log, "/mission/log", self._on_mission_log, qos.LOG)
        self.create_subscription(Log, "/rosout", self._on_log, qos.STATE)
        urdfs = {name: urdf_of(at.model, name) for name, at in placed.items()}
        settings = ViewParameters(self)
        self.scene = open_scene(self._site, prior, urdfs, self._desk, settings)
        self.create_timer(PERIOD_S, self._look, clock=RosClock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Close the viewer, then what stands on the node, then the node."""
        self.scene.close()
        self._desk.close()
        self._samples.destroy_node()
        super().destroy_node()

    # -- a frame ----------------------------------------------------------------------------
    def _look(self) -> None:
        self._frame += 1
        now_s = time.monotonic()
        passed_s, self._frame_wall_s = now_s - self._frame_wall_s, now_s
        self._desk.work()
        self._take_clock(now_s)
        if self._frame % TF_EVERY == 1:
            self._take_transforms()
        stands = now_s - self._moved_wall_s > STANDS_S and math.isfinite(self._clock_s)
        for index, feed in enumerate(self._feeds.values()):
            heard = feed.move()
            if (self._frame + index) % TELL_EVERY == 0:
                heard = feed.tell() or heard
            if (self._frame + 2 * index) % MAP_EVERY == 0:
                feed.look_at_map()
            view = feed.view
            if heard:
                view.silent_s, view.last_heard_s = 0.0, self._state.time_s
            elif not stands:
                view.silent_s += passed_s
        self._show(stands)

    def _show(self, stands: bool) -> None:
        state = self._state
        state.paused = self._desk.paused and stands
        state.pause_refusal = self._desk.pause_refusal() if self._frame % 10 == 1 else (
            state.pause_refusal)  # fmt: skip
        state.vehicles = {name: feed.view for name, feed in self._feeds.items()}
        state.events = tuple(self._events)
        self.scene.show(state)

    def _take_clock(self, now_s: float) -> None:
        """Mission time: from ``/clock`` where there is one, else the wall's."""
        came = self._clock_in.last()
        if came is not None:
            time_s = convert.to_ns(came.clock) * 1e-9
            if time_s != self._clock_s:
                self._clock_s, self._moved_wall_s = time_s, now_s
        if math.isfinite(self._clock_s):
            self._simulated, self._state.time_s = True, self._clock_s
        elif not self._simulated and now_s - self._moved_wall_s > STANDS_S:
            self._state.time_s = time.time() - self._site.epoch.timestamp()
        wall_s, then_s = self._rate_from
        if now_s - wall_s >= 2.0:
            if math.isfinite(then_s):
                self._rate = (self._clock_s - then_s) / (now_s - wall_s)
            self._rate_from = (now_s, self._clock_s)
        self._state.clock = self._clock_sentence(now_s)

    def _clock_sentence(self, now_s: float) -> str:
        if not self._simulated:
            return "wall clock: nothing is simulated here"
        if math.isnan(self._clock_s):
            return "waiting for the simulator's clock"
        if now_s - self._moved_wall_s > STANDS_S:
            return "the clock stands"
        return (
            f"{self._rate:.1f} times real time" if math.isfinite(self._rate) else "the clock runs"
        )

    def _take_transforms(self) -> None:
        frames = {odom_frame(name): feed for name, feed in self._feeds.items()}
        for message in self._tf.all():
            for item in message.transforms:
                feed = frames.get(item.child_frame_id)
                if feed is None or item.header.frame_id != MAP_FRAME:
                    continue
                T = transform_of(item.transform)
                feed.T_map_odom = feed.T_map_odom if T is None else T

    # -- what is told ------------------------------------------------------------------------
    def _say(self, level: int, source: str, sentence: str) -> None:
        self._events.append(EventView(self._state.time_s, level, source, sentence))

    def _goal_said(self, vehicle: str, sentence: str) -> None:
        self._feeds[vehicle].view.goal = sentence

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            level = LEVELS.get(status.level, ERROR)
            feed = self._feeds.get(status.hardware_id)
            if feed is not None and status.name.endswith("/power"):
                feed.take_power({pair.key: pair.value for pair in status.values})
            old = self._levels.get(status.name, INFO)
            self._levels[status.name] = level
            if level != old:
                self._say(level, status.name, status.message)

    def _on_mission(self, msg: DiagnosticArray) -> None:
        progress = progress_of(msg)
        if progress is None:
            return
        self._state.mission, self._state.summary = progress.name, progress.summary
        self._state.tasks = tuple(
            TaskView(t.name, t.state, t.sentence, t.began_s, t.ended_s) for t in progress.tasks
        )

    def _on_mission_log(self, msg: Log) -> None:
        level = WARN if _severity(msg.level) >= _severity(Log.WARN) else INFO
        at_s = convert.to_ns(msg.stamp) * 1e-9
        self._events.append(EventView(at_s, level, msg.name, msg.msg))

    def _on_log(self, msg: Log) -> None:
        if _severity(msg.level) < _severity(Log.WARN) or msg.name == MISSION:
            return
        level = ERROR if _severity(msg.level) >= _severity(Log.ERROR) else WARN
        self._say(level, msg.name, msg.msg)


def _severity(level: int | bytes) -> int:
    return level if isinstance(level, int) else level[0]
