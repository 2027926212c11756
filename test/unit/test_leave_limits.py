"""Ground that keeps its link for a while, and routes that must be over it in time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from route_worlds import flat, planner_of

from ilrs_robots.core.planning.leave_limits import LINK_WORDS, earlier, linked_until

H = 3600.0


def test_a_link_counts_until_the_last_map_before_it_is_lost_and_not_again() -> None:
    seen = [[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0]]
    maps = [(2.0 * H * k, np.array([row], dtype=bool)) for k, row in enumerate(seen)]
    until = linked_until(maps, 6.0 * H)
    assert until.tolist() == [[math.inf, 2.0 * H, -1.0, 4.0 * H]]
    with pytest.raises(ValueError, match="no map"):
        linked_until([], H)


def test_of_two_limits_the_earlier_holds() -> None:
    first, second = np.array([[1.0, 5.0]]), np.array([[3.0, -1.0]])
    both = earlier(first, second)
    assert both is not None
    assert both.tolist() == [[1.0, -1.0]]
    assert earlier(None, second) is second
    assert earlier(first, None) is first


def test_a_route_is_over_ground_before_its_link_is_lost_or_is_refused_in_these_words() -> None:
    """The far half loses its link after an hour; the drive over it takes more than half of one."""
    dem = flat(3, 100)
    until = np.full(dem.spec.shape, math.inf)
    until[:, 50:] = H
    planner = planner_of(dem, np.ones(12), (0.0, 10.0), (900.0, 10.0), leave_by=until)
    answer = planner.plan(1.0)
    assert answer.reached
    assert answer.arrive_s <= H
    assert answer.latest_s == 0.0, "an hour later the link is gone before it arrives"
    until[:, 50:] = 0.3 * H
    late = planner_of(dem, np.ones(12), (0.0, 10.0), (900.0, 10.0), leave_by=until)
    late.leave_words = LINK_WORDS
    refused = late.plan(1.0)
    assert not refused.reached
    assert refused.reason == LINK_WORDS.none
    assert "the link would have to last 0." in refused.changes[0]
