"""What a robot or a site consists of: processes, nodes, parameters, remappings, as plain data.

Launch files turn this data into ``Node`` actions and ``ilrs sim`` turns it into processes;
neither adds anything of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE
from ilrs_robots.robots.site import SiteConfig

PACKAGE: Final = "ilrs_robots"
ROBOT_NODES: Final = (
    "state_publisher", "localization", "terrain_mapping", "navigation", "power", "health",
)  # fmt: skip
"""Nodes of one vehicle that share a process by default."""

HOPPER_NODES: Final = ("state_publisher", "flight", "power", "health")
"""Nodes of a hopper. It has no gate: its actuator end lands it when commands stop."""
GATE: Final = "command_gate"
PROFILE_KEYS: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Environment variables that name Fast DDS's profile; version 3 reads the second one."""
SHIPPED_PROFILES: Final = ("localhost", "network")

ParameterValue = str | bool | int | float


def nodes_of(*, drives: bool) -> tuple[str, ...]:
    """Names of the nodes that report the health of one vehicle, in whatever process.

    Args:
        drives: whether it is a rover; otherwise it hops.
    """
    ours = (*ROBOT_NODES, GATE) if drives else HOPPER_NODES
    return tuple(node for node in ours if node != "state_publisher")


def mover_of(*, drives: bool) -> str:
    """Name of the node that takes a vehicle's goals.

    Args:
        drives: whether it is a rover.
    """
    return "navigation" if drives else "flight"


@dataclass(frozen=True)
class ProcessSpec:
    """One operating-system process.

    Attributes:
        name: unique name for logs.
        executable: installed program of this package.
        namespace: ROS namespace of every node inside, without slashes; empty for the root.
        nodes: names of the nodes inside.
        parameters: ROS parameters that every node inside gets.
        new_folder: parameter that names a folder which must be a new one at every start.
        essential: whether the others are of no use without it.
        spare: whether the others go on when it is given up.
    """

    name: str
    executable: str
    namespace: str
    nodes: tuple[str, ...]
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    new_folder: str = ""
    essential: bool = False
    spare: bool = False

    def __post_init__(self) -> None:
        """Keep the parameters from being changed."""
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def again(self, life: int) -> ProcessSpec:
        """The process as it is started for the second, third, ... time."""
        if not self.new_folder:
            return self
        folder = f"{self.parameters[self.new_folder]}_{life}"
        return replace(self, parameters={**self.parameters, self.new_folder: folder})

    def parameter_arguments(self) -> list[str]:
        """The parameters as ROS arguments."""
        args = []
        for key, value in sorted(self.parameters.items()):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if isinstance(value, str):
                text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            args += ["-p", f"{key}:={text}"]
        return args

    def arguments(self) -> list[str]:
        """The program's command-line arguments."""
        namespace = ["-r", f"__ns:=/{self.namespace}"] if self.namespace else []
        return ["--ros-args", *namespace, *self.parameter_arguments()]


def dds_profile(name: str = "localhost") -> Path:
    """A transport profile that the package ships: ``localhost`` or ``network``."""
    return share_dir() / "config" / "dds" / f"fastdds_{name}.xml"


