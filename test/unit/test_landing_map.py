"""Landing places against brute-force truth: never falsely safe, and not shy either."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numba import njit

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.planning.landing_config import LandingConfig, disc_offsets
from ilrs_robots.core.planning.landing_map import REASONS, LandingMap, landing_map
from ilrs_robots.core.types import GridSpec

LIMITS = LandingConfig()
FINE, CELL = 0.05, 0.1
TRIPLES = np.array(list(itertools.combinations(range(6), 3)))
NOISE_M = 0.007


class Scene(NamedTuple):
    fine: np.ndarray
    """Truth at 0.05 m."""
    seen: np.ndarray
    """What a map of 0.1 m holds, with noise and gaps."""
    spec: GridSpec


def scene(places: int, seed: int) -> Scene:
    """Undulating ground with roughness, craters and rocks, as a map sees it."""
    rng = np.random.default_rng(seed)
    n = 2 * places
    z = np.zeros((n, n), np.float32)
    for sigma, height in ((160, 0.65), (40, 0.05), (10, 0.008), (3, 0.003)):
        noise = cv2.GaussianBlur(rng.standard_normal((n, n)).astype(np.float32), (0, 0), sigma)
        z += height * noise / noise.std()
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) * np.float32(FINE)
    area = (n * FINE) ** 2
    for _ in range(int(area / 150.0)):
        cx, cy, radius = *rng.uniform(0, n * FINE, 2), rng.uniform(0.5, 2.5)
        away = np.hypot(x - cx, y - cy) / radius
        z -= np.where(away < 1.0, 0.25 * radius * (1.0 - away**2), 0.0).astype(np.float32)
    for _ in range(int(area / 25.0)):
        cx, cy, radius = *rng.uniform(0, n * FINE, 2), 0.1 + rng.exponential(0.08)
        away = (x - cx) ** 2 + (y - cy) ** 2
        z += np.sqrt(np.maximum(radius**2 - away, 0.0)).astype(np.float32)
    seen = cv2.resize(z, (places, places), interpolation=cv2.INTER_AREA)
    seen += rng.normal(0.0, NOISE_M, seen.shape).astype(np.float32)
    for _ in range(places // 12):
        r, c = rng.integers(0, places, 2)
        seen[r : r + rng.integers(1, 4), c : c + rng.integers(1, 25)] = np.nan
    half = 0.5 * FINE
    return Scene(z, seen, GridSpec(half, half, CELL, places, places))


@njit(cache=True)
def truly_safe(  # type: ignore[no-untyped-def]
    fine, top, relief_disc, under, row, col, headings, triples, slope, residual, rock, edge,
    radius, cell,
):  # fmt: skip
    """One place, all orientations: every way to stand, the ground below, each foot's edge."""
    h, px, py = np.empty(6), np.empty(6), np.empty(6)
    for a in range(headings):
        for n in range(6):
            angle = (a / headings + n) * math.pi / 3.0
            px[n], py[n] = radius * math.cos(angle), radius * math.sin(angle)
            h[n] = top[round(row + py[n] / cell), round(col + px[n] / cell)]
        mean, gx, gy = h.mean(), 0.0, 0.0
        for n in range(6):
            gx += h[n] * px[n] / (3.0 * radius * radius)
            gy += h[n] * py[n] / (3.0 * radius * radius)
        if math.hypot(gx, gy) > slope:
            return False
        for n in range(6):
            if abs(h[n] - mean - gx * px[n] - gy * py[n]) > residual:
                return False
            low, high = np.inf, -np.inf
            fr, fc = round(row + py[n] / cell), round(col + px[n] / cell)
            for k in range(relief_disc.shape[0]):
                dr, dc = relief_disc[k]
                value = fine[fr + dr, fc + dc] - (gx * dc + gy * dr) * cell
                low, high = min(low, value), max(high, value)
            if high - low > edge:
                return False
        for k in range(under.shape[0]):
            dr, dc = under[k]
            if fine[row + dr, col + dc] - mean - (gx * dc + gy * dr) * cell > rock:
                return False
        for t in range(triples.shape[0]):
            i, j, k = triples[t]
            det = (px[j] - px[i]) * (py[k] - py[i]) - (px[k] - px[i]) * (py[j] - py[i])
            sx = ((h[j] - h[i]) * (py[k] - py[i]) - (h[k] - h[i]) * (py[j] - py[i])) / det
            sy = ((px[j] - px[i]) * (h[k] - h[i]) - (px[k] - px[i]) * (h[j] - h[i])) / det
            stands = True
            for n in range(6):
                stands &= h[n] <= h[i] + sx * (px[n] - px[i]) + sy * (py[n] - py[i]) + 1e-9
            # The centre must lie in the triangle: all turns around it have one sense.
            w0 = px[i] * py[j] - px[j] * py[i]
            w1 = px[j] * py[k] - px[k] * py[j]
            w2 = px[k] * py[i] - px[i] * py[k]
            within = min(w0, w1, w2) >= -1e-9 or max(w0, w1, w2) <= 1e-9
            if stands and within and math.hypot(sx, sy) > slope:
                return False
    return True


