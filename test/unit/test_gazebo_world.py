"""Worlds for Gazebo: every known way in which a Moon fails there, and that heights are right.

What Gazebo does with a heightmap is simulated by its documented rules, from the files alone.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.robots.gazebo.light import SiteSun
from ilrs_robots.robots.site import SiteConfig, load_site

WORLDS = share_dir() / "worlds"
SHIPPED = ("shackleton",)
SYSTEMS = {  # gz-sim 8, src/systems: library and the name it registers
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
    "gz-sim-imu-system": "gz::sim::systems::Imu",
    "gz-sim-contact-system": "gz::sim::systems::Contact",
    "gz-sim-apply-link-wrench-system": "gz::sim::systems::ApplyLinkWrench",
}


@pytest.fixture(scope="module")
def site() -> tuple[SiteConfig, Surface]:
    """The default site, which is costly to build."""
    config, terrain = load_site("shackleton")
    return config, terrain.surface


@pytest.fixture(params=SHIPPED)
def world(request: pytest.FixtureRequest) -> ElementTree.Element:
    """A world that ships."""
    found = ElementTree.parse(WORLDS / f"{request.param}.sdf").getroot().find("world")
    assert found is not None
    return found


def text(element: ElementTree.Element, path: str) -> str:
    found = element.findtext(path)
    assert found is not None, path
    return found


def values(element: ElementTree.Element, path: str) -> np.ndarray:
    return np.array([float(v) for v in text(element, path).split()])


def image_of(world: ElementTree.Element, path: str) -> np.ndarray:
    image = cv2.imread(str(WORLDS / text(world, path)), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


# -- what Gazebo makes of the files -------------------------------------------------------------
def collision_points(world: ElementTree.Element, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """(N, 3) vertices by dartsim's rule: n samples at size / n, in the middle; pose, not pos."""
    at = "model[@name='terrain']/link/collision"
    image = image_of(world, f"{at}/geometry/heightmap/uri")
    size = values(world, f"{at}/geometry/heightmap/size")
    pose = values(world, f"{at}/pose")
    n = image.shape[0]
    spacing = size[:2] / n
    x = (cols - 0.5 * (n - 1)) * spacing[0] + pose[0]
    y = (0.5 * (n - 1) - rows) * spacing[1] + pose[1]
    z = image[rows, cols] / 65535.0 * (size[2] / (image.max() / 65535.0)) + pose[2]
    return np.column_stack((x, y, z))


