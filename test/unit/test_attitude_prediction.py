"""Predicted roll, pitch and clearance: exact on planes, right on rocks, NaN where unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.attitude_prediction import Heights, predict_attitude
from ilrs_robots.core.planning.footing import Footing, plane_weights
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot

SPEC = GridSpec(-6.0, -6.0, 0.1, 121, 121)


def plane(slope_x: float, slope_y: float) -> Heights:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    return Heights(SPEC, (slope_x * x + slope_y * y).astype(np.float32))


@pytest.fixture(scope="module", params=["long_range", "crewed_rover"])
def footing(request: pytest.FixtureRequest) -> Footing:
    return footing_of(load_robot(request.param))


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-3.1, 3.1), st.floats(-1.0, 1.0))
def test_on_a_plane_the_body_is_parallel_to_it(
    slope_x: float, slope_y: float, yaw: float, x: float
) -> None:
    """The rotation of roll, pitch and yaw takes z onto the plane's normal."""
    for name in ("long_range", "crewed_rover"):
        made = predict_attitude(
            plane(slope_x, slope_y), footing_of(load_robot(name)), np.array([[x, 0.3, yaw]])
        )
        R = se3.from_rpy(np.zeros(3), (made.roll_rad[0], made.pitch_rad[0], yaw))[:3, :3]
        normal = np.array([-slope_x, -slope_y, 1.0])
        np.testing.assert_allclose(R[:, 2], normal / np.linalg.norm(normal), atol=1e-5)
        assert made.height_m[0] == pytest.approx(slope_x * x + slope_y * 0.3, abs=1e-5)


def test_side_slope_rolls_and_climb_pitches_the_nose_up(footing: Footing) -> None:
    tangent = np.tan(np.radians(20.0))
    poses = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, np.pi / 2]])
    made = predict_attitude(plane(0.0, tangent), footing, poses)
    np.testing.assert_allclose(np.degrees(made.roll_rad), [20.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(np.degrees(made.pitch_rad), [0.0, -20.0], atol=1e-3)
    np.testing.assert_allclose(np.degrees(made.tilt_rad), [20.0, 20.0], atol=1e-3)


def test_clearance_is_that_of_the_highest_ground_below(footing: Footing) -> None:
    flat = np.zeros(SPEC.shape, np.float32)
    row, col = SPEC.cell_of(np.array([0.2, 0.1]))
    upper = flat.copy()
    upper[row, col] = 0.25
    poses = np.array([[0.0, 0.0, 0.4], [4.0, 3.0, 0.0]])
    made = predict_attitude(Heights(SPEC, flat, upper), footing, poses)
    expected = [footing.clearance_m - 0.25, footing.clearance_m]
    np.testing.assert_allclose(made.clearance_m, expected, atol=1e-6)


def test_unknown_ground_is_nan_not_level(footing: Footing) -> None:
    ground = np.zeros(SPEC.shape, np.float32)
    ground[:, 80:] = np.nan
    poses = np.array([[1.8, 0.0, 0.0], [-2.0, 0.0, 0.0], [50.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    made = predict_attitude(Heights(SPEC, ground), footing, poses)
    np.testing.assert_array_equal(np.isnan(made.roll_rad), [True, False, True, True])
    assert np.isnan(made.clearance_m[2:]).all()


def test_another_frame_changes_nothing_but_the_coordinates(footing: Footing) -> None:
    rng = np.random.default_rng(3)
    heights = np.cumsum(rng.normal(0.0, 0.01, SPEC.shape), axis=1).astype(np.float32)
    T = se3.from_rpy(np.array([30.0, -7.0, 0.0]), (0.0, 0.0, 0.7))
    here = np.array([[0.4, -0.2, 0.3]])
    there = np.array([[*(T @ [0.4, -0.2, 0.0, 1.0])[:2], 0.3 + 0.7]])
    own = predict_attitude(Heights(SPEC, heights), footing, here)
    other = predict_attitude(Heights(SPEC, heights, None, T), footing, there)
    assert own.roll_rad[0] == pytest.approx(other.roll_rad[0], abs=1e-6)
    assert own.pitch_rad[0] == pytest.approx(other.pitch_rad[0], abs=1e-6)


def test_one_wheel_on_a_rock_lifts_its_corner() -> None:
    """A rigid plane on four springs takes a quarter of the rock's height; a bogie less."""
    rover = footing_of(load_robot("crewed_rover"))
    ground = np.zeros(SPEC.shape, np.float32)
    row, col = SPEC.cell_of(rover.wheels_xy_m[0])
    ground[row - 2 : row + 3, col - 2 : col + 3] = 0.2
    made = predict_attitude(Heights(SPEC, ground), rover, np.zeros((1, 3)))
    assert made.height_m[0] == pytest.approx(0.05, abs=1e-6)
    assert made.roll_rad[0] > 0.0 > made.pitch_rad[0]


def test_what_is_no_footing_is_refused() -> None:
    line = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    with pytest.raises(ConfigError, match="one line"):
        plane_weights(line)
    with pytest.raises(ConfigError, match="sum"):
        Footing(line, np.ones((3, 3)), 0.3, 1.0, 1.0)
    good = footing_of(load_robot("long_range"))
    with pytest.raises(PlanningError, match="poses"):
        predict_attitude(plane(0.0, 0.0), good, np.zeros((2, 2)))
