"""From launch arguments to what is started, without ROS: what runs, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ilrs_robots.cli.launch_plan import (
    LaunchPlan,
    gazebo_only_plan,
    replay_plan,
    robot_plan,
    site_plan,
)
from ilrs_robots.cli.machine import Machine
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import ProcessSpec, dds_environment, site_processes
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import load_site
from ilrs_robots.robots.tools import ToolSpec

DEFAULTS = {
    "site": "shackleton", "sim": "mujoco", "robots": "", "headless": "false", "rviz": "false",
    "foxglove": "false", "gamepad": "", "record": "", "log_level": "info", "use_sim_time": "auto",
    "composed": "true", "autostart": "true", "respawn": "true", "respawn_delay": "0.5",
    "lidar": "gazebo", "rtf": "0.0", "seed": "", "network": "false",
}  # fmt: skip
TWO = """
name: two
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-01-15T00:00:00Z"
terrain: {kind: procedural, seed: 5}
robots:
  - {name: a, model: long_range, x_m: -10.0}
  - {name: b, model: long_range, x_m: 10.0}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    """A machine that has some ROS packages, commands and variables, and nothing else."""

    def make(*packages: str, commands: tuple[str, ...] = (), **variables: str) -> Machine:
        index = tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True, exist_ok=True)
        for package in packages:
            (index / package).touch()
        (tmp_path / "bin").mkdir(exist_ok=True)
        for command in commands:
            (tmp_path / "bin" / command).touch(mode=0o755)
        return Machine(
            {
                "AMENT_PREFIX_PATH": str(tmp_path / "prefix"),
                "PATH": str(tmp_path / "bin"),
                "ROS_DISTRO": "jazzy",
                **variables,
            }
        )

    return make


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.yaml"
    path.write_text(TWO)
    return str(path)


def plan_of(tmp_path: Path, machine: Machine, **arguments: str) -> LaunchPlan:
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    return site_plan({**DEFAULTS, **arguments}, folder, machine)


def by_name(plan: LaunchPlan) -> dict[str, Any]:
    return {process.name: process for process in plan.processes}


# -- what runs ----------------------------------------------------------------------------------
def test_the_embedded_site_is_the_assembly_and_nothing_else(
    tmp_path: Path, machine: Callable[..., Machine], two: str
) -> None:
    plan = plan_of(tmp_path, machine(), site=two, rtf="2.5", record=str(tmp_path / "bag"))
    site, _terrain = load_site(two)
    wanted = site_processes(
        site, two, 5, rtf=2.5, record=tmp_path / "bag", state_dir=tmp_path / "run" / "state"
    )
    assert list(plan.processes) == wanted
    assert plan.environment == dds_environment({})
    for spec in wanted:  # what launch hands on is what `ilrs sim` hands on
        assert spec.arguments()[-len(spec.parameter_arguments()) :] == spec.parameter_arguments()
    assert (tmp_path / "run" / "state").is_dir()


@pytest.mark.parametrize("composed", ["true", "false"])
@pytest.mark.parametrize("sim", ["mujoco", "none"])
def test_every_vehicle_has_a_gate_of_its_own(
    tmp_path: Path, machine: Callable[..., Machine], two: str, composed: str, sim: str
) -> None:
    plan = plan_of(tmp_path, machine(), site=two, sim=sim, composed=composed)
    gates = [spec for spec in plan.processes if "command_gate" in spec.nodes]
    assert [spec.namespace for spec in gates] == ["a", "b"]
    assert all(spec.nodes == ("command_gate",) for spec in gates)
    nodes = sorted(node for spec in plan.processes for node in spec.nodes)
    vehicle = ["command_gate", "health", "localization", "navigation", "power"]
    vehicle += ["state_publisher", "terrain_mapping"]
    assert nodes == sorted([*vehicle, *vehicle, *(["embedded_sim"] if sim == "mujoco" else [])])
    if composed == "false":
        assert all(len(spec.nodes) == 1 for spec in plan.processes)


