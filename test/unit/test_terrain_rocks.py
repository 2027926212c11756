"""Rocks: the same rock for every window, sizes by the law, tops above ground."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.rock_sources import area_share, count_density
from ilrs_robots.core.terrain.rocks import Rocks, lift_points
from ilrs_robots.core.terrain.surface import BlockField, Features, Surface, SurfaceConfig
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(-200.0, -200.0, 5.0, 81, 81)
DEM = Dem(np.random.default_rng(0).normal(0.0, 0.5, SPEC.shape).astype(np.float32), SPEC)
FIELD = Features(block_fields=(BlockField(10.0, -5.0, 20.0, 0.1),))


def by_id(rocks: Rocks) -> Rocks:
    return rocks.select(np.argsort(rocks.ids))


def same_bytes(a: Rocks, b: Rocks) -> bool:
    a, b = by_id(a), by_id(b)
    names = ("centre_m", "semi_axes_m", "yaw_rad", "ids", "height_above_ground_m")
    return all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in names)


def test_windows_agree_to_the_byte() -> None:
    surface = Surface(DEM, 11, features=FIELD)
    a = surface.rocks(-30.0, -40.0, 35.0, 20.0)
    b = surface.rocks(-5.3, -21.7, 90.0, 60.0)

    def common(rocks: Rocks) -> Rocks:
        x, y, _ = rocks.centre_m.T
        return rocks.select((x >= -5.3) & (x < 35.0) & (y >= -21.7) & (y < 20.0))

    assert len(common(a)) > 300
    assert same_bytes(common(a), common(b))


def test_tiles_hold_every_rock_once() -> None:
    surface = Surface(DEM, 12, features=FIELD)
    whole = surface.rocks(-40.0, -40.0, 40.0, 40.0)
    edges = [-40.0, -13.37, 8.0, 40.0]
    tiles = [
        surface.rocks(x0, y0, x1, y1)
        for x0, x1 in itertools.pairwise(edges)
        for y0, y1 in itertools.pairwise(edges)
    ]
    ids = np.concatenate([t.ids for t in tiles])
    assert len(np.unique(ids)) == len(ids) == len(whole)
    np.testing.assert_array_equal(np.sort(ids), np.sort(whole.ids))


def test_count_follows_from_the_area_law() -> None:
    k, limit = 0.05, 0.3
    q = 1.79 + 0.152 / k
    number, _ = integrate.quad(
        lambda d: 4.0 / (math.pi * d * d) * k * q * math.exp(-q * d), limit, 60.0
    )
    assert float(count_density(limit, k)) == pytest.approx(number, rel=1e-9)
    assert float(area_share(0.0, k)) == pytest.approx(k)


def test_sizes_follow_the_law() -> None:
    k = 0.02
    config = SurfaceConfig(rock_k=k, ejecta_k=0.0)
    rocks = Surface(DEM, 3, config).rocks(-190.0, -190.0, 190.0, 190.0)
    area = 380.0**2
    for limit in (0.1, 0.15, 0.2, 0.3, 0.4):
        expected = float(count_density(limit, k) - count_density(config.rock_max_m, k)) * area
        count = int((rocks.diameter_m >= limit).sum())
        assert abs(count - expected) < 4.0 * math.sqrt(expected) + 1.0
    covered = float((math.pi / 4.0 * rocks.diameter_m**2).sum()) / area
    assert covered == pytest.approx(float(area_share(config.rock_min_m, k)), rel=0.1)
    assert rocks.diameter_m.min() >= config.rock_min_m * (1.0 - 1e-9)
    assert rocks.diameter_m.max() <= config.rock_max_m * (1.0 + 1e-9)


def test_rocks_are_partly_buried_where_the_ground_is() -> None:
    surface = Surface(DEM, 4, features=FIELD)
    rocks = surface.rocks(-60.0, -60.0, 60.0, 60.0)
    ground = surface.height(rocks.centre_m[:, :2])
    top = rocks.centre_m[:, 2] + rocks.semi_axes_m[:, 2]
    np.testing.assert_allclose(top - ground, rocks.height_above_ground_m, atol=1e-12)
    ratio = rocks.height_above_ground_m / rocks.diameter_m
    assert ratio.min() >= 0.4 - 1e-9
    assert ratio.max() <= 0.7 + 1e-9
    assert (rocks.centre_m[:, 2] - rocks.semi_axes_m[:, 2] < ground).all()
    assert (rocks.semi_axes_m[:, 0] >= rocks.semi_axes_m[:, 1]).all()


def test_a_block_field_stays_within_its_rings() -> None:
    field = BlockField(0.0, 0.0, 15.0, 0.15, 6.0, 0.2)
    config = SurfaceConfig(rock_k=0.0, ejecta_k=0.0)
    surface = Surface(DEM, 5, config, Features(block_fields=(field,)))
    rocks = surface.rocks(-50.0, -50.0, 50.0, 50.0)
    away = np.hypot(rocks.centre_m[:, 0], rocks.centre_m[:, 1])
    assert len(rocks) > 50
    assert away.min() >= 6.0
    assert away.max() < 15.0
    assert rocks.diameter_m.min() >= 0.2 - 1e-9
    inner = ((away < 9.0).sum()) / (81.0 - 36.0)
    outer = ((away > 12.0).sum()) / (225.0 - 144.0)
    assert inner > 2.0 * outer


def test_top_of_a_single_rock() -> None:
    rock = Rocks(
        np.array([[1.0, 2.0, 0.1]]),
        np.array([[1.0, 0.5, 0.4]]),
        np.array([math.pi / 2]),
        np.array([1]),
    )
    xy = np.array([[1.0, 2.0], [1.0, 2.8], [1.6, 2.0], [1.0, 3.1], [9.0, 9.0]])
    tops = lift_points(xy, np.zeros(5), rock)
    np.testing.assert_allclose(tops, [0.5, 0.1 + 0.4 * 0.6, 0.0, 0.0, 0.0], atol=1e-12)
    assert rock.height_above_ground_m[0] == 0.4  # centre at ground level unless told otherwise


def test_rocks_off_the_terrain_do_not_exist() -> None:
    surface = Surface(DEM, 6)
    assert len(surface.rocks(300.0, 300.0, 400.0, 400.0)) == 0
    near = surface.rocks(150.0, 150.0, 250.0, 250.0)
    assert len(near) > 0
    assert near.centre_m[:, :2].max() <= 200.0


def test_columns_must_have_one_length() -> None:
    with pytest.raises(TerrainError, match="lengths must agree"):
        Rocks(np.zeros((2, 3)), np.ones((1, 3)), np.zeros(2), np.arange(2))
