"""A hopper's engines in Gazebo give what those of the embedded simulator give."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest
from geometry_msgs.msg import Wrench as WrenchMessage

from ilrs_robots.core.paths import share_dir
from ilrs_robots.nodes.gazebo_thrust import entity_message, wrench_message
from ilrs_robots.robots.gazebo.engines import GazeboEngines, Wrench, beam_range_m
from ilrs_robots.robots.gazebo.interfaces import thrust_bridges, wrench_clear_topic, wrench_topic
from ilrs_robots.robots.gazebo.plan import gazebo_plan
from ilrs_robots.robots.gazebo.terrain import read_baked, shipped_dir
from ilrs_robots.robots.hop_vehicle import balance_of
from ilrs_robots.robots.model import load_robot, require_hopper
from ilrs_robots.sim.analytic import AnalyticTerrain
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

MODEL = require_hopper(load_robot("hopper"), "this test")


def exact():
    """The vehicle with engines that err in nothing."""
    groups = {
        name: dataclasses.replace(group, noise=0.0, gain_error=0.0, misalignment_deg=0.0)
        for name, group in MODEL.thruster_groups.items()
    }
    return dataclasses.replace(MODEL, thruster_groups=groups)


def test_impulse_and_propellant_are_those_of_the_embedded_simulator():
    model, rng = exact(), np.random.default_rng(4)
    flat = AnalyticTerrain(lambda x, y: 0.0 * x, half_m=60.0)
    here = GazeboEngines(model, [1])
    most = np.array([t.max_thrust_n for t in model.thrusters.values()])
    with EmbeddedWorld(flat, [SimRobot("hopper", model)], 1, SimConfig(lidar=False)) as world:
        there = world.hopper("hopper").engines
        period, ours, theirs = world.config.exchange_s, np.zeros(12), np.zeros(12)
        before = there.thrust_n
        for k in range(75):
            if k % 5 == 0:
                asked = most * rng.uniform(0.0, 0.6, 12) * (k < 50)
            here.command(asked)
            ours += here.run(period) * period
            there.command(asked)
            world.hopper("hopper").keeper.release()
            world.hopper("hopper")._commanded_ns = world.time_ns
            world.step()
            after = there.thrust_n
            theirs += 0.5 * (before + after) * period
            before = after
    main = most > 100.0
    assert (theirs[main] > 20.0).all()
    np.testing.assert_allclose(ours[main], theirs[main], rtol=0.01)
    np.testing.assert_allclose(ours[~main], theirs[~main], atol=0.2)  # a pulse
    spent = model.tank.propellant_kg - here.propellant_kg
    assert spent == pytest.approx(model.tank.propellant_kg - there.propellant_kg, rel=0.02)
    np.testing.assert_allclose(here.thrust_n, 0.0, atol=0.01)


def test_the_heavy_body_moves_as_the_true_one_would():
    engines = GazeboEngines(MODEL, [2])
    rng = np.random.default_rng(5)
    thrust = rng.uniform(0.0, 100.0, 12)
    true = engines.wrench(thrust)
    for now, full in zip(engines.on_full(true), true, strict=True):
        np.testing.assert_allclose(now, full, atol=1e-9)  # a full tank is as heavy as it is
    engines.propellant_kg = 17.0
    told = engines.on_full(true)
    masses = [MODEL.total_mass_kg - 33.0, MODEL.total_mass_kg]
    accelerations, spins = [], []
    for mass, held, wrench in zip(masses, (17.0, 50.0), (true, told), strict=True):
        centre, inertia = balance_of(MODEL, held)
        accelerations.append(wrench.force_n / mass)
        spins.append((wrench.torque_nm - np.cross(centre, wrench.force_n)) / inertia)
    np.testing.assert_allclose(*accelerations)
    np.testing.assert_allclose(*spins)


def test_a_thrust_off_the_axis_turns_the_vehicle_the_right_way():
    engines = GazeboEngines(exact(), [1])
    thrust = np.zeros(12)
    thrust[engines.names.index("main_front")] = 150.0
    force, torque = engines.wrench(thrust)
    np.testing.assert_allclose(force, [0.0, 0.0, 150.0])
    np.testing.assert_allclose(torque, [0.0, -0.32 * 150.0, 0.0])  # its front goes up


class EntityFields:
    """The fields of ros_gz_interfaces/msg/Entity (ros_gz, branch jazzy); others are refused."""

    MODEL, LINK = 2, 3
    __slots__ = ("id", "name", "type")


class WrenchFields:
    """Those of ros_gz_interfaces/msg/EntityWrench."""

    __slots__ = ("entity", "header", "wrench")

    def __init__(self) -> None:
        self.wrench = WrenchMessage()


def test_a_new_wrench_stands_under_the_other_name_of_the_same_link():
    wrench = Wrench(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    messages = [wrench_message(WrenchFields, EntityFields, "h1", k, wrench) for k in (0, 1)]
    names = [(m.entity.name, m.entity.type) for m in messages]
    assert names == [("h1", EntityFields.MODEL), ("h1::base_link", EntityFields.LINK)]
    old = entity_message(EntityFields, "h1", 0)
    assert (old.name, old.type) == names[0]
    f, t = messages[0].wrench.force, messages[0].wrench.torque
    assert (f.x, f.y, f.z, t.x, t.y, t.z) == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_the_altimeters_beam_meets_the_baked_ground():
    baked = read_baked(shipped_dir("shackleton")).heightmap
    start = np.array([20.0, -30.0, float(baked.height(np.array([[20.0, -30.0]]))[0]) + 40.0])
    beam = np.array([0.3, 0.1, -np.sqrt(1.0 - 0.1)])
    way = beam_range_m(start, beam, baked)
    hit = start + way * beam
    assert float(baked.height(hit[None, :2])[0]) == pytest.approx(hit[2], abs=0.01)
    assert np.isnan(beam_range_m(start, np.array([1.0, 0.0, 0.0]), baked))
    assert np.isnan(beam_range_m(1e4 + start, beam, baked))


def test_a_world_with_a_hopper_takes_its_wrench(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = gazebo_plan("shackleton", ("hopper",))
    assert "gazebo_thrust" in plan.processes[0].nodes
    assert plan.processes[0].parameters["world"] == plan.world_name
    text = plan.bridge_path.read_text(encoding="utf-8")
    assert text.index(wrench_topic("shackleton")) < text.index(wrench_clear_topic("shackleton"))
    for root in (
        ElementTree.parse(plan.world_path).getroot(),
        ElementTree.parse(share_dir() / "worlds" / "shackleton.sdf").getroot(),
    ):
        names = [p.get("name") for p in root.findall("world/plugin")]
        assert names.count("gz::sim::systems::ApplyLinkWrench") == 1
    rover = gazebo_plan("shackleton", ("long_range",))
    assert "gazebo_thrust" not in rover.processes[0].nodes
    assert len(thrust_bridges("w")) == 2
