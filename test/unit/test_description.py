"""URDF, MuJoCo model and Gazebo overlay say what ``config/robots`` says, and nothing else."""

from __future__ import annotations

import functools
import math
import shutil
import subprocess
from xml.etree import ElementTree as ET

import mujoco
import numpy as np
import pytest
import yaml

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots.description import urdf_of, xacro_file
from ilrs_robots.robots.frames import sensor_mounts
from ilrs_robots.robots.gazebo.world import STEP_S
from ilrs_robots.robots.link_tree import LinkTree
from ilrs_robots.robots.model import HopperModel, RoverModel, load_robot
from ilrs_robots.sim.hopper_mjcf import add_hopper
from ilrs_robots.sim.rover_layout import ContactBits, suspension_joints
from ilrs_robots.sim.rover_mjcf import add_rover

NAMES = ("long_range", "crewed_rover", "hopper")


@functools.cache
def text(name, gazebo=False):
    return urdf_of(name, "r1", gazebo=gazebo)


@functools.cache
def urdf(name, gazebo=False):
    return ET.fromstring(text(name, gazebo))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return load_robot(name)


def numbers(element, key):
    return np.array([float(v) for v in element.get(key).split()])


def place(element):
    """(4, 4) of an element's origin."""
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    xyz = numbers(origin, "xyz") if origin.get("xyz") else np.zeros(3)
    rpy = numbers(origin, "rpy") if origin.get("rpy") else np.zeros(3)
    return se3.from_rpy(xyz, rpy)


def link(root, name):
    return next(found for found in root.findall("link") if found.get("name") == name)


def inertia_of(element):
    """Mass, centre (3,) and inertia (3, 3) of a link in its own frame; None for a frame."""
    found = element.find("inertial")
    if found is None:
        return None
    moments = {k: float(v) for k, v in found.find("inertia").attrib.items()}
    matrix = np.array([[moments["i" + "".join(sorted(a + b))] for b in "xyz"] for a in "xyz"])
    T = place(found)
    return float(found.find("mass").get("value")), T[:3, 3], T[:3, :3] @ matrix @ T[:3, :3].T


def whole(parts):
    """Mass, centre and inertia about the centre of (mass, centre, inertia) in one frame."""
    mass = sum(m for m, _, _ in parts)
    centre = sum(m * c for m, c, _ in parts) / mass
    total = np.zeros((3, 3))
    for m, c, inertia in parts:
        arm = c - centre
        total += inertia + m * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return mass, centre, total


def mass_of_urdf(root, positions=None):
    places = LinkTree(ET.tostring(root, encoding="unicode")).places(positions or {})
    parts = []
    for element in root.findall("link"):
        own = inertia_of(element)
        if own is not None:
            T = places[element.get("name")]
            mass, centre, inertia = own
            R = T[:3, :3]
            parts.append((mass, R @ centre + T[:3, 3], R @ inertia @ R.T))
    return whole(parts)


def mujoco_of(model):
    root = ET.Element("mujoco")
    ET.SubElement(root, "compiler", angle="radian")
    world = ET.SubElement(root, "worldbody")
    ET.SubElement(world, "geom", name="floor", type="plane", size="10 10 1")
    add = add_hopper if isinstance(model, HopperModel) else add_rover
    add(root, model, "r/", ContactBits.of_vehicle(0), "floor")
    compiled = mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))
    data = mujoco.MjData(compiled)
    mujoco.mj_forward(compiled, data)
    return compiled, data


@pytest.mark.parametrize("gazebo", [False, True])
def test_links_are_whole_and_their_inertias_physical(name, gazebo):
    root = urdf(name, gazebo)
    for element in root.findall("link"):
        own = inertia_of(element)
        if own is None:  # a frame: nothing collides with what weighs nothing
            assert element.find("collision") is None
            continue
        assert element.find("visual") is not None, element.get("name")
        assert element.find("collision") is not None, element.get("name")
        mass, _, inertia = own
        moments = np.linalg.eigvalsh(inertia)
        assert mass > 0.0
        assert moments[0] > 0.0, element.get("name")
        assert moments[0] + moments[1] >= moments[2] * (1.0 - 1e-9), element.get("name")


