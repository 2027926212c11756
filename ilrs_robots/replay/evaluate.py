"""Judge a recorded run against the truth: reached or not, how far off, how good the map was.

Nothing is taken for granted: what the bag does not hold gives None and a reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import BoolArray, FloatArray, IntArray
from ilrs_robots.replay import metrics
from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.evaluation import EvaluationConfig, MapComparison, RunEvaluation
from ilrs_robots.replay.metrics import GridFunction
from ilrs_robots.replay.power_track import power_series
from ilrs_robots.replay.tracks import (
    DiagnosticSeries,
    GridMapSample,
    PoseTrack,
    grid_map_sample,
    occupancy_sample,
    read_diagnostics,
    read_odometry,
    read_path,
    read_transforms,
    sample_evenly,
)

T = TypeVar("T")
_SUCCEEDED = 4
_ENDED = {_SUCCEEDED: "succeeded", 5: "canceled", 6: "aborted"}


def evaluate_run(
    bag_dir: Path | str,
    surface_top_grid: GridFunction,
    robot: str,
    goal_xy_m: ArrayLike,
    goal_tolerance_m: float,
    start_xy_m: ArrayLike | None = None,
    *,
    surface_ground_grid: GridFunction | None = None,
    config: EvaluationConfig | None = None,
) -> RunEvaluation:
    """Measure a recorded run.

    Args:
        bag_dir: the bag.
        surface_top_grid: true heights of ground and rocks on a grid in ``map``.
        robot: namespace of the robot.
        goal_xy_m: (2,) goal in ``map``.
        goal_tolerance_m: the true final position must be this near for the goal to be reached.
        start_xy_m: (2,) start, by default the first true position.
        surface_ground_grid: heights without rocks, for slopes under the vehicle; by default
            those with rocks.
        config: how to measure.

    Returns:
        Whatever could be measured; ``missing`` says what could not and why.

    Raises:
        BagError: the bag does not open.
    """
    cfg = config or EvaluationConfig()
    run = RunEvaluation(robot, np.asarray(goal_xy_m, dtype=np.float64), float(goal_tolerance_m))
    if start_xy_m is not None:
        run.start_xy_m = np.asarray(start_xy_m, dtype=np.float64)
    with Bag(bag_dir) as bag:
        truth = _try(run, "truth", lambda: read_odometry(bag, f"/{robot}/truth/odom"))
        odom = _try(run, "odometry", lambda: read_odometry(bag, f"/{robot}/odom"))
        map_odom = _try(run, "map_to_odom", lambda: _map_odom(bag, robot))
        _judge_robot(run, bag)
        if truth is not None:
            _judge_truth(run, truth)
            _try(
                run,
                "terrain",
                lambda: _judge_terrain(
                    run, cfg, surface_top_grid, surface_ground_grid or surface_top_grid
                ),
            )
        if truth is not None and odom is not None and map_odom is not None:
            _try(run, "pose_error", lambda: _judge_pose(run, truth, odom, map_odom))
            args = (run, cfg, bag, truth, odom, map_odom, surface_top_grid)
            _try(run, "map", lambda: _judge_maps(*args))
        _judge_reached(run)
        _judge_diagnostics(run, bag)
        _read_for_the_eye(run, bag)
    return run


def _try(run: RunEvaluation, key: str, work: Callable[[], T]) -> T | None:
    """Do it, or note why it cannot be done."""
    try:
        return work()
    except IlrsError as error:
        run.missing[key] = str(error)
        return None


def _map_odom(bag: Bag, robot: str) -> PoseTrack:
    edge = ("map", f"{robot}/odom")
    edges = read_transforms(bag)
    if edge not in edges:
        raise BagError(f"no transform {edge[0]} -> {edge[1]} in /tf or /tf_static")
    return edges[edge]


# -- reached -----------------------------------------------------------------------------------
def _judge_truth(run: RunEvaluation, truth: PoseTrack) -> None:
    run.stamps_s = truth.stamps_ns * 1e-9
    run.true_xyz_m = truth.positions_m
    run.true_rpy_rad = metrics.rpy_of(truth.quats_wxyz)
    run.speed_mps = np.asarray(np.linalg.norm(truth.linear_mps, axis=1), dtype=np.float64)
    if run.start_xy_m is None:
        run.start_xy_m = truth.positions_m[0, :2].copy()
    run.simulated_s = float(run.stamps_s[-1] - run.stamps_s[0])
    run.distance_driven_m = metrics.path_length_m(truth.stamps_ns, truth.positions_m)
    run.max_roll_rad = float(np.abs(run.true_rpy_rad[:, 0]).max())
    run.max_pitch_rad = float(np.abs(run.true_rpy_rad[:, 1]).max())
    run.final_distance_to_goal_m = float(np.linalg.norm(truth.positions_m[-1, :2] - run.goal_xy_m))
    run.reached_by_truth = run.final_distance_to_goal_m <= run.goal_tolerance_m


def _judge_robot(run: RunEvaluation, bag: Bag) -> None:
    """What the action said of the newest goal: its status, when it ended, how often it tried."""
    action = f"/{run.robot}/navigate_to_pose/_action"
    newest: tuple[int, bytes] | None = None
    status, ended_ns = 0, None
    for item in bag.messages(f"{action}/status"):
        for goal in item.msg.status_list:
            stamp = goal.goal_info.stamp
            key = (stamp.sec * 10**9 + stamp.nanosec, bytes(goal.goal_info.goal_id.uuid))
            if newest is None or key[0] >= newest[0]:
                if newest is None or key[1] != newest[1]:
                    ended_ns = None
                newest, status = key, int(goal.status)
                if status in _ENDED and ended_ns is None:
                    ended_ns = item.log_ns
    if newest is None:
        run.missing["robot_word"] = f"no goal in {action}/status"
    else:
        run.reached_by_robot = status == _SUCCEEDED
        run.robot_word = _ENDED.get(status, "still under way")
        if ended_ns is not None:
            run.drive_s = (ended_ns - newest[0]) * 1e-9
    for item in bag.messages(f"{action}/feedback"):
        run.recoveries = int(item.msg.feedback.number_of_recoveries)
    if run.robot_word == "aborted":
        run.robot_word = _last_words(run, bag) or run.robot_word


def _last_words(run: RunEvaluation, bag: Bag) -> str:
    words = ""
    for item in bag.messages("/rosout"):
        text = item.msg.msg
        if text.startswith("goal aborted") and run.robot in item.msg.name:
            words = text.replace("goal aborted", "aborted", 1)
    return words


def _judge_reached(run: RunEvaluation) -> None:
    """Reached is what the truth says, unless the robot itself says otherwise."""
    if run.reached_by_truth is None:
        run.missing["reached"] = "without the truth nobody can say whether the goal was reached"
        return
    run.reached = run.reached_by_truth and run.reached_by_robot is not False


# -- terrain, pose, map ------------------------------------------------------------------------
def _judge_terrain(
    run: RunEvaluation, cfg: EvaluationConfig, top: GridFunction, ground: GridFunction
) -> None:
    assert run.start_xy_m is not None
    driven = run.true_xyz_m[:, :2]
    ends = np.stack((run.start_xy_m, run.goal_xy_m))
    spec = metrics.grid_around(
        np.concatenate((driven, ends)),
        cfg.terrain_margin_m,
        cfg.terrain_resolution_m,
        cfg.max_terrain_cells,
        min_aspect=0.55,
    )
    run.terrain_spec, run.terrain_m = spec, np.asarray(top(spec), dtype=np.float64)
    bare = run.terrain_m if ground is top else np.asarray(ground(spec), dtype=np.float64)
    run.slope_rad = metrics.plane_slopes_rad(bare, spec, driven, cfg.footprint_m)
    steps = max(2, int(np.linalg.norm(ends[1] - ends[0]) / 0.25))
    straight = ends[0] + np.linspace(0.0, 1.0, steps)[:, None] * (ends[1] - ends[0])
    line = metrics.plane_slopes_rad(bare, spec, straight, cfg.footprint_m)
    run.max_slope_rad = _max(run.slope_rad)
    run.straight_line_max_slope_rad = _max(line)


def _max(values: FloatArray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else None


def _estimates(
    odom: PoseTrack, map_odom: PoseTrack, stamps_ns: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Poses of the body in ``map`` as the robot believed them."""
    return metrics.compose(map_odom.at_or_hold(stamps_ns), odom.at(stamps_ns))