def visual_points(world: ElementTree.Element, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """(N, 3) vertices by ogre2's rule: 2^n samples at size / 2^n from the corner; pos, not pose.

    Rows and columns that ogre2 cuts off are refused.
    """
    at = "model[@name='terrain']/link/visual/geometry/heightmap"
    image = image_of(world, f"{at}/uri")
    size, pos = values(world, f"{at}/size"), values(world, f"{at}/pos")
    n = image.shape[0] - 1
    assert rows.max() < n
    assert cols.max() < n
    spacing = size[:2] / n
    x = -0.5 * size[0] + cols * spacing[0] + pos[0]
    y = 0.5 * size[1] - rows * spacing[1] + pos[1]
    z = image[rows, cols] / image.max() * size[2] + pos[2]
    return np.column_stack((x, y, z))


@pytest.mark.parametrize("engine", [collision_points, visual_points])
def test_gazebos_ground_is_the_sites_ground_at_centre_and_corners(
    world: ElementTree.Element, site: tuple[SiteConfig, Surface], engine: object
) -> None:
    n = image_of(world, "model[@name='terrain']/link/collision/geometry/heightmap/uri").shape[0]
    near = np.array([0, 1, 7, n // 4, n // 2 - 1, n // 2, n // 2 + 1, 3 * n // 4, n - 9, n - 2])
    rows, cols = (axis.ravel() for axis in np.meshgrid(near, near))
    points = engine(world, rows, cols)  # type: ignore[operator]
    true = site[1].height(points[:, :2])
    np.testing.assert_allclose(points[:, 2], true, atol=1e-3)
    inside = np.abs(points[:, 0]) < 127.0
    shifted = site[1].height(points[inside, :2] + [0.25, 0.0])
    assert np.abs(shifted - true[inside]).max() > 0.02  # one cell off would show
    middle = np.flatnonzero((rows == n // 2) & (cols == n // 2))
    np.testing.assert_allclose(points[middle, :2], 0.0, atol=1e-9)


def test_collision_and_visual_lie_on_each_other(world: ElementTree.Element) -> None:
    rows, cols = np.array([0, 0, 512, 1023, 1023]), np.array([0, 1023, 512, 0, 1023])
    collision, visual = collision_points(world, rows, cols), visual_points(world, rows, cols)
    np.testing.assert_allclose(collision, visual, atol=2e-6)


# -- rules of the template ----------------------------------------------------------------------
def test_heightmap_images_are_what_gazebo_can_draw(world: ElementTree.Element) -> None:
    at = "model[@name='terrain']/link/visual/geometry/heightmap"
    image = image_of(world, f"{at}/uri")
    assert text(world, f"{at}/uri").endswith(".png")  # anything else goes to GDAL
    assert image.dtype == np.uint16
    assert image.shape[0] == image.shape[1]
    assert math.log2(image.shape[0] - 1).is_integer()
    assert (image.min(), image.max()) == (0, 65535)
    for name in ("diffuse", "normal"):
        tile = image_of(world, f"{at}/texture/{name}")
        assert tile.dtype == np.uint8
        assert tile.shape == (256, 256, 3)
        seam = np.abs(tile[:, 0].astype(float) - tile[:, -1]).mean()
        inside = np.abs(tile[:, 1:].astype(float) - tile[:, :-1]).mean()
        assert seam < 2.0 * inside
    assert values(world, f"{at}/texture/size")[0] > 0.0
    both = [h for h in world.iter("heightmap")]
    assert len(both) == 2
    assert all(h.findtext("sampling") == "1" for h in both)


def test_the_light_the_sky_and_the_air_are_the_moons(world: ElementTree.Element) -> None:
    np.testing.assert_allclose(values(world, "gravity"), [0.0, 0.0, -1.62])
    for path in ("scene/ambient", "scene/background"):
        np.testing.assert_allclose(values(world, path)[:3], 0.0)
    for colour in (*world.iter("ambient_light"), *world.iter("background_color")):
        assert {float(v) for v in (colour.text or "").split()[:3]} == {0.0}
    assert len(list(world.iter("ambient_light"))) == 2  # sensors and window
    assert text(world, "scene/grid") == text(world, "scene/origin_visual") == "false"
    lights = list(world.iter("light"))
    assert [light.get("type") for light in lights] == ["directional"]
    assert lights[0].findtext("cast_shadows") == "true"
    np.testing.assert_allclose(values(lights[0], "specular")[:3], 0.0)
    np.testing.assert_allclose(values(lights[0], "pose"), 0.0)
    for material in world.iter("material"):
        np.testing.assert_allclose(values(material, "specular")[:3], 0.0)
    assert values(world, "atmosphere/pressure")[0] == 0.0
    assert not values(world, "wind/linear_velocity").any()


def test_systems_are_gazebos_and_none_of_them_knows_air(world: ElementTree.Element) -> None:
    systems = {p.get("filename"): p.get("name") for p in world.findall("plugin")}
    assert systems == SYSTEMS
    assert text(world, "plugin[@filename='gz-sim-sensors-system']/render_engine") == "ogre2"
    assert text(world, "physics/dart/collision_detector") in {"ode", "bullet"}  # not fcl
    assert values(world, "physics/max_step_size")[0] <= 0.005
    friction = "model[@name='terrain']/link/collision/surface/friction/ode"
    for name in ("mu", "mu2"):  # the smaller one of two counts: the ground's must not be it
        assert values(world, f"{friction}/{name}")[0] >= 1.0


def test_coordinates_are_the_spheres_and_the_maps(world: ElementTree.Element) -> None:
    at = "spherical_coordinates"
    assert text(world, f"{at}/surface_model") == "CUSTOM_SURFACE"
    for axis in ("surface_axis_equatorial", "surface_axis_polar"):
        assert values(world, f"{at}/{axis}")[0] == MOON_RADIUS_M
    lat, lon = (math.radians(values(world, f"{at}/{k}_deg")[0]) for k in ("latitude", "longitude"))
    heading = math.radians(values(world, f"{at}/heading_deg")[0])
    # A step along x of map, by the projection, runs east by cos and north by sin of the heading
    # (gz-math 7, SphericalCoordinates, LOCAL2 to GLOBAL).
    lat_1, lon_1 = SiteFrame.of_site(lat, lon).place_of(10.0, 0.0)
    east = (float(lon_1) - lon) * math.cos(lat) * MOON_RADIUS_M
    north = (float(lat_1) - lat) * MOON_RADIUS_M
    np.testing.assert_allclose(np.array([east, north]) / 10.0,
                               [math.cos(heading), math.sin(heading)], atol=2e-3)  # fmt: skip


def test_the_suns_light_comes_from_where_one_walks_towards_it(
    world: ElementTree.Element, site: tuple[SiteConfig, Surface]
) -> None:
    config = site[0]
    lat, lon = math.radians(config.latitude_deg), math.radians(config.longitude_deg)
    light = SiteSun(config, 0.0).at(0.0)
    np.testing.assert_allclose(values(world, "light/direction"), light.direction, atol=2e-6)
    assert light.direction[2] == pytest.approx(-math.sin(light.elevation_rad))
    from ilrs_robots.core.environment.ephemeris import sun, utc_seconds

    azimuth = float(sun(utc_seconds(config.epoch), lat, lon).azimuth_rad)
    step = 5.0 / MOON_RADIUS_M
    x, y = SiteFrame.of_site(lat, lon).map_of(
        lat + step * math.cos(azimuth), lon + step * math.sin(azimuth) / math.cos(lat)
    )
    walked = np.array([float(x), float(y)]) / math.hypot(float(x), float(y))
    toward = -light.direction[:2] / np.linalg.norm(light.direction[:2])
    np.testing.assert_allclose(walked, toward, atol=2e-3)


def test_the_sun_rises_and_sets_as_time_passes(site: tuple[SiteConfig, Surface]) -> None:
    year = SiteSun(site[0], 0.0)
    seen = [year.at(day * 86400.0) for day in range(0, 120, 5)]
    assert {0.0, 1.0} <= {light.intensity for light in seen}
    for light in seen:
        assert (light.intensity == 0.0) == (light.elevation_rad < -0.0047)
    yaw = np.unwrap([math.atan2(-light.direction[1], -light.direction[0]) for light in seen[:5]])
    rate = np.degrees(np.diff(yaw)) / 5.0
    np.testing.assert_allclose(rate, 360.0 / 29.53, rtol=0.1)  # near the south pole: to the left
    # From 2 km up one sees 2.75 degrees below the horizontal: the Sun stays up for longer.
    high = SiteSun(site[0], 2000.0)
    days = [day * 86400.0 for day in range(0, 200, 4)]
    assert sum(high.at(t).intensity for t in days) > sum(year.at(t).intensity for t in days)


def test_names_are_unique_and_nothing_is_fetched() -> None:
    for path in sorted(WORLDS.rglob("*.sdf")):
        content = path.read_text(encoding="utf-8")
        assert not re.search(r"https?:|fuel|model://|package://|<include", content), path
        root = ElementTree.parse(path).getroot()
        for parent in root.iter():
            names = [c.get("name") for c in parent if c.get("name") and c.tag != "plugin"]
            assert len(names) == len(set(names)), (path, parent.tag)
        for tag in ("uri", "diffuse", "normal"):
            for holder in root.iter("heightmap"):
                for named in holder.iter(tag):
                    assert not Path(named.text or "").is_absolute()
                    assert (path.parent / (named.text or "")).is_file(), named.text


def test_what_stands_in_the_world_stands_on_the_ground(
    world: ElementTree.Element, site: tuple[SiteConfig, Surface]
) -> None:
    for kind in ("habitat", "mast", "landing_pad"):
        model = next(m for m in world.findall("model") if m.get("name", "").startswith(kind))
        assert text(model, "static") == "true"
        assert model.find(".//collision") is not None
        assert model.find(".//visual") is not None
        pose = values(model, "pose")
        assert pose[2] == pytest.approx(site[1].height(pose[None, :2])[0], abs=1.5)
        assert pose[2] >= site[1].height(pose[None, :2])[0] - 0.01
    rocks = world.find("model[@name='rocks']/link")
    assert rocks is not None
    visuals = {v.get("name"): v for v in rocks.findall("visual")}
    collisions = {
        (c.get("name") or "").removesuffix("_collision"): c for c in rocks.findall("collision")
    }
    assert len(visuals) > 50
    assert visuals.keys() == collisions.keys()
    for name, visual in visuals.items():
        for path in ("pose", "geometry/ellipsoid/radii"):
            assert text(visual, path) == text(collisions[name], path)
        pose, radii = values(visual, "pose"), values(visual, "geometry/ellipsoid/radii")
        top = pose[2] + radii[2] - site[1].height(pose[None, :2])[0]
        assert 0.09 < top < 2.0


def test_a_body_cannot_leave_the_ground(world: ElementTree.Element) -> None:
    at = "model[@name='terrain']/link/collision"
    size = values(world, f"{at}/geometry/heightmap/size")
    low = values(world, f"{at}/pose")[2]
    reach = 0.5 * size[0] * 1024.0 / 1025.0
    walls = world.findall("model[@name='edge']/link/collision")
    faces = []
    for wall in walls:
        pose, box = values(wall, "pose"), values(wall, "geometry/box/size")
        axis = int(np.argmax(np.abs(pose[:2])))
        faces.append((axis, math.copysign(1.0, pose[axis])))
        inner = abs(pose[axis]) - 0.5 * box[axis]
        assert reach - 0.5 < inner < reach
        assert 0.5 * box[1 - axis] > reach
        assert pose[2] - 0.5 * box[2] < low
        assert pose[2] + 0.5 * box[2] > low + size[2] + 10.0
    assert sorted(faces) == [(0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0)]
