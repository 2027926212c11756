"""Surface: a pure function of the place, whoever asks, in whatever window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.craters import REACH, RIM_SHARE
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hashing import mix, stream
from ilrs_robots.core.terrain.surface import BlockField, Crater, Features, Surface, SurfaceConfig
from ilrs_robots.core.types import GridSpec

BARE = SurfaceConfig(roughness_m=0.0, crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)
SPEC = GridSpec(-100.0, -100.0, 5.0, 41, 41)
FEATURES = Features((Crater(8.0, 4.0, 14.0, 2.6, 0.06),), (BlockField(8.0, 4.0, 18.0, 0.08, 7.0),))


def flat(level: float = 0.0) -> Dem:
    return Dem(np.full(SPEC.shape, level, dtype=np.float32), SPEC)


def hilly(seed: int = 0) -> Dem:
    rng = np.random.default_rng(seed)
    return Dem(rng.normal(600.0, 1.0, SPEC.shape).astype(np.float32), SPEC)


def nodes(spec: GridSpec) -> np.ndarray:
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    return np.column_stack((x.ravel(), y.ravel()))


def test_hash_is_splitmix64() -> None:
    assert int(mix(np.uint64(0))) == 0xE220A8397B1DCDAF
    assert len({int(stream(s, n)) for s in (-1, 0, 1, 2**63) for n in ("a", "b")}) == 8


def test_a_bare_surface_of_a_plane_is_the_plane_to_its_edge() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    surface = Surface(Dem((0.1 * x - 0.2 * y).astype(np.float32), SPEC), 1, BARE)
    xy = np.random.default_rng(0).uniform(-100.0, 100.0, (500, 2))
    np.testing.assert_allclose(surface.height(xy), xy @ [0.1, -0.2], atol=1e-5)


def keys_cubic(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Keys 1981 with a = -1/2, as an array expression; p is (4, ...)."""
    w = [
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1.0,
        -1.5 * t**3 + 2.0 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    ]
    return sum(a * b for a, b in zip(w, p, strict=True))


def test_base_agrees_with_the_array_form_of_the_cubic() -> None:
    dem = hilly()
    xy = np.random.default_rng(1).uniform(-94.0, 94.0, (300, 2))
    c = (xy - (SPEC.origin_x_m, SPEC.origin_y_m)) / SPEC.resolution_m
    cell = np.floor(c).astype(int)
    u, v = (c - cell).T
    rows = []
    for dy in range(-1, 3):
        line = [dem.heights_m[cell[:, 1] + dy, cell[:, 0] + dx] for dx in range(-1, 3)]
        rows.append(keys_cubic(np.array(line, dtype=np.float64), u))
    np.testing.assert_allclose(
        Surface(dem, 1, BARE).height(xy), keys_cubic(np.array(rows), v), atol=1e-9
    )


def test_base_meets_the_samples_and_has_no_kink_there() -> None:
    dem = hilly()
    surface = Surface(dem, 1, BARE)
    np.testing.assert_allclose(
        surface.height(nodes(SPEC)), dem.heights_m.ravel().astype(np.float64), atol=1e-9
    )
    x = SPEC.x_m()[5:-5]
    y = np.full_like(x, 2.0)
    e = 1e-4
    before, at, after = (surface.height(np.column_stack((x + d, y))) for d in (-e, 0.0, e))
    np.testing.assert_allclose((at - before) / e, (after - at) / e, atol=1e-3)


def test_grid_and_height_are_the_same_function() -> None:
    surface = Surface(hilly(), 7, features=FEATURES)
    spec = GridSpec(-21.37, -13.11, 0.13, 150, 201)
    heights = surface.height(nodes(spec)).reshape(spec.shape)
    np.testing.assert_allclose(surface.grid(spec), heights, atol=1e-4)
    np.testing.assert_allclose(surface.grid_f64(spec), heights, atol=1e-9)
    tops = surface.top_height(nodes(spec)).reshape(spec.shape)
    np.testing.assert_allclose(surface.top_grid(spec), tops, atol=1e-4)
    assert (tops >= heights).all()
    assert (tops > heights + 0.1).any()


@pytest.mark.parametrize("shift", [(0, 0), (17, 3), (-40, 60)])
def test_overlapping_windows_agree(shift: tuple[int, int]) -> None:
    surface = Surface(hilly(), 3, features=FEATURES)
    res = 0.1
    a = GridSpec(-10.0, -12.0, res, 220, 240)
    b = GridSpec(-10.0 + res * shift[0], -12.0 + res * shift[1], res, 220, 240)
    rows = slice(max(shift[1], 0), 220 + min(shift[1], 0))
    cols = slice(max(shift[0], 0), 240 + min(shift[0], 0))
    mine = surface.grid_f64(a)[rows, cols]
    theirs = surface.grid_f64(b)
    r0, c0 = max(-shift[1], 0), max(-shift[0], 0)
    theirs = theirs[r0 : r0 + mine.shape[0], c0 : c0 + mine.shape[1]]
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_another_seed_is_another_ground() -> None:
    spec = GridSpec(0.0, 0.0, 0.2, 100, 100)
    one, same, other = (Surface(flat(), s).grid_f64(spec) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).std() > 0.01
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3


