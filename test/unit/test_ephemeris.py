"""Sun and Earth in the Moon's sky, against JPL Horizons and against geometry."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.core.environment import ephemeris, moon_axes
from ilrs_robots.core.environment.ephemeris import EphemerisError, earth, sun, utc_seconds
from ilrs_robots.core.environment.site_frame import SiteFrame

# JPL Horizons, observer table for 87.2 S 62.8 E on the Moon: azimuth, elevation of the Sun, deg
HORIZONS = (
    ("2024-08-12T00:00:00Z", 29.321225, 1.240311),
    ("2024-08-12T01:00:00Z", 28.812252, 1.253037),
)
# JPL's DE421 with its own librations, turned into MOON_ME, light time and aberration included; the
# same computation meets the Horizons rows above to 0.00001 deg. UTC, latitude, longitude, then
# azimuth, elevation (deg), distance (km) of Sun and of Earth.
DE421 = (
    ("2020-01-01T00:00:00Z", -89.9, 0.0, 114.55724, 0.00266, 146936135.3, 0.77248, -6.5046,
     404016.6),
    ("2033-07-04T06:00:00Z", -45.0, 170.0, 279.38385, 11.42733, 152059627.3, 193.96389, -45.43343,
     405286.6),
    ("2035-01-15T00:00:00Z", -89.45, -137.49, 248.75092, -1.43552, 146971697.6, 131.36387,
     -1.87573, 382661.0),
    ("2049-11-20T18:30:00Z", 12.0, -60.0, 265.62264, 19.53068, 147588710.2, 91.45775, 34.94885,
     392971.4),
)  # fmt: skip
HIGHEST_SUBSOLAR_DEG = 1.59
"""Largest latitude of the point under the Sun, 2020 to 2060."""
RNG = np.random.default_rng(5)


def deg(values: float | tuple[float, ...]) -> np.ndarray:
    return np.radians(np.asarray(values))


@pytest.mark.parametrize(("time", "azimuth_deg", "elevation_deg"), HORIZONS)
def test_the_sun_stands_where_jpl_horizons_puts_it(time, azimuth_deg, elevation_deg) -> None:
    seen = sun(utc_seconds(time), deg(-87.2), deg(62.8))
    assert np.degrees(seen.azimuth_rad) == pytest.approx(azimuth_deg, abs=0.002)
    assert np.degrees(seen.elevation_rad) == pytest.approx(elevation_deg, abs=0.002)


@pytest.mark.parametrize("row", DE421, ids=[row[0] for row in DE421])
def test_sun_and_earth_stand_where_jpls_ephemeris_and_librations_put_them(row) -> None:
    time, lat, lon = utc_seconds(row[0]), *deg(row[1:3])
    pairs = ((sun(time, lat, lon), row[3:6]), (earth(time, lat, lon), row[6:9]))
    for seen, (azimuth, elevation, distance_km) in pairs:
        across = (np.degrees(seen.azimuth_rad) - azimuth) * math.cos(math.radians(elevation))
        assert abs(across) < 0.006
        assert np.degrees(seen.elevation_rad) == pytest.approx(elevation, abs=0.006)
        assert seen.distance_m == pytest.approx(distance_km * 1e3, rel=2e-4)


def test_many_times_and_places_at_once_give_what_each_gives_alone() -> None:
    times = utc_seconds("2033-03-01T00:00:00Z") + np.arange(5)[:, None] * 86_400.0 * 7.0
    lat, lon = deg((-89.9, -45.0, 0.0, 80.0)), deg((10.0, -120.0, 180.0, 359.0))
    height = np.array([0.0, 100.0, -3000.0, 8000.0])
    for body in (sun, earth):
        together = body(times, lat, lon, height)
        assert together.azimuth_rad.shape == (5, 4)
        alone = body(times[3, 0], lat[2], lon[2], height[2])
        assert together.elevation_rad[3, 2] == pytest.approx(float(alone.elevation_rad), abs=1e-12)
        assert together.distance_m[3, 2] == pytest.approx(float(alone.distance_m), rel=1e-12)


def test_interpolation_adds_nothing_that_counts() -> None:
    first, last = ephemeris.FIRST_UTC.timestamp(), ephemeris.LAST_UTC.timestamp()
    edge = np.ceil(first / moon_axes._PIECE_S) * moon_axes._PIECE_S
    times = np.concatenate(([first, last, edge - 1e-3, edge], RNG.uniform(first, last, 20)))
    quick = moon_axes.body_vectors(times)
    exact = np.stack([moon_axes.direct_vectors(float(t)) for t in times])
    off = np.linalg.norm(quick - exact, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert np.degrees(off).max() < 1e-5


def test_the_sun_is_never_above_its_physical_limit_in_forty_years() -> None:
    # every eleventh week, every eight hours: the subsolar latitude takes months from peak to peak
    first, last = ephemeris.FIRST_UTC.timestamp(), ephemeris.LAST_UTC.timestamp()
    weeks = np.arange(first, last - 7 * 86_400.0, 11 * 7 * 86_400.0)
    times = (weeks[:, None] + np.arange(0.0, 5 * 86_400.0, 28_800.0)).ravel()[:, None]
    lat = deg((-90.0, -89.0, -85.0, -60.0, 89.5))
    seen = sun(times, lat, deg(-137.49))
    limit = HIGHEST_SUBSOLAR_DEG + 90.0 - np.abs(np.degrees(lat))
    assert np.all(np.degrees(seen.elevation_rad) <= limit)
    at_pole = np.degrees(seen.elevation_rad[:, 0])
    assert at_pole.max() > 1.5
    assert at_pole.min() < -1.5
    assert np.degrees(seen.radius_rad).min() > 0.25
    assert np.degrees(seen.radius_rad).max() < 0.275


def test_the_earth_keeps_its_place_within_libration_and_nears_and_recedes() -> None:
    times = utc_seconds("2030-01-01T00:00:00Z") + np.arange(0.0, 366.0, 0.5) * 86_400.0
    near_side = earth(times, 0.0, 0.0)
    # optical libration reaches 7.9 deg in longitude and 6.9 in latitude, parallax adds a little
    zenith_distance = 90.0 - np.degrees(near_side.elevation_rad)
    assert zenith_distance.max() < 10.8
    assert near_side.distance_m.min() > 354e6
    assert near_side.distance_m.max() < 406e6
    far_side = earth(times, 0.0, math.pi)
    assert np.degrees(far_side.elevation_rad).max() < -79.0


def test_parallax_lowers_the_earth_at_the_limb() -> None:
    time = utc_seconds("2031-05-05T00:00:00Z")
    vector = moon_axes.body_vectors(np.array([time]))[0, moon_axes.EARTH]
    low = earth(time, 0.0, math.pi / 2.0)
    from_centre = math.asin(vector[1] / np.linalg.norm(vector))
    lowered = math.degrees(from_centre - float(low.elevation_rad))
    assert lowered == pytest.approx(math.degrees(1_737_400.0 / low.distance_m), rel=0.01)


@pytest.mark.parametrize("latitude_deg", [-89.45, 12.0, -59.0, 75.0])
def test_azimuths_from_north_become_yaws_of_the_site_grid(latitude_deg) -> None:
    frame = SiteFrame.of_site(*deg((latitude_deg, -137.49)))
    x, y = RNG.uniform(-20e3, 20e3, (2, 50))
    lat, lon = frame.place_of(x, y)
    back = frame.map_of(lat, lon)
    np.testing.assert_allclose(back, (x, y), atol=1e-6)
    step = 1e-8
    north_x, north_y = frame.map_of(lat + step, lon)
    east_x, east_y = frame.map_of(lat, lon + step / np.cos(lat))
    for azimuth, to_x, to_y in ((0.0, north_x, north_y), (math.pi / 2.0, east_x, east_y)):
        yaw = frame.yaw_of_azimuth(azimuth, lat, lon)
        np.testing.assert_allclose(
            np.exp(1j * yaw), np.exp(1j * np.arctan2(to_y - y, to_x - x)), atol=1e-4
        )
        np.testing.assert_allclose(
            np.exp(1j * frame.azimuth_of_yaw(yaw, lat, lon)), np.exp(1j * azimuth), atol=1e-12
        )
    spacing = np.hypot(north_x - x, north_y - y) / (step * 1_737_400.0)
    np.testing.assert_allclose(spacing, frame.scale_at(x, y), rtol=1e-5)


def test_near_the_pole_the_suns_yaw_is_the_same_across_a_site_while_azimuths_differ() -> None:
    frame = SiteFrame.of_site(*deg((-89.9, 30.0)))
    lat, lon = frame.place_of(np.array([-600.0, 600.0]), np.array([0.0, 0.0]))
    seen = sun(utc_seconds("2035-01-15T00:00:00Z"), lat, lon)
    yaw = frame.yaw_of_azimuth(seen.azimuth_rad, lat, lon)
    assert abs(np.degrees(np.diff(seen.azimuth_rad)[0])) > 5.0
    assert abs(np.degrees(np.diff(yaw)[0])) < 0.01


def test_the_frame_puts_the_lola_tile_where_its_file_says() -> None:
    frame = SiteFrame(-math.pi / 2.0, 0.0)
    x, y = frame.map_of(*deg((-87.1835, 62.835)))
    assert (float(x), float(y)) == pytest.approx((76_000.0, 39_000.0), abs=20.0)


@pytest.mark.parametrize(
    ("time", "says"),
    [
        ("2035-01-15T00:00:00", "offset"),
        ("yesterday", "ISO 8601"),
        ("2019-12-31T23:59:59Z", "outside 2020"),
        ("2061-01-01T00:00:00Z", "outside 2020"),
        (dt.datetime(2035, 1, 1), "offset"),
    ],
)
def test_a_wrong_time_is_one_clear_error(time, says) -> None:
    with pytest.raises(EphemerisError, match=says):
        utc_seconds(time)


@pytest.mark.parametrize(
    ("lat", "lon", "height", "says"),
    [
        (91.0, 0.0, 0.0, "latitude 91 deg.*90 deg"),
        (math.nan, 0.0, 0.0, "latitude nan"),
        (0.0, 400.0, 0.0, "longitude 400 deg"),
        (0.0, 0.0, 1e6, "height 1e.06 m"),
    ],
)
def test_a_place_off_the_moon_is_one_clear_error(lat, lon, height, says) -> None:
    with pytest.raises(EphemerisError, match=says):
        sun(utc_seconds("2035-01-01T00:00:00Z"), deg(lat), deg(lon), height)


def test_seconds_out_of_range_or_not_a_number_are_refused() -> None:
    for wrong in (0.0, math.nan, 1e18):
        with pytest.raises(EphemerisError, match="outside 2020"):
            sun(np.array([utc_seconds("2035-01-01T00:00:00Z"), wrong]), 0.0, 0.0)


PLACE = ["--lat", "-87.2", "--lon", "62.8"]


def test_the_command_line_tells_the_sun_as_json() -> None:
    done = CliRunner().invoke(cli, ["env", "sun", *PLACE, "--time", HORIZONS[0][0], "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["azimuth_deg"] == pytest.approx(HORIZONS[0][1], abs=0.01)
    assert told["elevation_deg"] == pytest.approx(HORIZONS[0][2], abs=0.01)
    assert told["distance_km"] == pytest.approx(151.5e6, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--lat", "91", "--lon", "0", "--time", "2030-01-01T00:00:00Z"],
        [*PLACE, "--time", "2030-01-01T00:00:00"],
        [*PLACE, "--time", "2070-01-01T00:00:00Z"],
        [*PLACE, "--time", "2030-01-01T00:00:00Z", "--height", "-1e7"],
    ],
)
def test_the_command_line_refuses_what_is_not_on_the_moon_or_in_the_time(wrong) -> None:
    for body in ("sun", "earth"):
        done = CliRunner().invoke(cli, ["env", body, *wrong, "--json"])
        assert isinstance(done.exception, EphemerisError)
        assert done.output == ""
