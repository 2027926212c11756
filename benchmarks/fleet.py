"""What a vehicle costs in a fleet of 1 to 6, in lock-step, and what the limit is.

Each rover has a lidar of 20 160 rays at 5 Hz, drives, hears the others and maps. The table by
function is of the fleet of three.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from ilrs_robots.core import warm
from ilrs_robots.robots.model import RobotModel, load_robot
from ilrs_robots.robots.site import RobotPlacement, SiteConfig, load_site
from ilrs_robots.sim.fleet_lockstep import FleetLockstep

CHANNELS, COLUMNS, RATE_HZ = 60, 336, 5.0
APART_M: Final = 12.0
GOAL_M: Final = 40.0
SIZES: Final = (1, 2, 3, 6)
DETAILED: Final = 3


def run(quick: bool = False) -> dict[str, Any]:
    """Measure fleets of growing size.

    Args:
        quick: a tenth of the simulated time.
    """
    warm.mapping()
    warm.navigation()
    seconds = 4.0 if quick else 40.0
    rows: list[dict[str, Any]] = []
    for count in SIZES:
        fleet = _fleet(count)
        spent: Counter[str] = Counter()
        if count == DETAILED:
            _watch(fleet, spent)
        rows.append(_measure(fleet, count, seconds, spent))
        rows += [
            {
                "what": f"of {count}: {name}",
                "cpu_ms_per_vehicle_second": 1e3 * cpu / seconds / count,
            }
            for name, cpu in spent.most_common()
        ]
    note = (
        "Lock-step, one process; physics and rays beside the vehicles' own work. `factor` is "
        "simulated over elapsed time; CPU is of the pipelines' thread, per vehicle and simulated "
        "second. Over DDS each vehicle adds two deliveries of `/fleet/poses` a second to each of "
        "three nodes of every other one, and 25 of `/tf` to each process: about 2 and 10 ms of "
        "CPU per second and other vehicle."
    )
    return {"name": "Fleet", "unit": "per vehicle", "rows": rows, "note": note}


def _model(name: str) -> RobotModel:
    model = load_robot(name)
    lidar = dataclasses.replace(model.lidar, channels=CHANNELS, columns=COLUMNS, rate_hz=RATE_HZ)
    return dataclasses.replace(model, lidar=lidar)


class _Placement(RobotPlacement):
    """A placement whose model has the lidar of this benchmark."""

    def load_model(self) -> RobotModel:
        return _model(self.model)


def _fleet(count: int) -> FleetLockstep:
    site, terrain = load_site("shackleton")
    robots = tuple(
        _Placement(f"rover_{n}", "long_range", APART_M * (n // 3), APART_M * (n % 3) - APART_M)
        for n in range(count)
    )
    site = _site(site, robots)
    fleet = FleetLockstep(site, terrain, 1)
    for place in robots:
        navigator = fleet.members[place.name].pipeline.navigation.navigator
        navigator.set_goal(place.x_m + GOAL_M, place.y_m)
    return fleet


def _site(site: SiteConfig, robots: tuple[RobotPlacement, ...]) -> SiteConfig:
    return dataclasses.replace(site, robots=robots, default_robots=())


def _measure(
    fleet: FleetLockstep, count: int, seconds: float, spent: Counter[str]
) -> dict[str, Any]:
    warm_s = 2.0
    while fleet.world.time_ns < warm_s * 1e9:
        fleet.step()
    spent.clear()
    before = {name: member.cpu_s for name, member in fleet.members.items()}
    wall, cpu = time.perf_counter(), time.process_time()
    while fleet.world.time_ns < (warm_s + seconds) * 1e9:
        fleet.step()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    own = sum(member.cpu_s - before[name] for name, member in fleet.members.items())
    fleet.world.close()
    return {
        "what": f"{count} vehicles, {CHANNELS * COLUMNS} rays at {RATE_HZ:g} Hz each",
        "factor": seconds / wall,
        "cpu_factor": seconds / cpu,
        "cpu_ms_per_vehicle_second": 1e3 * own / seconds / count,
        "world_cpu_ms_per_vehicle_second": 1e3 * (cpu - own) / seconds / count,
    }


def _watch(fleet: FleetLockstep, spent: Counter[str]) -> None:
    """Count the CPU time of the parts of every pipeline."""

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            begin = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                spent[name] += time.thread_time() - begin

        return call

    for member in fleet.members.values():
        pipe = member.pipeline
        parts = (
            ("localization", pipe.senses, "feed"),
            ("scans into map and filter", pipe.senses, "map"),
            ("hazards", pipe.mapping, "traversability"),
            ("costmap", pipe.navigation, "on_traversability"),
            ("slip of wheels and scans", pipe.navigation, "look"),
            ("navigator", pipe.navigation, "step"),
            ("command gate", pipe.gate, "output"),
        )
        for name, owner, method in parts:
            setattr(owner, method, watched(name, getattr(owner, method)))
