"""What follows from the files of the three vehicles, and what is refused of a hopper."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots import settings
from ilrs_robots.robots.assembly import site_processes
from ilrs_robots.robots.frames import new_tree
from ilrs_robots.robots.model import HopperModel, RoverModel, load_robot
from ilrs_robots.robots.site import read_site

NAMES = ("long_range", "crewed_rover", "hopper")


@pytest.fixture(params=NAMES)
def model(request):
    return load_robot(request.param)


def test_types_are_told_apart():
    kinds = {name: type(load_robot(name)) for name in NAMES}
    assert kinds == {"long_range": RoverModel, "crewed_rover": RoverModel, "hopper": HopperModel}


def test_terrain_limits_map_and_frames_follow_for_all(model):
    limits = settings.limits_of(model)
    assert limits.max_step_m < model.body.clearance_m
    assert limits.footprint_length_m == model.footprint.length_m
    assert settings.map_config_of(model).range_max_m == model.lidar.range_max_m
    tree = new_tree(model, "r")
    assert {f"r/{mount.frame}" for mount in model.sensors} <= set(tree.frames)


def test_footprint_covers_wheels_and_feet(model):
    if isinstance(model, HopperModel):
        reach = np.abs(list(model.legs.feet_m.values()))[:, :2].max(axis=0)
        reach += model.legs.foot_radius_m
    else:
        reach = np.abs(model.wheels.positions_xy_m).max(axis=0)
        reach += [model.wheels.radius_m, 0.5 * model.wheels.width_m]
    assert np.all(reach <= 0.5 * np.array([model.footprint.length_m, model.footprint.width_m]))


@pytest.mark.parametrize("name", NAMES)
def test_own_boxes_hold_what_a_lidar_may_see_of_the_vehicle_and_no_ground(name):
    """Corners of body, people and fittings and tops of wheels are taken out; soil beside stays."""
    model = load_robot(name)
    boxes = settings.own_boxes_of(model, 0.05)

    def inside(point):
        return any(np.all(point >= b.low_m) and np.all(point <= b.high_m) for b in boxes)

    for part in model.visual.parts:
        assert inside(np.array(part.position_m)), part
    corner = np.array(model.body.centre_m) + 0.5 * np.array(model.body.size_m)
    assert inside(corner)
    if isinstance(model, HopperModel):
        for hip, foot in zip(model.legs.hips_m.values(), model.legs.feet_m.values(), strict=True):
            assert inside(0.5 * (np.array(hip) + np.array(foot)))
        touching = [(x, y) for x, y, _ in model.legs.feet_m.values()]
    else:
        for x, y in model.wheels.positions_xy_m:
            assert inside(np.array([x, y, 2.0 * model.wheels.radius_m]))
            assert inside(np.array([x, y, model.wheels.kingpin_z_m]))
        touching = model.wheels.positions_xy_m.tolist()
    if name == "crewed_rover":
        for seat in model.crew.seats_m.values():
            assert inside(np.add(seat, [0.0, 0.0, 0.5 * model.crew.size_m[2]]))
    for x, y in touching:
        assert not inside(np.array([x, y, 0.0]))
    assert not inside(np.array([0.0, 0.0, 0.0]))
    assert not inside(np.array([0.5 * model.footprint.length_m + 0.3, 0.0, 0.4]))


@pytest.mark.parametrize(
    "derive",
    [
        settings.kinematics_of, settings.dead_reckoning_config_of, settings.navigator_config_of,
        settings.gate_config_of, settings.wheel_drive_of,
    ],
)  # fmt: skip
def test_what_needs_wheels_says_so_of_a_hopper(derive):
    with pytest.raises(ConfigError, match=r"needs a vehicle of type rover.*of type hopper"):
        derive(load_robot("hopper"))
    derive(load_robot("crewed_rover"))


def test_a_hopper_gets_no_rover_nodes_and_the_default_site_runs_what_it_ran():
    three = site_processes(read_site("three"), "three", 1)
    names = {spec.name: spec.nodes for spec in three}
    assert names["hopper"] == ("state_publisher", "flight", "power", "health")
    assert "hopper.gate" not in names
    assert {"crewed_rover", "crewed_rover.gate", "long_range", "long_range.gate"} <= set(names)
    bare = site_processes(
        read_site("three"), "three", 1, robots=("hopper",), state_publisher=False
    )
    assert {spec.name: spec.nodes for spec in bare}["hopper"] == ("flight", "power", "health")
    default = {spec.name for spec in site_processes(read_site("shackleton"), "shackleton", 1)}
    assert default == {"sim", "long_range", "long_range.gate"}


def test_thrusters_lift_the_hopper_and_turn_it_about_every_axis():
    hopper = load_robot("hopper")
    mains = [t for t in hopper.thrusters.values() if t.group == "main"]
    assert sum(t.max_thrust_n for t in mains) > 2.0 * hopper.total_mass_kg * MOON_GRAVITY_MPS2
    height = hopper.body.centre_m[2]
    columns = []
    for thruster in hopper.thrusters.values():
        force = np.array(thruster.force_direction)
        arm = np.array(thruster.position_m) - [0.0, 0.0, height]
        columns.append(np.cross(arm, force))
    torques = np.array(columns)
    for axis in range(3):
        assert torques[:, axis].max() > 0.2
        assert torques[:, axis].min() < -0.2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("legs.foot_radius_m", 0.2, "legs: feet_m.front_left z = 0.1 m: must be foot_radius_m"),
        ("legs.feet_m", {"one": [1.0, 0.0, 0.1]}, "legs: hips_m"),
        ("thrusters.main_left.force_direction", [0.0, 0.0, 2.0], "its length is 2, it must be 1"),
        ("thrusters.main_left.group", "big", "thrusters.main_left.group = 'big': must be one of"),
        ("body.size_m", [1.0, 1.2, 0.6], "body: size_m = [1.0, 1.2, 0.6] m: x and y of a"),
        ("altimeter.range_min_m", 99.0, "unknown"),
        ("visual.body", "plaid", "visual: colour 'plaid' is not one of"),
        ("wheels", {}, "unknown key 'wheels'; known keys are altimeter, body"),
    ],
)
def test_a_mistake_in_the_hoppers_file_is_named(tmp_path, key, value, words):
    content = yaml.safe_load((share_dir() / "config" / "robots" / "hopper.yaml").read_text())
    place = content
    *parents, last = key.split(".")
    for parent in parents:
        place = place[parent]
    place[last] = value
    if words == "unknown":
        place["range_max_m"] = 50.0
        words = "range_min_m = 99.0 m: must be below range_max_m = 50.0 m"
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        load_robot(str(path))
    assert words in str(caught.value)


def test_a_rovers_suspension_is_of_one_kind(tmp_path):
    content = yaml.safe_load((share_dir() / "config" / "robots" / "crewed_rover.yaml").read_text())
    content["suspension"]["kind"] = "rigid"
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="group 'independent' goes with kind 'independent'"):
        load_robot(str(path))