def test_total_mass_centre_and_inertia_are_one_in_yaml_urdf_and_mujoco(name, model):
    mass, centre, inertia = mass_of_urdf(urdf(name))
    assert mass == pytest.approx(model.total_mass_kg, rel=1e-12)
    compiled, data = mujoco_of(model)
    parts = []
    for body in range(1, compiled.nbody):
        R = data.ximat[body].reshape(3, 3)
        parts.append(
            (
                compiled.body_mass[body],
                data.xipos[body],
                R @ np.diag(compiled.body_inertia[body]) @ R.T,
            )
        )
    seen_mass, seen_centre, seen_inertia = whole(parts)
    assert seen_mass == pytest.approx(mass, rel=1e-12)
    np.testing.assert_allclose(seen_centre, centre, atol=1e-9)
    np.testing.assert_allclose(seen_inertia, inertia, atol=1e-6 * np.trace(inertia))


def test_sensors_stand_where_the_yaml_says(name, model):
    places = LinkTree(text(name)).places({})
    mounts = sensor_mounts(model, "r1")
    assert len(mounts) == (4 if name == "hopper" else 3)
    for frame, T_base_sensor in mounts.items():
        np.testing.assert_allclose(places[frame.removeprefix("r1/")], T_base_sensor, atol=1e-12)


def test_every_link_hangs_on_base_link_and_joints_are_those_of_joint_states(name, model):
    tree = LinkTree(text(name))
    links = {element.get("name") for element in urdf(name).findall("link")}
    assert set(tree.places({})) == links
    if isinstance(model, HopperModel):
        wanted = {f"{n}_leg" for n in model.legs.names}
    else:
        wanted = {f"{n}_wheel" for n in model.wheels.names} | set(suspension_joints(model))
        wanted |= {f"{n}_steer" for n in model.wheels.steered}
    assert {joint.name for joint in tree.moving} == wanted


def test_joints_move_links_as_in_mujoco(name, model):
    """Every link of a body of MuJoCo stands where that body stands, at random joint positions."""
    compiled, data = mujoco_of(model)
    rng = np.random.default_rng(2)
    tree = LinkTree(text(name))
    positions = {}
    for joint in tree.moving:
        positions[joint.name] = float(
            rng.uniform(-0.02, 0.02 if joint.kind == "prismatic" else 0.4)
        )
        data.qpos[compiled.joint(f"r/{joint.name}").qposadr[0]] = positions[joint.name]
    mujoco.mj_kinematics(compiled, data)
    places, compared = tree.places(positions), 0
    for body in range(2, compiled.nbody):
        own = compiled.body(body).name.removeprefix("r/")
        ending = (
            "_leg_link" if own in getattr(model, "legs", model).__dict__.get("feet_m", {}) else ""
        )
        for candidate in (own + ending, f"{own}_wheel_link", f"{own}_link"):
            candidate = candidate.replace("_suspension_link", "_strut_link")
            if candidate in places:
                np.testing.assert_allclose(places[candidate][:3, 3], data.xpos[body], atol=1e-9)
                R = data.xmat[body].reshape(3, 3)
                np.testing.assert_allclose(places[candidate][:3, :3], R, atol=1e-9)
                compared += 1
                break
    assert compared == compiled.nbody - 2


def test_collision_shapes_of_urdf_and_mujoco_are_those_of_the_yaml(name, model):
    root = urdf(name)
    compiled, data = mujoco_of(model)
    chassis = {c.get("name"): c for c in link(root, "chassis_link").findall("collision")}
    for geom in ("body", "belly"):
        made = compiled.geom(f"r/{geom}")
        np.testing.assert_allclose(place(chassis[geom])[:3, 3], data.geom_xpos[made.id], atol=1e-9)
        shape = chassis[geom].find("geometry")[0]
        if shape.tag == "box":
            np.testing.assert_allclose(numbers(shape, "size"), 2.0 * made.size, atol=1e-9)
        else:
            size = [float(shape.get("radius")), 0.5 * float(shape.get("length"))]
            np.testing.assert_allclose(made.size[:2], size, atol=1e-9)
    bottom = min(
        data.geom_xpos[compiled.geom(f"r/{g}").id][2]
        - compiled.geom(f"r/{g}").size[1 if name == "hopper" else 2]
        for g in ("body", "belly")
    )
    assert bottom == pytest.approx(model.body.clearance_m)
    if isinstance(model, HopperModel):
        for leg in model.legs.names:
            ball = link(root, f"{leg}_leg_link").find("collision/geometry/sphere")
            assert float(ball.get("radius")) == model.legs.foot_radius_m
            assert compiled.geom(f"r/{leg}").size[0] == model.legs.foot_radius_m
        return
    for wheel in model.wheels.names:
        tyre = link(root, f"{wheel}_wheel_link").find("collision/geometry/cylinder")
        assert float(tyre.get("radius")) == model.wheels.radius_m
        assert float(tyre.get("length")) == model.wheels.width_m
        size = compiled.geom(f"r/{wheel}").size
        np.testing.assert_allclose(size[:2], [model.wheels.radius_m, 0.5 * model.wheels.width_m])


