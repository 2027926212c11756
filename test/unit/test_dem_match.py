"""Absolute position from the orbital map: found where the ground tells, refused where not."""

from __future__ import annotations

import numpy as np
import pytest
from ground_swaths import CELL_M, site, swath

from ilrs_robots.core.localization.dem_match import DemMatch, DemMatchConfig, match
from ilrs_robots.core.localization.dem_search import left_over, lowest
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

CFG = DemMatchConfig()
LITTLE = DemMatchConfig(least_area_m2=9000.0)
SURE = 25.0 * np.eye(2)


def hills(rows: int = 160, cols: int = 160) -> Dem:
    """Smooth ground without any error: every wave is many postings long."""
    rng = np.random.default_rng(4)
    x, y = np.meshgrid(CELL_M * np.arange(cols), CELL_M * np.arange(rows))
    z = np.zeros((rows, cols))
    for _ in range(60):
        k = rng.uniform(2 * np.pi / 250.0, 2 * np.pi / 50.0)
        a, phase = rng.uniform(0, 2 * np.pi, 2)
        z += 0.05 / k * np.sin(k * (np.cos(a) * x + np.sin(a) * y) + phase)
    spec = GridSpec(0.0, 0.0, CELL_M, rows, cols)
    return Dem(z.astype(np.float32), spec)


def believed(cells: np.ndarray, off: np.ndarray, at: np.ndarray, prior: Dem, **how) -> DemMatch:
    """Compare ground that is believed to be ``off`` from where it is."""
    moved = cells + off
    cfg = how.pop("cfg", CFG)
    return match(moved[:, :2], moved[:, 2], at + off[:2], how.pop("covariance", SURE), prior, cfg)


def test_exact_ground_is_found_to_a_decimetre_whatever_offset_and_tilt() -> None:
    prior, at, rng = hills(), np.array([500.0, 420.0]), np.random.default_rng(1)
    cells = swath(prior, at, 0.6, rng, drift=0.0)
    for off in ((0.0, 0.0, 0.0), (7.3, -4.1, 25.0), (-11.0, 2.5, -3.0)):
        tilted = cells.copy()
        tilted[:, 2] += (cells[:, :2] - at) @ (0.004, -0.003)
        found = believed(tilted, np.array(off), at, prior)
        assert found.accepted
        np.testing.assert_allclose(found.shift_m, -np.array(off), atol=0.15)
        assert found.explained > 0.99


def test_a_wrong_heading_is_found_as_well() -> None:
    prior, at, rng = hills(), np.array([500.0, 420.0]), np.random.default_rng(1)
    cells = swath(prior, at, 0.6, rng, drift=0.0)
    turn = 0.02
    c, s = np.cos(turn), np.sin(turn)
    turned = cells.copy()
    turned[:, :2] = at + (cells[:, :2] - at) @ np.array(((c, s), (-s, c)))
    cfg = DemMatchConfig(yaw_sigma_rad=0.05)
    found = believed(turned, np.zeros(3), at, prior, cfg=cfg)
    assert found.accepted
    assert found.yaw_rad == pytest.approx(-turn, abs=0.002)
    np.testing.assert_allclose(found.shift_m[:2], 0.0, atol=0.4)


def test_fixes_on_a_degraded_prior_are_what_their_covariance_says() -> None:
    """0.4 m of correlated error, 90 % interpolated, 3 m off; odometry that drifts."""
    errors, squares = [], []
    for seed in (21, 22):
        rng, place = np.random.default_rng(seed), site(seed)
        for heading in np.arange(0.0, 2.0 * np.pi, np.pi / 2.0):
            at = rng.uniform(-120.0, 120.0, 2)
            cells = swath(place.surface, at, heading, rng)
            off = np.append(rng.normal(0.0, 4.0, 2), 5.0)
            found = believed(cells, off, at, place.prior)
            if not found.accepted:
                continue
            error = found.shift_m[:2] + off[:2] - place.shift_m
            errors.append(float(np.hypot(*error)))
            squares.append(float(error @ np.linalg.solve(found.covariance[:2, :2], error)))
    assert len(errors) >= 5
    assert np.median(errors) < 3.0
    assert max(squares) < 18.4  # 99.99 % of two degrees of freedom


def test_flat_ground_is_refused() -> None:
    spec = GridSpec(-400.0, -400.0, 5.0, 160, 160)
    rng = np.random.default_rng(3)
    prior = Dem(rng.normal(0.0, 0.2, spec.shape).astype(np.float32), spec)
    cells = swath(Dem(np.zeros(spec.shape, np.float32), spec), np.zeros(2), 0.3, rng)
    assert believed(cells, np.zeros(3), np.zeros(2), prior).reason in ("flat", "uncertain")


