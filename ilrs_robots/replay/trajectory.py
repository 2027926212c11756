"""Errors of a trajectory against the truth, by evo: APE and RPE, nothing aligned.

The truth is in ``map`` and so is what the robot believes: an offset or a turn between them is an
error and stays one.

Reference: Grupp, evo (Python package for the evaluation of odometry and SLAM); Sturm et al. 2012,
A benchmark for the evaluation of RGB-D SLAM systems (ATE and RPE).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay import metrics
from ilrs_robots.replay.pose_log import PoseLog

RPE_STEP_M: Final = 1.0
_SHORT_M: Final = 2.0 * RPE_STEP_M
_FEW: Final = 2


def trajectory_metrics(estimate: PoseLog, truth: PoseLog) -> dict[str, float]:
    """APE of position and heading, RPE over one metre; empty where the two do not overlap.

    The truth is interpolated to the stamps of the estimates.

    Raises:
        ConfigError: evo is not installed.
    """
    if len(truth) < _FEW or len(estimate) < _FEW:
        return {}
    from ilrs_robots.core.geometry import se3

    stamps = estimate.stamps_ns
    inside = (stamps >= truth.stamps_ns[0]) & (stamps <= truth.stamps_ns[-1])
    if int(inside.sum()) < _FEW:
        return {}
    stamps = stamps[inside]
    true_position, true_quat = se3.interpolate_poses(
        truth.stamps_ns, truth.positions_m, truth.quats_wxyz, stamps
    )
    position, quat = estimate.positions_m[inside], estimate.quats_wxyz[inside]
    found = _by_evo(stamps * 1e-9, (true_position, true_quat), (position, quat))
    yaw = metrics.wrap_rad(metrics.rpy_of(quat)[:, 2] - metrics.rpy_of(true_quat)[:, 2])
    found["yaw_error_max_deg"] = float(np.degrees(np.abs(yaw).max()))
    found["yaw_error_mean_deg"] = float(np.degrees(yaw.mean()))
    error = position - true_position
    found["final_error_m"] = float(np.linalg.norm(error[-1]))
    found["height_error_mean_m"] = float(error[:, 2].mean())
    return found


def _by_evo(
    times_s: FloatArray,
    truth: tuple[FloatArray, FloatArray],
    estimate: tuple[FloatArray, FloatArray],
) -> dict[str, float]:
    try:
        from evo.core import metrics as evo
        from evo.core.trajectory import PoseTrajectory3D
    except ImportError as error:
        raise ConfigError(f"poses are judged by evo, which is not installed ({error})") from error
    true, ours = (
        PoseTrajectory3D(positions_xyz=p, orientations_quat_wxyz=q, timestamps=times_s)
        for p, q in (truth, estimate)
    )
    ape = evo.APE(evo.PoseRelation.translation_part)
    ape.process_data((true, ours))
    turn = evo.APE(evo.PoseRelation.rotation_angle_deg)
    turn.process_data((true, ours))
    found = {
        "ape_rmse_m": float(ape.get_statistic(evo.StatisticsType.rmse)),
        "ape_max_m": float(ape.get_statistic(evo.StatisticsType.max)),
        "ape_rotation_rmse_deg": float(turn.get_statistic(evo.StatisticsType.rmse)),
    }
    if float(np.linalg.norm(np.diff(truth[0], axis=0), axis=1).sum()) < _SHORT_M:
        return found
    relation = evo.PoseRelation.translation_part
    rpe = evo.RPE(relation, delta=RPE_STEP_M, delta_unit=evo.Unit.meters, all_pairs=True)
    rpe.process_data((true, ours))
    found["rpe_rmse_m_per_m"] = float(rpe.get_statistic(evo.StatisticsType.rmse))
    return found
