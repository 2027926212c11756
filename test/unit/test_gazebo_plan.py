"""Plans for Gazebo: what ships is fresh, where vehicles start, what is refused."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.heightmap import BakeConfig
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.robots.gazebo import plan as plan_module
from ilrs_robots.robots.gazebo.plan import gazebo_plan, rocks_of, standalone_world
from ilrs_robots.robots.gazebo.terrain import FILES, agrees, read_baked, shipped_dir
from ilrs_robots.robots.gazebo.world import WorldContent, render_world
from ilrs_robots.robots.site import SiteConfig, StructurePlacement, load_site

WORLDS = share_dir() / "worlds"


@pytest.fixture(scope="module")
def site() -> tuple[SiteConfig, Surface]:
    """The default site, which is costly to build."""
    config, terrain = load_site("shackleton")
    return config, terrain.surface


# -- what ships is what the code makes ----------------------------------------------------------
def test_the_shipped_world_and_terrain_are_fresh(site: tuple[SiteConfig, Surface]) -> None:
    baked = read_baked(shipped_dir("shackleton"))
    assert agrees(baked, site[1])
    other = Surface(site[1].dem, site[1].seed + 1, site[1].config)
    assert not agrees(baked, other)
    assert sum((baked.folder / name).stat().st_size for name in FILES) < 4e6
    fresh = standalone_world("shackleton", WORLDS).split()
    stored = (WORLDS / "shackleton.sdf").read_text(encoding="utf-8").split()
    assert len(fresh) == len(stored), "run: ilrs site world shackleton --output worlds/..."
    number = re.compile(r"-?\d+(?:\.\d+)?")
    for new, old in zip(fresh, stored, strict=True):
        assert number.sub("#", new) == number.sub("#", old)
        for a, b in zip(number.findall(new), number.findall(old), strict=True):
            assert float(a) == pytest.approx(float(b), abs=2e-5)


# -- plans --------------------------------------------------------------------------------------
@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_plan_takes_the_shipped_terrain_and_names_what_exists(cache: Path) -> None:
    told: list[str] = []
    plan = gazebo_plan("shackleton", progress=lambda label, _share: told.append(label))
    assert not told  # nothing had to be baked
    assert plan.world_path.is_relative_to(cache)
    root = ElementTree.parse(plan.world_path).getroot()
    for holder in root.iter("heightmap"):
        for tag in ("uri", "texture/diffuse", "texture/normal"):
            named = holder.findtext(tag)
            assert named is None or (Path(named).is_absolute() and Path(named).is_file())
    assert plan.world_name == root.find("world").get("name")  # type: ignore[union-attr]
    assert plan.bridge_path.is_file()
    assert plan.bridge_parameters["config_file"] == str(plan.bridge_path)
    assert plan.server_arguments(headless=True)[-1] == str(plan.world_path)
    assert "--headless-rendering" in plan.server_arguments(headless=True)
    assert plan.server_arguments(headless=False) == ["-r", str(plan.world_path)]
    assert "lidar_fallback" not in plan.processes[0].nodes
    assert plan.processes[0].parameters["lidar_fallback"] is False


def test_vehicles_start_with_the_slope_and_not_inside_the_ground(
    site: tuple[SiteConfig, Surface],
) -> None:
    ground = read_baked(shipped_dir("shackleton")).heightmap
    rocks = rocks_of(site[1], ground, BakeConfig())
    placed = site[0].robot("long_range")
    for x, y, yaw in ((0.0, 0.0, 0.0), (60.0, -40.0, 130.0), (-90.0, 100.0, -75.0)):
        start = plan_module.spawn(replace(placed, x_m=x, y_m=y, yaw_deg=yaw), ground, rocks)
        cr, sr = math.cos(start.roll_rad), math.sin(start.roll_rad)
        cp, sp = math.cos(start.pitch_rad), math.sin(start.pitch_rad)
        cy, sy = math.cos(start.yaw_rad), math.sin(start.yaw_rad)
        turn = (
            np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
            @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
            @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        )
        corners = np.array([[a, b, 0.0] for a in (1.3, -1.3) for b in (1.05, -1.05)])
        feet = corners @ turn.T + [start.x_m, start.y_m, start.z_m]
        above = feet[:, 2] - ground.height(feet[:, :2])
        assert (above > -0.01).all()
        assert above.max() < 0.6
        assert np.median(above) < 0.35


def test_bad_input_is_one_clear_line(cache: Path, site: tuple[SiteConfig, Surface]) -> None:
    with pytest.raises(ConfigError, match=r"unknown site 'nowhere'; known: .*shackleton"):
        gazebo_plan("nowhere")
    with pytest.raises(ConfigError, match="no robot 'nobody'"):
        gazebo_plan("shackleton", ("nobody",))
    config = site[0]
    ground = read_baked(shipped_dir("shackleton"))
    rocks = rocks_of(site[1], ground.heightmap, BakeConfig(rock_limit=1))
    for placed, error, match in (
        (StructurePlacement("castle", 0.0, 0.0), ConfigError, "unknown structure 'castle'; known"),
        (StructurePlacement("mast", 127.9, 0.0), TerrainError, "reaches 128.0 m from map's"),
    ):
        odd = replace(config, structures=(placed,))
        with pytest.raises(error, match=match):
            render_world(WorldContent(odd, ground, rocks, "terrain/"))
    with pytest.raises(ConfigError, match="Gazebo needs letters"):
        render_world(WorldContent(replace(config, name="a b"), ground, rocks, "terrain/"))
    far = replace(config.robot("long_range"), name="far", x_m=127.5)
    with pytest.raises(TerrainError, match=r"robot 'far' at \(127.5, 0.0\) m"):
        plan_module.spawn(far, ground.heightmap, rocks)
