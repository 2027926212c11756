"""Baking: images that hold the heights, windows that fit, files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.io.dem_files import write_geotiff
from ilrs_robots.core.io.images import read_png, write_png
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.features import SurfaceConfig
from ilrs_robots.core.terrain.heightmap import (
    FULL_SCALE,
    SAMPLES,
    BakeConfig,
    Heightmap,
    bake,
    extents,
    of_heights,
)
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.gazebo.terrain import (
    HEIGHTMAP,
    NOTE,
    agrees,
    bake_into,
    baked_terrain,
    read_baked,
)
from ilrs_robots.robots.site import load_site

SMALL = BakeConfig(samples=129)
PLAIN = SurfaceConfig(roughness_m=0.0, crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)


def tilted(rows: int = 21, cols: int = 21, base_m: float = -1800.0) -> Surface:
    """A plane that rises to the east and, less, to the north; cells of 5 m."""
    spec = GridSpec(-2.5 * (cols - 1), -2.5 * (rows - 1), 5.0, rows, cols)
    heights = base_m + 0.05 * spec.x_m()[None, :] + 0.02 * spec.y_m()[:, None]
    return Surface(Dem(heights.astype(np.float32), spec), 3, PLAIN)


def site_file(folder: Path, **terrain: object) -> Path:
    """A site of one's own."""
    lines = "".join(f"  {k}: {v}\n" for k, v in terrain.items())
    path = folder / "mine.yaml"
    path.write_text(
        "name: mine\nlatitude_deg: -89.0\nlongitude_deg: 10.0\n"
        f'epoch_utc: "2035-06-02T06:00:00Z"\nterrain:\n{lines}'
        "robots:\n  - {name: rover, model: long_range}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_north_is_the_first_row_and_west_the_first_column() -> None:
    surface = tilted()
    image = bake(surface, SMALL.grid(surface.bounds_m))
    assert image.pixels[0, -1] == FULL_SCALE  # north-east is the highest corner
    assert image.pixels[-1, 0] == 0
    assert image.low_m == pytest.approx(-1800.0 - 16.0 * 0.07, abs=1e-3)
    assert image.relief_m == pytest.approx(32.0 * 0.07, abs=1e-3)
    points = np.array([[0.0, 0.0], [15.9, -15.9], [-3.3, 7.7]])
    np.testing.assert_allclose(image.height(points), surface.height(points), atol=1e-3)
    assert np.isnan(image.height(np.array([[16.1, 0.0]]))).all()


@pytest.mark.parametrize("relief_m", [0.05, 5.0, 126.0, 4000.0])
def test_the_image_is_exact_to_half_a_step(relief_m: float) -> None:
    heights = np.random.default_rng(4).uniform(-1.0, relief_m - 1.0, (129, 129))
    image = of_heights(heights, 0.5)
    assert np.abs(image.heights_m - heights).max() <= 0.51 * image.relief_m / FULL_SCALE


def test_flat_ground_still_holds_zero_and_full_scale() -> None:
    image = of_heights(np.full((129, 129), 7.0), 0.5)
    assert (image.pixels.min(), image.pixels.max()) == (0, FULL_SCALE)
    assert np.count_nonzero(image.pixels) == 1
    assert np.abs(image.heights_m - 7.0).max() <= 0.01 + 1e-9


def test_each_engine_gets_its_own_size() -> None:
    size = extents(129, 0.25)
    assert size.gazebo_visual_m == 32.0
    assert size.mujoco_half_m == 16.0
    # Measured: a collision of 40 m at 129 samples reaches +-19.845 m.
    assert pytest.approx(19.845, abs=1e-3) == 40.0 * 128 / 129 / 2
    assert size.gazebo_collision_m * 128 / 129 / 2 == pytest.approx(16.0)


def test_the_most_samples_that_fit_are_taken() -> None:
    assert BakeConfig().grid((-637.5, -637.5, 637.5, 637.5)).rows == 1025
    assert BakeConfig().grid((-100.0, -70.0, 100.0, 100.0)).rows == 513
    assert BakeConfig(samples=2049).grid((-637.5, -637.5, 637.5, 637.5)).rows == 2049
    with pytest.raises(TerrainError, match=r"129 samples every 0.25 m reach 16.00 m .* 12.00 m"):
        BakeConfig().grid((-12.0, -20.0, 20.0, 20.0))
    with pytest.raises(TerrainError, match=r"the terrain reaches 0.00 m"):
        BakeConfig().grid((5.0, 5.0, 900.0, 900.0))
    with pytest.raises(ConfigError, match=r"samples = 1000: Gazebo needs 2\^n \+ 1"):
        BakeConfig(samples=1000)


@pytest.mark.parametrize(
    ("pixels", "match"),
    [
        (np.zeros((129, 257), np.uint16), "must be square"),
        (np.zeros((129, 129, 3), np.uint16), "must be square with one channel"),
        (np.zeros((100, 100), np.uint16), r"100 samples along a side: must be 2\^n \+ 1"),
        (np.zeros((129, 129), np.uint8), "must be 16 bit"),
        (np.full((129, 129), 9, np.uint16), "holds 9 to 9: must hold 0 and 65535"),
    ],
)
def test_an_image_that_gazebo_would_draw_wrongly_is_refused(
    pixels: np.ndarray, match: str
) -> None:
    with pytest.raises(TerrainError, match=match):
        Heightmap(pixels, 0.25, 0.0, 1.0)


def test_images_come_back_as_they_went(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    deep = rng.integers(0, 65536, (5, 7)).astype(np.uint16)
    colour = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    for image in (deep, colour):
        write_png(tmp_path / "a.png", image)
        np.testing.assert_array_equal(read_png(tmp_path / "a.png"), image)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(TerrainError, match="not an image"):
        read_png(tmp_path / "b.png")
    with pytest.raises(TerrainError, match="cannot be read: No such file"):
        read_png(tmp_path / "c.png")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_terrain_is_baked_once_and_again_when_it_changed(tmp_path: Path, cache: Path) -> None:
    path = site_file(tmp_path, kind="procedural", seed=1, size_m=200.0)
    site, terrain = load_site(str(path))
    shares: list[float] = []

    def told(_label: str, share: float) -> None:
        shares.append(share)

    first = baked_terrain(site, terrain.surface, SMALL, progress=told)
    assert first.folder.is_relative_to(cache)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    shares.clear()
    assert baked_terrain(site, terrain.surface, SMALL, progress=told).folder == first.folder
    assert not shares
    (first.folder / HEIGHTMAP).write_bytes(b"cut off")  # a disk that was full
    again = baked_terrain(site, terrain.surface, SMALL, progress=told)
    assert shares
    assert agrees(again, terrain.surface)
    shares.clear()
    other = load_site(str(path), seed=2)[1].surface
    moved = baked_terrain(site, other, SMALL, progress=told)
    assert shares
    assert moved.folder != first.folder
    assert agrees(moved, other)
    assert not agrees(moved, terrain.surface)
    text = (moved.folder / NOTE).read_text(encoding="utf-8")
    assert "procedural" in text
    assert str(tmp_path) not in text


def test_a_folder_that_lacks_something_is_named(tmp_path: Path, cache: Path) -> None:
    surface = tilted()
    site = load_site("shackleton")[0]
    made = bake_into(tmp_path / "t", site, surface, SMALL.grid(surface.bounds_m))
    (made.folder / NOTE).write_text("what: nothing\n", encoding="utf-8")
    with pytest.raises(TerrainError, match=r"terrain.yaml: not a note of baked terrain"):
        read_baked(made.folder)
    (made.folder / "normal.png").unlink()
    with pytest.raises(TerrainError, match=r"normal.png: no such file"):
        read_baked(made.folder)
    holes = Surface(
        Dem(np.where(np.eye(21) > 0, np.nan, 0.0).astype(np.float32), surface.dem.spec), 3, PLAIN
    )
    with pytest.raises(TerrainError, match=r"samples without a height, limit 0"):
        bake(holes, SMALL.grid(holes.bounds_m))


def test_a_dem_of_ones_own_becomes_a_world(tmp_path: Path, cache: Path) -> None:
    """It need not be square, only large enough around its middle."""
    surface = tilted(rows=21, cols=33)
    write_geotiff(tmp_path / "mine.tif", surface.dem)
    path = site_file(tmp_path, kind="geotiff", geotiff="mine.tif")
    done = CliRunner().invoke(cli, ["site", "bake", str(path), "--samples", "129"])
    assert done.exit_code == 0, done.output
    assert "129 x 129 samples every 0.25 m" in " ".join(done.output.split())
    output = tmp_path / "mine.sdf"
    done = CliRunner().invoke(cli, ["site", "world", str(path), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert "<latitude_deg>-89</latitude_deg>" in output.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["bake", "nowhere"], "unknown site 'nowhere'; known: "),
        (["world", "nowhere"], "unknown site 'nowhere'; known: "),
        (["bake", "shackleton", "--samples", "1000"], "Gazebo needs 2^n + 1 samples"),
        (["bake", "MINE"], "lost.tif"),
    ],
)
def test_the_command_line_says_in_one_line_what_is_wrong(
    tmp_path: Path, cache: Path, arguments: list[str], match: str
) -> None:
    mine = str(site_file(tmp_path, kind="geotiff", geotiff="lost.tif"))
    given = [mine if a == "MINE" else a for a in arguments]
    done = CliRunner().invoke(cli, ["site", *given])
    assert isinstance(done.exception, ConfigError | TerrainError)
    assert match in str(done.exception)
    assert "\n" not in str(done.exception)


def test_sides_are_those_that_ogre_draws() -> None:
    assert all(((n - 1) & (n - 2)) == 0 for n in SAMPLES)
