"""Several navigators on one plane with walls, and what each of them tells the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ilrs_robots.core.control.fleet import FleetConfig, FleetMemory, PeerBody, PeerWord
from ilrs_robots.core.control.meeting import Meetings
from ilrs_robots.core.control.navigator import Navigator, NavigatorOutput, NavigatorState
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import limits_of, navigator_config_of

S = 1_000_000_000
DT_NS = S // 10
DT = DT_NS / S
SIGHT_M = 14.0
ENDED = (NavigatorState.REACHED, NavigatorState.FAILED, NavigatorState.IDLE)


@dataclass
class Car:
    """A unicycle with the size of a vehicle and its navigator."""

    name: str
    model_name: str
    x: float
    y: float
    yaw: float
    v: float = 0.0
    w: float = 0.0
    fleet: FleetConfig = field(default_factory=lambda: FleetConfig(parked_s=10.0))
    out: NavigatorOutput | None = None
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = load_robot(self.model_name)
        config = navigator_config_of(self.model)
        costmap = replace(config.costmap, margin_m=16.0)
        self.config = replace(config, costmap=costmap, fleet=self.fleet)
        size = self.model.footprint
        self.half = 0.5 * size.length_m, 0.5 * size.width_m
        self.body = PeerBody(math.hypot(*self.half), self.half[1], (0, self.name))
        self.navigator = Navigator(self.config, limits_of(self.model))
        self.moves = True

    def corners(self) -> np.ndarray:
        """(4, 2) of the footprint in map."""
        signs = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) * self.half
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return signs @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def move(self) -> None:
        assert self.out is not None
        limits = self.model.limits
        self.v += float(np.clip(self.out.v - self.v, -0.8 * DT, limits.max_accel_mps2 * DT))
        self.w += float(np.clip(self.out.w - self.w, -0.5 * DT, 0.5 * DT))
        self.yaw += self.w * DT
        self.x += self.v * math.cos(self.yaw) * DT
        self.y += self.v * math.sin(self.yaw) * DT


def gap_m(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two convex (4, 2) outlines, 0 or below where they overlap."""
    best = -math.inf
    for one, other in ((a, b), (b, a)):
        edges = np.roll(one, -1, axis=0) - one
        normal = np.stack((edges[:, 1], -edges[:, 0]), axis=-1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        outside = np.einsum("ek,enk->en", normal, other[None] - one[:, None]).min(axis=1)
        inside = np.einsum("ek,enk->en", normal, one[None] - one[:, None]).mean(axis=1)
        best = max(best, float((outside * np.where(inside > 0, -1, 1)).max()))
    return best


class Plane:
    """All see the whole ground; words come every half second, one step late."""

    def __init__(self, cars: list[Car], closed, bounds=(-60.0, -60.0, 60.0, 60.0)) -> None:
        self.cars = cars
        step = 0.25
        cols, rows = (round((bounds[k + 2] - bounds[k]) / step) for k in (0, 1))
        self.spec = GridSpec(bounds[0], bounds[1], step, rows, cols)
        x, y = np.meshgrid(self.spec.x_m(), self.spec.y_m())
        self.cost = np.where(closed(x, y), 1.0, 0.0).astype(np.float32)
        self.now_ns, self.nearest_m = 0, math.inf
        for car in cars:
            others = {c.name: c.body for c in cars if c is not car}
            memory = FleetMemory(others, car.config.fleet)
            car.navigator.join(Meetings(car.config, memory, car.body, car.half[0]))

    def around(self, car: Car) -> tuple[np.ndarray, GridSpec]:
        """What a vehicle sees: the ground within ``SIGHT_M`` of it."""
        row, col = (int(n) for n in self.spec.cell_of(np.array([car.x, car.y])))
        reach = round(SIGHT_M / self.spec.resolution_m)
        first_r, first_c = max(row - reach, 0), max(col - reach, 0)
        part = self.cost[first_r : row + reach + 1, first_c : col + reach + 1]
        x, y = self.spec.x_m()[first_c], self.spec.y_m()[first_r]
        return part, GridSpec(float(x), float(y), self.spec.resolution_m, *part.shape)

    def talk(self) -> None:
        for car in self.cars:
            vx, vy = car.v * math.cos(car.yaw), car.v * math.sin(car.yaw)
            word = PeerWord(self.now_ns, car.x, car.y, vx, vy, 0.05)
            for other in self.cars:
                if other is not car:
                    memory = other.navigator.meetings.fleet
                    memory.hear(car.name, word, self.now_ns)
                    memory.hear_plan(car.name, self.now_ns, car.navigator.way_m, self.now_ns)

    def run(self, seconds: float) -> None:
        for tick in range(round(seconds / DT)):
            for car in self.cars:
                if tick % 10 == 0:
                    car.navigator.on_traversability(*self.around(car), np.eye(4), self.now_ns)
            if tick % 5 == 0:
                self.talk()
            for car in self.cars:
                car.out = car.navigator.step(self.now_ns, car.x, car.y, car.yaw, car.v)
                if not car.said or car.said[-1] != car.out.reason:
                    car.said.append(car.out.reason)
                if car.moves:
                    car.move()
            self.now_ns += DT_NS
            outlines = [car.corners() for car in self.cars]
            for n, one in enumerate(outlines):
                for other in outlines[:n]:
                    self.nearest_m = min(self.nearest_m, gap_m(one, other))
            if all(car.out.state in ENDED for car in self.cars):
                break
