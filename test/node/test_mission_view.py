"""The mission view in a real browser, of vehicles that a test plays over real DDS."""

from __future__ import annotations

import math
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser import Browser, program
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Log
from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ilrs_robots.cli.view_main import open_scene
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.mission_view import MissionViewNode
from ilrs_robots.nodes.view_goals import Desk

pytestmark = pytest.mark.node
ONE = np.array([1.0, 0.0, 0.0, 0.0])
SITE = """
name: small
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-06-02T06:00:00Z"
terrain: {kind: procedural, seed: 1, size_m: 160.0, resolution_m: 5.0}
robots:
  - {name: rover, model: long_range}
"""


class Played:
    """A rover that stands, its clock, its battery and its action; and a simulator's pause."""

    def __init__(self, graph: Any) -> None:
        self.node = graph.add(Node("played"))
        made = self.node.create_publisher
        self.clock, self.now_ns = made(Clock, "/clock", qos.STATE), 0
        self.tf = made(TFMessage, "/tf", qos.TF)
        self.odom = made(Odometry, "/rover/odom", qos.STREAM)
        self.battery = made(BatteryState, "/rover/battery", qos.STATE)
        self.diagnostics = made(DiagnosticArray, "/diagnostics", qos.STATE)
        self.mission_log = made(Log, "/mission/log", qos.LOG)
        self.lives = True
        self.goals: list[Any] = []
        self.ending: Future | None = None
        self.driven: Any = None
        self.paused: list[bool] = []
        self.server = ActionServer(
            self.node, NavigateToPose, "/rover/navigate_to_pose", self._drive,
            cancel_callback=self._cancel,
        )  # fmt: skip
        self.node.create_service(SetBool, "/embedded_sim/pause", self._pause)

    async def _drive(self, handle: Any) -> Any:
        self.goals.append(handle.request.pose)
        self.ending, self.driven = Future(), handle
        await self.ending
        self.driven = None
        handle.canceled()
        return NavigateToPose.Result()

    def _cancel(self, _handle: Any) -> CancelResponse:
        assert self.ending is not None
        self.ending.set_result(None)
        return CancelResponse.ACCEPT

    def _pause(self, asked: Any, answer: Any) -> Any:
        self.paused.append(asked.data)
        answer.success, answer.message = True, "stands at 1.00 s"
        return answer

    def step(self) -> None:
        self.now_ns += 40_000_000
        self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        if not self.lives or self.now_ns % 200_000_000:
            return
        if self.driven is not None:
            self.driven.publish_feedback(NavigateToPose.Feedback(distance_remaining=7.5))
        made = convert.transform_message("map", "rover/odom", self.now_ns, np.zeros(3), ONE)
        self.tf.publish(TFMessage(transforms=[made]))
        odom = Odometry()
        odom.header.stamp, odom.header.frame_id = convert.to_stamp(self.now_ns), "rover/odom"
        odom.pose.pose.orientation.w, odom.twist.twist.linear.x = 1.0, 0.37
        self.odom.publish(odom)
        self.battery.publish(
            BatteryState(percentage=0.615, temperature=17.0, voltage=28.0, current=-2.0)
        )
        status = DiagnosticStatus(name="rover/power", hardware_id="rover", level=b"\x01")
        status.message = "battery <b>low</b>"
        status.values = [KeyValue(key="sun_share", value="0.42")]
        self.diagnostics.publish(DiagnosticArray(status=[status]))


@pytest.fixture
def played(graph: Any) -> Played:
    made = Played(graph)
    spec = GridSpec(-10.0, -10.0, 0.2, 101, 101)
    from grid_map_msgs.msg import GridMap

    heights = {"elevation": np.zeros(spec.shape, dtype=np.float32)}
    message = convert.grid_map_message(heights, spec, "rover/odom", 1)
    made.map = made.node.create_publisher(GridMap, "/rover/terrain_heights", qos.MAP)
    made.map.publish(message)
    return made


@pytest.fixture
def view(graph: Any, tmp_path: Path, parameters: Callable[..., Any]) -> MissionViewNode:
    pytest.importorskip("viser", reason="the extra 'view' is not installed")
    site = tmp_path / "small.yaml"
    site.write_text(SITE)
    told = parameters(site=str(site), port=0, simulated=True)
    return graph.add(MissionViewNode(open_scene, parameter_overrides=told))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if program() is None:
        pytest.skip("no chromium on this machine")
    opened = Browser(tmp_path / "browser", (900, 900))
    yield opened
    opened.close()


