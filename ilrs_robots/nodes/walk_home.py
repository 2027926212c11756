"""The part of the navigation node that keeps a crew's way home: map, warning, refusal."""

from __future__ import annotations

from typing import Any

from nav_msgs.msg import OccupancyGrid

from ilrs_robots.core.control.navigator_types import NavigatorOutput
from ilrs_robots.core.planning.walk_back import SuitState
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import ERROR, OK, WARN, ManagedNode
from ilrs_robots.robots.crew_step import CrewStep, WalkBackConfig, WalkBackLevel, WalkBackWord
from ilrs_robots.robots.frames import MAP_FRAME
from ilrs_robots.robots.model import RobotModel, RoverModel
from ilrs_robots.robots.site import SiteConfig

JUDGE_PERIOD_NS = 1_000_000_000
_LEVELS = {
    WalkBackLevel.FINE: OK,
    WalkBackLevel.WARN: WARN,
    WalkBackLevel.CROSSES: WARN,
    WalkBackLevel.LOST: ERROR,
}


class WalkHome:
    """Publishes ``walk_back`` and judges the path of a vehicle with seats.

    Args:
        node: that publishes.
        model: its vehicle; one without seats is left alone.
        site: where home is.
        prior: ground as known from orbit.
    """

    def __init__(self, node: ManagedNode, model: RobotModel, site: SiteConfig, prior: Dem) -> None:
        self._node = node
        self._step: CrewStep | None = None
        self.word: WalkBackWord | None = None
        self._judged_ns = self._sent_ns = -(10**18)
        self._with_path = False
        crew = model.crew if isinstance(model, RoverModel) else None
        suits = WalkBackConfig() if crew is None else WalkBackConfig.of(crew.suit)
        settings = node.tunable("walk_back", suits, self._use)
        if crew is None:
            return
        start = site.robot(node.robot)
        self._step = CrewStep(site, prior, crew, (start.x_m, start.y_m), settings)
        self._map: Any = node.publisher(OccupancyGrid, "walk_back", qos.MAP)
        self._kept = KeptState.of(node, f"{node.robot}.suits")
        self._resume(self._step)

    def _use(self, settings: WalkBackConfig) -> None:
        if self._step is not None:
            self._step.reconfigure(settings)
            self._judged_ns = self._sent_ns = -(10**18)

    def _resume(self, step: CrewStep) -> None:
        kept = self._kept.load()
        if kept is None:
            return
        try:
            step.resume(kept)
        except (KeyError, TypeError, ValueError) as error:
            self._node.get_logger().error(f"kept suits are damaged and not used: {error}")
        else:
            hours = kept["seconds"] / 3600.0
            self._node.get_logger().warning(f"restarted: the suits had {hours:.1f} h left")

    @property
    def suits(self) -> SuitState | None:
        """What is left in the suits of people on board; None where nobody is."""
        step = self._step
        return step.left if step is not None and step.settings.aboard else None

    def begin(self) -> None:
        """A simulation was reset."""
        self.word = None
        self._judged_ns = self._sent_ns = -(10**18)
        if self._step is not None:
            self._step.begin()

    def look(self, now_ns: int, xy_m: tuple[float, float], out: NavigatorOutput) -> str:
        """Let the suits be used up, send the map when it is due, judge the path.

        Returns:
            why the goal must end, or an empty string.
        """
        step = self._step
        if step is None or not step.settings.aboard:
            self.word = None
            return ""
        step.pass_to(now_ns)
        if now_ns - self._sent_ns >= step.settings.period_s * 1e9:
            self._send(step, now_ns)
        fresh = len(out.path_xy_m) > 0 and not self._with_path
        if fresh or now_ns - self._judged_ns >= JUDGE_PERIOD_NS:
            self._judged_ns, self._with_path = now_ns, len(out.path_xy_m) > 0
            self._judge(step, xy_m, out)
        word = self.word
        if word is None or not word.refused or step.settings.policy != "refuse":
            return ""
        return word.sentence

    def hurry(self) -> None:
        """Judge at the next step: there is another goal."""
        self._judged_ns, self.word = -(10**18), None

    def _judge(self, step: CrewStep, xy_m: tuple[float, float], out: NavigatorOutput) -> None:
        before = WalkBackLevel.FINE if self.word is None else self.word.level
        self.word = word = step.judge(xy_m, out.path_xy_m, out.eta_s)
        if word.level > before:
            self._node.get_logger().warning(word.sentence)
        elif word.level is not WalkBackLevel.FINE:
            self._node.get_logger().warning(word.sentence, throttle_duration_sec=60.0)

    def _send(self, step: CrewStep, now_ns: int) -> None:
        self._sent_ns = now_ns
        cost, spec = step.occupancy()
        self._map.publish(convert.occupancy_message(cost, spec, MAP_FRAME, now_ns))
        self._kept.save(step.memory())

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Level, sentence and values for /diagnostics."""
        word = self.word
        if word is None:
            return OK, "", {}
        values: dict[str, object] = {
            "walk_back_slack_s": word.slack_s,
            "walk_back_warn_in_s": word.warn_in_s,
            "walk_back_cross_in_s": word.cross_in_s,
        }
        return _LEVELS[word.level], word.sentence, values