def _judge_pose(
    run: RunEvaluation, truth: PoseTrack, odom: PoseTrack, map_odom: PoseTrack
) -> None:
    inside: BoolArray = odom.within(truth.stamps_ns)
    if not inside.any():
        raise BagError("odometry and truth do not overlap in time")
    positions, quats = _estimates(odom, map_odom, truth.stamps_ns[inside])
    run.estimated_xyz_m = np.full((len(truth), 3), np.nan)
    run.estimated_xyz_m[inside] = positions
    delta = run.estimated_xyz_m - truth.positions_m
    run.position_error_m = np.linalg.norm(delta, axis=1)
    run.horizontal_error_m = np.linalg.norm(delta[:, :2], axis=1)
    run.yaw_error_rad = np.full(len(truth), np.nan)
    run.yaw_error_rad[inside] = metrics.wrap_rad(
        metrics.rpy_of(quats)[:, 2] - run.true_rpy_rad[inside, 2]
    )
    error = run.position_error_m[inside]
    run.final_position_error_m, run.max_position_error_m = float(error[-1]), float(error.max())
    run.rms_position_error_m = float(np.sqrt(np.mean(error**2)))
    horizontal, yaw = run.horizontal_error_m[inside], np.abs(run.yaw_error_rad[inside])
    run.final_horizontal_error_m = float(horizontal[-1])
    run.max_horizontal_error_m = float(horizontal.max())
    run.final_yaw_error_rad, run.max_yaw_error_rad = float(yaw[-1]), float(yaw.max())