def test_wheels_and_feet_touch_the_ground_at_base_link(name, model):
    places = LinkTree(text(name)).places({})
    if isinstance(model, HopperModel):
        for leg, foot in model.legs.feet_m.items():
            np.testing.assert_allclose(places[f"{leg}_leg_link"][:3, 3], foot, atol=1e-12)
    else:
        for wheel, (x, y) in model.wheels.positions.items():
            centre = places[f"{wheel}_wheel_link"][:3, 3]
            np.testing.assert_allclose(centre, [x, y, model.wheels.radius_m], atol=1e-12)


@pytest.mark.parametrize("name", ["long_range", "crewed_rover"])
def test_limits_of_driven_joints_are_those_of_the_yaml(name):
    model = load_robot(name)
    limits = {j.get("name"): j.find("limit") for j in urdf(name).findall("joint")}
    wheels = model.wheels
    for wheel in wheels.names:
        assert float(limits[f"{wheel}_wheel"].get("effort")) == wheels.max_torque_nm
        assert float(limits[f"{wheel}_wheel"].get("velocity")) == wheels.max_speed_rps
    for wheel in wheels.steered:
        steer = limits[f"{wheel}_steer"]
        assert float(steer.get("upper")) == pytest.approx(math.radians(wheels.max_steer_deg))
        assert float(steer.get("velocity")) == pytest.approx(math.radians(wheels.steer_rate_deg_s))


def test_springs_carry_the_vehicle_at_rest_on_the_moon(model):
    """Preloads stand in the files as numbers; they must follow from masses and gravity."""
    if isinstance(model, HopperModel):
        sprung = model.total_mass_kg - model.legs.mass_kg * len(model.legs.names)
        load = sprung * MOON_GRAVITY_MPS2 / len(model.legs.names)
        assert model.legs.preload_n == pytest.approx(load, rel=1e-3)
    elif model.suspension.independent is not None:
        count = len(model.wheels.names)
        sprung = model.body.mass_kg + model.crew.mass_kg
        load = sprung * MOON_GRAVITY_MPS2 / count
        assert model.suspension.independent.preload_n == pytest.approx(load, rel=1e-3)
    else:
        arms = model.suspension.rocker_bogie
        lever = arms.rocker_pivot_m[0] - model.body.centre_m[0]
        moment = -0.5 * model.body.mass_kg * MOON_GRAVITY_MPS2 * lever
        assert arms.rest_moment_nm == pytest.approx(moment, rel=1e-3)


def test_a_person_can_tell_them_apart():
    """Silhouettes (wheels, legs, people) and colours of the bodies differ."""
    models = {n: load_robot(n) for n in NAMES}
    bodies = [np.array(m.visual.colours[m.visual.body]) for m in models.values()]
    for k, first in enumerate(bodies):
        for second in bodies[k + 1 :]:
            assert np.linalg.norm(first - second) > 0.1
    visuals = {n: len(urdf(n).findall(".//visual")) for n in NAMES}
    assert all(count > 30 for count in visuals.values())
    assert models["crewed_rover"].crew is not None
    assert len(models["long_range"].wheels.names) == 6
    assert len(models["crewed_rover"].wheels.names) == 4


# -- Gazebo ---------------------------------------------------------------------------------------


def plugins(name):
    return [p for block in urdf(name, True).findall("gazebo") for p in block.findall("plugin")]


def springs(name):
    found = {}
    for block in urdf(name, True).findall("gazebo"):
        if block.find("springStiffness") is not None:
            values = (float(block.findtext(f"spring{w}")) for w in ("Stiffness", "Reference"))
            found[block.get("reference")] = tuple(values)
    return found


def test_plain_description_has_no_word_of_gazebo(name):
    assert urdf(name).find("gazebo") is None
    plain = {element.get("name") for element in urdf(name).findall("link")}
    assert {element.get("name") for element in urdf(name, True).findall("link")} == plain


def test_overlay_refers_to_links_and_joints_that_exist(name):
    root = urdf(name, True)
    known = {e.get("name") for e in (*root.findall("link"), *root.findall("joint"))}
    referred = {block.get("reference") for block in root.findall("gazebo")} - {None}
    assert referred <= known
    named = {e.text for plugin in plugins(name) for e in plugin.findall("joint_name")}
    assert named <= {joint.name for joint in LinkTree(text(name)).moving}


