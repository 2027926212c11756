"""Horizon maps against brute force, closed forms and symmetry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.horizon_kernels import COUNTS_PER_RAD, UNKNOWN
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

R = MOON_RADIUS_M


def dem_of(heights: np.ndarray, resolution_m: float = 5.0, middle: bool = True) -> Dem:
    rows, cols = heights.shape
    x, y = (-0.5 * resolution_m * (n - 1) if middle else 0.0 for n in (cols, rows))
    return Dem(heights.astype(np.float32), GridSpec(x, y, resolution_m, rows, cols))


def rough(shape: tuple[int, int], seed: int, sigma: float = 1.5) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return noise / noise.std() * 8.0


def seen_at(eye_m: float, height_m: np.ndarray, arc_rad: np.ndarray) -> np.ndarray:
    """Elevation of points an arc away, from the sphere's geometry alone."""
    up = (R + height_m) * np.cos(arc_rad) - (R + eye_m)
    return np.arctan2(up, (R + height_m) * np.sin(arc_rad))


def brute_force(
    dem: Dem, row: int, col: int, yaw: float, s: HorizonConfig, beyond: float
) -> float:
    """Every crossing of the ray with grid lines, one by one, then the sphere at a mesh of arcs."""
    heights = dem.heights_m.astype(np.float64)
    lead, side = math.cos(yaw), math.sin(yaw)
    i, u = row, col
    if abs(side) > abs(lead) * (1.0 + 1e-12):
        heights, lead, side, i, u = heights.T, side, lead, col, row
    if lead < 0.0:
        heights, u = heights[:, ::-1], heights.shape[1] - 1 - u
    slope = side / abs(lead)
    shift = np.floor(s.lines * (i - slope * u) + 0.5) / s.lines - (i - slope * u)
    if abs(slope - round(slope)) < 1e-12:
        shift, slope = 0.0, round(slope)
    rows, cols = heights.shape

    def ground(y: float, x: int) -> float:
        y = min(max(y, 0.0), rows - 1.0)
        low = min(math.floor(y), rows - 2)
        return float((1.0 - y + low) * heights[low, x] + (y - low) * heights[low + 1, x])

    step = dem.spec.resolution_m * math.hypot(1.0, slope) / R
    eye = ground(i + shift, u) + s.observer_m
    best, arc = -math.pi / 2.0, 0.0
    for x in range(u + 1, cols):
        y = i + shift + slope * (x - u)
        if not -0.5 / s.lines - 1e-9 <= y <= rows - 1 + 0.5 / s.lines + 1e-9:
            break
        arc = step * (x - u)
        best = max(best, float(seen_at(eye, np.float64(ground(y, x)), np.float64(arc))))
    beyond_arcs = arc + 0.5 * step + np.concatenate(([0.0], np.geomspace(1e-7, 0.2, 999)))
    return max(best, float(seen_at(eye, np.full(1000, beyond), beyond_arcs).max()))


@pytest.mark.parametrize(
    ("shape", "lines", "observer_m"), [((6, 11), 2, 0.0), ((10, 5), 4, 2.0), ((7, 7), 3, 40.0)]
)
def test_every_cell_and_direction_equals_brute_force(shape, lines, observer_m) -> None:
    dem = dem_of(rough(shape, 3))
    s = HorizonConfig(observer_m=observer_m, azimuths=24, lines=lines)
    found = horizon_map(dem, s, beyond_m=1.0)
    for layer in range(24):
        yaw = 2.0 * math.pi * layer / 24
        expected = [
            [brute_force(dem, row, col, yaw, s, 1.0) for col in range(shape[1])]
            for row in range(shape[0])
        ]
        got = found.elevation_rad(layer)
        np.testing.assert_allclose(got, expected, atol=0.6 / COUNTS_PER_RAD, err_msg=f"{layer}")


def test_the_line_beside_a_cell_stands_for_the_ray_through_it() -> None:
    # a ray exactly through the centre, bilinear, every tenth of a cell
    dem = dem_of(rough((48, 48), 1, sigma=3.0))
    found = horizon_map(dem, HorizonConfig(azimuths=40), beyond_m=-1000.0)
    errors = []
    for layer in range(40):
        yaw = 2.0 * math.pi * layer / 40
        for row, col in ((24, 24), (10, 30), (33, 12)):
            start = dem.spec.xy_of(np.array([row]), np.array([col]))[0]
            ahead = np.arange(0.1, 80.0, 0.1) * dem.spec.resolution_m
            ground = dem.height(start + ahead[:, None] * [math.cos(yaw), math.sin(yaw)])
            known = ~np.isnan(ground)
            eye = float(dem.heights_m[row, col]) + 2.0
            limb = -math.acos((R - 1000.0) / (R + eye))
            ray = max(limb, seen_at(eye, ground[known], ahead[known] / R).max())
            errors.append(found.elevation_rad(layer)[row, col] - ray)
    assert np.degrees(np.sqrt(np.mean(np.square(errors)))) < 0.35
    assert abs(np.degrees(np.mean(errors))) < 0.1


