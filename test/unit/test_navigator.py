"""Behaviour of the Navigator in worlds of discs that are seen only from near."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ilrs_robots.core import config
from ilrs_robots.core.control.navigator import (
    Navigator,
    NavigatorConfig,
    NavigatorError,
    NavigatorOutput,
    NavigatorState,
)
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.costmap import CostmapConfig
from ilrs_robots.core.types import GridSpec

LIMITS = VehicleLimits(math.radians(20.0), 0.24, 0.12, 2.6, 2.1)
VEHICLE_RADIUS_M = 1.05
RANGE_M = 12.0
GRID_M = 0.2
CONFIG = NavigatorConfig(costmap=CostmapConfig(margin_m=14.0, max_cells=2_000_000))
S = 1_000_000_000
DT_NS = S // 5
DT = DT_NS / S


@dataclass
class World:
    """Discs, a unicycle, and a sensor that shows a circle of ground in an offset odom frame."""

    discs: np.ndarray
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    v: float = 0.0
    w: float = 0.0
    now_ns: int = 0
    range_m: float = RANGE_M
    blind: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    walls: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    nearest: float = math.inf
    outputs: list[NavigatorOutput] = field(default_factory=list)
    driven: list[tuple[float, float]] = field(default_factory=list)
    T: np.ndarray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        yaw = 0.4
        self.T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
        self.T[:2, 3] = 3.0, -2.0

    def look(self, navigator: Navigator) -> None:
        size = int(2 * self.range_m / GRID_M)
        here = self.T[:2, :2].T @ (np.array([self.x, self.y]) - self.T[:2, 3])
        first = (np.round(here / GRID_M) - 0.5 * size) * GRID_M
        spec = GridSpec(float(first[0]), float(first[1]), GRID_M, size, size)
        gx, gy = np.meshgrid(spec.x_m(), spec.y_m())
        x = self.T[0, 0] * gx + self.T[0, 1] * gy + self.T[0, 3]
        y = self.T[1, 0] * gx + self.T[1, 1] * gy + self.T[1, 3]
        cost = np.zeros(spec.shape, np.float32)
        for cx, cy, r in self.discs:
            if math.dist((cx, cy), (self.x, self.y)) < self.range_m + r:
                cost[(x - cx) ** 2 + (y - cy) ** 2 <= r**2] = 1.0
        for cx, cy, r in self.blind:
            cost[(x - cx) ** 2 + (y - cy) ** 2 <= r**2] = np.nan
        cost[(x - self.x) ** 2 + (y - self.y) ** 2 > self.range_m**2] = np.nan
        navigator.on_traversability(cost, spec, self.T, self.now_ns)

    def run(self, navigator: Navigator, seconds: float, look: bool = True) -> NavigatorOutput:
        for tick in range(round(seconds / DT)):
            if look and tick % 5 == 0:
                self.look(navigator)
            out = navigator.step(self.now_ns, self.x, self.y, self.yaw, self.v)
            self.outputs.append(out)
            if out.state in (NavigatorState.REACHED, NavigatorState.FAILED, NavigatorState.IDLE):
                break
            self.move(out.v, out.w)
        return out

    def move(self, v: float, w: float) -> None:
        self.now_ns += DT_NS
        self.v += float(np.clip(v - self.v, -0.8 * DT, 0.3 * DT))
        self.w += float(np.clip(w - self.w, -0.5 * DT, 0.5 * DT))
        self.yaw += self.w * DT
        x = self.x + self.v * math.cos(self.yaw) * DT
        y = self.y + self.v * math.sin(self.yaw) * DT
        front = 1.3 * np.array([math.cos(self.yaw), math.sin(self.yaw)])
        if any(math.dist(np.array([x, y]) + front, wall[:2]) < wall[2] for wall in self.walls):
            self.v = 0.0
            return
        self.x, self.y = x, y
        self.driven.append((x, y))
        if len(self.discs):
            away = np.hypot(self.discs[:, 0] - x, self.discs[:, 1] - y) - self.discs[:, 2]
            self.nearest = min(self.nearest, float(away.min()))

    def states(self) -> set[NavigatorState]:
        return {out.state for out in self.outputs}


def scattered(seed: int, goal: tuple[float, float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    discs = np.column_stack(
        (rng.uniform(-4.0, 26.0, 45), rng.uniform(-15.0, 15.0, 45), rng.uniform(0.2, 1.1, 45))
    )
    start_away = np.hypot(discs[:, 0], discs[:, 1]) - discs[:, 2]
    goal_away = np.hypot(discs[:, 0] - goal[0], discs[:, 1] - goal[1]) - discs[:, 2]
    return discs[(start_away > 2.5) & (goal_away > 2.0)]


@pytest.mark.parametrize("seed", range(20))
def test_goal_is_reached_without_touching_anything(seed: int) -> None:
    goal = (20.0, float(np.random.default_rng(seed + 100).uniform(-6.0, 6.0)))
    world = World(scattered(seed, goal), yaw=0.3 * seed)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(*goal)
    out = world.run(navigator, 300.0)
    assert out.state == NavigatorState.REACHED, out.reason
    assert math.dist((world.x, world.y), goal) < 0.4
    assert world.nearest > VEHICLE_RADIUS_M
    assert (out.v, out.w, out.error_code) == (0.0, 0.0, NavigatorError.NONE)


def drive(world: World, goal: tuple[float, ...], seconds: float = 300.0) -> NavigatorOutput:
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(*goal)
    return world.run(navigator, seconds)


def test_straight_drive_takes_the_straight_line_and_tells_how_far() -> None:
    world = World(np.zeros((0, 3)))
    out = drive(world, (25.0, 0.0, 1.0))
    assert out.state == NavigatorState.REACHED
    assert np.abs(np.array(world.driven)[:, 1]).max() < 0.3
    assert math.remainder(world.yaw - 1.0, 2 * math.pi) == pytest.approx(0.0, abs=0.15)
    early = world.outputs[5]
    assert early.distance_remaining_m == pytest.approx(25.0, abs=1.0)
    assert early.eta_s > 25.0 / 0.7
    assert len(early.path_xy_m) > 50
    assert world.states() == {NavigatorState.DRIVING, NavigatorState.REACHED}


def test_same_calls_give_the_same_answers() -> None:
    runs = [World(scattered(3, (28.0, 0.0))) for _ in range(2)]
    for world in runs:
        drive(world, (28.0, 0.0), 30.0)
    assert runs[0].driven == runs[1].driven


def test_unseen_ground_is_never_entered_faster_than_it_can_be_stopped_before() -> None:
    world = World(np.zeros((0, 3)), range_m=3.5)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(30.0, 0.0)
    for tick in range(600):
        if tick % 15 == 0:
            world.look(navigator)
            seen_to = world.x + world.range_m
        out = navigator.step(world.now_ns, world.x, world.y, world.yaw, world.v)
        if out.state == NavigatorState.REACHED:
            break
        world.move(out.v, out.w)
        assert world.x + world.v**2 / (2 * 0.8) + 1.3 <= seen_to + 0.2
    assert out.state == NavigatorState.REACHED


def test_dead_end_is_left_again() -> None:
    sides = [(x, y, 0.6) for x in np.arange(8.0, 20.0, 0.8) for y in (-4.0, 4.0)]
    end = [(20.0, y, 0.6) for y in np.arange(-4.0, 4.1, 0.8)]
    world = World(np.array(sides + end))
    out = drive(world, (28.0, 0.0), 400.0)
    assert out.state == NavigatorState.REACHED, out.reason
    assert world.nearest > VEHICLE_RADIUS_M


def test_a_search_that_takes_too_much_driving_ends_with_how_much_it_was() -> None:
    """The same dead end, for a vehicle that may drive 5 m more than its first plan."""
    sides = [(x, y, 0.6) for x in np.arange(8.0, 20.0, 0.8) for y in (-4.0, 4.0)]
    end = [(20.0, y, 0.6) for y in np.arange(-4.0, 4.1, 0.8)]
    world = World(np.array(sides + end))
    navigator = Navigator(replace(CONFIG, max_detour=1.0, detour_m=5.0), LIMITS)
    navigator.set_goal(28.0, 0.0)
    out = world.run(navigator, 400.0)
    assert (out.state, out.error_code) == (NavigatorState.FAILED, NavigatorError.NO_VALID_PATH)
    assert "no way was found in 33 m of driving" in out.reason
    assert 33.0 < np.hypot(*np.diff(np.array(world.driven), axis=0).T).sum() < 40.0
    navigator.set_goal(world.x, world.y)
    assert world.run(navigator, 1.0).state == NavigatorState.REACHED


@pytest.mark.parametrize("off_m", [0.0, 1.6])
def test_goal_on_a_rock_or_too_near_to_one_fails_with_a_sentence_near_it(off_m: float) -> None:
    world = World(np.array([[15.0, 0.0, 1.0]]))
    out = drive(world, (15.0, off_m))
    assert out.state == NavigatorState.FAILED
    assert out.error_code == NavigatorError.GOAL_OCCUPIED
    assert "cannot be reached, the path ends" in out.reason
    assert math.dist((world.x, world.y), (15.0, 0.0)) < 4.0
    assert world.nearest > VEHICLE_RADIUS_M


@pytest.mark.parametrize("clear_m", [1.3, 1.4])
def test_goal_whose_own_cell_is_just_closed_is_reached_beside_it(clear_m: float) -> None:
    world = World(np.array([[8.5 + clear_m, 0.0, 0.5]]))
    out = drive(world, (8.0, 0.0))
    assert out.state == NavigatorState.REACHED, out.reason
    assert math.dist((world.x, world.y), (8.0, 0.0)) < 0.6


def test_goal_behind_a_closed_ring_fails_after_a_bounded_number_of_recoveries() -> None:
    angle = np.linspace(0.0, 2 * math.pi, 60)
    ring = np.column_stack((20.0 + 5.0 * np.cos(angle), 5.0 * np.sin(angle), np.full(60, 0.5)))
    world = World(ring)
    out = drive(world, (20.0, 0.0), 600.0)
    assert out.state == NavigatorState.FAILED
    assert out.error_code == NavigatorError.NO_VALID_PATH
    assert "nearest reachable ground" in out.reason
    assert 0 < out.recoveries <= CONFIG.max_total_recoveries
    assert world.nearest > VEHICLE_RADIUS_M
    assert (out.v, out.w) == (0.0, 0.0)


def test_something_the_map_does_not_show_is_backed_away_from_and_gone_round() -> None:
    world = World(np.zeros((0, 3)), walls=np.array([[12.0, 0.0, 0.6]]))
    out = drive(world, (24.0, 0.0), 300.0)
    assert out.state == NavigatorState.REACHED, out.reason
    assert out.recoveries >= 1
    assert min(o.v for o in world.outputs) < -0.1
    assert NavigatorState.RECOVERING in world.states()


def test_ground_that_stays_unseen_is_gone_round() -> None:
    world = World(np.zeros((0, 3)), blind=np.array([[12.0, 0.0, 3.0]]))
    out = drive(world, (24.0, 0.0), 400.0)
    assert out.state == NavigatorState.REACHED, out.reason
    away = np.hypot(*(np.array(world.driven) - [12.0, 0.0]).T)
    assert away.min() > 1.7


def test_a_gap_that_looks_closed_from_afar_is_gone_to_before_the_goal_is_given_up() -> None:
    """A ring of rocks has one gap, which shows a phantom to who is farther away than 4.5 m."""
    angle = np.linspace(0.0, 2 * math.pi, 60)
    ring = np.column_stack((7.0 * np.cos(angle), 7.0 * np.sin(angle), np.full(60, 0.5)))
    gap = np.hypot(ring[:, 0] - 7.0, ring[:, 1]) < 3.2
    world = World(ring)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    out = world.run(navigator, 1.0)
    while out.state not in (NavigatorState.REACHED, NavigatorState.FAILED):
        assert world.now_ns < 200 * S
        near = math.dist((world.x, world.y), (7.0, 0.0)) < 4.5 or world.x > 7.0
        world.discs = ring[~gap] if near else ring
        out = world.run(navigator, 1.0)
    assert out.state == NavigatorState.REACHED, out.reason
    assert out.recoveries >= 1
    assert world.nearest > VEHICLE_RADIUS_M


def test_another_vehicle_that_crosses_the_path_is_let_pass() -> None:
    """It comes from the side at a steady pace and neither looks nor stops."""
    world = World(np.array([[11.0, -9.0, 1.0]]))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(22.0, 0.0)
    out = world.run(navigator, 0.4)
    while out.state not in (NavigatorState.REACHED, NavigatorState.FAILED):
        assert world.now_ns < 200 * S
        world.discs[:, 1] += 0.4 * 0.25
        out = world.run(navigator, 0.4)
    assert out.state == NavigatorState.REACHED, out.reason
    assert world.nearest > VEHICLE_RADIUS_M


def test_another_vehicle_that_parks_across_the_only_way_is_waited_for_and_told_of() -> None:
    """While it stands there the goal ends with a sentence; with it gone the goal is reached."""
    walls = [(12.0, y, 0.7) for y in np.arange(-40.0, 40.0, 1.0) if abs(y) > 3.0]
    parked = [(12.0, 0.0, 1.3)]
    world = World(np.array(walls))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(22.0, 0.0)
    assert world.run(navigator, 6.0).state == NavigatorState.DRIVING
    world.discs = np.array(walls + parked)
    out = world.run(navigator, 300.0)
    assert (out.state, out.error_code) == (NavigatorState.FAILED, NavigatorError.NO_VALID_PATH)
    assert "cannot be reached" in out.reason
    assert world.nearest > VEHICLE_RADIUS_M
    world.discs = np.array(walls)
    navigator.set_goal(22.0, 0.0)
    assert world.run(navigator, 200.0).state == NavigatorState.REACHED


def test_terrain_that_changed_on_the_way_is_gone_round() -> None:
    """A slope slides onto ground that was seen open and is planned over."""
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(24.0, 0.0)
    assert world.run(navigator, 14.0).state == NavigatorState.DRIVING
    ahead = world.x + 4.0
    world.discs = np.array([(ahead, y, 0.7) for y in np.arange(-5.0, 5.1, 1.0)])
    out = world.run(navigator, 300.0)
    assert out.state == NavigatorState.REACHED, out.reason
    assert world.nearest > VEHICLE_RADIUS_M


def test_a_map_that_is_lost_half_way_stops_the_vehicle_and_its_return_lets_it_go_on() -> None:
    """What was seen is driven to its end and no farther; nothing is given up for a short loss."""
    world = World(np.zeros((0, 3)), range_m=8.0)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(40.0, 0.0)
    assert world.run(navigator, 10.0).state == NavigatorState.DRIVING
    lost_x, now_ns = world.x, world.now_ns
    out = world.run(navigator, 18.0, look=False)
    assert world.now_ns > now_ns + 17 * S
    assert out.error_code == NavigatorError.NONE, out.reason
    assert world.x < lost_x + 8.0
    assert world.v < 0.05
    assert world.run(navigator, 200.0).state == NavigatorState.REACHED


def test_moved_obstacle_opens_the_way_again() -> None:
    wall = np.array([(12.0, y, 0.7) for y in np.arange(-40.0, 40.0, 1.0)])
    world = World(wall)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(22.0, 0.0)
    world.run(navigator, 20.0)
    world.discs = np.zeros((0, 3))
    assert world.run(navigator, 200.0).state == NavigatorState.REACHED


def test_new_goal_replaces_the_old_and_cancel_stops() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 10.0)
    navigator.set_goal(0.0, 15.0)
    assert world.run(navigator, 150.0).state == NavigatorState.REACHED
    assert math.dist((world.x, world.y), (0.0, 15.0)) < 0.4
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 5.0)
    navigator.cancel()
    out = world.run(navigator, 1.0)
    assert (out.state, out.v, out.w) == (NavigatorState.IDLE, 0.0, 0.0)


def stand(
    navigator: Navigator, world: World, seconds: float, held: bool = False, gate: bool = False
) -> NavigatorOutput:
    """Steps of a vehicle that does not move; an open or a shut gate may tell what it passes."""
    for tick in range(round(seconds / DT)):
        if tick % 5 == 0:
            world.look(navigator)
        out = navigator.step(world.now_ns, world.x, world.y, world.yaw, 0.0, held=held)
        world.outputs.append(out)
        world.now_ns += DT_NS
        if gate:
            navigator.on_given(world.now_ns, 0.0, 0.0)
    return out


def test_held_vehicle_is_not_stuck() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    assert stand(navigator, world, 60.0, held=True).state == NavigatorState.DRIVING
    assert stand(navigator, world, CONFIG.stuck_s + 1.0).state == NavigatorState.RECOVERING


def test_an_emergency_stop_of_any_length_is_not_the_grounds_fault() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 10.0)
    out = stand(navigator, world, CONFIG.no_progress_s + 30.0, gate=True)
    assert navigator.held
    assert (out.state, out.recoveries) == (NavigatorState.DRIVING, 0)
    navigator.on_given(world.now_ns, 0.3, 0.0)
    assert not navigator.held
    assert world.run(navigator, 100.0).state == NavigatorState.REACHED
    assert world.outputs[-1].recoveries == 0


def test_a_gate_that_falls_silent_holds_and_one_that_passes_does_not_hide_being_stuck() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    navigator.on_given(0, 0.4, 0.0)
    assert stand(navigator, world, 30.0).state == NavigatorState.DRIVING
    assert navigator.held
    for _ in range(round((CONFIG.stuck_s + 1.0) / DT)):
        navigator.on_given(world.now_ns, 0.4, 0.0)
        stand(navigator, world, DT)
    assert world.outputs[-1].state == NavigatorState.RECOVERING


def test_without_new_maps_the_goal_ends_and_a_pause_of_the_navigator_does_not_count() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 5.0)
    world.now_ns += 60 * S
    assert world.run(navigator, 0.4, look=False).state == NavigatorState.DRIVING
    world.discs = np.zeros((0, 3))
    for _ in range(round(21.0 / DT)):
        out = navigator.step(world.now_ns, world.x, world.y, world.yaw, 0.0, held=True)
        world.now_ns += DT_NS
    assert (out.state, out.error_code) == (NavigatorState.FAILED, NavigatorError.NO_MAP)
    assert out.reason == "no terrain map has come for 20.0 s"
    navigator.set_goal(20.0, 0.0)
    assert world.run(navigator, 1.0).state == NavigatorState.DRIVING


PHASES = {
    "before the first map": (NavigatorState.PLANNING, 1.0, False, 0),
    "driving": (NavigatorState.DRIVING, 8.0, True, 0),
    "recovering": (NavigatorState.RECOVERING, 16.0, True, 1),
    "at the goal": (NavigatorState.REACHED, 90.0, True, 0),
}


@pytest.mark.parametrize("phase", PHASES)
def test_cancel_stops_in_every_phase_and_the_next_goal_is_driven_to(phase: str) -> None:
    state, seconds, look, wall_count = PHASES[phase]
    world = World(np.zeros((0, 3)), walls=np.tile([3.5, 0.0, 0.6], (wall_count, 1)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    for _ in range(round(seconds)):
        out = world.run(navigator, 1.0, look=look)
        if out.state == state:
            break
    assert out.state == state
    for _ in range(2):
        navigator.cancel()
        out = navigator.step(world.now_ns, world.x, world.y, world.yaw, world.v)
        assert (out.state, out.v, out.w, out.reason) == (NavigatorState.IDLE, 0.0, 0.0, "")
        assert len(out.path_xy_m) == 0
        world.now_ns += DT_NS
    navigator.set_goal(world.x, world.y + 3.0)
    world.walls = np.zeros((0, 3))
    assert world.run(navigator, 60.0).state == NavigatorState.REACHED


def test_of_many_goals_a_second_only_the_last_counts() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    for number in range(60):
        navigator.set_goal(20.0 * math.cos(number), 20.0 * math.sin(number))
        world.run(navigator, DT)
    assert math.hypot(world.x, world.y) < 6.0
    navigator.set_goal(6.0, 6.0)
    assert world.run(navigator, 90.0).state == NavigatorState.REACHED
    assert math.dist((world.x, world.y), (6.0, 6.0)) < 0.4


def test_a_goal_that_is_refused_leaves_the_earlier_one_in_force() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS, prior=_Hill())
    navigator.set_goal(6.0, 0.0)
    for bad in ((math.nan, 0.0), (0.0, math.inf), (1.0, 1.0, math.nan), (50.1, 0.0)):
        with pytest.raises(PlanningError, match=r"not finite|which spans -50.00 to 50.00 m"):
            navigator.set_goal(*bad)
    assert world.run(navigator, 60.0).state == NavigatorState.REACHED
    assert math.dist((world.x, world.y), (6.0, 0.0)) < 0.4


def test_parameters_change_on_the_way_and_the_maps_own_do_not() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    assert world.run(navigator, 10.0).v > 0.5
    slow = config.replaced(CONFIG, {"tracker.max_speed_mps": 0.2, "stuck_s": 3.0})
    navigator.reconfigure(slow)
    out = world.run(navigator, 5.0)
    assert out.state == NavigatorState.DRIVING
    assert out.v == pytest.approx(0.2)
    stand(navigator, world, 4.0)
    assert NavigatorState.RECOVERING in world.states()
    with pytest.raises(ConfigError, match="costmap: cannot change"):
        navigator.reconfigure(config.replaced(slow, {"costmap.margin_m": 3.0}))
    assert navigator.config is slow


def test_goal_too_far_for_one_map_fails_with_a_sentence() -> None:
    out = drive(World(np.zeros((0, 3))), (5000.0, 0.0))
    assert out.state == NavigatorState.FAILED
    assert out.error_code == NavigatorError.GOAL_OUTSIDE_MAP
    assert re.fullmatch(r"goal is 5000 m away: .* \d+ cells, limit 2000000 cells", out.reason)


@pytest.mark.parametrize("start_ns", [0, 1_700_000_000 * S])
def test_without_a_map_nothing_moves_and_the_goal_fails(start_ns: int) -> None:
    world = World(np.zeros((0, 3)), now_ns=start_ns)
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    out = world.run(navigator, 60.0, look=False)
    assert out.state == NavigatorState.FAILED
    assert out.error_code == NavigatorError.NO_MAP
    assert out.reason == "no terrain map came within 20.0 s"
    assert all(o.v == o.w == 0.0 for o in world.outputs)
    assert len(world.outputs) > 90


def test_time_going_back_starts_the_drive_anew() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 10.0)
    world.now_ns = 0
    world.x = world.y = world.yaw = 0.0
    out = navigator.step(0, 0.0, 0.0, 0.0, 0.0)
    assert (out.v, out.state) == (0.0, NavigatorState.PLANNING)
    assert world.run(navigator, 100.0).state == NavigatorState.REACHED


class _Hill:
    bounds_m = (-50.0, -50.0, 50.0, 50.0)

    def slope_rad(self, xy_m: np.ndarray) -> np.ndarray:
        steep = np.hypot(xy_m[:, 0] - 15.0, xy_m[:, 1]) < 5.0
        return np.where(steep, math.radians(30.0), 0.0)


def test_prior_terrain_guides_the_first_plan_and_bounds_the_goal() -> None:
    navigator = Navigator(CONFIG, LIMITS, prior=_Hill())
    with pytest.raises(PlanningError, match=r"goal x = 80.00 m is outside the terrain"):
        navigator.set_goal(80.0, 0.0)
    with pytest.raises(PlanningError, match="goal y = nan: not finite"):
        navigator.set_goal(0.0, math.nan)
    assert navigator.state == NavigatorState.IDLE
    navigator.set_goal(30.0, 0.0)
    world = World(np.zeros((0, 3)))
    world.look(navigator)
    out = navigator.step(0, 0.0, 0.0, 0.0, 0.0)
    assert np.hypot(*(out.path_xy_m - [15.0, 0.0]).T).min() > 5.5


def test_pose_that_is_not_finite_stops() -> None:
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    out = navigator.step(0, math.nan, 0.0, 0.0, 0.0)
    assert (out.v, out.w, out.reason) == (0.0, 0.0, "pose is not finite")


def refusing(
    navigator: Navigator, world: World, seconds: float, wall_x_m: float
) -> list[NavigatorOutput]:
    """Drive with a gate that lets the vehicle nowhere beyond x within 2 m of y = 0."""
    seen = []
    for tick in range(round(seconds / DT)):
        if tick % 5 == 0:
            world.look(navigator)
        out = navigator.step(world.now_ns, world.x, world.y, world.yaw, world.v)
        seen.append(out)
        if out.state in (NavigatorState.REACHED, NavigatorState.FAILED):
            break
        ahead = world.x + 1.5 * math.cos(world.yaw), world.y + 1.5 * math.sin(world.yaw)
        stopped = out.v > 0.0 and 0.0 < ahead[0] - wall_x_m < 1.0 and abs(ahead[1]) < 2.0
        kind = "ground" if stopped else ""
        navigator.on_gate(kind, "nav command leads to closed ground" if stopped else "")
        given = (0.0, 0.0) if stopped else (out.v, out.w)
        navigator.on_given(world.now_ns + DT_NS, *given)
        world.move(*given)
    return seen


def test_where_the_gate_sees_bad_ground_the_vehicle_backs_up_and_takes_another_way() -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    seen = refusing(navigator, world, 300.0, 8.0)
    assert seen[-1].state == NavigatorState.REACHED, seen[-1].reason
    assert 1 <= seen[-1].recoveries <= CONFIG.max_total_recoveries
    assert any("leads to closed ground" in out.reason for out in seen)
    assert min(out.v for out in seen) < -0.1
    assert max(abs(y) for _, y in world.driven) > 1.0


@pytest.mark.parametrize(
    ("kind", "code"), [("power", NavigatorError.NO_POWER), ("link", NavigatorError.NO_LINK)]
)
def test_without_power_or_link_the_goal_ends_and_says_that_help_is_needed(
    kind: str, code: NavigatorError
) -> None:
    world = World(np.zeros((0, 3)))
    navigator = Navigator(CONFIG, LIMITS)
    navigator.set_goal(20.0, 0.0)
    world.run(navigator, 5.0)
    navigator.on_gate(kind, "battery is at 12 %, limit 15 %: only an operator drives")
    out = world.run(navigator, CONFIG.wait_s - 1.0)
    assert out.state == NavigatorState.DRIVING
    out = world.run(navigator, 2.0)
    assert (out.state, out.error_code, out.v) == (NavigatorState.FAILED, code, 0.0)
    assert out.reason.startswith("battery is at 12 %")
    assert out.reason.endswith("help is needed")
    navigator.on_gate("", "")
    navigator.set_goal(world.x + 3.0, world.y)
    assert world.run(navigator, 60.0).state == NavigatorState.REACHED