def test_gazebo_sensors_measure_as_the_yaml_says(name, model):
    sensors = {s.get("name"): s for s in urdf(name, True).iter("sensor")}
    assert set(sensors) == {"imu", "lidar"}
    imu, lidar = sensors["imu"], sensors["lidar"]
    assert imu.findtext("topic") == "/r1/imu/data"
    assert imu.findtext("gz_frame_id") == f"r1/{model.imu.frame}"
    rate = float(imu.findtext("update_rate"))
    # a wrench that changes every 20 ms is seen whole only with every step of the physics
    assert rate == (1.0 / STEP_S if isinstance(model, HopperModel) else model.imu.rate_hz)
    assert 1.0 / (rate * STEP_S) == pytest.approx(round(1.0 / (rate * STEP_S)))
    gyro = float(imu.findtext("imu/angular_velocity/x/noise/stddev"))
    assert gyro == pytest.approx(model.imu.gyro_noise_rps_sqrt_hz * math.sqrt(rate))
    assert lidar.findtext("topic") + "/points" == "/r1/lidar/points"
    assert lidar.findtext("gz_frame_id") == f"r1/{model.lidar.frame}"
    scan = lidar.find("lidar/scan")
    columns = int(scan.findtext("horizontal/samples"))
    assert model.lidar.columns <= columns <= 1.02 * model.lidar.columns
    assert int(scan.findtext("vertical/samples")) == model.lidar.channels
    low, high = (float(scan.findtext(f"vertical/{end}_angle")) for end in ("min", "max"))
    assert low == pytest.approx(math.radians(model.lidar.elevation_min_deg))
    assert high == pytest.approx(math.radians(model.lidar.elevation_max_deg))
    first, last = (float(scan.findtext(f"horizontal/{end}_angle")) for end in ("min", "max"))
    turn = math.radians(model.lidar.azimuth_max_deg - model.lidar.azimuth_min_deg)
    assert last - first == pytest.approx(turn * (1.0 - 1.0 / columns))
    assert float(lidar.findtext("lidar/range/max")) == model.lidar.range_max_m


def test_gazebos_lidar_is_drawn_finer_than_it_is_sampled(name):
    """Ogre2GpuRays::ConfigureCamera: faces of 90 deg, next power of two, 128 to 1024 pixels.

    At 128 pixels ranges to a heightmap were measured up to 3 % wrong.
    """
    scan = next(s for s in urdf(name, True).iter("sensor") if s.get("name") == "lidar")
    fan = scan.find("lidar/scan/horizontal")
    columns = int(fan.findtext("samples"))
    turn = float(fan.findtext("max_angle")) - float(fan.findtext("min_angle"))
    on_a_face = int(0.5 * math.pi / turn * columns)
    pixels = min(max(1 << (on_a_face - 1).bit_length(), 128), 1024)
    assert pixels >= 256
    assert pixels >= 1.5 * on_a_face


def test_gazebo_drives_every_wheel_and_steers_those_that_steer(name, model):
    topics = {
        p.findtext("joint_name"): p.findtext("topic")
        for p in plugins(name)
        if p.find("joint_name") is not None and len(p.findall("joint_name")) == 1
    }
    wanted = {}
    if isinstance(model, RoverModel):
        from ilrs_robots.robots.gazebo.interfaces import steer_command_topic, wheel_command_topic

        for wheel in model.wheels.names:
            wanted[f"{wheel}_wheel"] = wheel_command_topic("r1", f"{wheel}_wheel")
        for wheel in model.wheels.steered:
            wanted[f"{wheel}_steer"] = steer_command_topic("r1", f"{wheel}_steer")
    assert topics == wanted


def test_gazebo_springs_hold_the_rest_position(name, model):
    """Stiffness times the way to the spring's reference is the load at rest."""
    found = springs(name)
    if isinstance(model, HopperModel):
        wanted = {f"{n}_leg": -model.legs.preload_n for n in model.legs.names}
    elif model.suspension.independent is not None:
        preload = model.suspension.independent.preload_n
        wanted = {f"{n}_suspension": -preload for n in model.wheels.names}
    else:
        moment = model.suspension.rocker_bogie.rest_moment_nm
        wanted = {"rocker_left": moment, "rocker_right": moment}
    assert set(found) == set(wanted)
    for joint, (stiffness, reference) in found.items():
        assert stiffness * reference == pytest.approx(wanted[joint], rel=1e-9)