def _judge_maps(
    run: RunEvaluation,
    cfg: EvaluationConfig,
    bag: Bag,
    truth: PoseTrack,
    odom: PoseTrack,
    map_odom: PoseTrack,
    top: GridFunction,
) -> None:
    topic = f"/{run.robot}/elevation_map"
    if not bag.counts.get(topic):
        raise BagError(f"no message of {topic} in the bag")
    refused = ""
    for message in sample_evenly(bag, topic, cfg.map_samples):
        try:
            sample = grid_map_sample(message)
            run.maps.append(_compare(cfg, sample, truth, odom, map_odom, top))
        except IlrsError as error:
            refused = str(error)
    if refused:
        run.missing["map_samples"] = f"an elevation map was left out: {refused}"
    if not run.maps:
        raise BagError(f"no elevation map can be compared: {refused}")
    shares = [m.coverage for m in run.maps if math.isfinite(m.coverage)]
    run.map_coverage = float(np.mean(shares)) if shares else None


def _compare(
    cfg: EvaluationConfig,
    sample: GridMapSample,
    truth: PoseTrack,
    odom: PoseTrack,
    map_odom: PoseTrack,
    top: GridFunction,
) -> MapComparison:
    if "elevation" not in sample.layers:
        raise BagError(f"no layer 'elevation' among {', '.join(sample.layers)}")
    if sample.frame_id not in (odom.frame_id, map_odom.frame_id):
        raise BagError(f"the map is in {sample.frame_id!r}, odometry in {odom.frame_id!r}")
    stamp = np.array([sample.stamp_ns])
    T_map_frame = _matrix(map_odom.at_or_hold(stamp))
    T_frame_base, T_map_base = _matrix(odom.at(stamp)), _matrix(truth.at(stamp))
    if sample.frame_id == map_odom.frame_id:  # a hopper's landing map
        T_frame_base, T_map_frame = T_map_frame @ T_frame_base, np.eye(4)
    T_true = metrics.yaw_only(T_map_base) @ se3.invert(metrics.yaw_only(T_frame_base))
    elevation, spec = sample.layers["elevation"], sample.spec
    return MapComparison(
        stamp_ns=sample.stamp_ns,
        spec=spec,
        vehicle_xy_m=T_frame_base[:2, 3].copy(),
        elevation_m=elevation,
        as_used=metrics.map_errors(elevation, spec, T_map_frame, top),
        aligned=metrics.map_errors(elevation, spec, T_true, top),
        coverage=metrics.coverage(elevation, spec, T_frame_base[:2, 3], cfg.coverage_radius_m),
    )


def _matrix(pose: tuple[FloatArray, FloatArray]) -> FloatArray:
    return se3.make_transform(pose[0][0], pose[1][0])


# -- machine -----------------------------------------------------------------------------------
def _judge_diagnostics(run: RunEvaluation, bag: Bag) -> None:
    series = read_diagnostics(bag)
    run.power = power_series(series.get(f"{run.robot}/power"))
    latencies = {name: one.numbers("latency_p95_ms") for name, one in series.items()}
    found = {name: float(np.median(values)) for name, values in latencies.items() if values.size}
    if found:
        run.latency_p95_ms = dict(sorted(found.items()))
    else:
        run.missing["latency_p95_ms"] = "no node reports latency_p95_ms in /diagnostics"
    run.real_time_factor = _real_time_factor(series)
    custom = bag.info.custom
    if run.real_time_factor is None:
        run.real_time_factor = _factor_of_pairs(custom.get("ilrs_clock_pairs", "[]"))
    if run.real_time_factor is None:
        run.missing["real_time_factor"] = "no simulator reports it, nor does the recorder's clock"
    if "ilrs_dropped" in custom:
        run.recorder_dropped = sum(json.loads(custom["ilrs_dropped"]).values())


def _real_time_factor(series: dict[str, DiagnosticSeries]) -> float | None:
    """Simulated over wall seconds of the whole run, from the simulator's own counters."""
    for one in series.values():
        wall, simulated = one.numbers("wall_s"), one.numbers("simulated_s")
        if wall.size == simulated.size >= 2 and wall[-1] > wall[0]:
            return float((simulated[-1] - simulated[0]) / (wall[-1] - wall[0]))
        factors = one.numbers("real_time_factor")
        if factors.size:
            return float(factors.mean())
    return None


def _factor_of_pairs(text: str) -> float | None:
    """Simulated over wall seconds between the recorder's first and last look at both clocks."""
    pairs = [(ros, wall) for ros, wall in json.loads(text) if ros > 0]
    if len(pairs) < 2 or pairs[-1][1] <= pairs[0][1]:
        return None
    return float((pairs[-1][0] - pairs[0][0]) / (pairs[-1][1] - pairs[0][1]))


def _read_for_the_eye(run: RunEvaluation, bag: Bag) -> None:
    plans = [xy for _, frame, xy in read_path(bag, f"/{run.robot}/plan") if frame == "map"]
    run.plans_xy_m = [xy for xy in plans if len(xy) > 1]
    topic = f"/{run.robot}/traversability"
    for message in sample_evenly(bag, topic, 1):
        run.traversability = _try(run, "traversability", partial(occupancy_sample, message))
    if not bag.counts.get(topic):
        run.missing["traversability"] = f"no message of {topic} in the bag"