@njit(cache=True)
def truth_of(  # type: ignore[no-untyped-def]
    fine, top, relief_disc, under, rows, cols, headings, triples, limits
):
    out = np.empty(rows.size, np.bool_)
    for n in range(rows.size):
        out[n] = truly_safe(
            fine, top, relief_disc, under, 2 * rows[n], 2 * cols[n], headings, triples,
            limits[0], limits[1], limits[2], limits[3], limits[4], limits[5],
        )  # fmt: skip
    return out


def offsets(radius: float) -> np.ndarray:
    mask = disc_offsets(radius, FINE)
    half = mask.shape[0] // 2
    return np.argwhere(mask) - half


def judged(found: LandingMap, world: Scene, pick: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and verdict of places (P, 2)."""
    top = cv2.dilate(world.fine, disc_offsets(LIMITS.foot_m, FINE))
    limits = np.array([
        math.tan(LIMITS.max_slope_rad), LIMITS.max_residual_m, LIMITS.max_rock_m,
        LIMITS.max_edge_m, LIMITS.feet_circle_m, FINE,
    ])  # fmt: skip
    under = offsets(LIMITS.feet_circle_m + LIMITS.foot_m)
    truth = truth_of(
        world.fine, top, offsets(LIMITS.foot_m), under, pick[:, 0], pick[:, 1], 24, TRIPLES, limits
    )
    return truth, found.safe[pick[:, 0], pick[:, 1]]


def compare(places: int, seed: int, every: int) -> tuple[int, int, int, int]:
    """False alarms of safety, truly safe ones, of these seen, and of these called safe."""
    world = scene(places, seed)
    variance = np.full(world.spec.shape, NOISE_M**2, np.float32)
    found = landing_map(world.seen, world.spec, variance_m2=variance)
    unseen = np.isnan(world.seen).astype(np.uint8)
    near = cv2.dilate(unseen, disc_offsets(1.25, CELL)).astype(bool)
    edge = 14
    inside = np.zeros(world.spec.shape, bool)
    inside[edge:-edge:every, edge:-edge:every] = True
    pick = np.argwhere(inside)
    truth, verdict = judged(found, world, pick)
    seen = ~near[pick[:, 0], pick[:, 1]]
    return (
        int((verdict & ~truth).sum()), int(truth.sum()), int((truth & seen).sum()),
        int((truth & seen & verdict).sum()),
    )  # fmt: skip


def test_no_place_is_falsely_safe_and_most_safe_ones_are_found() -> None:
    false, _, known, called = compare(300, 2, 6)
    assert known > 500
    assert false == 0
    assert called >= 0.8 * known


@pytest.mark.soak
def test_of_a_million_places_none_is_falsely_safe() -> None:
    numbers = np.array([compare(620, seed, 1) for seed in range(3)])
    assert numbers[:, 0].sum() == 0
    assert numbers[:, 3].sum() >= 0.8 * numbers[:, 2].sum()


def flat(size: int = 60) -> tuple[np.ndarray, GridSpec]:
    return np.zeros((size, size), np.float32), GridSpec(-3.0, -3.0, CELL, size, size)


def test_each_reason_is_found_where_it_is() -> None:
    z, spec = flat()
    assert landing_map(z, spec).safe[30, 30]
    assert landing_map(z, spec).reason[0, 0] == REASONS.index("unseen")
    x = np.arange(60) * CELL
    for degrees, name in ((8.0, "safe"), (12.0, "slope")):
        tilted = (z + math.tan(math.radians(degrees)) * x).astype(np.float32)
        assert REASONS[landing_map(tilted, spec).reason[30, 30]] == name
    rock = z.copy()
    rock[28:32, 28:32] = 0.30
    found = landing_map(rock, spec)
    assert REASONS[found.reason[30, 30]] == "rock"
    assert found.rock_m[30, 30] >= 0.30
    rock[28:32, 28:32] = 0.15
    assert landing_map(rock, spec).safe[30, 30], "lower than what hangs there"
    stone = z.copy()
    stone[30, 39] = 0.12
    assert REASONS[landing_map(stone, spec).reason[30, 30]] == "rough"
    pit = z.copy()
    pit[29:31, 38:40] = -0.3
    assert REASONS[landing_map(pit, spec).reason[30, 30]] in ("edge", "rough")


@pytest.mark.parametrize("angle", np.arange(0.0, 2.0 * math.pi, 0.13))
def test_a_stone_under_any_foot_in_any_orientation_closes_the_place(angle: float) -> None:
    z, spec = flat()
    for radius in (0.87, 0.95, 1.03):
        stone = z.copy()
        row, col = 30 + radius * math.sin(angle) / CELL, 30 + radius * math.cos(angle) / CELL
        stone[round(row), round(col)] = 0.12
        assert not landing_map(stone, spec, two_threads=False).safe[30, 30], radius


def test_one_unseen_cell_under_the_vehicle_closes_the_place() -> None:
    z, spec = flat()
    for row, col in ((30, 30), (30, 40), (23, 23)):
        hole = z.copy()
        hole[row, col] = np.nan
        assert REASONS[landing_map(hole, spec).reason[30, 30]] == "unseen"
        variance = np.zeros_like(z)
        variance[row, col] = np.nan
        assert not landing_map(z, spec, variance_m2=variance).safe[30, 30]
        keep_out = np.zeros(z.shape, bool)
        keep_out[row, col] = True
        assert not landing_map(z, spec, keep_out=keep_out).safe[30, 30]
    far = z.copy()
    far[30, 50] = np.nan
    assert landing_map(far, spec).safe[30, 30]
    assert not landing_map(np.full_like(z, np.nan), spec).safe.any()


def test_doubtful_heights_close_places_that_good_ones_open() -> None:
    z, spec = flat()
    tilted = (z + math.tan(math.radians(8.5)) * np.arange(60) * CELL).astype(np.float32)
    safe = [
        bool(landing_map(tilted, spec, variance_m2=np.full_like(z, s**2)).safe[30, 30])
        for s in (0.003, 0.05)
    ]
    assert safe == [True, False]


def test_height_and_threads_change_nothing() -> None:
    world = scene(120, 5)
    low = landing_map(world.seen, world.spec, two_threads=False)
    high = landing_map(world.seen - np.float32(2048.0), world.spec)
    assert np.mean(low.reason == high.reason) > 0.999
    assert np.array_equal(low.reason, landing_map(world.seen, world.spec).reason)


def test_what_does_not_fit_is_refused() -> None:
    z, spec = flat()
    with pytest.raises(TerrainError, match="its grid is"):
        landing_map(z[1:], spec)
    with pytest.raises(ConfigError, match="at most"):
        landing_map(z, GridSpec(0.0, 0.0, 0.5, 60, 60))
