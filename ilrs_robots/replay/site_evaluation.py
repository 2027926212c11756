"""Judge a recorded mission of several vehicles against the truth, vehicle by vehicle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots.core.types import BoolArray, FloatArray
from ilrs_robots.replay import metrics
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.energy import EnergyUse, energy_use
from ilrs_robots.replay.evaluate import evaluate_run
from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.replay.metrics import GridFunction
from ilrs_robots.replay.mission_track import EventLine, TaskLine, read_events, read_tasks

OFF_GROUND_M = 0.4
"""Feet that are so far above the ground fly; less is a rock under one of them, or the slope."""
_SHORTEST_S = 3.0


@dataclass(frozen=True)
class VehiclePlan:
    """What a vehicle was to do.

    Attributes:
        name: of the vehicle.
        hops: whether it is a hopper.
        start_xy_m: where it stood, map.
        end_xy_m: where its last task that goes anywhere ends, map.
        tolerance_m: how far from there it may truly stand.
    """

    name: str
    hops: bool
    start_xy_m: tuple[float, float]
    end_xy_m: tuple[float, float]
    tolerance_m: float


@dataclass(frozen=True)
class Flight:
    """One true flight.

    Attributes:
        begin_s: mission time of the launch.
        end_s: of the landing.
        from_xy_m: place of the launch, map.
        to_xy_m: place of the landing, map.
        apex_m: greatest true height above the ground below.
        distance_m: between the two places, level.
    """

    begin_s: float
    end_s: float
    from_xy_m: tuple[float, float]
    to_xy_m: tuple[float, float]
    apex_m: float
    distance_m: float


@dataclass
class VehicleRun:
    """What one vehicle did.

    Attributes:
        plan: what it was to do.
        run: against the truth.
        tasks: its own.
        energy: of its power node, None where it said nothing.
        height_m: (N,) true height of base_link above the ground, at the stamps of ``run``.
        flights: of a hopper, in order.
    """

    plan: VehiclePlan
    run: RunEvaluation
    tasks: tuple[TaskLine, ...]
    energy: EnergyUse | None
    height_m: FloatArray
    flights: tuple[Flight, ...] = ()

    @property
    def name(self) -> str:
        """Of the vehicle."""
        return self.plan.name

    @property
    def done(self) -> bool:
        """Whether every task of it is done and it truly stands where it was to end."""
        return all(t.state == "done" for t in self.tasks) and self.run.reached_by_truth is True

    def summary(self) -> dict[str, Any]:
        """Plain numbers; what a single drive's goal and action say is left out."""
        skip = {"reached", "reached_by_robot", "robot_word", "drive_s", "straight_line_m",
                "straight_line_max_slope_deg", "real_time_factor", "latency_p95_ms",
                "recorder_dropped", "goal_tolerance_m", "goal_x_m", "goal_y_m"}  # fmt: skip
        own = {k: v for k, v in self.run.summary().items() if k not in skip}
        return {
            "done": self.done,
            "end_x_m": self.plan.end_xy_m[0],
            "end_y_m": self.plan.end_xy_m[1],
            "end_tolerance_m": self.plan.tolerance_m,
            **own,
            "energy": None if self.energy is None else rounded(asdict(self.energy)),
            "flights": [rounded(asdict(flight)) for flight in self.flights],
            "tasks": [rounded(asdict(task)) for task in self.tasks],
        }


