"""Filled heights: exact where they can be, better than the usual way on real ground."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.mapping.filling import distance_to_known_m, fill_holes

LOLA = Path(__file__).resolve().parents[3] / "shared" / "data" / "lola_shoemaker_5m_256.tif"


def holes(shape: tuple[int, int], seed: int, count: int, radius: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    out = np.zeros(shape, bool)
    for row, col in rng.uniform(radius + 2, np.array(shape) - radius - 2, (count, 2)):
        out |= np.hypot(y - row, x - col) < rng.uniform(1.0, radius)
    return out


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_plane_is_filled_with_itself(slope):
    y, x = np.mgrid[:90, :110] * 0.1
    plane = (50.0 + slope * x - 0.5 * slope * y).astype(np.float32)
    broken = np.where(holes(plane.shape, 2, 20, 5.0), np.nan, plane).astype(np.float32)
    filled = fill_holes(broken)
    np.testing.assert_allclose(filled, plane, atol=0.02)
    np.testing.assert_array_equal(filled[np.isfinite(broken)], broken[np.isfinite(broken)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40), st.floats(0.0, 1.0))
def test_what_is_filled_lies_between_what_is_known(seed, rows, cols, share):
    rng = np.random.default_rng(seed)
    height = (rng.normal(0.0, 5.0, (rows, cols)) + 300.0).astype(np.float32)
    height[rng.random((rows, cols)) < share] = np.nan
    before = height.copy()
    filled = fill_holes(height)
    np.testing.assert_array_equal(height, before)
    known = np.isfinite(height)
    assert filled.shape == height.shape
    np.testing.assert_array_equal(filled[known], height[known])
    if not known.any():
        assert np.isnan(filled).all()
        return
    low, high = height[known].min(), height[known].max()
    assert (filled >= low - 0.35 * (high - low) - 1e-3).all()
    assert (filled <= high + 0.35 * (high - low) + 1e-3).all()
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("peer_type", [np.uint8, np.uint16])
def test_real_ground_is_met_better_than_by_inpainting(peer_type):
    if not LOLA.exists():
        pytest.skip("no real terrain here: shared/data is absent")
    truth = read_geotiff(LOLA).heights_m.astype(np.float32)
    hidden = holes(truth.shape, 0, 120, 5.0)
    broken = np.where(hidden, np.nan, truth).astype(np.float32)
    low, high = np.nanmin(broken), np.nanmax(broken)
    scale = np.iinfo(peer_type).max / (high - low)
    image = np.where(hidden, 0.0, (broken - low) * scale).astype(peer_type)
    peer = cv2.inpaint(image, hidden.astype(np.uint8), 3, cv2.INPAINT_TELEA) / scale + low
    ours = fill_holes(broken)

    def rmse(filled: np.ndarray) -> float:
        return float(np.sqrt(np.mean((filled - truth)[hidden] ** 2)))

    assert rmse(ours) < 0.6 * rmse(peer)
    assert rmse(ours) < 0.35


def test_the_distance_to_what_is_known():
    known = np.zeros((20, 30), bool)
    known[5, 7] = True
    y, x = np.mgrid[:20, :30]
    np.testing.assert_allclose(
        distance_to_known_m(known, 0.2), 0.2 * np.hypot(y - 5, x - 7), atol=1e-5
    )
    assert np.isinf(distance_to_known_m(np.zeros((3, 3), bool), 0.2)).all()
