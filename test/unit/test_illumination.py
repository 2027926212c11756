"""Light against closed forms: discs behind straight horizons, bowls, nights, shadow."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.core.environment.ephemeris import EphemerisError, sun, utc_seconds
from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.horizon_kernels import COUNTS_PER_RAD, UNKNOWN
from ilrs_robots.core.environment.illumination import (
    illumination,
    permanent_shadow,
    share_series,
    visible_share,
)
from ilrs_robots.core.environment.light_kernels import disc_share
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.errors import IlrsError, TerrainError
from ilrs_robots.core.io.dem_files import write_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

SUMMER = utc_seconds("2031-08-01T00:00:00Z")
LAT, LON = math.radians(-89.0), math.radians(40.0)
HOUR_S = 3600.0


def level(elevation_rad: float, shape: tuple[int, int] = (4, 5), azimuths: int = 36) -> HorizonMap:
    spec = GridSpec(0.0, 0.0, 10.0, *shape)
    counts = np.full((azimuths, *shape), round(elevation_rad * COUNTS_PER_RAD), dtype=np.int16)
    return HorizonMap(counts, spec, 0.0)


def sky_of(horizon: HorizonMap, lat: float = LAT, lon: float = LON) -> SiteSky:
    return SiteSky(SiteFrame.of_site(lat, lon), horizon.spec)


def drawn(before: float, after: float, part: float, width: float, up: float, r: float) -> float:
    """The share by painting the disc, angles in rad, in the plane beside its centre."""
    x, y = np.meshgrid(np.linspace(-r, r, 1201), np.linspace(-r, r, 1201))
    inside = x**2 + y**2 <= r**2
    line = before + (after - before) * (part + x / (width * math.cos(up)))
    return float((inside & (y + up > line)).sum() / inside.sum())


@pytest.mark.parametrize("up_deg", [0.9, 1.0, 1.1, 1.2, 1.31])
@pytest.mark.parametrize(("before_deg", "after_deg", "part"), [(1.0, 1.0, 0.3), (0.7, 1.6, 0.5)])
def test_the_share_is_the_segment_that_a_line_cuts_off(
    up_deg, before_deg, after_deg, part
) -> None:
    before, after = (round(math.radians(v) * COUNTS_PER_RAD) for v in (before_deg, after_deg))
    bin_rad, up, radius = math.radians(1.0), math.radians(up_deg), math.radians(0.2665)
    expected = drawn(before / COUNTS_PER_RAD, after / COUNTS_PER_RAD, part, bin_rad, up, radius)
    assert disc_share(before, after, part, bin_rad, up, radius) == pytest.approx(
        expected, abs=2e-3
    )


def test_map_and_series_agree_and_follow_the_ephemeris() -> None:
    rng = np.random.default_rng(2)
    horizon = level(0.0, (30, 40))
    counts = horizon.counts + rng.integers(-900, 900, horizon.counts.shape).astype(np.int16)
    counts[:, 3, 4] = UNKNOWN
    horizon = HorizonMap(counts, horizon.spec, 0.0)
    sky = sky_of(horizon)
    times = SUMMER + HOUR_S * np.arange(0.0, 700.0, 90.0)
    for n, time in enumerate(times):
        share = visible_share(horizon, sky, float(time))
        for cell in ((0, 0), (29, 39), (12, 33)):
            series = share_series(horizon, sky, cell, times)
            assert share[cell] == pytest.approx(series[n], abs=2e-3)
        assert np.isnan(share[3, 4])
        assert np.isnan(share).sum() == 1


def test_a_level_horizon_lets_the_sun_pass_when_the_ephemeris_says_so() -> None:
    horizon = level(math.radians(1.0))
    times = SUMMER + HOUR_S * np.arange(720.0)
    x, y = horizon.spec.xy_of(np.array([2]), np.array([3]))[0]
    frame = SiteFrame.of_site(LAT, LON)
    seen = sun(times, *frame.place_of(x, y))
    above = seen.elevation_rad - round(math.radians(1.0) * COUNTS_PER_RAD) / COUNTS_PER_RAD
    s = np.clip(above / seen.radius_rad, -1.0, 1.0)
    expected = 0.5 + (s * np.sqrt(1.0 - s**2) + np.arcsin(s)) / math.pi
    got = illumination(horizon, sky_of(horizon), times)
    assert 0.2 < expected.mean() < 0.8
    assert got.average[2, 3] == pytest.approx(expected.mean(), abs=1e-3)
    lit = expected >= 0.5
    runs = np.diff(np.flatnonzero(np.concatenate(([True], lit, [True])))) - 1
    assert got.longest_night_s[2, 3] == pytest.approx(runs.max() * HOUR_S, abs=HOUR_S)
    first_dark = int(np.argmin(lit))
    assert got.lit_until_s[2, 3] == pytest.approx(first_dark * HOUR_S, abs=HOUR_S)


def test_without_a_horizon_there_is_no_night_and_under_a_wall_no_day() -> None:
    times = SUMMER + HOUR_S * np.arange(48.0)
    free, walled = level(math.radians(-5.0)), level(math.radians(30.0))
    day = illumination(free, sky_of(free), times)
    assert np.all(day.average == 1.0)
    assert np.all(day.longest_night_s == 0.0)
    assert np.all(day.lit_until_s == 48 * HOUR_S)
    night = illumination(walled, sky_of(walled), times)
    assert np.all(night.average == 0.0)
    assert np.all(night.longest_night_s == 48 * HOUR_S)
    assert np.all(night.lit_until_s == 0.0)
    assert permanent_shadow(walled, sky_of(walled), SUMMER, years=0.5).all()
    assert not permanent_shadow(free, sky_of(free), SUMMER, years=0.5).any()


def test_a_bowl_is_lit_beyond_the_line_that_the_rim_throws() -> None:
    radius, depth = 100.0, 10.0
    x = np.arange(-130.0, 131.0, 2.0)
    inside = np.minimum(np.hypot(x[None, :], x[:, None]), radius)
    sphere = (radius**2 + depth**2) / (2.0 * depth)
    bowl = (sphere - depth - np.sqrt(sphere**2 - inside**2)).astype(np.float32)
    spec = GridSpec(-130.0, -130.0, 2.0, 131, 131)
    horizon = horizon_map(Dem(bowl, spec), HorizonConfig(observer_m=0.0))
    lat = math.radians(-82.0)
    sky = sky_of(horizon, lat)
    hours = SUMMER + HOUR_S * np.arange(720.0)
    heights = sky.track("sun", hours).elevation_rad[:, 0, 0]
    time = float(hours[np.argmin(np.abs(heights - math.radians(5.0)))])
    track = sky.track("sun", time)
    yaw, up = float(track.yaw_rad.mean()), float(track.elevation_rad.mean())
    share = visible_share(horizon, sky, time)
    # a ray that grazes the rim meets the bowl again where the chord of the sphere ends: on the
    # diameter along the Sun, depth below the rim is the chord's length times sin(up)
    drop = math.atan2(radius, sphere - depth)  # slope of the wall at the rim
    assert 0.0 < up < drop
    end = radius - 2.0 * sphere * math.sin(drop - up) * math.cos(up)
    at = np.arange(-95.0, 95.0, 0.5)
    row, col = spec.cell_of(np.stack((at * math.cos(yaw), at * math.sin(yaw)), axis=-1))
    edge = at[np.flatnonzero(share[row, col] < 0.5)[0]]  # lit side is away from the Sun
    assert edge == pytest.approx(end, abs=5.0)
    assert np.all(share[row, col][at < end - 8.0] > 0.9)
    assert np.all(share[row, col][(at > end + 8.0) & (at < 90.0)] < 0.1)


def test_permanent_shadow_holds_what_no_hour_ever_lights() -> None:
    # a deep bowl, one month: every cell the hours light is not in shadow, and few others
    x = np.arange(-60.0, 61.0, 4.0)
    inside = np.minimum(np.hypot(x[None, :], x[:, None]), 50.0)
    bowl = (-8.0 * (1.0 - (inside / 50.0) ** 2)).astype(np.float32)
    spec = GridSpec(-60.0, -60.0, 4.0, 31, 31)
    horizon = horizon_map(Dem(bowl, spec), HorizonConfig(observer_m=0.0))
    sky = sky_of(horizon, math.radians(-85.0))
    years = 60.0 / 365.25
    dark = permanent_shadow(horizon, sky, SUMMER, years=years)
    times = SUMMER - 30.0 * 86_400.0 + HOUR_S * np.arange(60 * 24)
    lit = illumination(horizon, sky, times).average
    assert 50 < dark.sum() < 700
    assert lit[dark].max() < 1e-3
    assert (lit[~dark] == 0.0).mean() < 0.02


def test_the_earth_is_never_seen_from_the_far_side_and_always_from_the_near() -> None:
    horizon = level(0.0)
    times = SUMMER + 12 * HOUR_S * np.arange(60.0)
    near = illumination(horizon, sky_of(horizon, 0.1, 0.2), times, "earth")
    far = illumination(horizon, sky_of(horizon, 0.1, math.pi), times, "earth")
    assert np.all(near.average == 1.0)
    assert np.all(far.average == 0.0)
    assert np.all(far.longest_night_s == 60 * 12 * HOUR_S)


def test_what_cannot_be_answered_is_refused() -> None:
    horizon = level(0.0)
    sky = sky_of(horizon)
    with pytest.raises(EphemerisError, match="not evenly spaced"):
        illumination(horizon, sky, [SUMMER, SUMMER + 1.0, SUMMER + 5.0])
    with pytest.raises(EphemerisError, match="at least 2"):
        illumination(horizon, sky, [SUMMER])
    with pytest.raises(EphemerisError, match="outside 2020"):
        visible_share(horizon, sky, 0.0)
    with pytest.raises(TerrainError, match="lit_share = 0"):
        illumination(horizon, sky, [SUMMER, SUMMER + 1.0], lit_share=0.0)
    with pytest.raises(TerrainError, match="same grid"):
        visible_share(level(0.0, (3, 3)), sky, SUMMER)
    with pytest.raises(TerrainError, match=r"cell \(9, 0\)"):
        share_series(horizon, sky, (9, 0), [SUMMER])
    with pytest.raises(TerrainError, match="above 0"):
        permanent_shadow(horizon, sky, SUMMER, years=-1.0)


SITE = """
name: small
latitude_deg: -89.0
longitude_deg: 40.0
epoch_utc: "2031-08-01T00:00:00Z"
terrain: {{kind: {kind}, {more}}}
robots: []
"""


def site_file(folder, kind: str = "procedural", more: str = "size_m: 320.0, resolution_m: 10.0"):
    path = folder / "small.yaml"
    path.write_text(SITE.format(kind=kind, more=more))
    return str(path)


@pytest.mark.parametrize("what", ["lit", "earth", "psr"])
def test_a_map_comes_as_a_picture_and_as_a_raster_in_its_place(tmp_path, what) -> None:
    out = tmp_path / "maps"
    done = CliRunner().invoke(
        cli,
        ["env", "map", "--site", site_file(tmp_path), "--what", what, "--out", str(out),
         "--days", "2", "--step-hours", "12"],
    )  # fmt: skip
    assert done.exit_code == 0, (done.output, done.exception)
    assert sorted(p.name for p in out.iterdir()) == [f"small_{what}.png", f"small_{what}.tif"]
    picture = cv2.imread(str(out / f"small_{what}.png"))
    assert min(picture.shape[:2]) > 500
    frame = SiteFrame.of_site(math.radians(-89.0), math.radians(40.0))
    with rasterio.open(out / f"small_{what}.tif") as raster:
        values, crs = raster.read(1), raster.crs.to_dict()
        left, bottom, right, top = raster.bounds
    assert values.shape == (32, 32)
    assert np.nanmin(values) >= 0.0
    assert np.nanmax(values) <= 100.0
    assert crs["proj"] == "stere"
    assert float(crs["R"]) == 1_737_400.0
    middle = (0.5 * (left + right), 0.5 * (bottom + top))
    assert middle == pytest.approx((frame.origin_x_m, frame.origin_y_m), abs=1e-3)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--time", "2031-08-01"], "offset"),
        (["--time", "2019-01-01T00:00:00Z"], "outside 2020"),
        (["--days", "-1"], "days = -1"),
        (["--step-hours", "0"], "step = 0"),
        (["--observer", "-2"], "observer_m = -2"),
        (["--far", "nowhere.tif"], "no such file"),
    ],
)
def test_a_map_that_cannot_be_made_leaves_nothing_behind(tmp_path, more, says) -> None:
    out = tmp_path / "maps"
    done = CliRunner().invoke(
        cli,
        ["env", "map", "--site", site_file(tmp_path), "--what", "lit", "--out", str(out), *more],
    )
    assert isinstance(done.exception, IlrsError)
    assert says in str(done.exception)
    assert not out.exists()


def test_far_terrain_of_another_projection_is_refused(tmp_path) -> None:
    wide = Dem(
        np.zeros((40, 40), dtype=np.float32), GridSpec(-4000.0, -4000.0, 200.0, 40, 40),
        SiteFrame.of_site(0.1, 0.2).wkt(),
    )  # fmt: skip
    write_geotiff(tmp_path / "wide.tif", wide)
    done = CliRunner().invoke(
        cli,
        ["env", "map", "--site", site_file(tmp_path), "--what", "lit", "--out",
         str(tmp_path / "maps"), "--far", str(tmp_path / "wide.tif")],
    )  # fmt: skip
    assert isinstance(done.exception, TerrainError)
    assert not (tmp_path / "maps").exists()
