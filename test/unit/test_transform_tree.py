"""The tree: chains, interpolation, bounded history, and errors instead of guesses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import ExtrapolationError, MissingTransformError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import STATIC_STAMP_NS, TransformTree

S = 1_000_000_000
LEVEL = (1.0, 0.0, 0.0, 0.0)


def pose_at(t_s: float) -> tuple[np.ndarray, np.ndarray]:
    """A vehicle that drives 0.5 m/s along x and turns 0.2 rad/s."""
    return np.array([0.5 * t_s, 0.0, 0.1]), se3.quat_from_rpy(0.0, 0.0, 0.2 * t_s)


def moving_tree(history_s: float = 10.0) -> TransformTree:
    tree = TransformTree(history_s)
    tree.set_static("base", "lidar", se3.from_rpy((0.7, 0.0, 1.5), (0.0, 0.2, 0.0)))
    tree.set_static("base", "imu", se3.from_rpy((0.0, 0.1, 0.6), (np.pi / 2, 0.0, 0.0)))
    for k in range(51):
        tree.set("odom", "base", k * S // 10, *pose_at(k / 10))
        tree.set("map", "odom", k * S // 10, (100.0, 0.0, 0.0), LEVEL)
    return tree


def test_lookup_between_stamps_agrees_with_the_motion():
    tree = moving_tree()
    t_odom_lidar = tree.lookup("odom", "lidar", 2_345_000_000)
    expected = se3.make_transform(*pose_at(2.345)) @ se3.from_rpy((0.7, 0, 1.5), (0, 0.2, 0))
    np.testing.assert_allclose(t_odom_lidar, expected, atol=1e-12)


def test_lookup_goes_through_any_common_ancestor_and_back():
    tree = moving_tree()
    stamp = 1_234_567_890
    frames = ("map", "odom", "base", "lidar", "imu")
    for a in frames:
        for b in frames:
            there, back = tree.lookup(a, b, stamp), tree.lookup(b, a, stamp)
            np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-12)
            for c in frames:
                through = tree.lookup(a, c, stamp) @ tree.lookup(c, b, stamp)
                np.testing.assert_allclose(through, there, atol=1e-10)
    # siblings do not need the moving edge: they answer at any stamp
    tree.lookup("lidar", "imu", 10**15)


def test_lookup_many_equals_lookup():
    tree = moving_tree()
    stamps = np.array([0, 55_000_000, 4_999_999_999, 5 * S], dtype=np.int64)
    positions, quats = tree.lookup_many("map", "lidar", stamps)
    for k, stamp in enumerate(stamps):
        np.testing.assert_allclose(
            se3.make_transform(positions[k], quats[k]),
            tree.lookup("map", "lidar", int(stamp)),
            atol=1e-12,
        )


def test_no_extrapolation_and_the_distance_is_said():
    tree = moving_tree()
    with pytest.raises(ExtrapolationError, match=r"base.*0\.500000 s after"):
        tree.lookup("odom", "lidar", 5_500_000_000)
    with pytest.raises(ExtrapolationError, match=r"1\.000000 s before"):
        tree.lookup("odom", "lidar", -S)
    assert tree.failures == {"after_latest": 1, "before_history": 1}


def test_missing_is_an_error_and_counted():
    tree = moving_tree()
    with pytest.raises(MissingTransformError, match="'nowhere' is unknown"):
        tree.lookup("odom", "nowhere", 0)
    tree.set_static("other", "island", np.eye(4))
    with pytest.raises(MissingTransformError, match="nothing connects"):
        tree.lookup("odom", "island", 0)
    with pytest.raises(MissingTransformError):
        tree.lookup("nowhere", "nowhere", 0)
    assert tree.failures == {"unknown_frame": 2, "disconnected": 1}


def test_late_samples_take_their_place_and_duplicates_replace():
    tree = TransformTree()
    for t in (0, 2, 4):
        tree.set("odom", "base", t * S, (float(t), 0.0, 0.0), LEVEL)
    tree.set("odom", "base", S, (5.0, 0.0, 0.0), LEVEL)
    assert tree.lookup("odom", "base", S // 2)[0, 3] == pytest.approx(2.5)
    tree.set("odom", "base", S, (1.0, 0.0, 0.0), LEVEL)
    assert tree.lookup("odom", "base", S // 2)[0, 3] == pytest.approx(0.5)
    assert tree.latest_stamp("odom", "base") == 4 * S


def test_history_is_bounded_and_too_old_samples_are_counted():
    tree = TransformTree(history_s=1.0)
    for k in range(5000):
        tree.set("odom", "base", k * S // 100, (k / 100, 0.0, 0.0), LEVEL)
    with pytest.raises(ExtrapolationError):
        tree.lookup("odom", "base", 48 * S)
    assert tree.lookup("odom", "base", 49 * S)[0, 3] == pytest.approx(49.0)
    tree.set("odom", "base", 40 * S, (0.0, 0.0, 0.0), LEVEL)
    assert tree.failures["dropped_too_old"] == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=400))
def test_any_order_of_arrival_gives_the_same_tree(ticks):
    tree = TransformTree(history_s=1000.0)
    for tick in ticks:
        tree.set("odom", "base", tick * S, (float(tick), 0.0, 0.0), LEVEL)
    stamps = np.linspace(min(ticks) * S, max(ticks) * S, 17).astype(np.int64)
    positions, _ = tree.lookup_many("odom", "base", stamps)
    np.testing.assert_allclose(positions[:, 0], stamps / S, atol=1e-6)


def test_latest_stamp_is_that_of_the_oldest_edge():
    tree = moving_tree()
    tree.set("odom", "base", 6 * S, *pose_at(6.0))
    assert tree.latest_stamp("odom", "lidar") == 6 * S
    assert tree.latest_stamp("map", "lidar") == 5 * S
    assert tree.latest_stamp("lidar", "imu") == STATIC_STAMP_NS
    assert tree.latest_stamp("map", "nowhere") is None
    assert tree.failures == {}


def test_clear_forgets_what_moves_and_keeps_what_is_static():
    tree = moving_tree()
    tree.clear()
    tree.lookup("base", "lidar", 0)
    with pytest.raises(MissingTransformError):
        tree.lookup("odom", "base", 0)
    # after a clock jump back the edge starts anew, even under another parent
    tree.set("world", "base", 0, (1.0, 0.0, 0.0), LEVEL)
    assert tree.lookup("world", "lidar", 0)[0, 3] == pytest.approx(1.7)


def test_what_would_break_the_tree_is_refused_and_counted():
    tree = moving_tree()
    with pytest.raises(TransformError, match="cannot move"):
        tree.set("map", "base", 0, (0, 0, 0), LEVEL)
    with pytest.raises(TransformError, match="loop"):
        tree.set("lidar", "map", 0, (0, 0, 0), LEVEL)
    with pytest.raises(TransformError, match="is static"):
        tree.set("base", "lidar", 0, (0, 0, 0), LEVEL)
    with pytest.raises(TransformError, match="finite"):
        tree.set("odom", "base", 6 * S, (0, np.nan, 0), LEVEL)
    with pytest.raises(TransformError, match="zero"):
        tree.set("odom", "base", 6 * S, (0, 0, 0), (0, 0, 0, 0))
    with pytest.raises(TransformError, match="rigid"):
        tree.set_static("base", "camera", 2.0 * np.eye(4))
    assert tree.failures == {"parent_change": 1, "loop": 1, "kind_change": 1, "invalid": 3}
    assert tree.latest_stamp("odom", "base") == 5 * S


def test_nothing_is_interpolated_over_a_gap():
    tree = TransformTree(max_gap_s=1.0)
    for tick in (0, 5, 10, 35, 40):
        tree.set("odom", "base", tick * S // 10, (float(tick), 0.0, 0.0), LEVEL)
    assert tree.lookup("odom", "base", S // 4)[0, 3] == pytest.approx(2.5)
    assert tree.lookup("odom", "base", S)[0, 3] == pytest.approx(10.0)
    assert tree.lookup("odom", "base", 7 * S // 2)[0, 3] == pytest.approx(35.0)
    with pytest.raises(ExtrapolationError, match=r"odom -> base: no data for 2\.500 s, limit 1"):
        tree.lookup("odom", "base", 2 * S)
    with pytest.raises(ExtrapolationError, match="no data for"):
        tree.lookup_many("odom", "base", np.array([S // 2, 4 * S]))
    assert tree.failures == {"gap": 2}
    with pytest.raises(TransformError, match="max_gap_s = 0"):
        TransformTree(max_gap_s=0.0)


def test_a_publisher_whose_time_was_set_back_is_believed_after_some_samples():
    tree = TransformTree(history_s=2.0)
    for t in range(100, 103):
        tree.set("odom", "base", t * S, (float(t), 0.0, 0.0), LEVEL)
    tree.set("odom", "base", 50 * S, (0.0, 0.0, 0.0), LEVEL)
    tree.set("odom", "base", 103 * S, (103.0, 0.0, 0.0), LEVEL)
    assert tree.failures == {"dropped_too_old": 1}
    for t in range(1, 7):
        assert tree.latest_stamp("odom", "base") == (103 * S if t < 6 else 5 * S)
        tree.set("odom", "base", t * S, (float(t), 0.0, 0.0), LEVEL)
    assert tree.failures == {"dropped_too_old": 5, "edge_restarted": 1}
    assert tree.lookup("odom", "base", 11 * S // 2)[0, 3] == pytest.approx(5.5)
    with pytest.raises(ExtrapolationError):
        tree.lookup("odom", "base", 103 * S)
