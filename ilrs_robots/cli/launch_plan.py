"""From the arguments of a launch file to what it starts, without ROS.

Launch files declare arguments and turn a plan into actions (``nodes/launch_actions.py``); what is
started, and what is refused, is decided here. Every refusal is one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ilrs_robots.cli.launch_arguments import Arguments
from ilrs_robots.cli.launch_tools import (
    Progress,
    foreign_state_publisher,
    gazebo_programs,
    programs_around,
)
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.shared_memory import choose_transport
from ilrs_robots.cli.supervisor import Policy
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots import tools
from ilrs_robots.robots.assembly import (
    ProcessSpec,
    chosen_robots,
    dds_environment,
    recorder_process,
    robot_processes,
    site_processes,
)
from ilrs_robots.robots.mission_assembly import (
    base_processes,
    mission_process,
    mission_robots,
    view_process,
)
from ilrs_robots.robots.mission_checks import load_mission
from ilrs_robots.robots.mission_file import read_mission
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names
from ilrs_robots.robots.site import SiteConfig, load_prior, load_site
from ilrs_robots.robots.tools import ToolSpec

LEVELS: Final = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class LaunchPlan:
    """What a launch file starts.

    Attributes:
        processes: ours and others', in start order.
        environment: variables of every process.
        remarks: lines for the user, said before anything starts.
        respawn: whether processes of vehicles are started again when they die.
        policy: after which delay, and after how many deaths all is given up.
        log_level: of every ROS node.
    """

    processes: tuple[ProcessSpec | ToolSpec, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    respawn: bool = True
    policy: Policy = field(default_factory=Policy)
    log_level: str = "info"


def site_plan(
    arguments: Mapping[str, str],
    folder: Path,
    machine: Machine,
    progress: Progress | None = None,
) -> LaunchPlan:
    """A whole site: simulator, vehicles, and what the user asks for beside them.

    Args:
        arguments: of ``site.launch.py``.
        folder: the run's own, for what processes keep and for generated files.
        machine: where it runs.
        progress: is told what takes long, and which share of it is done, 0 to 1.

    Raises:
        IlrsError: an argument is wrong, or the machine lacks something, in one line.
    """
    args = _checked(arguments)
    rtf = args.number("rtf", low=0.0)
    simulator = args.choice("sim", ("gazebo", "mujoco", "none"))
    use_sim_time = args.choice("use_sim_time", ("auto", "true", "false"))
    simulated = simulator != "none" if use_sim_time == "auto" else use_sim_time == "true"
    site, name, seed = _site(args)
    robots = chosen_robots(site, args.names("robots") or _of_mission(args))
    others, remarks = programs_around(args, site, robots, folder, machine, simulated=simulated)
    if simulator == "gazebo":
        others = [*gazebo_programs(args, site, name, robots, folder, machine, progress), *others]
    ours = site_processes(
        site,
        name,
        seed,
        robots=robots,
        rtf=rtf,
        record=_record(args),
        record_profile=_record_profile(args),
        composed=args.flag("composed"),
        state_dir=_state(folder),
        embedded=simulator == "mujoco",
        use_sim_time=simulated,
        autostart=args.flag("autostart"),
        state_publisher=not foreign_state_publisher(machine),
    )
    if mission := args.text("mission"):
        loaded = load_mission(mission, *load_prior(name, seed=seed))
        robots = mission_robots(loaded, site, robots)
        told = (mission, name, seed, robots)
        state = _state(folder)
        ours += base_processes(site, *told[1:], use_sim_time=simulated, state_dir=state)
        ours.append(mission_process(*told, use_sim_time=simulated, state_dir=state))
    if args.flag("view"):
        ours.append(view_process(name, seed, robots, simulated=simulated))
    return _plan(args, [*ours, *others], remarks, folder, machine)


def robot_plan(arguments: Mapping[str, str], folder: Path, machine: Machine) -> LaunchPlan:
    """One vehicle's nodes and gate, in simulation or on hardware.

    Raises:
        IlrsError: see ``site_plan``.
    """
    args = _checked(arguments)
    simulated = args.flag("use_sim_time")
    site, name, seed = _site(args)
    (robot,) = chosen_robots(site, (args.text("robot"),))
    ours = robot_processes(
        name,
        seed,
        robot,
        use_sim_time=simulated,
        composed=args.flag("composed"),
        autostart=args.flag("autostart"),
        state_publisher=not foreign_state_publisher(machine),
        state_dir=_state(folder),
        drives=isinstance(site.robot(robot).load_model(), RoverModel),
    )
    record = _record(args)
    if record is not None:
        profile = _record_profile(args)
        recorder = recorder_process(
            record, use_sim_time=simulated, profile=profile, site=name, seed=seed
        )
        ours.append(recorder)
    others, remarks = programs_around(args, site, (robot,), folder, machine, simulated=simulated)
    return _plan(args, [*ours, *others], remarks, folder, machine)


def gazebo_only_plan(
    arguments: Mapping[str, str],
    folder: Path,
    machine: Machine,
    progress: Progress | None = None,
) -> LaunchPlan:
    """Gazebo with a site's world, its vehicles and the bridge; no node of autonomy.

    Raises:
        IlrsError: see ``site_plan``.
    """
    args = _checked(arguments)
    site, name, _seed = _site(args)
    robots = chosen_robots(site, args.names("robots"))
    programs = gazebo_programs(args, site, name, robots, folder, machine, progress)
    return _plan(args, programs, [], folder, machine)


def replay_plan(arguments: Mapping[str, str], folder: Path, machine: Machine) -> LaunchPlan:
    """A bag's sensor topics into the vehicles' nodes, on the bag's clock.

    Raises:
        IlrsError: see ``site_plan``.
    """
    from ilrs_robots.cli.bag_topics import sensor_topics

    args = _checked(arguments)
    rate, delay_s = args.number("rate", low=0.01), args.number("delay", low=0.0)
    site, name, seed = _site(args)
    machine.require_package("ros2bag", "replay", "`ilrs` on the bag where it stands")
    bag = Path(args.text("bag")).expanduser()
    topics = sensor_topics(bag)
    wanted = args.names("robots") or tuple(r.name for r in site.robots if r.name in topics)
    if not wanted:
        raise ConfigError(
            f"bag:={bag}: holds no sensor topics of a robot of the site {site.name!r}; it has "
            f"those of {', '.join(sorted(topics)) or 'none'}"
        )
    robots = chosen_robots(site, wanted)
    for robot in robots:
        if robot not in topics:
            raise ConfigError(f"bag:={bag}: holds no sensor topics of {robot!r}")
    ours = site_processes(
        site,
        name,
        seed,
        robots=robots,
        record=_record(args),
        record_profile=_record_profile(args),
        composed=args.flag("composed"),
        embedded=False,
        state_publisher=not foreign_state_publisher(machine),
    )
    played = [topic for robot in robots for topic in topics[robot]]
    player = tools.bag_player_tool(bag, played, rate=rate, delay_s=delay_s)
    others, remarks = programs_around(args, site, robots, folder, machine, simulated=True)
    return _plan(args, [*ours, *others, player], remarks, folder, machine)


def _checked(arguments: Mapping[str, str]) -> Arguments:
    """The arguments, after a look at those that cost nothing to check."""
    args = Arguments(arguments)
    args.number("respawn_delay", low=0.0)
    args.choice("log_level", LEVELS)
    for name in ("respawn", "network", "composed", "autostart"):
        args.flag(name)
    return args


def _site(args: Arguments) -> tuple[SiteConfig, str, int]:
    """The site as it is, the name for its processes, and its seed."""
    name = args.text("site")
    if name.endswith((".yaml", ".yml")):
        name = str(Path(name).expanduser().absolute())
    site, _terrain = load_site(name, seed=args.optional_int("seed", low=0))
    return site, name, site.terrain.seed


def _of_mission(args: Arguments) -> tuple[str, ...]:
    """Vehicles that the mission has tasks for; none where there is no mission."""
    mission = args.text("mission")
    return tuple(read_mission(mission).mission.vehicles) if mission else ()


def _state(folder: Path) -> Path:
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    return state


def _record(args: Arguments) -> Path | None:
    text = args.text("record")
    if not text or text == "false":
        return None
    from ilrs_robots.cli.record import default_folder
    from ilrs_robots.cli.run import check_room

    record = default_folder() if text == "true" else Path(text).expanduser().absolute()
    check_room(record)
    return record


def _record_profile(args: Arguments) -> str:
    if not args.text("record_profile"):
        return DEFAULT_PROFILE
    return args.choice("record_profile", profile_names())


def _plan(
    args: Arguments,
    processes: Sequence[ProcessSpec | ToolSpec],
    remarks: Sequence[str],
    folder: Path,
    machine: Machine,
) -> LaunchPlan:
    """Put processes, transport and what happens to the dead together."""
    names = [process.name for process in processes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two processes of the name {name!r}")
    said = list(remarks)
    network = args.flag("network")
    transport = choose_transport(len(processes) + 1, folder)
    if transport.remark and not network:
        said.append(transport.remark)
    base = machine.environment
    dds = dds_environment(base, localhost_only=not network, profile=transport.profile)
    ours = {key: value for key, value in dds.items() if base.get(key) != value}
    if ours:
        exports = " ".join(f"{key}={value}" for key, value in sorted(ours.items()))
        said.append(f"other terminals hear these nodes after: export {exports}")
    policy = replace(Policy(), first_delay_s=args.number("respawn_delay", low=0.0))
    return LaunchPlan(
        tuple(processes),
        dds,
        tuple(said),
        respawn=args.flag("respawn"),
        policy=policy,
        log_level=args.choice("log_level", LEVELS),
    )
