"""What an evaluation asks and what it answers, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.replay.metrics import MapErrors
from ilrs_robots.replay.tracks import OccupancySample


@dataclass(frozen=True)
class EvaluationConfig:
    """How a run is measured."""

    map_samples: int = param(6, doc="elevation maps compared, the last among them", low=1)
    coverage_radius_m: float = param(
        10.0, doc="coverage counts cells this near to the vehicle", unit="m", low=0.1
    )
    footprint_m: float = param(2.0, doc="side of the square that a slope is fitted to", unit="m")
    terrain_resolution_m: float = param(0.1, doc="cell of the terrain patch", unit="m", low=0.01)
    terrain_margin_m: float = param(8.0, doc="terrain shown around the path", unit="m", low=1.0)
    max_terrain_cells: int = param(1_500_000, doc="bound of the terrain patch", low=100)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class MapComparison:
    """One elevation map against the true top surface.

    Attributes:
        stamp_ns: its stamp.
        spec: its window, in its own frame: odom, or map for a hopper's landing map.
        vehicle_xy_m: (2,) where the robot believed to stand, in that frame.
        elevation_m: (rows, cols) float32, in that frame.
        as_used: errors at the pose that the robot believed in, as a consumer gets them.
        aligned: errors with the pose error at that stamp (position and heading) taken away.
        coverage: share of known cells around the vehicle.
    """

    stamp_ns: int
    spec: GridSpec
    vehicle_xy_m: FloatArray
    elevation_m: Float32Array
    as_used: MapErrors
    aligned: MapErrors
    coverage: float


@dataclass
class RunEvaluation:
    """Everything measured in one run; None where ``missing`` says why.

    Arrays share the stamps of the truth: (N,) and (N, 3), map frame, NaN where the robot had
    no estimate. Angles are radians here and degrees in ``summary``.
    """

    robot: str
    goal_xy_m: FloatArray
    goal_tolerance_m: float
    start_xy_m: FloatArray | None = None
    missing: dict[str, str] = field(default_factory=dict)

    reached: bool | None = None
    reached_by_truth: bool | None = None
    reached_by_robot: bool | None = None
    robot_word: str | None = None
    recoveries: int | None = None
    final_distance_to_goal_m: float | None = None
    distance_driven_m: float | None = None
    simulated_s: float | None = None
    drive_s: float | None = None
    final_position_error_m: float | None = None
    max_position_error_m: float | None = None
    rms_position_error_m: float | None = None
    final_horizontal_error_m: float | None = None
    max_horizontal_error_m: float | None = None
    final_yaw_error_rad: float | None = None
    max_yaw_error_rad: float | None = None
    max_roll_rad: float | None = None
    max_pitch_rad: float | None = None
    max_slope_rad: float | None = None
    straight_line_max_slope_rad: float | None = None
    map_coverage: float | None = None
    real_time_factor: float | None = None
    latency_p95_ms: dict[str, float] | None = None
    recorder_dropped: int | None = None

    stamps_s: FloatArray = field(default_factory=lambda: np.empty(0))
    true_xyz_m: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    true_rpy_rad: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    speed_mps: FloatArray = field(default_factory=lambda: np.empty(0))
    slope_rad: FloatArray = field(default_factory=lambda: np.empty(0))
    estimated_xyz_m: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    position_error_m: FloatArray = field(default_factory=lambda: np.empty(0))
    horizontal_error_m: FloatArray = field(default_factory=lambda: np.empty(0))
    yaw_error_rad: FloatArray = field(default_factory=lambda: np.empty(0))
    maps: list[MapComparison] = field(default_factory=list)
    plans_xy_m: list[FloatArray] = field(default_factory=list)
    traversability: OccupancySample | None = None
    power: dict[str, FloatArray] = field(default_factory=dict)
    terrain_spec: GridSpec | None = None
    terrain_m: FloatArray | None = None

    @property
    def last_map(self) -> MapComparison | None:
        """The newest elevation map that could be compared."""
        return self.maps[-1] if self.maps else None

    @property
    def straight_line_m(self) -> float | None:
        """Distance from start to goal."""
        if self.start_xy_m is None:
            return None
        return float(np.linalg.norm(self.goal_xy_m - self.start_xy_m))

    def map_rmse_m(self, which: str, *, mean: bool = False) -> float | None:
        """RMSE of the last map, or the root mean square over the sampled ones.

        Args:
            which: ``as_used`` or ``aligned``.
            mean: over all sampled maps.
        """
        values = np.array([getattr(m, which).rmse_m for m in self.maps])
        values = values[np.isfinite(values)]
        if values.size == 0:
            return None
        return float(np.sqrt(np.mean(values**2))) if mean else float(values[-1])

    def summary(self) -> dict[str, Any]:
        """Plain numbers for ``summary.json``; angles in degrees, unit in every key."""
        last = self.last_map
        found: dict[str, Any] = {
            "reached": self.reached,
            "reached_by_truth": self.reached_by_truth,
            "reached_by_robot": self.reached_by_robot,
            "robot_word": self.robot_word,
            "recoveries": self.recoveries,
            "goal_x_m": float(self.goal_xy_m[0]),
            "goal_y_m": float(self.goal_xy_m[1]),
            "goal_tolerance_m": self.goal_tolerance_m,
            "final_distance_to_goal_m": self.final_distance_to_goal_m,
            "straight_line_m": self.straight_line_m,
            "distance_driven_m": self.distance_driven_m,
            "drive_s": self.drive_s,
            "simulated_s": self.simulated_s,
            "real_time_factor": self.real_time_factor,
            "final_position_error_m": self.final_position_error_m,
            "max_position_error_m": self.max_position_error_m,
            "rms_position_error_m": self.rms_position_error_m,
            "final_horizontal_error_m": self.final_horizontal_error_m,
            "max_horizontal_error_m": self.max_horizontal_error_m,
            "final_yaw_error_deg": _degrees(self.final_yaw_error_rad),
            "max_yaw_error_deg": _degrees(self.max_yaw_error_rad),
            "max_roll_deg": _degrees(self.max_roll_rad),
            "max_pitch_deg": _degrees(self.max_pitch_rad),
            "max_slope_deg": _degrees(self.max_slope_rad),
            "straight_line_max_slope_deg": _degrees(self.straight_line_max_slope_rad),
            "map_rmse_as_used_m": self.map_rmse_m("as_used"),
            "map_rmse_aligned_m": self.map_rmse_m("aligned"),
            "map_rmse_as_used_all_m": self.map_rmse_m("as_used", mean=True),
            "map_rmse_aligned_all_m": self.map_rmse_m("aligned", mean=True),
            "map_bias_aligned_m": last.aligned.bias_m if last else None,
            "map_median_error_aligned_m": last.aligned.percentile_m(50) if last else None,
            "map_p95_error_aligned_m": last.aligned.percentile_m(95) if last else None,
            "map_coverage": self.map_coverage,
            "maps_compared": len(self.maps),
            "latency_p95_ms": self.latency_p95_ms,
            "recorder_dropped": self.recorder_dropped,
            "missing": dict(self.missing),
        }
        return {key: _plain(value) for key, value in found.items()}


def _degrees(angle_rad: float | None) -> float | None:
    return None if angle_rad is None else math.degrees(angle_rad)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return round(value, 5) if math.isfinite(value) else None
    return value
