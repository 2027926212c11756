"""The prior as orbital data are: altimeter tracks, interpolation, a shift."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.measured import interpolated, measured_pixels
from ilrs_robots.core.terrain.prior import LIKE_LOLA, PriorConfig, marked_prior, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(-317.5, -317.5, 5.0, 128, 128)


def test_a_tenth_of_the_pixels_is_measured_along_tracks() -> None:
    hit = measured_pixels(np.random.default_rng(1), SPEC, 0.1, 0.0)
    assert 0.095 < hit.mean() < 0.115
    by_row, by_col = hit.mean(axis=1), hit.mean(axis=0)
    assert by_row.std() > 1.5 * by_col.std()  # tracks along x: rows are hit or missed as a whole


def test_what_is_interpolated_is_linear_between_what_was_measured() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    plane = 0.1 * x - 0.05 * y
    hit = measured_pixels(np.random.default_rng(2), SPEC, 0.1, 1.0)
    inside = (slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(interpolated(plane, hit)[inside], plane[inside], atol=1e-9)
    bumpy = plane + np.random.default_rng(3).normal(size=SPEC.shape)
    bumpy[3, 3] = np.nan
    guess = interpolated(bumpy, hit)
    known = hit & ~np.isnan(bumpy)
    np.testing.assert_array_equal(guess[known], bumpy[known])
    assert np.isnan(guess[3, 3])
    assert np.isnan(guess).sum() == 1
    with pytest.raises(TerrainError, match="0 measured pixels: at least 4"):
        interpolated(plane, np.zeros_like(hit))


def test_a_shifted_prior_is_the_truth_elsewhere() -> None:
    dem = procedural_dem(3, 640.0)
    prior, guessed = marked_prior(dem, 5, PriorConfig(error_m=0.0, shift_m=3.0))
    shift = np.array(prior.provenance["shift_xy_m"])
    assert math.hypot(*shift) == pytest.approx(3.0, abs=1e-3)
    assert not guessed.any()
    xy = np.random.default_rng(0).uniform(-250.0, 250.0, (200, 2)) // 5.0 * 5.0 + 2.5
    np.testing.assert_allclose(prior.height(xy), dem.height(xy - shift), atol=1e-3)


def test_the_prior_is_as_far_from_the_truth_as_orbital_data_are() -> None:
    dem = procedural_dem(1, 640.0)
    prior, guessed = marked_prior(dem, 1, LIKE_LOLA)
    assert 0.88 < guessed.mean() < 0.91
    assert prior.spec == dem.spec
    assert np.isfinite(prior.heights_m).all()
    shift = np.array(prior.provenance["shift_xy_m"])
    x, y = np.meshgrid(dem.spec.x_m()[20:-20], dem.spec.y_m()[20:-20])
    truth = dem.height(np.column_stack((x.ravel(), y.ravel())) - shift).reshape(x.shape)
    off = prior.heights_m[20:-20, 20:-20] - truth
    seen = ~guessed[20:-20, 20:-20]
    assert float(np.sqrt(np.mean(off[seen] ** 2))) == pytest.approx(0.4, rel=0.2)
    assert 0.4 < float(np.sqrt(np.mean(off[~seen] ** 2))) < 0.9  # the guesses are worse
    again = orbital_prior(dem, 1, LIKE_LOLA)
    assert again.heights_m.tobytes() == prior.heights_m.tobytes()


def test_a_prior_of_a_map_keeps_its_place() -> None:
    dem = procedural_dem(1, 320.0)
    placed = Dem(dem.heights_m, dem.spec, None, {"origin_xy_m": [7.0, -8.0]})
    assert orbital_prior(placed, 1).provenance["origin_xy_m"] == [7.0, -8.0]
