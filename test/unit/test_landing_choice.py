"""The place to land: near where it is safe enough, elsewhere where a divert buys room."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.planning.landing_choice import best_landing
from ilrs_robots.core.planning.landing_map import LandingMap
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(-10.0, -10.0, 0.1, 201, 201)
TARGET = np.zeros(2)


def judged(safe: np.ndarray) -> LandingMap:
    reason = np.where(safe, 0, 3).astype(np.uint8)
    nothing = np.zeros(safe.shape, np.float32)
    return LandingMap(SPEC, reason, nothing, nothing, nothing, nothing)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    gx, gy = np.meshgrid(SPEC.x_m() - x, SPEC.y_m() - y)
    return np.hypot(gx, gy) <= radius


def test_an_open_field_is_landed_on_where_it_was_asked_for() -> None:
    found = best_landing(judged(np.ones(SPEC.shape, bool)), TARGET, dispersion_m=0.5, reach_m=8.0)
    assert found is not None
    assert found.divert_m < 0.1
    assert found.risk < 1e-3
    assert found.room_m > 9.0


def test_wide_dispersion_moves_it_to_the_larger_field() -> None:
    safe = disc(0.0, 0.0, 0.5) | disc(5.0, 0.0, 3.0)
    sure = best_landing(judged(safe), TARGET, dispersion_m=0.05, reach_m=9.0)
    unsure = best_landing(judged(safe), TARGET, dispersion_m=0.8, reach_m=9.0)
    assert sure is not None
    assert unsure is not None
    assert sure.divert_m < 0.5
    assert math.hypot(*(unsure.xy_m - [5.0, 0.0])) < 2.0
    assert unsure.room_m > 1.5


def test_the_risk_is_the_share_of_landings_that_end_on_unsafe_ground() -> None:
    safe = np.zeros(SPEC.shape, bool)
    safe[:, 101:] = True
    found = best_landing(
        judged(safe), np.array([1.0, 0.0]), dispersion_m=1.0, reach_m=0.05, max_risk=1.0
    )
    assert found is not None
    rng = np.random.default_rng(0)
    ends = found.xy_m + rng.normal(0.0, 1.0, (200_000, 2))
    inside = ends[:, 0] > SPEC.x_m()[101] - 0.05
    assert found.risk == pytest.approx(1.0 - inside.mean(), abs=0.01)


def test_nothing_within_reach_is_nothing() -> None:
    safe = disc(5.0, 0.0, 2.0)
    assert best_landing(judged(safe), TARGET, dispersion_m=0.2, reach_m=2.0) is None
    assert best_landing(judged(safe), TARGET, dispersion_m=50.0, reach_m=9.0) is None