def test_ground_that_repeats_itself_is_refused() -> None:
    """Parallel ridges every 60 m: the place is ambiguous across, and unknown along them."""
    x = 5.0 * np.arange(160)
    ridges = np.broadcast_to(3.0 * np.sin(2.0 * np.pi * x / 60.0), (160, 160))
    prior = Dem(ridges.astype(np.float32), GridSpec(0.0, 0.0, 5.0, 160, 160))
    cells = swath(prior, np.array([500.0, 400.0]), 0.3, np.random.default_rng(3), drift=0.0)
    found = believed(cells, np.zeros(3), np.array([500.0, 400.0]), prior)
    assert found.reason in ("uncertain", "ambiguous")
    assert found.odds < 1.0


def test_little_ground_and_ground_off_the_map_are_refused() -> None:
    prior, at, rng = hills(), np.array([500.0, 420.0]), np.random.default_rng(1)
    short = swath(prior, at, 0.6, rng, length_m=60.0)
    assert believed(short, np.zeros(3), at, prior).reason == "area"
    cells = swath(prior, at, 0.6, rng)
    assert believed(cells, np.array([3000.0, 0.0, 0.0]), at, prior).reason == "outside"
    cells[:, 2] = np.nan
    assert believed(cells, np.zeros(3), at, prior).reason == "area"


def test_unknown_samples_of_the_prior_under_the_ground_give_no_fix() -> None:
    prior, at, rng = hills(), np.array([500.0, 420.0]), np.random.default_rng(1)
    holes = prior.heights_m.copy()
    holes[40:100, 40:120] = np.nan
    found = believed(swath(prior, at, 0.6, rng), np.zeros(3), at, Dem(holes, prior.spec))
    assert not found.accepted


def false_fixes(
    seeds: range, starts: int, slope_deg: tuple[float, ...], **short: float
) -> list[str]:
    """Wrong starts 100 m away that the filter is sure of: outcomes, fixes with their error."""
    out = []
    for seed in seeds:
        place, rng = site(seed, slope_deg[seed % len(slope_deg)]), np.random.default_rng(seed)
        for _ in range(starts):
            at, (heading, way) = rng.uniform(-120.0, 120.0, 2), rng.uniform(0, 2 * np.pi, 2)
            cells = swath(place.surface, at, heading, rng, **short)
            off = np.array([100.0 * np.cos(way), 100.0 * np.sin(way), 0.0])
            found = believed(cells, off, at, place.prior, cfg=LITTLE if short else CFG)
            error = float(np.hypot(*(found.shift_m[:2] + off[:2] - place.shift_m)))
            out.append(f"false by {error:.0f} m" if found.accepted and error > 10.0 else "")
    return out


def test_a_wrong_start_a_hundred_metres_away_takes_no_false_fix() -> None:
    assert set(false_fixes(range(21, 23), 5, (5.0,), length_m=180.0, width_m=60.0)) == {""}


@pytest.mark.soak
def test_two_hundred_wrong_starts_take_no_false_fix() -> None:
    found = false_fixes(range(100, 125), 8, (5.0, 3.0, 7.0))
    assert len(found) == 200
    assert set(found) == {""}


def test_a_wide_covariance_finds_a_vehicle_that_is_lost() -> None:
    prior, at, rng = hills(), np.array([430.0, 400.0]), np.random.default_rng(1)
    cells = swath(prior, at, 0.6, rng, drift=0.0)
    off = np.array([60.0, -70.0, 0.0])
    assert believed(cells, off, at, prior).reason == "elsewhere"
    found = believed(cells, off, at, prior, covariance=60.0**2 * np.eye(2))
    assert found.accepted
    np.testing.assert_allclose(found.shift_m[:2], -off[:2], atol=0.3)


def test_the_search_is_least_squares_of_offset_and_tilt() -> None:
    """The kernel against numpy's solver, shift by shift."""
    prior, rng = hills(60, 60), np.random.default_rng(5)
    xy, z = rng.uniform(-60.0, 60.0, (90, 2)), rng.normal(0.0, 2.0, 90)
    middle = np.array([150.0, 140.0])
    shifts = rng.uniform(-30.0, 30.0, (12, 2))
    out, covered = np.empty(12), np.empty(12)
    geo = np.array([*middle, 5.0])
    left_over(xy, z, prior.heights_m, geo, shifts, 60.0, out, covered)
    design = np.column_stack((np.ones(90), xy))
    for shift, left in zip(shifts, out, strict=True):
        e = z - prior.height(middle + xy + shift)
        rest = e - design @ np.linalg.lstsq(design, e, rcond=None)[0]
        assert left == pytest.approx(np.mean(rest**2), rel=1e-6)
    assert covered.min() == 1.0
    best = lowest(shifts, out, 1e-3, 3)
    assert out[best[0]] == out.min()
    assert list(out[best]) == sorted(out)[:3]