def dds_environment(
    base: Mapping[str, str], *, localhost_only: bool = True, profile: Path | None = None
) -> dict[str, str]:
    """Environment that every process gets: transport profile and range of discovery.

    Values that the caller's environment already holds are kept. Our profile holds everything on
    loopback by itself; ``LOCALHOST`` would add sockets on every interface to it, so that range is
    for a profile of the caller's own and for middleware that does not read one.

    Args:
        base: the caller's environment.
        localhost_only: whether nothing shall leave this machine; otherwise the shipped network
            profile and the range SUBNET replace what the environment holds.
        profile: used instead of the shipped one.

    Raises:
        ConfigError: the environment names a profile that is not there or is no XML. Fast DDS would
            fall back to multicast on every interface with a line in its log.
    """
    rmw = base.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    env = {"RMW_IMPLEMENTATION": rmw}
    if not localhost_only:
        wide = dict.fromkeys(PROFILE_KEYS, str(dds_profile("network")))
        return {**env, **wide, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    if not rmw.startswith("rmw_fastrtps"):
        return {**env, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    theirs = next((base[key] for key in PROFILE_KEYS if base.get(key)), None)
    shipped = dds_profile()
    if theirs is not None and Path(theirs).resolve() != shipped.resolve():
        _readable(theirs)
        ours, reach = theirs, base.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    else:
        ours, reach = str(profile or shipped), "SYSTEM_DEFAULT"
    return {**env, **dict.fromkeys(PROFILE_KEYS, ours), "ROS_AUTOMATIC_DISCOVERY_RANGE": reach}


def _readable(profile: str) -> None:
    from xml.etree import ElementTree

    try:
        ElementTree.parse(profile)
    except (OSError, ElementTree.ParseError) as error:
        raise ConfigError(
            f"{PROFILE_KEYS[0]}={profile}: {error}; without it DDS opens every interface: copy "
            "config/dds/fastdds_localhost.xml there, or write one with ilrs deploy profile"
        ) from error


def robot_processes(
    site: str,
    seed: int,
    robot: str,
    *,
    use_sim_time: bool,
    composed: bool = True,
    autostart: bool = True,
    state_publisher: bool = True,
    state_dir: Path | None = None,
    drives: bool = True,
) -> list[ProcessSpec]:
    """Processes of one vehicle: its nodes and, on its own, a rover's command gate.

    Args:
        site: what its processes shall load (name or path).
        seed: seed of a procedural terrain.
        robot: its name at the site.
        use_sim_time: whether time comes from ``/clock``.
        composed: whether its nodes share a process.
        autostart: whether its nodes configure and activate themselves.
        state_publisher: whether our own node publishes the sensors' places; not where a
            ``robot_state_publisher`` does.
        state_dir: folder where processes keep what they need after a restart, or None.
        drives: whether it is a rover; otherwise it hops, and has no gate.
    """
    common: dict[str, ParameterValue] = {
        "site": site,
        "seed": seed,
        "robot": robot,
        "use_sim_time": use_sim_time,
        "autostart": autostart,
        **_state(state_dir),
    }
    wanted = ROBOT_NODES if drives else HOPPER_NODES
    nodes = tuple(n for n in wanted if state_publisher or n != "state_publisher")
    groups = [nodes] if composed and nodes else [(node,) for node in nodes]
    specs = [
        ProcessSpec(
            name=robot if composed else f"{robot}.{group[0]}",
            executable="robot_node",
            namespace=robot,
            nodes=group,
            parameters={**common, "nodes": ",".join(group)},
        )
        for group in groups
    ]
    if drives:
        gate = ProcessSpec(f"{robot}.gate", "command_gate", robot, (GATE,), common)
        specs.append(gate)
    return specs


def simulation_process(
    site: str, seed: int, robots: tuple[str, ...], *, rtf: float, state_dir: Path | None = None
) -> ProcessSpec:
    """The embedded simulator with the vehicles it moves."""
    parameters: dict[str, ParameterValue] = {
        "site": site,
        "seed": seed,
        "robots": ",".join(robots),
        "real_time_factor": rtf,
        **_state(state_dir),
    }
    return ProcessSpec("sim", "embedded_sim", "", ("embedded_sim",), parameters, essential=True)


def gazebo_drive_process(site: str, robot: str) -> ProcessSpec:
    """What turns a rover's ``cmd_vel`` into wheel speeds and steering angles in Gazebo."""
    parameters: dict[str, ParameterValue] = {"site": site, "robot": robot, "use_sim_time": True}
    return ProcessSpec(f"{robot}.drive", "gazebo_drive", robot, ("gazebo_drive",), parameters)


def recorder_process(
    output: Path,
    *,
    use_sim_time: bool,
    profile: str = DEFAULT_PROFILE,
    site: str = "",
    seed: int = -1,
) -> ProcessSpec:
    """The bag recorder.

    Args:
        output: folder of the bag; further parts get a number.
        use_sim_time: whether time comes from ``/clock``.
        profile: which topics, by a name in ``config/recording``.
        site: name or path of the site that the bag carries, empty for none.
        seed: that the bag names, -1 for the site's own.
    """
    parameters: dict[str, ParameterValue] = {
        "output_dir": str(output),
        "use_sim_time": use_sim_time,
        "profile": profile,
        "site": site,
        "seed": seed,
    }
    return ProcessSpec(
        "recorder", "recorder", "", ("recorder",), parameters, new_folder="output_dir"
    )


def _state(state_dir: Path | None) -> dict[str, ParameterValue]:
    return {} if state_dir is None else {"state_dir": str(state_dir)}


def chosen_robots(site: SiteConfig, robots: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the robots to run: those asked for, or those that the site runs by default.

    Raises:
        ConfigError: none is left, the site does not have one of them, or one is named twice.
    """
    chosen = robots or site.run_by_default
    if not chosen:
        raise ConfigError(f"site {site.name!r} has no robots")
    for name in chosen:
        site.robot(name)
        if chosen.count(name) > 1:
            raise ConfigError(f"robots = {','.join(chosen)}: two robots of the name {name!r}")
    return chosen


def site_processes(
    site: SiteConfig,
    site_name: str,
    seed: int,
    *,
    robots: tuple[str, ...] = (),
    rtf: float = 0.0,
    record: Path | None = None,
    record_profile: str = DEFAULT_PROFILE,
    composed: bool = True,
    state_dir: Path | None = None,
    embedded: bool = True,
    use_sim_time: bool = True,
    autostart: bool = True,
    state_publisher: bool = True,
) -> list[ProcessSpec]:
    """Everything of ours that a site consists of.

    Args:
        site: the loaded site.
        site_name: what its processes shall load (name or path).
        seed: seed of terrain and sensors.
        robots: names to run, empty for all of the site.
        rtf: upper bound of the real-time factor, 0 for as fast as the machine can.
        record: folder of a bag to be written, or None.
        record_profile: which topics are written.
        composed: whether a vehicle's nodes share a process.
        state_dir: folder where processes keep what they need after a restart, or None.
        embedded: whether the embedded simulator runs; otherwise another one or hardware does.
        use_sim_time: whether time comes from ``/clock``.
        autostart: see ``robot_processes``.
        state_publisher: see ``robot_processes``.

    Raises:
        ConfigError: a robot that the site does not have, or one named twice.
    """
    chosen = chosen_robots(site, robots)
    specs = []
    if embedded:
        specs.append(simulation_process(site_name, seed, chosen, rtf=rtf, state_dir=state_dir))
    for name in chosen:
        specs += robot_processes(
            site_name,
            seed,
            name,
            use_sim_time=use_sim_time,
            composed=composed,
            autostart=autostart,
            state_publisher=state_publisher,
            state_dir=state_dir,
            drives=isinstance(site.robot(name).load_model(), RoverModel),
        )
    if record is not None:
        recorder = recorder_process(
            record,
            use_sim_time=use_sim_time,
            profile=record_profile,
            site=site_name,
            seed=seed,
        )
        specs.append(recorder)
    return specs