def test_a_person_sees_the_vehicle_sends_it_and_comes_back(
    graph: Any, played: Played, view: MissionViewNode, browser: Browser
) -> None:
    def until(condition: Callable[[], Any], what: str) -> None:
        def looked() -> bool:
            played.step()
            graph.spin(5)
            return bool(condition())

        graph.until(looked, Page(browser, what))

    def says(*texts: str) -> Callable[[], bool]:
        return lambda: all(text in page() for text in texts)

    def page() -> str:
        return browser.text()

    url = f"http://127.0.0.1:{view.scene.port}/"  # type: ignore[attr-defined]
    browser.open(url)
    until(says("62 %", "42 % of the Sun", "17 °C", "0.37 m/s", "2035-06-02"), "the gauges")
    assert "battery <b>low</b>" in page()  # told, not obeyed
    until(lambda: _lit_share(browser) > 0.05, "a lit ground on the canvas")

    browser.click(250.0, 640.0)
    until(says("place x"), "the place that was clicked")
    x, y = (float(v) for v in re.findall(r"place x (\S+) m, y (\S+) m", page())[0])
    assert math.hypot(x, y) < 120.0
    browser.press("Send goal")
    until(lambda: played.goals, "the goal at the vehicle")
    at = played.goals[0].pose.position
    assert (round(at.x, 1), round(at.y, 1)) == (x, y)
    assert played.goals[0].header.frame_id == "map"
    until(says("7.5 m to go"), "the way that is left")
    browser.press("Cancel goal")
    until(says("cancelled"), "the end of the goal")
    browser.press("Pause")
    until(lambda: played.paused == [True], "the pause")

    _stranger_is_refused(view.scene.port)  # type: ignore[attr-defined]
    browser.reopen()
    played.lives = False
    browser.open(url)
    until(says("silent since", "62 %", "cancelled"), "the page as it was, and a dead vehicle")
    played.lives = True
    until(lambda: "silent since" not in page(), "the vehicle's return")


def _stranger_is_refused(port: int) -> None:
    """The real server, asked by a page from elsewhere."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked)
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}/", origin="http://evil.example")  # type: ignore[arg-type]
    own = f"http://127.0.0.1:{port}"
    connect(f"ws://127.0.0.1:{port}/", origin=own).close()  # type: ignore[arg-type]


class Page:
    """What was waited for, and what the page says instead."""

    def __init__(self, browser: Browser, what: str) -> None:
        self._browser, self._what = browser, what

    def __str__(self) -> str:
        return f"{self._what}; the page says: {self._browser.text()}"

    def __format__(self, _spec: str) -> str:
        return str(self)


def _lit_share(browser: Browser) -> float:
    """Share of the canvas that is neither black nor a plain colour."""
    folder = Path(browser.folder)
    browser.picture(folder / "seen.png")
    image = cv2.imread(str(folder / "seen.png"))[300:, :480]
    return float((image.max(axis=2) > 90).mean())


def test_the_simulator_stands_when_it_is_told_to_and_goes_on_without_a_leap(
    graph: Any, tmp_path: Path, parameters: Callable[..., Any]
) -> None:
    site = tmp_path / "small.yaml"
    site.write_text(SITE)
    told = parameters(site=str(site), real_time_factor=1.0)
    sim = graph.add(EmbeddedSimNode(parameter_overrides=told))
    said: list[tuple[int, str, str]] = []
    asks = graph.add(Node("asks"))
    desk = Desk(asks, (), lambda *event: said.append(event), lambda *_: None)

    def pause(on: bool) -> None:
        count = len(said)
        desk.pause(on)
        desk.work()
        graph.until(lambda: len(said) > count, "the answer")

    graph.until(lambda: not desk.pause_refusal(), "the service")
    sim.step()
    before_ns = sim.time_ns
    pause(True)
    assert desk.paused
    assert sim.delay_s() > 0.0  # whatever the vehicles do
    pause(False)
    assert "goes on" in said[-1][2]
    graph.until(lambda: sim.delay_s() <= 0.0, "the next step")
    assert sim.time_ns == before_ns
    desk.close()
