"""Parameters, states and output of the navigator."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.entrapment import EntrapmentConfig
from ilrs_robots.core.control.fleet import FleetConfig
from ilrs_robots.core.control.mppi_config import DrivingLimits, MppiConfig
from ilrs_robots.core.control.speed_limits import SpeedConfig
from ilrs_robots.core.control.tracker import TrackerConfig
from ilrs_robots.core.planning.costmap import CostmapConfig
from ilrs_robots.core.planning.grid_planner import PlannerConfig
from ilrs_robots.core.types import FloatArray


class NavigatorState(StrEnum):
    """What the navigator is doing."""

    IDLE = "idle"
    PLANNING = "planning"
    DRIVING = "driving"
    RECOVERING = "recovering"
    REACHED = "reached"
    FAILED = "failed"


class NavigatorError(IntEnum):
    """Why a goal was given up; numbers as in nav2's FollowPath and ComputePathToPose."""

    NONE = 0
    NO_PROGRESS = 105
    START_OUTSIDE_MAP = 203
    GOAL_OUTSIDE_MAP = 204
    GOAL_OCCUPIED = 206
    NO_VALID_PATH = 208
    NO_MAP = 9100
    NO_POWER = 9101
    NO_LINK = 9102
    TRAPPED = 9103
    NO_WAY_HOME = 9104
    NO_ROUTE = 9105
    VEHICLE_IN_WAY = 9106


@dataclass(frozen=True)
class NavigatorConfig:
    """When the navigator replans, waits, recovers and gives up. Times are those of the stamps."""

    costmap: CostmapConfig = param(CostmapConfig(), doc="costmap")
    planner: PlannerConfig = param(PlannerConfig(), doc="planner")
    tracker: TrackerConfig = param(TrackerConfig(), doc="tracker")
    mppi: MppiConfig = param(MppiConfig(), doc="sampling control")
    driving: DrivingLimits = param(DrivingLimits(), doc="what motions are predicted with")
    speed: SpeedConfig = param(SpeedConfig(), doc="what speed is limited by")
    entrapment: EntrapmentConfig = param(
        EntrapmentConfig(), doc="what is done where wheels turn in vain"
    )
    fleet: FleetConfig = param(FleetConfig(), doc="meetings with other vehicles")
    controller: str = param(
        "tracker",
        doc="tracker: pursuit alone; mppi: refined by sampling control",
        choices=("tracker", "mppi"),
    )
    refresh_s: float = param(
        0.4, doc="how often new ground is looked at", unit="s", low=0.0, high=10.0
    )
    replan_blocked_s: float = param(
        1.0, doc="least time between plans while blocked", unit="s", low=0.05, high=60.0
    )
    replan_better_s: float = param(
        3.0, doc="time between looks for a better path", unit="s", low=0.1, high=600.0
    )
    closed_memory_s: float = param(
        45.0, doc="how long a place that closed a path is avoided", unit="s", low=0.0, high=3600.0
    )
    closed_radius_m: float = param(0.6, doc="size of such a place", unit="m", low=0.0, high=10.0)
    map_wait_s: float = param(
        20.0, doc="how long a terrain map is waited for", unit="s", low=0.1, high=600.0
    )
    look_s: float = param(
        2.0, doc="how long a recovery stops and looks", unit="s", low=0.0, high=60.0
    )
    wait_s: float = param(
        4.0, doc="how long a standstill before unseen or closed ground is borne", unit="s", low=0.1
    )
    back_m: float = param(1.5, doc="how far a recovery backs up", unit="m", low=0.1, high=20.0)
    mark_radius_m: float = param(
        0.5, doc="size of what is closed where the vehicle was stopped", unit="m", low=0.05, high=5
    )
    stuck_s: float = param(
        9.0, doc="time without motion under command that means stuck", unit="s", low=0.5, high=120
    )
    stuck_distance_m: float = param(0.15, doc="motion that counts", unit="m", low=0.01, high=10.0)
    stuck_angle_rad: float = param(0.15, doc="turn that counts", unit="rad", low=0.01, high=3.0)
    no_progress_s: float = param(
        150.0, doc="time in which the path left must grow shorter", unit="s", low=5.0, high=1e5
    )
    max_recoveries: int = param(4, doc="recoveries in one place", low=0, high=100)
    max_detour: float = param(
        5.0, doc="way driven to a goal, per length of its first plan, after which it is given up",
        low=1.0, high=1000.0,
    )  # fmt: skip
    detour_m: float = param(
        20.0, doc="way that may be driven in vain besides", unit="m", low=0.0, high=1e5
    )
    max_total_recoveries: int = param(
        15, doc="recoveries on the way to one goal", low=0, high=1000
    )
    recovered_after_m: float = param(
        6.0, doc="way from the last recovery after which it is forgotten", unit="m", low=0.5
    )
    view_m: float = param(12.0, doc="how far ahead ground is checked", unit="m", low=2.0, high=100)
    blind_m: float = param(
        3.0, doc="ground this near to the vehicle may be unseen", unit="m", low=0.0, high=20.0
    )
    gap_m: float = param(
        1.0, doc="unseen gap along the path that is crossed", unit="m", low=0.0, high=10.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def _no_path() -> FloatArray:
    return np.zeros((0, 2))


@dataclass(frozen=True)
class NavigatorOutput:
    """What one step says.

    Attributes:
        v: forward speed, m/s.
        w: yaw rate, rad/s.
        state: see NavigatorState.
        reason: one short sentence, empty when all is well.
        error_code: see NavigatorError; not NONE only when failed.
        path_xy_m: (N, 2) path that is left, map.
        distance_remaining_m: along that path.
        eta_s: expected time to the goal.
        recoveries: how many there were on the way to this goal.
    """

    v: float
    w: float
    state: NavigatorState
    reason: str = ""
    error_code: NavigatorError = NavigatorError.NONE
    path_xy_m: FloatArray = field(default_factory=_no_path)
    distance_remaining_m: float = 0.0
    eta_s: float = 0.0
    recoveries: int = 0