@pytest.mark.parametrize(
    ("sim", "asked", "simulated"),
    [
        ("mujoco", "auto", True), ("none", "auto", False), ("none", "true", True),
        ("mujoco", "false", False),
    ],
)  # fmt: skip
def test_where_time_comes_from(
    tmp_path: Path, machine: Callable[..., Machine], sim: str, asked: str, simulated: bool
) -> None:
    plan = plan_of(tmp_path, machine(), sim=sim, use_sim_time=asked)
    clocks = {s.parameters["use_sim_time"] for s in plan.processes if s.name != "sim"}
    assert clocks == {simulated}


def test_a_site_of_three_starts_what_each_vehicle_is(
    tmp_path: Path, machine: Callable[..., Machine]
) -> None:
    plan = plan_of(tmp_path, machine(), site="three")
    nodes = {spec.namespace: set(spec.nodes) for spec in plan.processes if spec.namespace}
    assert set(nodes) == {"long_range", "crewed_rover", "hopper"}
    driving = {spec.namespace for spec in plan.processes if "command_gate" in spec.nodes}
    assert driving == {"long_range", "crewed_rover"}
    hopper = {**DEFAULTS, "site": "three", "robot": "hopper"}
    alone = robot_plan({**hopper, "use_sim_time": "false"}, tmp_path, machine())
    assert not [spec for spec in alone.processes if "command_gate" in spec.nodes]


def test_only_the_simulator_is_essential(tmp_path: Path, machine: Callable[..., Machine]) -> None:
    plan = plan_of(tmp_path, machine())
    assert [s.name for s in plan.processes if s.essential] == ["sim"]


def test_a_vehicle_alone_is_on_hardware_unless_told_otherwise(
    tmp_path: Path, machine: Callable[..., Machine], two: str
) -> None:
    arguments = {**DEFAULTS, "use_sim_time": "false", "autostart": "false", "site": two}
    plan = robot_plan({**arguments, "robot": "b"}, tmp_path, machine())
    assert [spec.name for spec in plan.processes] == ["b", "b.gate"]
    for spec in plan.processes:
        assert spec.parameters["use_sim_time"] is False
        assert spec.parameters["autostart"] is False
        assert spec.parameters["robot"] == spec.namespace == "b"


def test_a_ros_machine_has_its_own_state_publisher_and_ours_is_left_out(
    tmp_path: Path, machine: Callable[..., Machine], two: str
) -> None:
    plan = plan_of(tmp_path, machine("robot_state_publisher"), site=two)
    ours = [s for s in plan.processes if isinstance(s, ProcessSpec)]
    assert not [spec for spec in ours if "state_publisher" in spec.nodes]
    tool = by_name(plan)["b.robot_state_publisher"]
    assert isinstance(tool, ToolSpec)
    assert tool.parameters is not None
    assert tool.parameters["frame_prefix"] == "b/"
    assert tool.namespace == "b"
    assert "<robot" in str(tool.parameters["robot_description"])