def test_the_floor_of_a_bowl_sees_its_rim_where_geometry_puts_it() -> None:
    radius, depth, spacing = 100.0, 20.0, 1.0
    x = np.arange(-130.0, 131.0, spacing)
    away = np.hypot(x[None, :], x[:, None])
    sphere = (radius**2 + depth**2) / (2.0 * depth)
    inside = np.minimum(away, radius)
    bowl = sphere - depth - np.sqrt(sphere**2 - inside**2)
    found = horizon_map(dem_of(bowl, spacing), HorizonConfig(observer_m=0.0, azimuths=72))
    yaw = 2.0 * math.pi * np.arange(72) / 72
    for east, north in ((0, 0), (40, 0), (0, -70), (30, 55)):
        row, col = 130 + north, 130 + east
        along = east * np.cos(yaw) + north * np.sin(yaw)
        to_rim = -along + np.sqrt(radius**2 - (east**2 + north**2 - along**2))
        expected = np.arctan2(-bowl[row, col], to_rim)
        got = found.profile_rad(row, col)
        np.testing.assert_allclose(np.degrees(got), np.degrees(expected), atol=0.25)
    # every point inside a spherical bowl has the same sky, 1 - depth / (2 sphere); level ground
    # at the middle has just that
    assert found.sky_view()[130, 130] == pytest.approx(1.0 - depth / (2.0 * sphere), abs=0.005)


def test_on_a_smooth_moon_the_horizon_dips_as_the_sphere_does() -> None:
    found = horizon_map(dem_of(np.full((20, 20), 350.0)), HorizonConfig(observer_m=30.0))
    dip = -math.acos((R + 350.0) / (R + 380.0))
    assert np.abs(found.counts / COUNTS_PER_RAD - dip).max() < 1.0 / COUNTS_PER_RAD


@pytest.mark.parametrize("peak_m", [1000.0, 4000.0])
def test_a_far_peak_stands_lower_by_the_curvature(peak_m) -> None:
    far = np.zeros((41, 301))
    far[20, 250] = peak_m  # 100 km to the east
    wide = dem_of(far, 1000.0)
    wide = Dem(wide.heights_m, GridSpec(-150e3, -20e3, 1000.0, 41, 301))
    near = dem_of(np.zeros((8, 8)), 10.0)
    found = horizon_map(near, HorizonConfig(azimuths=8, observer_m=0.0), far=wide)
    row = 4
    x = float(near.spec.x_m()[3])
    off = 1.0 - abs(float(near.spec.y_m()[row])) / 1000.0  # bilinear peak, seen beside its top
    expected = max(float(seen_at(0.0, np.float64(peak_m * off), np.float64((100e3 - x) / R))), 0.0)
    assert found.elevation_rad(0)[row, 3] == pytest.approx(expected, abs=2e-4)
    assert (expected > 0.0) == (peak_m > (100e3) ** 2 / (2.0 * R))
    assert found.elevation_rad(4)[row, 3] == pytest.approx(0.0, abs=1e-4)


def test_far_directions_follow_great_circles_of_the_projection() -> None:
    frame = SiteFrame.of_site(math.radians(-80.0), 0.0)
    near = dem_of(np.zeros((4, 4)), 50.0)
    arc, azimuth = 120e3 / R, math.pi / 2.0
    lat = math.asin(math.sin(math.radians(-80.0)) * math.cos(arc))
    turn = math.atan2(math.sin(arc) * math.sin(azimuth) * math.cos(math.radians(-80.0)),
                      math.cos(arc) - math.sin(math.radians(-80.0)) * math.sin(lat))  # fmt: skip
    x, y = (float(v) for v in frame.map_of(lat, turn))
    spec = GridSpec(-160e3, -160e3, 400.0, 801, 801)
    row, col = spec.cell_of(np.array([x, y]))
    heights = np.zeros(spec.shape, dtype=np.float32)
    heights[row - 4 : row + 5, col - 4 : col + 5] = 6000.0
    yaw = float(frame.yaw_of_azimuth(azimuth, math.radians(-80.0), 0.0))
    straight = math.atan2(y, x)
    assert math.degrees(abs(straight - yaw)) > 0.1  # the map's straight line misses it
    found = horizon_map(
        near, HorizonConfig(azimuths=1800, observer_m=0.0), far=Dem(heights, spec), frame=frame
    )
    profile = found.profile_rad(1, 1)
    peak = np.flatnonzero(profile > 0.9 * profile.max())
    centre = np.angle(np.exp(1j * 2.0 * math.pi * peak / 1800).mean())
    assert math.degrees(abs(math.remainder(centre - yaw, 2.0 * math.pi))) < 0.1
    front = arc - 4 * 400.0 / float(frame.scale_at(x, y)) / R
    expected = float(seen_at(0.0, np.float64(6000.0), np.float64(front)))
    assert profile.max() == pytest.approx(expected, rel=0.02)


