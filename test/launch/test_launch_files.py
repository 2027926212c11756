"""The launch files: a manual, the assembly and nothing else, a start and a clean stop.

Where ``launch`` is not installed (the wheel environment) the files are read as syntax trees; the
rest runs on a ROS machine.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from ilrs_robots.cli.launch_plan import site_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.robots.assembly import PACKAGE, ProcessSpec
from ilrs_robots.robots.interfaces import DRIVER, contract

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / "launch").glob("*.launch.py"))
NAMES = {"site", "robot", "gazebo", "replay"}
DRIVERS = REPOSITORY / "deploy" / "launch" / "robot.launch.py"
ACTIONS = REPOSITORY / "ilrs_robots" / "nodes" / "launch_actions.py"
UP_S = 120.0


# -- without launch -----------------------------------------------------------------------------
def calls(path: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
            yield node


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def test_there_is_one_file_per_concern() -> None:
    assert {path.name.removesuffix(".launch.py") for path in FILES} == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_argument_says_what_it_is_for(path: Path) -> None:
    declared = list(calls(path, "DeclareLaunchArgument"))
    assert len(declared) >= 8
    for call in declared:
        doc = keyword(call, "description")
        assert doc is not None, ast.unparse(call)
        assert len(ast.literal_eval(doc).split()) >= 4, ast.unparse(call)
        default = keyword(call, "default_value")
        if isinstance(default, ast.Constant) and default.value in ("true", "false"):
            assert keyword(call, "choices") is not None, ast.unparse(call)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_launch_file_names_no_node_and_no_number_of_a_configuration(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and _number(n.value)]
    for executable in ("robot_node", "command_gate", "embedded_sim", "gz sim", "parameter_bridge"):
        assert executable not in text
    for maker in ("Node", "ExecuteProcess", "IncludeLaunchDescription"):
        assert not list(calls(path, maker))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_no_node_is_given_a_name() -> None:
    """It would rename every node inside a composed process."""
    made = list(calls(ACTIONS, "Node"))
    assert len(made) >= 2
    for call in made:
        assert keyword(call, "exec_name") is not None
    for call in [*made, *calls(DRIVERS, "Node")]:
        assert keyword(call, "name") is None


def test_the_example_of_drivers_feeds_all_that_a_rover_takes_whatever_its_name() -> None:
    tree = ast.parse(DRIVERS.read_text(encoding="utf-8"))
    (topic_map,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TOPIC_MAP"
    )
    named = {name for topics in topic_map.values() for name in topics.values()}
    wanted = {row.name for row in contract(drives=True) if row.source == DRIVER}
    assert named == wanted | {"cmd_vel"}
    started = {ast.literal_eval(call.args[0]) for call in calls(DRIVERS, "driver")}
    assert started == set(topic_map)
    (body,) = (n for n in tree.body if getattr(n, "name", "") == "generate_launch_description")
    texts = [str(n.value) for n in ast.walk(body) if isinstance(n, ast.Constant)]
    assert [text for text in texts if "crewed_rover" in text] == ["crewed_rover"]  # the default


def test_the_files_read_no_argument_that_they_do_not_declare() -> None:
    """What the plans ask for by name is declared where the plan is made."""
    asked = set()
    for path in sorted((REPOSITORY / "ilrs_robots" / "cli").glob("launch_*.py")):
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(r'args\.\w+\(\s*"(\w+)"', text))
    declared = {
        ast.literal_eval(call.args[0])
        for path in FILES
        for call in calls(path, "DeclareLaunchArgument")
    }
    assert asked <= declared
    assert declared - asked <= {"respawn", "network", "composed", "autostart"}


# -- with launch --------------------------------------------------------------------------------
@pytest.fixture
def ros_launch() -> ModuleType:
    pytest.importorskip("launch.actions", reason="ros2 launch is not installed")
    pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")
    import launch

    return launch


def described(name: str, folder: Path = FILES[0].parent) -> Any:
    spec = importlib.util.spec_from_file_location(f"{name}_launch", folder / f"{name}.launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def evaluated(launch: ModuleType, name: str, **arguments: str) -> tuple[list[Any], Any]:
    """The actions of a launch file with these arguments, not started, and their context."""
    context = launch.LaunchContext(argv=[])
    context.launch_configurations.update(arguments)
    found: list[Any] = []
    for entity in described(name).entities:
        found += entity.visit(context) or []
    for action in found:
        if type(action).__name__ == "SetEnvironmentVariable":
            action.execute(context)
    return found, context


@pytest.mark.parametrize("name", sorted(NAMES))
def test_show_args_reads_like_a_manual(ros_launch: ModuleType, name: str) -> None:
    for argument in described(name).get_launch_arguments():
        assert argument.description
        assert argument.description != "no description given"
        if argument.choices is not None and argument.default_value is not None:
            (default,) = argument.default_value
            assert default.text in argument.choices


def test_the_example_of_drivers_can_be_loaded(ros_launch: ModuleType) -> None:
    nodes = [e for e in described("robot", DRIVERS.parent).entities if type(e).__name__ == "Node"]
    assert "ros2_control_node" in {node.node_executable for node in nodes}


@pytest.mark.parametrize("composed", ["true", "false"])
def test_what_is_launched_is_the_assembly(
    ros_launch: ModuleType, tmp_path: Path, composed: str
) -> None:
    actions, context = evaluated(ros_launch, "site", composed=composed, log_level="warn")
    nodes = [a for a in actions if type(a).__name__ == "Node"]
    arguments = {**context.launch_configurations}
    plan = site_plan(arguments, tmp_path, Machine())
    ours = [spec for spec in plan.processes if isinstance(spec, ProcessSpec)]
    launched = {}
    for node in nodes:
        if node.node_package == PACKAGE:
            text = " ".join(_perform(ros_launch, context, part) for part in node.cmd[1:])
            launched[_perform(ros_launch, context, node.process_description.name)] = (
                node.node_executable,
                text,
            )
    assert set(launched) == {spec.name for spec in ours}
    for spec in ours:
        executable, text = launched[spec.name]
        assert executable == spec.executable
        assert "__node" not in text
        for key, value in spec.parameters.items():
            if key != "state_dir":  # each launch has its own
                shown = str(value).lower() if isinstance(value, bool) else str(value)
                assert re.search(rf'-p {key}:="?{re.escape(shown)}"?( |$)', text), (key, text)
        assert "--log-level warn" in text
    assert len(nodes) == len(plan.processes)


def _perform(launch: ModuleType, context: Any, substitutions: Any) -> str:
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

    if substitutions is None:
        return ""
    try:
        parts = normalize_to_list_of_substitutions(substitutions)
        return str(perform_substitutions(context, parts))
    except Exception:  # what only a running node knows
        return ""


def test_the_transport_is_set_for_every_process(ros_launch: ModuleType) -> None:
    _actions, context = evaluated(ros_launch, "robot", robot="long_range")
    assert context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith(".xml")
    assert context.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("site", {"site": "nowhere"}, "nowhere"),
        ("site", {"sim": "webots"}, "gazebo"),
        ("site", {"robots": "long_range,long_range"}, "two robots"),
        ("robot", {"robot": "submarine"}, "submarine"),
        ("replay", {"bag": "/nowhere"}, "replay|no bag"),
    ],
)
def test_a_wrong_argument_ends_the_launch_in_one_line(
    ros_launch: ModuleType, name: str, arguments: dict[str, str], words: str
) -> None:
    with pytest.raises(RuntimeError, match=words) as caught:
        evaluated(ros_launch, name, **arguments)
    assert "\n" not in str(caught.value)


def test_one_death_is_handled_as_configured(ros_launch: ModuleType, tmp_path: Path) -> None:
    """The simulator's ends all, a vehicle's is a new start until there are too many."""
    from launch.events.process import ProcessExited

    from ilrs_robots.cli.launch_plan import LaunchPlan
    from ilrs_robots.nodes.launch_actions import _Post
    from ilrs_robots.robots.assembly import recorder_process, robot_processes, simulation_process
    from ilrs_robots.robots.tools import ToolSpec

    gate = robot_processes("shackleton", 1, "long_range", use_sim_time=True)[-1]
    sim = simulation_process("shackleton", 1, ("long_range",), rtf=0.0)
    recorder = recorder_process(tmp_path / "bag", use_sim_time=True)
    spawner = ToolSpec("spawn", "create", "ros_gz_sim", once=True)
    plan = LaunchPlan((gate, sim, recorder, spawner), policy=Policy(max_deaths=3))
    context = ros_launch.LaunchContext(argv=[])

    class Loop:
        @staticmethod
        def time() -> float:
            return 100.0

    context._set_asyncio_loop(Loop())

    def ends(post: _Post, code: int) -> Any:
        event = ProcessExited(
            action=None, name="x", cmd=[], cwd=None, env=None, pid=1, returncode=code
        )
        return post._on_exit(event, context)

    post = _Post(plan, gate, {})
    assert ends(post, -9) is None  # launch's own respawn does it
    assert ends(post, -9) is None
    with pytest.raises(RuntimeError, match="3 deaths"):
        ends(post, -9)
    with pytest.raises(RuntimeError, match="nothing goes on without it"):
        ends(_Post(plan, sim, {}), 1)
    assert [type(a).__name__ for a in ends(_Post(plan, sim, {}), 0)] == ["Shutdown"]
    again = _Post(plan, recorder, {})
    assert [type(a).__name__ for a in ends(again, -9)] == ["TimerAction"]
    assert again.life == 2
    assert ends(_Post(plan, spawner, {}), 0) is None
    with pytest.raises(RuntimeError, match="not done"):
        ends(_Post(plan, spawner, {}), 1)
    still = LaunchPlan((gate,), respawn=False, policy=Policy(max_deaths=1))
    assert ends(_Post(still, gate, {}), -9) is None


# -- a start and a clean stop -------------------------------------------------------------------
def program(module: str, function: str, *arguments: str) -> list[str]:
    """A console script of ROS, on this very Python."""
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return [sys.executable, "-c", code, *arguments]


@pytest.fixture
def installed(ros_launch: ModuleType, domain_id: int) -> None:
    """A ROS machine with this package on it, and a domain of its own."""
    for module in ("launch_testing", "ros2launch"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    if not Machine().has_package(PACKAGE):
        pytest.skip("the package is not installed where ros2 launch looks for it")


@pytest.fixture
def started(installed: None, tmp_path: Path) -> Iterator[Any]:
    said = tmp_path / "said.txt"
    site = str(REPOSITORY / "launch" / "site.launch.py")
    command = program(
        "ros2cli.cli", "main", "launch", site, "robots:=long_range", "headless:=true"
    )
    with said.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    yield process, said
    if process.poll() is None:
        process.kill()
    process.wait()


def processes_of_one_vehicle() -> int:
    """Simulator, nodes, gate; a ROS machine's own state publisher beside them."""
    return 3 + Machine().has_package("robot_state_publisher")


@pytest.mark.launch
@pytest.mark.timeout(240)
def test_it_comes_up_and_ctrl_c_leaves_nothing(started: Any) -> None:
    process, said = started
    family: set[psutil.Process] = set()
    deadline = time.monotonic() + UP_S
    while "every vehicle listens" not in said.read_text(errors="replace"):
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        family |= set(psutil.Process(process.pid).children(recursive=True))
        time.sleep(0.1)
    assert len(family) >= 3
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0, said.read_text()
    text = said.read_text()
    assert text.count("process has finished cleanly") == processes_of_one_vehicle()
    assert "process has died" not in text
    assert not [p for p in family if p.is_running()]


@pytest.mark.launch
@pytest.mark.timeout(300)
def test_launch_testing_sees_a_start_and_a_clean_stop(installed: None) -> None:
    case = str(Path(__file__).with_name("launch_testing_site.py"))
    done = subprocess.run(
        program("launch_testing.launch_test", "main", case),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
