"""Errors that are put into a bag on purpose are measured as what they are."""

import numpy as np
import pytest

from ilrs_robots.replay.bag import BagError
from ilrs_robots.replay.evaluate import EvaluationConfig, evaluate_run

pytestmark = pytest.mark.replay
CONFIG = EvaluationConfig(map_samples=3, terrain_resolution_m=0.5, coverage_radius_m=5.0)


def evaluate(bag, drive, goal=None, tolerance=0.5):
    goal = drive.end if goal is None else goal
    return evaluate_run(bag, drive.surface, "rover", goal, tolerance, config=CONFIG)


def test_a_perfect_drive(drive_type, drive_bag):
    drive = drive_type(roll=0.1, pitch=-0.2)
    run = evaluate(drive_bag(drive), drive)
    slope = np.hypot(*drive.plane[:2])
    climb = drive.heading @ drive.plane[:2]
    assert [run.reached, run.reached_by_truth, run.reached_by_robot] == [True] * 3
    assert run.robot_word == "succeeded"
    assert run.recoveries == 2
    assert run.distance_driven_m == pytest.approx(20.0 * np.hypot(1.0, climb), abs=1e-6)
    assert run.straight_line_m == pytest.approx(20.0)
    assert run.simulated_s == pytest.approx(40.0)
    assert run.drive_s == pytest.approx(40.0)
    assert run.final_position_error_m == pytest.approx(0.0, abs=1e-9)
    assert run.max_yaw_error_rad == pytest.approx(0.0, abs=1e-9)
    assert run.max_roll_rad == pytest.approx(0.1)
    assert run.max_pitch_rad == pytest.approx(0.2)
    assert run.max_slope_rad == pytest.approx(np.arctan(slope), abs=1e-6)
    assert run.straight_line_max_slope_rad == pytest.approx(np.arctan(slope), abs=1e-6)
    assert run.map_rmse_m("as_used") == pytest.approx(0.0, abs=1e-5)
    assert run.map_rmse_m("aligned") == pytest.approx(0.0, abs=1e-5)
    assert len(run.maps) == 3
    assert run.real_time_factor == pytest.approx(4.0, rel=1e-3)
    assert run.latency_p95_ms == {"rover/mapping": pytest.approx(11.0, abs=1.0)}
    assert np.nanmax(run.speed_mps) == pytest.approx(0.5)


def test_a_pose_offset_is_measured(drive_type, drive_bag):
    drive = drive_type(offset_m=(0.06, 0.08, 0.0))
    run = evaluate(drive_bag(drive), drive)
    assert run.final_position_error_m == pytest.approx(0.10, abs=1e-6)
    assert run.max_position_error_m == pytest.approx(0.10, abs=1e-6)
    assert run.final_horizontal_error_m == pytest.approx(0.10, abs=1e-6)
    # on a plane the shift shows as a height error, unless the pose error is taken away
    expected = abs(0.06 * drive.plane[0] + 0.08 * drive.plane[1])
    assert run.map_rmse_m("as_used") == pytest.approx(expected, abs=1e-5)
    assert run.map_rmse_m("aligned") == pytest.approx(0.0, abs=1e-5)


def test_a_heading_error_is_measured_and_taken_away(drive_type, drive_bag):
    drive = drive_type(yaw_error=np.deg2rad(2.0))
    run = evaluate(drive_bag(drive), drive)
    assert run.final_yaw_error_rad == pytest.approx(np.deg2rad(2.0), abs=1e-9)
    assert run.final_horizontal_error_m == pytest.approx(2 * 20.0 * np.sin(np.deg2rad(1.0)))
    assert run.map_rmse_m("as_used") > 0.02
    assert run.map_rmse_m("aligned") == pytest.approx(0.0, abs=1e-4)


def test_a_map_that_is_too_high(drive_type, drive_bag):
    drive = drive_type(map_bias_m=0.03)
    run = evaluate(drive_bag(drive), drive)
    assert run.map_rmse_m("as_used") == pytest.approx(0.03, abs=1e-5)
    assert run.map_rmse_m("aligned", mean=True) == pytest.approx(0.03, abs=1e-5)
    assert run.summary()["map_bias_aligned_m"] == pytest.approx(0.03, abs=1e-5)