def test_gazebo_gets_world_vehicles_bridge_and_drive_and_no_embedded_simulator(
    tmp_path: Path, machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = machine("ros_gz_sim", "ros_gz_bridge", commands=("gz",), ROS_DOMAIN_ID="7")
    plan = plan_of(tmp_path, here, sim="gazebo", headless="true")
    found = by_name(plan)
    assert "sim" not in found
    assert "gazebo_window" not in found
    gazebo, spawn, bridge = found["gazebo"], found["spawn.long_range"], found["bridge"]
    assert gazebo.essential
    assert {"-s", "-r", "--headless-rendering"} <= set(gazebo.arguments)
    assert gazebo.arguments.count("-s") == 1
    assert Path(gazebo.arguments[-1]).is_file()
    assert gazebo.environment == {"GZ_IP": "127.0.0.1", "GZ_PARTITION": "ros_domain_7"}
    assert spawn.once
    assert "<gazebo" in Path(spawn.parameters["file"]).read_text()
    assert Path(bridge.parameters["config_file"]).is_file()
    assert found["long_range.drive"].executable == "gazebo_drive"
    assert found["gazebo_support"].essential
    assert {"long_range", "long_range.gate"} <= set(found)


def test_gazebo_alone_with_a_window(
    tmp_path: Path, machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = machine("ros_gz_sim", "ros_gz_bridge", commands=("gz",), DISPLAY=":0")
    found = by_name(gazebo_only_plan({**DEFAULTS, "lidar": "raycast"}, tmp_path, here))
    assert "--headless-rendering" not in found["gazebo"].arguments
    assert found["gazebo_window"].arguments == ("sim", "-g")
    assert not found["gazebo_window"].essential
    assert "lidar_fallback" in found["gazebo_support"].nodes
    assert not {"long_range", "long_range.gate"} & set(found)
    assert {"spawn.long_range", "long_range.drive", "bridge"} <= set(found)


def test_views_and_gamepad(tmp_path: Path, machine: Callable[..., Machine], two: str) -> None:
    packages = ("rviz2", "foxglove_bridge", "joy", "teleop_twist_joy")
    here = machine(*packages, DISPLAY=":0")
    plan = plan_of(tmp_path, here, site=two, rviz="true", foxglove="true", gamepad="b")
    found = by_name(plan)
    layout = Path(found["rviz"].arguments[1])
    assert "/a/plan" in layout.read_text()
    assert any("grid_map_rviz_plugin" in line for line in plan.remarks)
    assert any("foxglove.json" in line for line in plan.remarks)
    teleop, limits = found["b.teleop"], load_robot("long_range").limits
    assert teleop.parameters["scale_linear.x"] == limits.max_speed_mps
    assert teleop.parameters["scale_angular.yaw"] == limits.max_yaw_rate_rps
    assert teleop.parameters["frame"] == "b/base_link"
    assert ("cmd_vel", "cmd_vel_teleop") in teleop.remappings
    assert teleop.parameters["use_sim_time"] is True
    assert teleop.parameter_file.is_file()


METADATA = """
rosbag2_bagfile_information:
  topics_with_message_count:
    - {topic_metadata: {name: /clock}, message_count: 9}
    - {topic_metadata: {name: /tf}, message_count: 9}
    - {topic_metadata: {name: /b/imu/data}, message_count: 50}
    - {topic_metadata: {name: /b/lidar/points}, message_count: 5}
    - {topic_metadata: {name: /b/joint_states}, message_count: 0}
    - {topic_metadata: {name: /b/odom}, message_count: 25}
    - {topic_metadata: {name: /b/truth/odom}, message_count: 25}
"""


def test_a_replay_plays_sensors_alone_on_the_bags_clock(
    tmp_path: Path, machine: Callable[..., Machine], two: str
) -> None:
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text(METADATA)
    arguments = {**DEFAULTS, "site": two, "bag": str(bag), "rate": "2.0", "delay": "3.0"}
    plan = replay_plan(arguments, tmp_path, machine("ros2bag"))
    found = by_name(plan)
    assert list(found) == ["b", "b.gate", "player"]
    player = found["player"].arguments
    assert player[player.index("--topics") + 1 :] == ("/b/imu/data", "/b/lidar/points")
    assert "--clock" in player
    assert player[player.index("--rate") + 1] == "2"
    assert found["player"].essential
    assert found["b"].parameters["use_sim_time"] is True


# -- what is refused ----------------------------------------------------------------------------
def refusal(make: Callable[[], object]) -> str:
    """The one line of a refusal."""
    with pytest.raises(IlrsError) as caught:
        make()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"site": "nowhere"}, ("nowhere", "shackleton")),
        ({"site": "/nowhere.yaml"}, ("/nowhere.yaml", "no such file")),
        ({"robots": "submarine"}, ("submarine", "long_range")),
        ({"robots": "long_range,long_range"}, ("two robots", "long_range")),
        ({"sim": "webots"}, ("sim:=webots", "gazebo, mujoco, none")),
        ({"rtf": "fast"}, ("rtf:=fast", "number")),
        ({"rtf": "-1"}, ("rtf:=-1", "0 or more")),
        ({"rtf": "nan"}, ("rtf:=nan",)),
        ({"seed": "1.5"}, ("seed:=1.5", "whole")),
        ({"respawn_delay": "-2"}, ("respawn_delay:=-2",)),
        ({"composed": "maybe"}, ("composed:=maybe", "true, false")),
        ({"log_level": "loud"}, ("log_level:=loud", "warn")),
        ({"gamepad": "hopper"}, ("gamepad:=hopper", "long_range")),
        ({"gamepad": "long_range"}, ("joy", "sudo apt install ros-jazzy-joy")),
        ({"foxglove": "true"}, ("foxglove:=true", "ros-jazzy-foxglove-bridge")),
        ({"rviz": "true"}, ("rviz:=true", "DISPLAY", "rviz:=false")),
        ({"sim": "gazebo"}, ("ros_gz_sim", "ros-jazzy-ros-gz`", "sim:=mujoco", "works now")),
    ],
)
def test_a_wrong_argument_is_one_line_with_what_to_do(
    tmp_path: Path,
    machine: Callable[..., Machine],
    arguments: dict[str, str],
    words: tuple[str, ...],
) -> None:
    said = refusal(lambda: plan_of(tmp_path, machine(), **arguments))
    for word in words:
        assert word in said


