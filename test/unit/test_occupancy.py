"""OccupancyGrid contents: corner and centre, unknown, and the way back."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.io.occupancy import cost_to_occupancy, occupancy_to_cost
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(2.0, -1.0, 0.2, 2, 3)


def test_layout_is_row_by_row_from_the_lowest_corner():
    cost = np.array([[0.0, 0.25, np.nan], [0.98, 1.0, 0.994]], np.float32)
    content = cost_to_occupancy(cost, SPEC)
    assert isinstance(content.data, array)
    assert content.data.typecode == "b"
    assert list(content.data) == [0, 25, -1, 98, 100, 99]
    assert (content.width, content.height, content.resolution) == (3, 2, 0.2)
    assert content.corner_m == pytest.approx((1.9, -1.1))


def test_round_trip():
    rng = np.random.default_rng(0)
    cost = rng.random((40, 30), dtype=np.float32)
    cost[rng.random(cost.shape) < 0.3] = np.nan
    cost[0, 0] = 1.0
    spec = GridSpec(-3.7, 12.1, 0.1, 40, 30)
    content = cost_to_occupancy(cost, spec)
    back, back_spec = occupancy_to_cost(
        content.data, content.height, content.width, content.resolution, content.corner_m
    )
    np.testing.assert_allclose(back, cost, atol=0.0051)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(cost))
    assert back[0, 0] == 1.0
    assert back_spec.shape == spec.shape
    assert (back_spec.origin_x_m, back_spec.origin_y_m) == pytest.approx((-3.7, 12.1))


def test_what_is_safe_never_becomes_lethal():
    safe = np.linspace(0.0, 0.98, 300, dtype=np.float32).reshape(1, -1)
    content = cost_to_occupancy(safe, GridSpec(0.0, 0.0, 0.1, 1, 300))
    back, _ = occupancy_to_cost(content.data, 1, 300, 0.1, content.corner_m)
    assert max(content.data) == 98
    assert back.max() < 0.99


def test_costs_outside_the_range_are_clipped():
    content = cost_to_occupancy(np.array([[-1.0, 7.0, np.inf]], np.float32),
                                GridSpec(0.0, 0.0, 0.1, 1, 3))  # fmt: skip
    assert list(content.data) == [0, 100, 100]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"height": -1}, "negative_size"),
        ({"width": 4}, "truncated"),
        ({"height": 10**8, "width": 10**8}, "truncated"),
        ({"resolution_m": 0.0}, "resolution"),
        ({"corner_m": (np.nan, 0.0)}, "resolution"),
        ({"data": [0, 1, 2, 3, 4, 101]}, "value"),
        ({"data": [0, 1, 2, 3, 4, -2]}, "value"),
    ],
)
def test_what_does_not_fit_is_refused(changed, reason):
    good = {"data": [0, 1, 2, 3, 4, -1], "height": 2, "width": 3, "resolution_m": 0.2,
            "corner_m": (0.0, 0.0)}  # fmt: skip
    occupancy_to_cost(**good)
    with pytest.raises(MessageLayoutError) as caught:
        occupancy_to_cost(**(good | changed))
    assert caught.value.reason == reason


def test_a_cost_off_the_grid_is_refused():
    with pytest.raises(MessageLayoutError, match="the grid"):
        cost_to_occupancy(np.zeros((3, 2), np.float32), SPEC)