@dataclass
class SiteEvaluation:
    """A mission of several vehicles.

    Attributes:
        mission: its name.
        site: its name.
        vehicles: in the order of the mission's file.
        events: what was told on the way.
        simulated_s: span of the recording.
        real_time_factor: simulated over wall seconds, None for unknown.
        recorder_dropped: messages that the recorder lost, None for unknown.
        latency_p95_ms: by node.
        notes: what else a reader must know, by a word.
    """

    mission: str
    site: str
    vehicles: list[VehicleRun]
    events: tuple[EventLine, ...]
    simulated_s: float = 0.0
    real_time_factor: float | None = None
    recorder_dropped: int | None = None
    latency_p95_ms: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether every vehicle has done everything."""
        return bool(self.vehicles) and all(v.done for v in self.vehicles)

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        return rounded({
            "mission": self.mission,
            "site": self.site,
            "succeeded": self.succeeded,
            "simulated_s": self.simulated_s,
            "real_time_factor": self.real_time_factor,
            "recorder_dropped": self.recorder_dropped,
            **self.notes,
            "vehicles": {v.name: v.summary() for v in self.vehicles},
            "events": [asdict(event) for event in self.events],
            "latency_p95_ms": self.latency_p95_ms,
        })  # fmt: skip


def evaluate_site(
    bag_dir: Path | str,
    mission: str,
    site: str,
    plans: tuple[VehiclePlan, ...],
    surface_top_grid: GridFunction,
    surface_ground_grid: GridFunction,
) -> SiteEvaluation:
    """Measure a recorded mission.

    Args:
        bag_dir: the bag.
        mission: its name.
        site: its name.
        plans: the vehicles.
        surface_top_grid: true heights of ground and rocks on a grid in ``map``.
        surface_ground_grid: those without rocks.

    Raises:
        BagError: the bag does not open.
    """
    with Bag(bag_dir) as bag:
        tasks, events = read_tasks(bag), read_events(bag)
    vehicles = []
    for plan in plans:
        run = evaluate_run(
            bag_dir, surface_top_grid, plan.name, plan.end_xy_m, plan.tolerance_m,
            plan.start_xy_m, surface_ground_grid=surface_ground_grid,
        )  # fmt: skip
        run.missing.pop("robot_word", None)
        own = tuple(task for task in tasks if task.vehicle == plan.name)
        height = _height_m(run)
        flights = _flights(run, height) if plan.hops else ()
        vehicles.append(VehicleRun(plan, run, own, energy_use(run.power), height, flights))
    found = SiteEvaluation(mission, site, vehicles, events)
    if vehicles:
        first = vehicles[0].run
        found.simulated_s = max(v.run.simulated_s or 0.0 for v in vehicles)
        found.real_time_factor = first.real_time_factor
        found.recorder_dropped = first.recorder_dropped
        found.latency_p95_ms = dict(first.latency_p95_ms or {})
    return found


def _height_m(run: RunEvaluation) -> FloatArray:
    """(N,) true height of base_link above ground and rocks, NaN where the ground is unknown."""
    if run.terrain_m is None or run.terrain_spec is None:
        return np.full(len(run.true_xyz_m), np.nan)
    below = metrics.bilinear(run.terrain_m, run.terrain_spec, run.true_xyz_m[:, :2])
    return np.asarray(run.true_xyz_m[:, 2] - below, dtype=np.float64)


def _flights(run: RunEvaluation, height_m: FloatArray) -> tuple[Flight, ...]:
    up: BoolArray = np.nan_to_num(height_m, nan=0.0) > OFF_GROUND_M
    edges = np.diff(np.concatenate(([0], up.astype(np.int64), [0])))
    found = []
    for begin, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        first, last = max(int(begin) - 1, 0), min(int(end), len(up) - 1)
        began, ended = float(run.stamps_s[first]), float(run.stamps_s[last])
        if ended - began < _SHORTEST_S:
            continue
        a, b = run.true_xyz_m[first, :2], run.true_xyz_m[last, :2]
        found.append(Flight(
            began, ended, (float(a[0]), float(a[1])), (float(b[0]), float(b[1])),
            float(np.nanmax(height_m[first : last + 1])), float(np.linalg.norm(b - a)),
        ))  # fmt: skip
    return tuple(found)


def rounded(value: Any) -> Any:
    """Plain data for JSON: numbers to 5 digits, what is no number as None."""
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value


def write_summary(evaluation: SiteEvaluation, path: Path) -> dict[str, Any]:
    """Write ``summary.json`` and give what stands in it."""
    summary = evaluation.summary()
    path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