def test_turning_the_ground_turns_the_horizon() -> None:
    heights = rough((21, 21), 8)
    s = HorizonConfig(azimuths=36)
    straight = horizon_map(dem_of(heights), s, beyond_m=0.0).counts
    turned = horizon_map(dem_of(np.rot90(heights, -1)), s, beyond_m=0.0).counts
    back = np.rot90(np.roll(turned, -9, axis=0), 1, axes=(1, 2))
    assert (np.abs(back.astype(int) - straight) <= 1).mean() > 0.99


def test_unknown_ground_is_unknown_and_hides_nothing() -> None:
    heights = np.zeros((9, 9))
    heights[4, 5] = np.nan
    heights[4, 8] = 10.0
    found = horizon_map(dem_of(heights, 10.0), HorizonConfig(azimuths=8, observer_m=0.0))
    assert np.all(found.counts[:, 4, 5] == UNKNOWN)
    assert np.isnan(found.profile_rad(4, 5)).all()
    assert found.elevation_rad(0)[4, 2] == pytest.approx(math.atan2(10.0, 60.0), abs=1e-4)
    assert np.isnan(found.sky_view()[4, 5])


def test_progress_counts_every_direction_and_a_map_comes_back_from_disk(tmp_path) -> None:
    told: list[tuple[int, int]] = []
    dem = dem_of(rough((6, 7), 2))
    found = horizon_map(dem, HorizonConfig(azimuths=12), on_progress=lambda *n: told.append(n))
    assert told == [(n, 12) for n in range(1, 13)]
    found.save(tmp_path / "map.npy")
    read = HorizonMap.load(tmp_path / "map.npy")
    np.testing.assert_array_equal(read.counts, found.counts)
    assert read.spec == found.spec
    (tmp_path / "map.json").write_text("{}")
    with pytest.raises(TerrainError, match="not a horizon map"):
        HorizonMap.load(tmp_path / "map.npy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.json", "map.npy"]


def test_terrain_that_cannot_be_used_is_refused() -> None:
    flat = dem_of(np.zeros((4, 4)))
    with pytest.raises(TerrainError, match="all 16 samples are no-data"):
        horizon_map(dem_of(np.full((4, 4), np.nan)))
    elsewhere = Dem(np.zeros((4, 4), dtype=np.float32), GridSpec(1e6, 0.0, 100.0, 4, 4))
    with pytest.raises(TerrainError, match="do not overlap"):
        horizon_map(flat, far=elsewhere)
    with pytest.raises(TerrainError, match="different projections"):
        horizon_map(Dem(flat.heights_m, flat.spec, "a"), far=Dem(flat.heights_m, flat.spec, "b"))
    with pytest.raises(ConfigError, match=r"observer_m = -1\.0 m"):
        HorizonConfig(observer_m=-1.0)


@pytest.mark.parametrize(("azimuths", "limit_deg"), [(8, 0.006), (50, 0.5)])
def test_a_window_with_its_surroundings_sees_what_the_whole_terrain_sees(
    azimuths, limit_deg
) -> None:
    whole = dem_of(rough((75, 75), 6, sigma=3.0), 10.0)
    part = whole.heights_m[30:45, 25:50]
    spec = GridSpec(*whole.spec.xy_of(np.array([30]), np.array([25]))[0], 10.0, 15, 25)
    s = HorizonConfig(azimuths=azimuths)
    inside = horizon_map(Dem(part, spec), s, far=whole, beyond_m=-500.0)
    expected = horizon_map(whole, s, beyond_m=-500.0)
    off = inside.counts.astype(float) - expected.counts[:, 30:45, 25:50]
    off_deg = np.degrees(off / COUNTS_PER_RAD)
    # a window starts its lines elsewhere; the far ones are shared by the lines of one cell
    if azimuths == 8:  # rays meet samples: the same ones in both
        assert np.abs(off_deg).max() <= limit_deg
    assert np.sqrt(np.mean(off_deg**2)) < limit_deg
    alone = horizon_map(Dem(part, spec), s, beyond_m=-500.0)
    assert np.abs(alone.counts - expected.counts[:, 30:45, 25:50]).max() > 500
