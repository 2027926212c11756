"""The processes of a site's base and of a mission, as plain data like ``robots.assembly``'s."""

from __future__ import annotations

from pathlib import Path

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.assembly import ParameterValue, ProcessSpec
from ilrs_robots.robots.mission import Mission
from ilrs_robots.robots.site import SiteConfig

MISSION_NODE = "mission"
BASE_NODE = "base"
VIEW_PORT = 8080


def base_processes(
    site: SiteConfig,
    site_name: str,
    seed: int,
    robots: tuple[str, ...],
    *,
    use_sim_time: bool,
    state_dir: Path | None = None,
) -> list[ProcessSpec]:
    """The base, where the site has one that gives power.

    Args:
        site: the loaded site.
        site_name: what it loads (name or path).
        seed: of a procedural terrain.
        robots: vehicles that run.
        use_sim_time: whether time comes from ``/clock``.
        state_dir: folder where it keeps whether its power has failed, or None.
    """
    if site.base.fission is None and not site.base.towers:
        return []
    parameters: dict[str, ParameterValue] = {
        "site": site_name, "seed": seed, "robots": ",".join(robots),
        "use_sim_time": use_sim_time, "nodes": BASE_NODE,
    }  # fmt: skip
    if state_dir is not None:
        parameters["state_dir"] = str(state_dir)
    return [ProcessSpec(BASE_NODE, "robot_node", "", (BASE_NODE,), parameters)]


def mission_process(
    mission: str,
    site: str,
    seed: int,
    robots: tuple[str, ...],
    *,
    use_sim_time: bool,
    state_dir: Path | None = None,
) -> ProcessSpec:
    """The mission's executive.

    Args:
        mission: a name from ``config/missions`` or the path of a mission file.
        site: what it loads (name or path).
        seed: of a procedural terrain.
        robots: vehicles that run.
        use_sim_time: whether time comes from ``/clock``.
        state_dir: folder where it keeps how far the mission is, or None.
    """
    parameters: dict[str, ParameterValue] = {
        "mission": mission, "site": site, "seed": seed, "robots": ",".join(robots),
        "use_sim_time": use_sim_time, "nodes": MISSION_NODE,
    }  # fmt: skip
    if state_dir is not None:
        parameters["state_dir"] = str(state_dir)
    return ProcessSpec(MISSION_NODE, "robot_node", "", (MISSION_NODE,), parameters)


def view_process(
    site: str,
    seed: int | None,
    robots: tuple[str, ...],
    *,
    simulated: bool = False,
    host: str = "127.0.0.1",
    port: int = VIEW_PORT,
    token: str = "",
) -> ProcessSpec:
    """The mission view in the browser; nothing waits for it and nothing ends with it.

    Args:
        site: what it loads (name or path).
        seed: of a procedural terrain, None for the site's own.
        robots: vehicles that it shows, empty for all of the site.
        simulated: whether time comes from ``/clock``.
        host: address that it listens on.
        port: TCP port; the next free one is taken.
        token: that a browser must bring; needed beyond loopback.
    """
    parameters: dict[str, ParameterValue] = {
        "site": site, "seed": -1 if seed is None else seed, "robots": ",".join(robots),
        "simulated": simulated, "host": host, "port": port, "token": token,
    }  # fmt: skip
    return ProcessSpec("view", "mission_view", "", ("mission_view",), parameters, spare=True)


def mission_robots(mission: Mission, site: SiteConfig, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The vehicles that run: those that the mission has tasks for, and others that are asked for.

    Raises:
        ConfigError: none of those asked for has a task, or one waits for a task that nobody does.
    """
    if not asked:
        return tuple(mission.vehicles)
    for name in asked:
        site.robot(name)
    own = tuple(name for name in asked if name in mission.vehicles)
    if not own:
        raise ConfigError(
            f"mission {mission.name!r} has tasks for {', '.join(mission.vehicles)}, not for "
            f"{', '.join(asked)}"
        )
    mission.only(own)
    return asked