def test_height_offset_of_the_pose_is_in_the_used_map_only(drive_type, drive_bag):
    drive = drive_type(offset_m=(0.0, 0.0, 0.4))
    run = evaluate(drive_bag(drive), drive)
    assert run.final_position_error_m == pytest.approx(0.4)
    assert run.final_horizontal_error_m == pytest.approx(0.0, abs=1e-9)
    assert run.map_rmse_m("as_used") == pytest.approx(0.4, abs=1e-5)
    assert run.map_rmse_m("aligned") == pytest.approx(0.0, abs=1e-5)


def test_coverage_counts_known_cells_near_the_vehicle(drive_type, drive_bag):
    drive = drive_type()
    run = evaluate(drive_bag(drive), drive)
    # the map is unknown left of -3.75 m; a chord there cuts a segment off the 5 m disc
    angle = 2.0 * np.arccos(3.75 / 5.0)
    segment = 0.5 * 25.0 * (angle - np.sin(angle))
    assert run.map_coverage == pytest.approx(1.0 - segment / (np.pi * 25.0), abs=0.02)


def test_a_missed_goal_is_not_reached(drive_type, drive_bag):
    drive = drive_type()
    run = evaluate(drive_bag(drive), drive, goal=drive.end + np.array((0.0, 2.0)))
    assert run.reached_by_robot is True
    assert run.reached_by_truth is False
    assert run.reached is False
    assert run.final_distance_to_goal_m == pytest.approx(2.0)


def test_a_robot_that_gives_up_at_the_goal_has_not_reached_it(drive_type, drive_bag):
    drive = drive_type(status=6)
    run = evaluate(drive_bag(drive), drive)
    assert run.reached_by_truth is True
    assert run.reached_by_robot is False
    assert run.reached is False
    assert run.robot_word == "aborted"


@pytest.mark.parametrize(
    ("left_out", "key", "empty"),
    [
        ("truth", "truth", ("reached", "distance_driven_m", "final_position_error_m")),
        ("tf", "map_to_odom", ("final_position_error_m", "map_rmse_aligned_m")),
        ("odom", "odometry", ("final_position_error_m", "map_rmse_aligned_m")),
        ("map", "map", ("map_rmse_aligned_m", "map_coverage")),
        ("diagnostics", "latency_p95_ms", ("latency_p95_ms", "real_time_factor")),
    ],
)
def test_what_is_missing_is_none_with_a_reason(drive_type, drive_bag, left_out, key, empty):
    drive = drive_type()
    summary = evaluate(drive_bag(drive, without=(left_out,)), drive).summary()
    assert all(summary[name] is None for name in empty)
    assert "/" in summary["missing"][key]


def test_without_an_action_the_truth_alone_decides(drive_type, drive_bag):
    drive = drive_type(status=None)
    run = evaluate(drive_bag(drive), drive)
    assert run.reached is True
    assert run.reached_by_robot is None
    assert "navigate_to_pose" in run.missing["robot_word"]


def test_no_bag_is_one_clear_error(tmp_path, drive_type):
    with pytest.raises(BagError, match="no bag there"):
        evaluate(tmp_path / "nothing", drive_type())


def test_position_errors_agree_with_evo(drive_type, drive_bag):
    metrics = pytest.importorskip("evo.core.metrics", reason="evo is not installed")
    trajectory = pytest.importorskip("evo.core.trajectory")
    drive = drive_type(yaw_error=0.03, offset_m=(0.1, 0.0, -0.2))
    run = evaluate(drive_bag(drive), drive)
    wxyz = np.tile((1.0, 0.0, 0.0, 0.0), (len(run.stamps_s), 1))
    pair = [
        trajectory.PoseTrajectory3D(xyz, wxyz, run.stamps_s)
        for xyz in (run.true_xyz_m, run.estimated_xyz_m)
    ]
    ape = metrics.APE(metrics.PoseRelation.translation_part)
    ape.process_data(tuple(pair))
    assert run.rms_position_error_m == pytest.approx(
        ape.get_statistic(metrics.StatisticsType.rmse)
    )
    assert run.max_position_error_m == pytest.approx(ape.get_statistic(metrics.StatisticsType.max))