def test_outside_and_unknown_ground_is_nan() -> None:
    heights = np.zeros(SPEC.shape, dtype=np.float32)
    heights[20, 20] = np.nan
    surface = Surface(Dem(heights, SPEC), 1)
    outside = np.array([[100.1, 0.0], [0.0, -100.1], [2.0, 2.0]])
    assert np.isnan(surface.height(outside)).all()
    assert np.isnan(surface.top_height(outside)).all()
    grid = surface.grid(GridSpec(95.0, 0.0, 1.0, 4, 10))
    assert not np.isnan(grid[:, :6]).any()
    assert np.isnan(grid[:, 6:]).all()
    assert surface.bounds_m == (-100.0, -100.0, 100.0, 100.0)


def test_refuses_a_grid_that_memory_should_not_hold() -> None:
    with pytest.raises(TerrainError, match="above the limit"):
        Surface(flat(), 1).grid(GridSpec(0.0, 0.0, 0.001, 100_000, 100_000))


def test_crater_has_its_depth_rim_and_reach() -> None:
    crater = Crater(3.0, -2.0, 10.0, 1.6)
    surface = Surface(flat(50.0), 1, BARE, Features((crater,)))

    def at(radius: float, turn: float = 0.3) -> float:
        xy = [[3.0 + radius * math.cos(turn), -2.0 + radius * math.sin(turn)]]
        return float(surface.height(np.array(xy))[0]) - 50.0

    rim = RIM_SHARE * 1.6
    assert at(0.0) == pytest.approx(rim - 1.6, abs=1e-9)
    assert at(5.0) == pytest.approx(rim, abs=1e-9)
    assert at(5.0 * REACH) == pytest.approx(0.0, abs=1e-12)
    profile = np.array([at(r) for r in np.linspace(0.0, 12.0, 2401)])
    assert profile.max() == pytest.approx(rim, abs=1e-3)
    assert np.abs(np.diff(profile)).max() < 0.005 * 0.75  # continuous, never steeper than 37 deg
    assert at(4.0, 0.0) == pytest.approx(at(4.0, 2.0), abs=1e-9)


def test_a_fresh_crater_has_walls_near_the_angle_of_repose() -> None:
    surface = Surface(flat(), 1, BARE, Features((Crater(0.0, 0.0, 15.0, 3.0),)))
    spec = GridSpec(-20.0, -20.0, 0.1, 401, 401)
    dz_dy, dz_dx = np.gradient(surface.grid_f64(spec), 0.1)
    steepest = math.degrees(math.atan(np.hypot(dz_dx, dz_dy).max()))
    assert 26.0 < steepest < 35.0


def test_random_craters_keep_the_size_law_and_their_rims() -> None:
    config = SurfaceConfig(roughness_m=0.0, rock_k=0.0, ejecta_k=0.0)
    surface = Surface(flat(), 5, config)
    box = np.array([-95.0, -95.0, 95.0, 95.0])
    found = surface._collect(surface._classes, surface._crater_seeds, box, 0.0)
    diameter = 2.0 * found[:, 2]
    assert diameter.min() >= config.crater_min_m
    assert diameter.max() <= config.crater_max_m
    area = 190.0**2
    for limit in (0.5, 1.0, 2.0):
        expected = config.crater_density_m2 * (limit**-2 - config.crater_max_m**-2) * area
        count = int((diameter > limit).sum())
        assert abs(count - expected) < 4.0 * math.sqrt(expected)
    ratio = found[:, 3] / diameter
    assert ratio.min() >= config.depth_old - 1e-12
    assert ratio.max() <= config.depth_fresh + 1e-12
    assert np.median(ratio) < 0.08  # most are old


def test_roughness_has_the_deviation_that_was_asked_and_grows_with_distance() -> None:
    config = SurfaceConfig(roughness_m=0.03, crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)
    grid = Surface(flat(), 2, config).grid_f64(GridSpec(-95.0, -95.0, 0.25, 760, 760))
    deviation = {
        lag: float(np.sqrt(np.mean((grid[:, lag:] - grid[:, :-lag]) ** 2))) for lag in (1, 2, 4)
    }
    assert deviation[4] == pytest.approx(0.03, rel=0.1)
    exponents = [math.log2(deviation[2 * lag] / deviation[lag]) for lag in (1, 2)]
    assert all(0.55 < e < 0.9 for e in exponents)
    assert abs(grid.mean()) < 0.01


def test_roughness_prefers_no_direction() -> None:
    config = SurfaceConfig(crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)
    grid = Surface(flat(), 4, config).grid_f64(GridSpec(-95.0, -95.0, 0.5, 380, 380))
    dz_dy, dz_dx = np.gradient(grid, 0.5)
    diagonal = (dz_dx + dz_dy) / math.sqrt(2.0)
    assert np.std(dz_dx) == pytest.approx(np.std(dz_dy), rel=0.07)
    assert np.std(diagonal) == pytest.approx(np.std(dz_dx), rel=0.07)


def test_config_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="rock_min_m"):
        SurfaceConfig(rock_min_m=0.5, rock_max_m=0.4)
    with pytest.raises(ConfigError, match="diameter_m"):
        Crater(0.0, 0.0, -1.0, 1.0)
