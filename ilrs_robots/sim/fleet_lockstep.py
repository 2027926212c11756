"""All rovers of a site in one simulated world, without DDS: each with its own whole pipeline."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ilrs_robots.core.control.navigator import NavigatorOutput
from ilrs_robots.robots.fleet import POSES_PERIOD_NS
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.pipeline import RobotPipeline
from ilrs_robots.robots.site import SiteConfig, SiteTerrain
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.marks import MarkSensors
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

_MARKS = 77


@dataclass
class FleetMember:
    """A rover with what it thinks by.

    Attributes:
        pipeline: samples in, commands out.
        cpu_s: CPU time that the pipeline took.
    """

    pipeline: RobotPipeline
    marks: MarkSensors
    cpu_s: float = 0.0

    @property
    def output(self) -> NavigatorOutput | None:
        """What its navigator says."""
        return self.pipeline.state.navigation


class FleetLockstep:
    """A site's vehicles, those without wheels standing where they stand.

    Attributes:
        world: all of them.
        members: the rovers by name.
    """

    def __init__(
        self, site: SiteConfig, terrain: SiteTerrain, seed: int, config: SimConfig | None = None
    ) -> None:
        models = {p.name: p.load_model() for p in site.robots}
        robots = [SimRobot(p.name, models[p.name], p.x_m, p.y_m, p.yaw_rad) for p in site.robots]
        self.world = EmbeddedWorld(terrain.surface, robots, seed, config)
        self.members: dict[str, FleetMember] = {}
        for place in site.robots:
            model = models[place.name]
            if isinstance(model, HopperModel):
                continue
            known = KnownMarks(site, terrain.prior, model)
            pipeline = RobotPipeline(place, model, terrain.prior, known, site)
            sensors = MarkSensors(site, terrain.surface, terrain.prior, model, [seed, _MARKS])
            self.members[place.name] = FleetMember(pipeline, sensors)
        self._told_ns = -POSES_PERIOD_NS

    def step(self) -> None:
        """One exchange period: physics, sensors, what each tells the others, commands."""
        for event in self.world.step():
            member = self.members.get(event.robot)
            if member is not None:
                begin = time.thread_time()
                member.pipeline.feed(event.payload)
                member.cpu_s += time.thread_time() - begin
        now_ns = self.world.time_ns
        if now_ns - self._told_ns >= POSES_PERIOD_NS:
            self._told_ns = now_ns
            self._tell(now_ns)
        for name, member in self.members.items():
            for sample in member.marks.sense(self.world.truth(name)):
                member.pipeline.feed(sample)
            begin = time.thread_time()
            command = member.pipeline.step(now_ns)
            member.cpu_s += time.thread_time() - begin
            if command is not None:
                self.world.command(name, command)

    def _tell(self, now_ns: int) -> None:
        for name, member in self.members.items():
            word, way = member.pipeline.word(), member.pipeline.navigation.navigator.way_m
            for other, listener in self.members.items():
                fleet = listener.pipeline.navigation.fleet
                if other == name or fleet is None or word is None:
                    continue
                fleet.hear(name, word, now_ns)
                fleet.hear_plan(name, now_ns, way, now_ns)
