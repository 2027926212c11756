"""What a mission view shows and what it may ask for, as plain data between a node and a viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

INFO, WARN, ERROR = 0, 1, 2
"""Levels of an event, and of a vehicle's health."""


@dataclass(frozen=True)
class GroundView:
    """A vehicle's own map of the ground.

    Attributes:
        heights_m: (rows, cols) float32, NaN unknown, in the frame of the map.
        cost: (rows, cols) float32 0 to 1, 1 closed, NaN unknown; None where nobody judges.
        spec: where, in that frame.
        cost_spec: where the cost is, in the same frame.
        T_map_frame: (4, 4) the frame in ``map``.
    """

    heights_m: Float32Array
    cost: Float32Array | None
    spec: GridSpec
    cost_spec: GridSpec | None
    T_map_frame: FloatArray


@dataclass
class VehicleView:
    """One vehicle as it was last heard of; NaN and None are unknown.

    Attributes:
        name: of the vehicle.
        hops: whether it is a hopper.
        T_map_base: (4, 4) its place, or None.
        joints: rad or m by name.
        silent_s: seconds for which nothing of it has come, while the clock went on.
        last_heard_s: mission time of the last that came, NaN for never.
        speed_mps: along the vehicle.
        charge: of the battery, 0 to 1.
        battery_w: into the battery; negative out of it.
        sources_w: what its sources give.
        box_c: temperature of battery and electronics, degrees Celsius.
        sun_share: visible share of the Sun's disc, 0 to 1.
        linked: whether Earth or base can be reached.
        link: the ways, in words.
        health: ``INFO``, ``WARN`` or ``ERROR``.
        sentence: what its health says.
        goal: how its goal from this view goes, in words; empty for none.
        path_m: (N, 3) planned path or arc in map, metres; heights as planned.
        route_m: (N, 3) route to a far goal in map, metres.
        ground: its own map, or None.
    """

    name: str
    hops: bool = False
    T_map_base: FloatArray | None = None
    joints: Mapping[str, float] = field(default_factory=dict)
    silent_s: float = 0.0
    last_heard_s: float = float("nan")
    speed_mps: float = float("nan")
    charge: float = float("nan")
    battery_w: float = float("nan")
    sources_w: float = float("nan")
    box_c: float = float("nan")
    sun_share: float = float("nan")
    linked: bool | None = None
    link: str = ""
    health: int = INFO
    sentence: str = ""
    goal: str = ""
    path_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    route_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    ground: GroundView | None = None


@dataclass(frozen=True)
class TaskView:
    """A task of the mission; times are mission time, NaN where it has not come to that."""

    name: str
    state: str
    sentence: str
    began_s: float
    ended_s: float


@dataclass(frozen=True)
class EventView:
    """One line of the log.

    Attributes:
        time_s: mission time.
        level: ``INFO``, ``WARN`` or ``ERROR``.
        source: who said it.
        sentence: what.
    """

    time_s: float
    level: int
    source: str
    sentence: str


@dataclass
class SiteView:
    """Everything at one moment.

    Attributes:
        time_s: mission time, NaN before the first clock.
        clock: how the clock goes, in words.
        paused: whether the simulator stands because it was told to.
        pause_refusal: why there is no pause here; empty where there is one.
        mission: name of the mission, empty for none.
        summary: how it stands.
        tasks: in the order of the file.
        events: the newest last.
        vehicles: by name.
    """

    time_s: float = float("nan")
    clock: str = ""
    paused: bool = False
    pause_refusal: str = ""
    mission: str = ""
    summary: str = ""
    tasks: tuple[TaskView, ...] = ()
    events: tuple[EventView, ...] = ()
    vehicles: Mapping[str, VehicleView] = field(default_factory=dict)


class Orders(Protocol):
    """What a person at the view may ask for; may be called from any thread."""

    def go_to(self, vehicle: str, x_m: float, y_m: float) -> None:
        """Send a vehicle to a place in map, metres."""

    def cancel(self, vehicle: str) -> None:
        """Cancel the goal that this view has sent it."""

    def pause(self, on: bool) -> None:
        """Make the simulator stand, or go on."""


class MissionScene(Protocol):
    """A viewer."""

    def show(self, state: SiteView) -> None:
        """Bring what is seen up to date; called ten times a second."""

    def close(self) -> None:
        """End it."""
