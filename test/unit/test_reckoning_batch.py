"""Many samples at once give what they give one by one, whatever is wrong with some of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from batch_drives import (
    CONFIG,
    MODEL,
    NAMES,
    START_NS,
    WHEELS,
    YAW_RAD,
    Drive,
    S,
    at_once,
    disorder,
    holes,
    nonsense,
    nothing,
    one,
)

from ilrs_robots.core.localization.dead_reckoning import DeadReckoning, DeadReckoningConfig
from ilrs_robots.core.localization.reckoning_batch import (
    ReckoningBatch,
    SampleBatch,
)
from ilrs_robots.core.types import OdometryEstimate
from ilrs_robots.robots.settings import kinematics_of


def reckoning(config: DeadReckoningConfig = CONFIG) -> DeadReckoning:
    made = DeadReckoning(config, kinematics_of(MODEL), WHEELS.names, WHEELS.steered)
    made.reset(
        np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0, 0.0]), START_NS - S // 50, YAW_RAD
    )
    return made


def singly(batch: SampleBatch) -> tuple[DeadReckoning, dict[int, OdometryEstimate]]:
    dead = reckoning()
    found = {n: one(dead, batch, n) for n in range(len(batch.kinds))}
    return dead, {n: estimate for n, estimate in found.items() if estimate is not None}


def all_at_once(batch: SampleBatch) -> tuple[DeadReckoning, dict[int, tuple], int]:
    """As ``singly``: estimates as (position, attitude, covariance), and samples taken singly."""
    dead = reckoning()
    return dead, *at_once(dead, ReckoningBatch(dead), batch)


@pytest.mark.parametrize("change", [nothing, holes, nonsense, disorder])
def test_a_batch_gives_what_its_samples_give(change: Callable[[Drive], None]) -> None:
    drive = Drive()
    change(drive)
    batch = drive.batch()
    expected_end, expected = singly(batch)
    end, found, alone = all_at_once(batch)
    assert list(found) == list(expected)
    assert len(found) > 1000
    assert alone < 0.1 * len(batch.kinds)
    for n, estimate in expected.items():
        position, quat, covariance = found[n]
        assert np.abs(position - estimate.position_m).max() < 1e-9
        assert np.abs(quat - estimate.quat_wxyz).max() < 1e-9
        scale = np.abs(estimate.pose_covariance).max()
        assert np.abs(covariance - estimate.pose_covariance).max() < 1e-9 * scale
    assert end.refused == expected_end.refused
    assert np.abs(end.bias_rps - expected_end.bias_rps).max() < 1e-12
    assert end.stars_hold == expected_end.stars_hold
    if change is nothing:
        assert alone < 10
        assert np.linalg.norm(position - expected[min(expected)].position_m) > 10.0


def test_where_a_batch_is_cut_does_not_matter() -> None:
    batch = Drive(seed=2).batch()
    _, whole, _ = all_at_once(batch)
    dead = reckoning()
    many, n, last = ReckoningBatch(dead), 0, None
    while n < len(batch.kinds):
        part = SampleBatch(
            batch.kinds[n : n + 37], batch.stamps_ns[n : n + 37], batch.rows[n : n + 37],
            batch.imu, NAMES, batch.position_rad, batch.velocity_rps, batch.stars,
        )  # fmt: skip
        step = many.advance(part)
        last = step.last or last
        if step.end < len(part.kinds):
            one(dead, part, step.end)
        n += step.end + 1 if step.end < len(part.kinds) else step.end
    assert last is not None
    position, quat, covariance = whole[max(whole)]
    assert last.position_m.tobytes() == position.tobytes()
    assert last.quat_wxyz.tobytes() == quat.tobytes()
    assert last.pose_covariance.tobytes() == covariance.tobytes()