def test_a_display_is_needed_only_for_windows(
    tmp_path: Path, machine: Callable[..., Machine]
) -> None:
    here = machine("ros_gz_sim", "ros_gz_bridge", "rviz2", commands=("gz",))
    said = refusal(lambda: plan_of(tmp_path, here, sim="gazebo"))
    assert "headless:=true" in said
    shown = machine(DISPLAY=":0")
    assert "rviz2" in refusal(lambda: plan_of(tmp_path, machine_without_rviz(shown), rviz="true"))
    assert plan_of(tmp_path, machine(), headless="true").processes
    assert plan_of(tmp_path, machine(), headless="false").processes  # no window is ever opened


def machine_without_rviz(machine: Machine) -> Machine:
    return Machine({**machine.environment, "AMENT_PREFIX_PATH": os.devnull})


def test_gazebo_without_its_command(tmp_path: Path, machine: Callable[..., Machine]) -> None:
    here = machine("ros_gz_sim", "ros_gz_bridge")
    said = refusal(lambda: plan_of(tmp_path, here, sim="gazebo", headless="true"))
    assert "gz is not on the PATH" in said
    assert "sim:=mujoco" in said


def test_a_missing_dem_is_named(tmp_path: Path, machine: Callable[..., Machine]) -> None:
    path = tmp_path / "mine.yaml"
    terrain = "{kind: geotiff, seed: 5, geotiff: lost.tif}"
    path.write_text(TWO.replace("{kind: procedural, seed: 5}", terrain))
    for make in (plan_of, one_robot):
        said = refusal(lambda make=make: make(tmp_path, machine(), site=str(path)))
        assert "lost.tif" in said
        assert "mine.yaml" in said


def one_robot(tmp_path: Path, machine: Machine, **arguments: str) -> LaunchPlan:
    given = {**DEFAULTS, "use_sim_time": "false", "robot": "a", **arguments}
    return robot_plan(given, tmp_path, machine)


def test_two_robots_of_one_name_in_the_site(
    tmp_path: Path, machine: Callable[..., Machine]
) -> None:
    path = tmp_path / "twins.yaml"
    path.write_text(TWO.replace("name: b", "name: a"))
    said = refusal(lambda: plan_of(tmp_path, machine(), site=str(path)))
    assert "two robots of the name 'a'" in said


def test_a_bag_that_is_none(tmp_path: Path, machine: Callable[..., Machine], two: str) -> None:
    arguments = {**DEFAULTS, "site": two, "bag": str(tmp_path / "lost"), "rate": "1"}
    here = machine("ros2bag")
    assert "no bag there" in refusal(lambda: replay_plan(arguments, tmp_path, here))
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "metadata.yaml").write_text("rosbag2_bagfile_information: 3")
    assert "metadata" in refusal(lambda: replay_plan(arguments, tmp_path, here))
    (tmp_path / "lost" / "metadata.yaml").write_text(METADATA.replace("/b/", "/other/"))
    assert "other" in refusal(lambda: replay_plan(arguments, tmp_path, here))


