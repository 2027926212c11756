"""The MuJoCo model holds what the YAML says, and nothing else."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import mujoco
import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.inertia import box_inertia, rods_inertia, wheel_inertia
from ilrs_robots.sim.lidar_scene import unit_sphere
from ilrs_robots.sim.rover_layout import ContactBits, wheel_places
from ilrs_robots.sim.rover_mjcf import add_rover


@pytest.fixture(scope="module")
def robot():
    return load_robot("long_range")


def compiled(robot):
    root = ET.Element("mujoco")
    ET.SubElement(root, "compiler", angle="radian")
    world = ET.SubElement(root, "worldbody")
    ET.SubElement(world, "geom", name="floor", type="plane", size="10 10 1")
    add_rover(root, robot, "r/", ContactBits.of_vehicle(0), "floor")
    model = mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return model, data


def test_masses_and_places_equal_the_yaml(robot):
    model, data = compiled(robot)
    assert model.body_mass.sum() == pytest.approx(robot.total_mass_kg)
    for name, (x, y) in robot.wheels.positions.items():
        body = model.body(f"r/{name}")
        np.testing.assert_allclose(data.xpos[body.id], [x, y, robot.wheels.radius_m], atol=1e-12)
        assert body.mass[0] == robot.wheels.mass_kg
        geom = model.geom(f"r/{name}")
        np.testing.assert_allclose(
            geom.size, [robot.wheels.radius_m, robot.wheels.width_m / 2, robot.wheels.radius_m]
        )
        assert model.pair(f"r/{name}").friction[0] == robot.wheels.friction


def test_joints_and_servos_equal_the_yaml(robot):
    model, _ = compiled(robot)
    steers = {n.removesuffix("_steer") for n in joint_names(model) if n.endswith("_steer")}
    assert steers == {f"r/{n}" for n in robot.wheels.steered}
    for side in ("left", "right"):
        stop = np.radians(robot.suspension.rocker_bogie.max_angle_deg)
        np.testing.assert_allclose(model.joint(f"r/rocker_{side}").range, [-stop, stop])
    drive = model.actuator("r/front_left_wheel")
    assert drive.forcerange[1] == robot.wheels.max_torque_nm
    assert drive.ctrlrange[1] == robot.wheels.max_speed_rps
    steer = model.actuator("r/front_left_steer")
    assert steer.ctrlrange[1] == pytest.approx(np.radians(robot.wheels.steer_rate_deg_s))


def joint_names(model):
    return [model.joint(j).name for j in range(model.njnt)]


def test_lowest_body_point_is_the_clearance(robot):
    model, data = compiled(robot)
    mujoco.mj_forward(model, data)
    lows = [
        data.geom_xpos[model.geom(n).id][2] - model.geom(n).size[2] for n in ("r/body", "r/belly")
    ]
    assert min(lows) == pytest.approx(robot.body.clearance_m)


def test_wheels_hang_on_the_right_arms(robot):
    carriers = {place.name: place.carrier for place in wheel_places(robot)}
    assert carriers == {
        "front_left": "rocker_left",
        "front_right": "rocker_right",
        "middle_left": "bogie_left",
        "middle_right": "bogie_right",
        "rear_left": "bogie_left",
        "rear_right": "bogie_right",
    }


def test_impossible_vehicles_are_refused(robot):
    few = dict(list(robot.wheels.positions.items())[:4])
    four = dataclasses.replace(
        robot, wheels=dataclasses.replace(robot.wheels, positions=few, steered=())
    )
    with pytest.raises(ConfigError, match="rocker-bogie needs"):
        compiled(four)
    with pytest.raises(ConfigError, match="goes with kind 'rocker_bogie' and only with it"):
        dataclasses.replace(robot.suspension, kind="independent")
    low = dataclasses.replace(robot.body, clearance_m=2.9)
    with pytest.raises(ConfigError, match=r"clearance_m = 2\.9 m"):
        compiled(dataclasses.replace(robot, body=low))
    with pytest.raises(ConfigError, match="at most 15"):
        ContactBits.of_vehicle(15)


def test_inertias_equal_the_textbook():
    np.testing.assert_allclose(box_inertia(12.0, (1.0, 2.0, 3.0)), [13.0, 10.0, 5.0])
    assert wheel_inertia(12.0, 2.0, 1.0) == (13.0, 24.0)
    centre, inertia = rods_inertia(6.0, np.zeros(3), [np.array([2.0, 0.0, 0.0])], 0.06)
    np.testing.assert_allclose(centre, [1.0, 0.0, 0.0])
    np.testing.assert_allclose(inertia, np.diag([0.0, 2.0, 2.0]), atol=0.01)
    bent, _ = rods_inertia(
        4.0, np.zeros(3), [np.array([2.0, 0.0, 0.0]), np.array([0.0, 0.0, 2.0])], 0.06
    )
    np.testing.assert_allclose(bent, [0.5, 0.0, 0.5])


@pytest.mark.parametrize("level", range(4))
def test_tessellated_sphere_is_closed_and_has_the_volume(level):
    vertices, faces = unit_sphere(level)
    assert len(faces) == 20 * 4**level
    assert len(vertices) - 1.5 * len(faces) + len(faces) == 2
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    assert np.sum(np.cross(a, b) * c) / 6.0 == pytest.approx(4.0 / 3.0 * np.pi)
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1.0).max() < (0.2, 0.06, 0.02, 0.005)[level]