# -- files ----------------------------------------------------------------------------------------


def test_every_file_that_is_named_exists(name):
    folder = share_dir() / "urdf"
    for path in folder.rglob("*.xacro"):
        for element in ET.parse(path).iter("{http://www.ros.org/wiki/xacro}include"):
            assert (path.parent / element.get("filename")).is_file(), (
                f"{path.name}: {element.attrib}"
            )
    for element in urdf(name, True).iter():
        assert "filename" not in element.attrib or element.tag == "plugin"


def test_xacro_by_hand_gives_the_same_vehicle(name):
    """The defaults of the arguments find the vehicle's own file."""
    import xacro

    document = xacro.process_file(str(xacro_file(name)), mappings={"robot_name": "r1"})
    assert document.toprettyxml(indent="  ") == text(name)


@pytest.mark.parametrize("name", ["crewed_rover", "hopper"])
def test_a_file_of_the_users_is_described_by_its_class(tmp_path, name):
    content = yaml.safe_load((share_dir() / "config" / "robots" / f"{name}.yaml").read_text())
    content["body"]["mass_kg"] += 7.0
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    mass, _, _ = mass_of_urdf(ET.fromstring(urdf_of(str(path), "mine")))
    assert mass == pytest.approx(load_robot(name).total_mass_kg + 7.0)


def test_a_wrong_file_is_named_with_its_key(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("type: hopper\nwings: 2\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'wings'"):
        urdf_of(str(path), "mine")
    with pytest.raises(ConfigError, match="unknown robot 'blimp'; known: crewed_rover"):
        urdf_of("blimp", "mine")


def test_yourdfpy_reads_it(name, model, tmp_path):
    yourdfpy = pytest.importorskip("yourdfpy")
    path = tmp_path / "vehicle.urdf"
    path.write_text(text(name))
    robot = yourdfpy.URDF.load(
        str(path), load_meshes=False, build_scene_graph=False, mesh_dir=str(tmp_path)
    )
    assert robot.validate()
    assert set(robot.link_map) == set(LinkTree(text(name)).places({}))
    moving = [joint.name for joint in LinkTree(text(name)).moving]
    assert robot.actuated_joint_names == moving
    mass = sum(found.inertial.mass for found in robot.link_map.values() if found.inertial)
    assert mass == pytest.approx(model.total_mass_kg)


@pytest.fixture
def gz():
    """Gazebo's own reader, on a ROS machine."""
    found = shutil.which("gz")
    if found is None or subprocess.run([found, "sdf", "--help"], capture_output=True).returncode:
        pytest.skip("gz sdf is not installed")

    def run(option, path):
        done = subprocess.run(
            [found, "sdf", option, str(path)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize(
    "path", sorted((share_dir() / "worlds").rglob("*.sdf")), ids=lambda path: path.stem
)
def test_gazebo_finds_worlds_and_models_valid(gz, path):
    gz("-k", path)


def test_the_sdf_that_gazebo_makes_of_it_is_the_same_vehicle(gz, name, model, tmp_path):
    """Gazebo lumps links on fixed joints together; masses and sensor places must come through."""
    path = tmp_path / "vehicle.urdf"
    path.write_text(text(name, True))
    gz("-k", path)
    sdf = ET.fromstring(gz("-p", path)).find("model")
    mass = sum(float(found.text) for found in sdf.findall("link/inertial/mass"))
    assert mass == pytest.approx(model.total_mass_kg, rel=1e-5)
    moving = {joint.name for joint in LinkTree(text(name)).moving}
    assert {j.get("name") for j in sdf.findall("joint")} == moving
    mounts = sensor_mounts(model, "r1")
    sensors = {s.get("name"): s for s in sdf.findall("link[@name='base_link']/sensor")}
    assert set(sensors) == {"imu", "lidar"}
    for sensor in sensors.values():
        pose = np.array([float(v) for v in sensor.findtext("pose").split()])
        wanted = mounts[sensor.findtext("gz_frame_id")]
        np.testing.assert_allclose(se3.from_rpy(pose[:3], pose[3:]), wanted, atol=1e-4)
    for joint, (stiffness, rest) in springs(name).items():
        dynamics = sdf.find(f"joint[@name='{joint}']/axis/dynamics")
        assert float(dynamics.findtext("spring_stiffness")) == pytest.approx(stiffness, rel=1e-5)
        assert float(dynamics.findtext("spring_reference")) == pytest.approx(rest, rel=1e-4)