def test_a_bag_that_exists_is_not_written_over(
    tmp_path: Path, machine: Callable[..., Machine]
) -> None:
    said = refusal(lambda: plan_of(tmp_path, machine(), record=str(tmp_path)))
    assert "exists already" in said


def test_the_users_own_transport_is_kept_and_the_rest_is_said(
    tmp_path: Path, machine: Callable[..., Machine]
) -> None:
    plan = plan_of(tmp_path, machine())
    assert any("other terminals" in line and "FASTRTPS" in line for line in plan.remarks)
    mine = tmp_path / "mine.xml"
    mine.write_text("<dds/>", encoding="utf-8")
    theirs = plan_of(tmp_path, machine(FASTRTPS_DEFAULT_PROFILES_FILE=str(mine)))
    assert theirs.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(mine)
    wide = plan_of(tmp_path, machine(), network="true")
    assert wide.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def run_python(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_launch_runs_on_the_distributions_python(tmp_path: Path) -> None:
    """`ros2 launch` is /usr/bin/python3: it does not see what pip put into our environment."""
    arguments = {**DEFAULTS, "record": str(tmp_path / "bag")}
    run_python(f"""
import sys
for name in ("open3d", "small_gicp", "clarabel", "mujoco", "rosbags", "viser", "evo", "mcap",
             "astronomy"):
    sys.modules[name] = None
from pathlib import Path
from ilrs_robots.cli.launch_plan import site_plan
from ilrs_robots.cli.machine import Machine
site_plan({arguments!r}, Path({str(tmp_path)!r}), Machine({{}}))
""")


def test_a_launch_file_needs_no_compiler_before_it_looks_for_one(tmp_path: Path) -> None:
    """It lies in our environment; the distribution's Python may have none."""
    said = run_python(
        """
import sys
from ilrs_robots.cli.own_packages import see_compiler
from ilrs_robots.core.errors import ConfigError
assert "numba" not in sys.modules
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "numba" else find(name)
try:
    see_compiler()
except ConfigError as error:
    print(error)
"""
    )
    assert "finds no numba" in said
    assert "constraints-ros-jazzy.txt" in said
    assert len(said.splitlines()) == 1


def test_gazebos_world_finds_what_only_our_environment_has(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "venv" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "astronomy_of_ours.py").touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    programs = tmp_path / "prefix" / "lib" / "ilrs_robots"
    programs.mkdir(parents=True)
    (programs / "ilrs").write_text(f"#!{tmp_path}/venv/bin/python\nimport sys\n")
    said = run_python(
        """
from ilrs_robots.cli import own_packages
from ilrs_robots.core.errors import ConfigError
own_packages.NEEDED = "astronomy_of_ours"
own_packages.see_own_packages("sim:=gazebo", "sim:=mujoco")
import astronomy_of_ours
own_packages.NEEDED = "nobody_has_this"
try:
    own_packages.see_own_packages("sim:=gazebo", "sim:=mujoco")
except ConfigError as error:
    print(error)
""",
        AMENT_PREFIX_PATH=str(tmp_path / "prefix"),
    )
    assert "sim:=gazebo" in said
    assert "sim:=mujoco" in said
    assert len(said.splitlines()) == 1


def test_a_mission_brings_its_vehicles_and_the_base(
    machine: Callable[..., Machine], tmp_path: Path
) -> None:
    plan = site_plan({**DEFAULTS, "mission": "two_rovers"}, tmp_path, machine())
    specs = {spec.name: spec for spec in plan.processes}
    assert {"sim", "long_range", "crewed_rover", "base", "mission"} <= set(specs)
    assert "hopper" not in specs
    mission = specs["mission"]
    assert isinstance(mission, ProcessSpec)
    assert mission.parameters["robots"] == "long_range,crewed_rover"
    with pytest.raises(IlrsError, match="three_vehicles"):
        site_plan({**DEFAULTS, "mission": "three_vehicle"}, tmp_path, machine())
    with pytest.raises(IlrsError, match="has tasks for long_range, not for hopper"):
        site_plan(
            {**DEFAULTS, "mission": "long_range_tour", "robots": "hopper"}, tmp_path, machine()
        )
