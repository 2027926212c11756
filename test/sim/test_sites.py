"""Every site of the package: it loads, its vehicles drive for a minute, with power and links."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.robots.assembly import chosen_robots
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.power import drive_model_of
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import load_site, read_site
from ilrs_robots.sim.analytic import plane
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

pytestmark = pytest.mark.sim

SITES = ("shackleton", "shackleton_2050", "mare", "far_side")
MINUTE_S = 60


load_once = functools.lru_cache(maxsize=4)(load_site)


def minute(site_name: str, names: tuple[str, ...]):
    """Drive for a minute; gives the world's truth and the power of each vehicle."""
    site, terrain = load_once(site_name)
    placed = [site.robot(name) for name in names]
    robots = [SimRobot(p.name, p.load_model(), p.x_m, p.y_m, p.yaw_rad) for p in placed]
    powers = {p.name: PowerStep(p.name, p.load_model(), site, terrain.prior) for p in placed}
    config = SimConfig(lidar=False, exchange_s=0.1, physics_step_s=0.01, settle_s=2.0)
    with EmbeddedWorld(terrain.surface, robots, 1, config) as world:
        for second in range(MINUTE_S):
            for _ in range(10):
                for robot in robots:
                    if robot.model.type == "rover":
                        world.command(robot.name, VelocityCommand(world.time_ns, 0.4, 0.05))
                world.step()
            states = {}
            for name, power in powers.items():
                truth = world.truth(name)
                pose = se3.make_transform(truth.position_m, truth.quat_wxyz)
                states[name] = power.step(second + 1.0, pose, float(truth.linear_mps[0]))
        truths = {robot.name: world.truth(robot.name) for robot in robots}
        return placed, truths, states, powers


@pytest.mark.parametrize("site_name", SITES)
def test_a_minute_at_every_site(site_name):
    names = chosen_robots(read_site(site_name))
    placed, truths, states, powers = minute(site_name, names)
    for p in placed:
        way = np.linalg.norm(truths[p.name].position_m[:2] - [p.x_m, p.y_m])
        assert 2.0 < way < 25.0
        state, power = states[p.name], powers[p.name]
        assert state.loads_w["drive"] > 0.0
        assert 0.5 < state.charge <= 1.0
        assert state.base is not None
        gain = power.bus.battery.stored_j - p.load_model().power.charge * (
            power.bus.battery.capacity_j
        )
        ledger = state.ledger
        assert abs(ledger.used_j - ledger.delivered_j - ledger.lost_j - gain) < 1e-3
        assert state.light.share == 1.0


@pytest.mark.soak
@pytest.mark.parametrize("site_name", ["shackleton", "shackleton_2050"])
def test_a_minute_with_every_vehicle_of_a_base(site_name):
    names = tuple(robot.name for robot in read_site(site_name).robots)
    _, truths, states, _ = minute(site_name, names)
    assert set(truths) == set(states) == set(names)
    assert all(np.isfinite(t.position_m).all() for t in truths.values())


def test_the_default_of_the_main_base_is_one_rover_and_the_others_may_be_named():
    site = read_site("shackleton")
    assert chosen_robots(site) == ("long_range",)
    assert chosen_robots(site, ("hopper", "crewed_rover")) == ("hopper", "crewed_rover")
    assert {r.model for r in site.robots} == {"long_range", "crewed_rover", "hopper"}
    assert site.base.fission is not None
    assert len(site.base.chargers) >= 2


@pytest.mark.parametrize(("site_name", "direct"), [("mare", True), ("far_side", False)])
def test_the_earth_is_reached_directly_in_the_mare_and_never_on_the_far_side(site_name, direct):
    site, terrain = load_once(site_name)
    power = PowerStep("r", load_robot("long_range"), site, terrain.prior)
    pose = se3.from_rpy(np.array([0.0, 0.0, 0.0]), (0.0, 0.0, 0.0))
    routes = [power.step(hour * 3600.0, pose, 0.0).earth for hour in range(24)]
    paths = [set(route.path) for route in routes if route is not None]
    assert len(paths) > 12
    assert all("queqiao_2" in path for path in paths) is not direct


@pytest.mark.parametrize("name", ["long_range", "crewed_rover"])
def test_the_simulators_wheels_slip_as_the_soil_says_and_odometry_expects(name):
    model = load_robot(name)
    soil = drive_model_of(model.wheels, model.total_mass_kg, model.power.drive)
    slope = math.radians(15.0)
    with EmbeddedWorld(plane(slope), [SimRobot("r", model)], 1, SimConfig(lidar=False)) as world:
        slips = []
        for k in range(150):
            world.command("r", VelocityCommand(world.time_ns, 0.3, 0.0))
            world.step()
            if k > 90:
                slips.append(world.evaluation("r").wheel_slip.mean())
    slip = float(np.mean(slips))
    assert slip == pytest.approx(soil.slip_compliance * math.tan(slope), rel=0.12)
    assert slip == pytest.approx(float(soil.state(slope).slip[0]), abs=0.03)
    assert slip == pytest.approx(model.wheels.slip_per_slope * math.sin(slope), rel=0.12)
