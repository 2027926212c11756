"""Links over terrain, in orbit and to the Earth: analytic hills, brute force, published orbits."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.ephemeris import EphemerisError, utc_seconds
from ilrs_robots.core.environment.link_map import link_map
from ilrs_robots.core.environment.links import (
    RadioConfig,
    both_ways_bps,
    free_space_loss_db,
    fresnel_clearance,
    fresnel_loss_db,
    sees_sky,
)
from ilrs_robots.core.environment.moon_axes import EARTH, LIGHT_SPEED_MPS, body_vectors
from ilrs_robots.core.environment.relay import (
    EarthNetworkConfig,
    eccentric_anomaly,
    load_network,
    moon_elevation_rad,
    seen_from,
    sees_earth,
)
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.surface_network import (
    CommsConfig,
    Link,
    LinkModel,
    LinkNode,
    Network,
)
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

T0 = utc_seconds("2035-06-02T06:00:00Z")
RADIO = RadioConfig(power_w=1.0, gain_dbi=3.0, max_rate_mbps=1000.0)
SPACE = RadioConfig(power_w=10.0, gain_dbi=25.0, frequency_ghz=8.0)
ROVER = CommsConfig(antenna_m=1.5, surface=RADIO)
MAST = CommsConfig(antenna_m=10.0, surface=RADIO, space=SPACE)
NOBODY = EarthNetworkConfig()


def ground(height=lambda x, y: 0.0 * x, half_m=1000.0, step_m=10.0):
    n = round(2 * half_m / step_m) + 1
    spec = GridSpec(-half_m, -half_m, step_m, n, n)
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    return Dem(height(x, y).astype(np.float32), spec)


def model(dem, earth=NOBODY, lat=-89.45, lon=-137.49):
    return LinkModel(dem, SiteFrame.of_site(math.radians(lat), math.radians(lon)), earth)


def node(name, x, comms=ROVER):
    return LinkNode(name, x, 0.0, comms)


def hill(x, y):
    return 30.0 * np.exp(-((x / 60.0) ** 2) - (y / 200.0) ** 2)


# -- surface ----------------------------------------------------------------------------------


def test_a_link_falls_with_distance_and_ends_behind_the_curved_horizon():
    dem = ground(half_m=12_000.0, step_m=100.0)
    rates = []
    for x in (-11_900.0, -11_000.0, -9_000.0, -4_000.0, 8_000.0):
        net = model(dem).network([node("a", -12_000.0, MAST), node("b", x)], T0)
        rates.append(net.links[0].rate_bps if net.links else 0.0)
    assert np.all(np.diff(rates) < 0.0)
    assert rates[0] > 4.0 * rates[3] > 0.0
    horizon = sum(math.sqrt(2.0 * MOON_RADIUS_M * h) for h in (10.0, 1.5))
    assert 8_000.0 < horizon < 20_000.0
    assert rates[4] == 0.0


def test_a_hill_ends_a_link_and_a_mast_on_it_mends_it_over_two_hops():
    a, b, top = node("a", -400.0), node("b", 400.0), node("mast", 0.0, MAST)
    assert model(ground(hill)).network([a, b], T0).links == ()
    assert len(model(ground()).network([a, b], T0).links) == 1
    route = model(ground(hill)).network([a, b, top], T0).route("a", "b")
    assert route is not None
    assert route.path == ("a", "mast", "b")
    assert route.delay_s == pytest.approx(2.0 * ROVER.hop_s + 805.0 / LIGHT_SPEED_MPS, rel=1e-3)


def test_clearance_agrees_with_brute_force_on_rough_ground():
    rng = np.random.default_rng(3)
    dem = ground(lambda x, y: 2.0 * np.sin(x / 9.0) * np.cos(y / 7.0), half_m=100.0, step_m=1.0)
    a, b = rng.uniform(-95.0, 95.0, (2, 40, 3))
    a[:, 2], b[:, 2] = rng.uniform(4.0, 12.0, (2, 40))
    found = fresnel_clearance(dem, a, b, 0.12)
    for n in range(40):
        f = np.linspace(0.002, 0.998, 2000)[:, None]
        way = math.hypot(*(b[n, :2] - a[n, :2]))
        at, along = a[n] + f * (b[n] - a[n]), f[:, 0] * way
        free = at[:, 2] - dem.height(at[:, :2]) - along * (way - along) / (2.0 * MOON_RADIUS_M)
        exact = np.min(free / np.sqrt(0.12 * along * (way - along) / way))
        assert (found[n] < 0.0) == (exact < 0.0)
        if exact > 0.0:
            assert found[n] == pytest.approx(exact, rel=0.1)
    np.testing.assert_allclose(found, fresnel_clearance(dem, b, a, 0.12), rtol=1e-9)


def test_knife_edge_loses_six_decibel_at_grazing_and_none_in_the_clear():
    assert fresnel_loss_db(0.0) == pytest.approx(6.0, abs=0.1)
    assert fresnel_loss_db(0.6) == 0.0
    assert np.all(np.diff(fresnel_loss_db(np.linspace(0.0, 1.0, 30))) <= 0.0)
    assert fresnel_loss_db(-0.01) == np.inf


def test_free_space_doubles_distance_for_six_decibel():
    near, far = free_space_loss_db([1e3, 2e3], 0.12)
    assert far - near == pytest.approx(6.02, abs=0.01)
    assert near == pytest.approx(20.0 * math.log10(4.0 * math.pi * 1e3 / 0.12))
    assert np.isnan(both_ways_bps(RADIO, RADIO, np.nan))


def test_the_widest_route_is_taken_and_the_quickest_among_the_widest():
    links = [Link("a", "b", 1e6, 0.1, 1.0), Link("a", "c", 9e6, 0.1, 1.0),
             Link("c", "b", 5e6, 0.1, 1.0), Link("a", "d", 9e6, 0.02, 1.0),
             Link("d", "b", 5e6, 0.02, 1.0), Link("x", "y", 1.0, 1.0, 1.0)]  # fmt: skip
    route = Network(links).route("a", "b")
    assert route is not None
    assert (route.path, route.rate_bps) == (("a", "d", "b"), 5e6)
    assert route.delay_s == pytest.approx(0.04)
    assert Network(links).route("a", "x") is None
    assert Network(links).widest("a") == {"b": 5e6, "c": 9e6, "d": 9e6}


# -- orbit and Earth --------------------------------------------------------------------------


def test_kepler_equation_is_solved_for_any_ellipse():
    mean = np.linspace(-20.0, 20.0, 401)
    for e in (0.0, 0.3, 0.8031, 0.95):
        anomaly = eccentric_anomaly(mean, e)
        np.testing.assert_allclose(anomaly - e * np.sin(anomaly), mean, atol=1e-12)


def test_queqiao_flies_as_announced():
    """200 x 16000 km, 62.4 deg, 24 hours; its far end over the south."""
    relay = load_network("earth_moon").relays[0]
    t = T0 + np.linspace(0.0, relay.period_s, 2001)
    place = relay.position_m(t)
    height_km = np.linalg.norm(place, axis=-1) / 1e3 - MOON_RADIUS_M / 1e3
    assert height_km.min() == pytest.approx(200.0, abs=5.0)
    assert height_km.max() == pytest.approx(16_000.0, abs=5.0)
    assert relay.period_s / 3600.0 == pytest.approx(24.0, abs=0.5)
    assert place[np.argmax(height_km), 2] < 0.0
    assert np.degrees(np.arcsin(place[:, 2] / np.linalg.norm(place, axis=-1))).min() == (
        pytest.approx(-62.4, abs=0.1)
    )
    speed = np.linalg.norm(np.diff(place, axis=0), axis=-1) / np.diff(t)
    spin = 2.7e-6 * 1.8e7
    vis_viva = math.sqrt(4.9028e12 * (2.0 / 17_737_400.0 - 1.0 / 9_837_400.0))
    assert abs(speed.min() - vis_viva) < spin


def test_the_relay_serves_pole_and_far_side_and_is_hidden_at_times():
    relay = load_network("earth_moon").relays[0]
    t = T0 + np.arange(0.0, 27.3 * 86_400.0, 900.0)
    place = relay.position_m(t)
    for lat, lon in ((-89.45, -137.49), (-45.5, 177.6)):
        _, up, _ = seen_from(place, math.radians(lat), math.radians(lon), 0.0)
        assert 0.7 < np.mean(up > math.radians(5.0)) < 0.98
    free = sees_earth(place, t)
    assert 0.9 < np.mean(free) < 1.0
    earth = body_vectors(t)[:, EARTH]
    behind = np.sum(earth * place, axis=-1) < 0.0
    assert np.all(behind[~free])


def test_stations_see_the_moon_as_the_almanac_says():
    from astronomy import Body, Equator, Horizon, Observer, Refraction, Time

    for hours in (0.0, 7.0, 260.0):
        when = Time.Make(2035, 6, 2, 6, 0, 0.0).AddDays(hours / 24.0)
        seen = Equator(Body.Moon, when, Observer(46.494, 130.771, 0.0), True, True)
        place = Observer(46.494, 130.771, 0.0)
        truth = Horizon(when, place, seen.ra, seen.dec, Refraction.Airless).altitude
        found = moon_elevation_rad(T0 + hours * 3600.0, np.radians([46.494]), np.radians([130.77]))
        assert math.degrees(found[0]) == pytest.approx(truth, abs=0.4)


def test_the_earth_is_reached_directly_only_where_it_is_up():
    stations = load_network("earth_moon").stations
    direct = EarthNetworkConfig(stations=stations)
    t = T0 + np.arange(0.0, 86_400.0, 3600.0)
    for lat, lon, near in ((2.0, 20.0, True), (-45.5, 177.6, False)):
        base = LinkNode("base", 0.0, 0.0, MAST)
        found = [model(ground(), direct, lat, lon).network([base], s).route("base", "earth")
                 for s in t]  # fmt: skip
        up = direct.station_seen(t).any(axis=-1)
        assert [r is not None for r in found] == (up.tolist() if near else [False] * len(t))
        for route in (r for r in found if r is not None):
            assert 1.2 < route.delay_s < 1.7


def test_the_far_side_speaks_through_the_relay_with_its_delay():
    earth = load_network("earth_moon")
    base = LinkNode("base", 0.0, 0.0, MAST)
    found = [
        model(ground(), earth, -45.5, 177.6)
        .network([base], T0 + h * 3600.0)
        .route("base", "earth")
        for h in range(24)
    ]
    assert any(r is None for r in found)
    paths = {r.path for r in found if r is not None}
    assert paths == {("base", "queqiao_2", "earth")}
    assert all(1.4 < r.delay_s < 1.9 for r in found if r is not None)


def test_no_station_no_earth():
    earth = dataclasses.replace(load_network("earth_moon"), stations=())
    net = model(ground(), earth).network([LinkNode("base", 0.0, 0.0, MAST)], T0)
    assert all("earth" not in (k.first, k.second) for k in net.links)


def test_sky_behind_a_wall_is_hidden():
    dem = ground(lambda x, y: np.where(x > 200.0, 100.0, 0.0))
    at = [0.0, 0.0, 2.0]
    wall = math.atan2(98.0, 205.0)
    elevations = [wall - 0.05, wall + 0.05, wall - 0.05, -0.05]
    seen = sees_sky(dem, at, [0.0, 0.0, math.pi, math.pi], elevations)
    assert seen.tolist() == [False, True, True, False]


# -- maps -------------------------------------------------------------------------------------


def test_a_map_says_what_single_links_say():
    dem = ground(hill, half_m=300.0, step_m=20.0)
    hole = dem.heights_m.copy()
    hole[3, 5] = np.nan
    links = model(Dem(hole, dem.spec), load_network("earth_moon"))
    nodes = [LinkNode("base", -200.0, 20.0, MAST), LinkNode("mast", 0.0, 100.0, MAST)]
    made = link_map(links, ROVER, nodes, T0 + 3600.0)
    assert np.isnan(made.rate_bps[3, 5])
    reached = 0
    for i, j in ((0, 0), (15, 15), (15, 28), (30, 30), (20, 3)):
        x, y = (float(v) for v in dem.spec.xy_of(np.array([i]), np.array([j]))[0])
        rover = LinkNode("rover", x, y, ROVER)
        route = links.network([*nodes, rover], T0 + 3600.0).route("rover", "earth")
        rate = 0.0 if route is None else route.rate_bps
        assert made.rate_bps[i, j] == pytest.approx(rate, rel=1e-5)
        if route is not None:
            reached += 1
            assert made.delay_s[i, j] == pytest.approx(route.delay_s, rel=1e-3)
    assert reached
    to_base = link_map(links, ROVER, nodes[:1], T0, target="base").rate_bps
    assert np.nanmin(to_base[:, 24:]) == 0.0
    assert np.nanmin(to_base[:, :8]) > 0.0


def test_a_vehicle_with_its_own_dish_needs_no_mast():
    dem = ground(hill, half_m=200.0, step_m=20.0)
    own = dataclasses.replace(MAST, antenna_m=1.5)
    made = link_map(model(dem, load_network("earth_moon")), own, (), T0 + 3600.0)
    assert np.any(made.rate_bps > 0.0)
    assert np.all(np.isfinite(made.delay_s[made.rate_bps > 0.0]))


def relay(**changed):
    return dataclasses.replace(load_network("earth_moon").relays[0], **changed)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: RadioConfig(power_w=-1.0), ConfigError, "power_w = -1.0 W: below"),
        (lambda: load_network("nowhere"), ConfigError, "unknown network 'nowhere'"),
        (
            lambda: relay(eccentricity=0.9),
            ConfigError,
            "periapsis is -753.7 km above ground",
        ),
        (
            lambda: relay(epoch_utc="2035-01-01T00:00:00"),
            EphemerisError,
            "no offset from UTC",
        ),
        (lambda: model(ground()).network([node("a", 5e4)], T0), TerrainError, "'a' at .*outside"),
        (lambda: model(ground()).network([node("a", 0.0)], 0.0), EphemerisError, "outside 2020"),
        (
            lambda: link_map(model(ground()), ROVER, (), T0, target="base"),
            TerrainError,
            "link to 'base': there is no such end; known: earth",
        ),
        (
            lambda: fresnel_clearance(ground(), [0.0, 0.0, np.nan], [1.0, 1.0, 1.0], 0.1),
            TerrainError,
            "must be finite",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(make, error, says):
    with pytest.raises(error, match=says):
        make()
