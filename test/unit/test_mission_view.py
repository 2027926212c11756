"""The scene of the mission view: arrays in, meshes and texts out; and who may open it."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.description import urdf_of
from ilrs_robots.robots.link_tree import LinkTree
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.view_state import EventView, GroundView, SiteView, TaskView, VehicleView

pytest.importorskip("viser", reason="the extra 'view' is not installed")

from ilrs_robots.view.gate import COOKIE, Gate
from ilrs_robots.view.glb import Mesh, glb_of
from ilrs_robots.view.ground_tiles import UNDER_M, GroundTiles, thinned
from ilrs_robots.view.own_ground import own_ground
from ilrs_robots.view.panel_html import clock_text, log_html, timeline_html, vehicle_html
from ilrs_robots.view.shapes import extent_m, solid, urdf_shapes
from ilrs_robots.view.sunlit_ground import GroundPicture, Sun, irradiance

TOKEN = "0123456789abcdefghij"
SIDE = 81
SPEC = GridSpec(-200.0, -200.0, 5.0, SIDE, SIDE)


def plane(dz_dx: float, dz_dy: float, level_m: float = 100.0) -> Dem:
    x = SPEC.origin_x_m + SPEC.resolution_m * np.arange(SIDE)
    xx, yy = np.meshgrid(x, x)
    return Dem((level_m + dz_dx * xx + dz_dy * yy).astype(np.float32), SPEC)


def window(ground: Dem, above_m: float) -> GroundView:
    """A map of 20 m about the origin, so far above the orbital ground, with a hole in it."""
    spec = GridSpec(-10.0, -10.0, 0.2, 101, 101)
    x = spec.origin_x_m + spec.resolution_m * np.arange(101)
    xx, yy = np.meshgrid(x, x)
    heights = ground.height(np.stack((xx.ravel(), yy.ravel()), axis=1)).reshape(xx.shape)
    heights = (heights + above_m).astype(np.float32)
    heights[40:60, 40:60] = np.nan
    cost = np.zeros(spec.shape, dtype=np.float32)
    cost[:20] = 1.0
    return GroundView(heights, cost, spec, spec, np.eye(4))


# -- who may open it ----------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_a_browser_on_this_machine_gets_in(host: str) -> None:
    gate = Gate("127.0.0.1")
    assert gate.admit("/", [("Host", host)]).status == 200
    assert gate.admit("/", [("Host", host), ("Origin", f"http://{host}")]).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "evil.example:8080")],  # a name that points here: DNS rebinding
        [("Host", "127.0.0.1:8080"), ("Origin", "http://evil.example")],
        [("Host", "127.0.0.1:8080"), ("Origin", "http://127.0.0.1:9999")],
        [("Host", "127.0.0.1:8080"), ("Origin", "null")],
        [("Host", "127.0.0.1:8080"), ("Host", "evil.example")],
        [],
    ],
)
def test_another_page_of_the_same_browser_does_not(headers: list[tuple[str, str]]) -> None:
    assert Gate("127.0.0.1").admit("/", headers).status == 403


def test_beyond_loopback_a_token_is_required_and_checked() -> None:
    with pytest.raises(ConfigError, match="token"):
        Gate("0.0.0.0")
    with pytest.raises(ConfigError, match="16"):
        Gate("0.0.0.0", "short")
    gate, host = Gate("0.0.0.0", TOKEN), ("Host", "base.lan:8080")
    upgrade = [host, ("Upgrade", "websocket"), ("Origin", "http://base.lan:8080")]
    assert gate.admit("/", [host]).status == 403
    assert gate.admit("/", upgrade).status == 403
    assert gate.admit("/?token=wrong", [host]).status == 403
    answer = gate.admit(f"/?token={TOKEN}", [host])
    cookie = dict(answer.headers)["Set-Cookie"]
    assert answer.status == 303
    assert "HttpOnly" in cookie
    assert gate.admit("/", [*upgrade, ("Cookie", f"a=b; {COOKIE}={TOKEN}")]).status == 200
    assert gate.admit("/", [*upgrade, ("Cookie", f"{COOKIE}={TOKEN}x")]).status == 403
    foreign = [host, ("Origin", "http://evil.example"), ("Cookie", f"{COOKIE}={TOKEN}")]
    assert gate.admit("/", foreign).status == 403


# -- the ground ---------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(
    slope=st.tuples(*[st.floats(-0.3, 0.3)] * 2),
    at=st.tuples(*[st.floats(-150.0, 150.0)] * 2),
    eye=st.tuples(st.floats(-60.0, 60.0), st.floats(-60.0, 60.0), st.floats(30.0, 90.0)),
)
def test_a_click_finds_the_place_that_the_ray_meets(
    slope: tuple[float, float], at: tuple[float, float], eye: tuple[float, float, float]
) -> None:
    ground = plane(*slope)
    place = np.array([*at, 100.0 + slope[0] * at[0] + slope[1] * at[1]])
    origin = np.array([eye[0], eye[1], 100.0 + slope[0] * eye[0] + slope[1] * eye[1] + eye[2]])
    found = GroundTiles(ground, 0.0).hit(origin, 3.0 * (place - origin))
    assert found is not None
    np.testing.assert_allclose(found, place, atol=2e-3)


def test_a_click_into_the_sky_finds_nothing() -> None:
    tiles = GroundTiles(plane(0.0, 0.0), 0.0)
    assert tiles.hit(np.array([0.0, 0.0, 110.0]), np.array([1.0, 0.0, 0.1])) is None


@pytest.mark.parametrize("above_m", [-0.8, 0.0, 0.8])
def test_measured_ground_is_never_hidden_by_orbital_ground(above_m: float) -> None:
    ground = plane(0.1, 0.0)
    tiles, view = GroundTiles(ground, 0.0), window(ground, above_m)
    changed = tiles.lay_over("rover", view)
    assert changed
    picture = np.full((SIDE - 1, SIDE - 1, 3), 0.5)
    points = np.concatenate([tiles.mesh(name, picture, 1).positions_m for name in tiles.names])
    reach = np.abs(points[:, :2]).max(axis=1)
    near = (reach < 9.0) & (reach > 3.0)  # in the middle nothing was measured
    measured = tiles.height(points[near, :2])
    assert (points[near, 2] <= measured - 0.9 * UNDER_M).all()
    far = reach > 20.0
    np.testing.assert_allclose(points[far, 2], ground.height(points[far, :2]), atol=1e-3)
    assert tiles.lay_over("rover", view) == set()  # nothing is sent twice
    assert tiles.lay_over("rover", None) == changed


def test_fine_ground_is_thinned_out() -> None:
    fine = Dem(np.zeros((1200, 700), dtype=np.float32), GridSpec(0.0, 0.0, 1.0, 1200, 700))
    assert max(thinned(fine).spec.shape) <= 512
    assert thinned(fine).spec.resolution_m == 3.0


@pytest.mark.parametrize("up_deg", [1.5, 10.0, 60.0])
def test_level_ground_gets_the_sine_of_the_suns_height(up_deg: float) -> None:
    light = irradiance(np.zeros((20, 20), dtype=np.float32), 1.0, Sun(0.7, math.radians(up_deg)))
    np.testing.assert_allclose(light, math.sin(math.radians(up_deg)), rtol=2e-3)


def test_a_wall_throws_its_shadow_away_from_the_sun() -> None:
    heights = np.zeros((9, 120), dtype=np.float32)
    heights[:, 100:] = 4.0
    light = irradiance(heights, 1.0, Sun(0.0, math.radians(4.0)))  # the Sun stands along +x
    reach = 4.0 / math.tan(math.radians(4.0))
    edge = 100.0 - reach
    assert (light[4, 100 - int(reach) + 6 : 98] == 0.0).all()
    assert (light[4, 5 : int(edge) - 6] > 0.05).all()
    assert (irradiance(heights, 1.0, Sun(0.0, -0.1)) == 0.0).all()


def test_unknown_cells_are_left_out_and_closed_ones_are_red() -> None:
    ground = plane(0.0, 0.0)
    picture, sun, view = GroundPicture(ground), Sun(0.3, 0.5), window(ground, 0.0)
    picture.shine(sun)
    mesh = own_ground(view, sun, picture)
    assert mesh is not None
    inside = np.abs(mesh.positions_m[:, :2] + 0.0).max(axis=1) < 1.0
    assert not inside.any()
    plain = own_ground(view, sun, picture, hazards=False)
    assert plain is not None
    assert mesh.jpeg != plain.jpeg
    empty = GroundView(np.full((9, 9), np.nan, dtype=np.float32), None,
                       GridSpec(0.0, 0.0, 1.0, 9, 9), None, np.eye(4))  # fmt: skip
    assert own_ground(empty, sun, picture) is None


# -- vehicles, texts ----------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["long_range", "crewed_rover", "hopper"])
def test_a_model_is_as_large_as_its_description(name: str) -> None:
    urdf = urdf_of(name, name)
    shapes, places = urdf_shapes(urdf), LinkTree(urdf).places({})
    low, high = extent_m(shapes, places)
    assert low[2] > -0.1  # stands on the ground
    assert 1.0 < high[2] < 5.0
    mesh = solid([s for group in shapes.values() for s in group])
    assert mesh is not None
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-6)
    footprint = getattr(load_robot(name), "footprint", None)
    if footprint is not None:
        assert abs((high - low)[1] - footprint.width_m) < 1.0


def test_a_mesh_file_says_what_is_in_it() -> None:
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    data = glb_of(Mesh(points, np.array([[0, 1, 2]]), colour=(0.0, 0.0, 0.0, 0.5)))
    magic, version, length = struct.unpack_from("<4sII", data)
    size, kind = struct.unpack_from("<I4s", data, 12)
    told = json.loads(data[20 : 20 + size])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    first = told["accessors"][told["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert (first["count"], first["max"]) == (3, [1.0, 2.0, 0.0])
    start = 20 + size + 8 + told["bufferViews"][first["bufferView"]]["byteOffset"]
    back = np.frombuffer(data, np.float32, 9, start).reshape(3, 3)
    np.testing.assert_array_equal(back, points)
    assert told["materials"][0]["alphaMode"] == "BLEND"
    assert "KHR_materials_unlit" in told["extensionsUsed"]


def test_what_vehicles_say_cannot_become_part_of_the_page() -> None:
    bad = "<img src=x onerror=alert(1)>"
    state = SiteView(time_s=10.0, mission=bad, summary=bad,
                     tasks=(TaskView(bad, bad, f'"{bad}', 1.0, math.nan),))  # fmt: skip
    view = VehicleView(bad, sentence=bad, health=2, link=bad, goal=bad, last_heard_s=1.0)
    for text in (timeline_html(state), log_html((EventView(1.0, 2, bad, bad),)),
                 vehicle_html(view, (1, 2, 3), 0.2)):  # fmt: skip
        assert "<img" not in text
        assert "&lt;img" in text


def test_a_silent_vehicle_and_unknown_values_are_named() -> None:
    silent = VehicleView("rover", silent_s=9.0, last_heard_s=90_061.0)
    text = vehicle_html(silent, (1, 2, 3), 0.2)
    assert "silent since T+1 d 01:01:01" in text
    assert "unknown" in text
    assert "nan" not in text.lower()
    assert clock_text(math.nan) == "?"
