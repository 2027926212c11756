"""GeoTIFF: round trips, windows, and refusals that name value, limit and unit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.io.dem_files import read_geotiff, write_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.site import load_site

POLAR = "+proj=stere +lat_0=-90 +lon_0=0 +R={radius} +units=m +no_defs"
MOON = POLAR.format(radius=1737400)
ROWS, COLS = 6, 8
# South to north and west to east: height = 10 row + col.
HEIGHTS = (10.0 * np.arange(ROWS)[:, None] + np.arange(COLS)[None, :]).astype(np.float32)
NORTH_UP = Affine(5.0, 0.0, 76000.0, 0.0, -5.0, 38030.0)


def make(path: Path, bands: Any = None, **changes: Any) -> Path:
    """A north-up file whose first image row is the northernmost."""
    data = np.asarray(HEIGHTS[::-1] if bands is None else bands)
    data = data[None] if data.ndim == 2 else data
    profile = {
        "driver": "GTiff", "dtype": data.dtype, "count": len(data), "width": data.shape[2],
        "height": data.shape[1], "crs": MOON, "transform": NORTH_UP, **changes,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(data)
    return path


def test_row_zero_is_the_lowest_y_and_positions_are_pixel_centres(tmp_path: Path) -> None:
    dem = read_geotiff(make(tmp_path / "a.tif"))
    np.testing.assert_array_equal(dem.heights_m, HEIGHTS)
    assert dem.spec == GridSpec(76002.5, 38002.5, 5.0, ROWS, COLS)
    assert dem.height(np.array([[76002.5 + 15.0, 38002.5 + 10.0]]))[0] == 23.0


def test_rasterio_samples_the_same_heights(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif")
    dem = read_geotiff(path)
    x, y = np.meshgrid(dem.spec.x_m(), dem.spec.y_m())
    xy = np.column_stack((x.ravel(), y.ravel()))
    with rasterio.open(path) as file:
        theirs = np.array([v[0] for v in file.sample(xy)])
    np.testing.assert_array_equal(dem.height(xy), theirs)


def test_window_takes_the_pixels_whose_centres_lie_inside(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif")
    dem = read_geotiff(path, (76007.5, 38010.0, 76021.0, 38100.0))
    np.testing.assert_array_equal(dem.heights_m, HEIGHTS[2:, 1:4])
    assert dem.spec == GridSpec(76007.5, 38012.5, 5.0, 4, 3)
    assert dem.provenance["window_m"] == [76007.5, 38012.5, 76017.5, 38027.5]


def test_origin_moves_to_zero_and_back(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif")
    dem = read_geotiff(path, origin_xy_m=(76000.0, 38000.0))
    assert dem.spec.origin_x_m == 2.5
    assert dem.spec.origin_y_m == 2.5
    centred = read_geotiff(path, centre_origin=True)
    np.testing.assert_allclose(centred.bounds_m, (-17.5, -12.5, 17.5, 12.5))
    write_geotiff(tmp_path / "b.tif", centred)
    assert read_geotiff(tmp_path / "b.tif").spec == read_geotiff(path).spec
    with pytest.raises(TerrainError, match="one of them"):
        read_geotiff(path, origin_xy_m=(0.0, 0.0), centre_origin=True)


def test_round_trip_keeps_heights_projection_and_provenance(tmp_path: Path) -> None:
    first = read_geotiff(make(tmp_path / "a.tif"))
    heights = first.heights_m.copy()
    heights[2, 3] = np.nan
    dem = Dem(heights, first.spec, first.projection, {"source": "test", "seed": 3, "p": [1, 2]})
    write_geotiff(tmp_path / "b.tif", dem)
    again = read_geotiff(tmp_path / "b.tif")
    assert again.heights_m.tobytes() == dem.heights_m.tobytes()
    assert again.spec == dem.spec
    assert again.projection == dem.projection
    assert again.provenance["derived_from"] == dem.provenance
    assert again.provenance["source"] == "b.tif"
    assert len(again.provenance["sha256"]) == 64
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def test_a_local_plane_round_trips(tmp_path: Path) -> None:
    dem = Dem(HEIGHTS, GridSpec(-17.5, -12.5, 5.0, ROWS, COLS))
    write_geotiff(tmp_path / "b.tif", dem)
    again = read_geotiff(tmp_path / "b.tif")
    assert again.projection is None
    assert again.spec == dem.spec
    np.testing.assert_array_equal(again.heights_m, HEIGHTS)


def test_no_data_becomes_nan_and_scale_is_applied(tmp_path: Path) -> None:
    counts = (2 * HEIGHTS[::-1]).astype(np.int16)
    counts[0, 0] = -32768
    path = make(tmp_path / "a.tif", counts, nodata=-32768)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.5,)
        file.offsets = (100.0,)
    dem = read_geotiff(path)
    assert math.isnan(dem.heights_m[-1, 0])
    np.testing.assert_array_equal(dem.heights_m[:-1], HEIGHTS[:-1] + 100.0)


def test_one_band_of_several(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif", np.stack((HEIGHTS[::-1], HEIGHTS[::-1] + 7.0)))
    np.testing.assert_array_equal(read_geotiff(path).heights_m, HEIGHTS)
    np.testing.assert_array_equal(read_geotiff(path, band=2).heights_m, HEIGHTS + 7.0)
    with pytest.raises(TerrainError, match="band 3 of 2"):
        read_geotiff(path, band=3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crs": "+proj=longlat +R=1737400 +no_defs"}, "degrees"),
        ({"crs": None}, "no coordinate system"),
        ({"crs": POLAR.format(radius=3396190)}, r"radius 3396190 m; must be .*1737400 m.*0.1 %"),
        ({"crs": "EPSG:3031"}, r"radius 6378137 m"),
        ({"crs": "+proj=stere +lat_0=-90 +R=1737400 +units=km"}, r"map unit of 1000.0 m"),
        ({"transform": Affine(4.9, -0.9, 76000.0, -0.9, -4.9, 38030.0)}, r"rotated by .* deg"),
        ({"transform": Affine(5.0, 0, 0, 0, -6.0, 0)}, r"5.0 x 6.0 m; must be square"),
        ({"transform": Affine(5.0, 0, 0, 0, 5.0, 0)}, r"upside down"),
        ({"transform": Affine(-5.0, 0, 0, 0, -5.0, 0)}, r"mirrored"),
        ({"bands": np.full((ROWS, COLS), np.nan, np.float32)}, "all 48 samples .* no-data"),
        ({"bands": HEIGHTS + 1_737_400.0}, r"height 1737457.0 m; must be within 20000"),
        ({"bands": HEIGHTS - 3.4e38}, r"must be within 20000"),
    ],
)
def test_refuses_what_is_not_a_map_of_the_moon(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = make(tmp_path / "bad.tif", **changes)
    with pytest.raises(TerrainError, match=words) as caught:
        read_geotiff(path)
    assert "bad.tif" in str(caught.value)


def test_gazebo_moon_radius_is_still_the_moon(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif", crs=POLAR.format(radius=1738100))
    np.testing.assert_array_equal(read_geotiff(path).heights_m, HEIGHTS)


def test_refuses_windows_without_samples(tmp_path: Path) -> None:
    path = make(tmp_path / "a.tif")
    with pytest.raises(TerrainError, match="0 x 0 samples"):
        read_geotiff(path, (0.0, 0.0, 100.0, 100.0))
    with pytest.raises(TerrainError, match="x_min, y_min, x_max, y_max"):
        read_geotiff(path, (76030.0, 38000.0, 76000.0, 38030.0))
    with pytest.raises(TerrainError, match="x_min, y_min, x_max, y_max"):
        read_geotiff(path, (math.nan, 38000.0, 76000.0, 38030.0))


def test_a_huge_file_is_read_in_a_window_only(tmp_path: Path) -> None:
    size = 20_000
    transform = Affine(5.0, 0.0, 0.0, 0.0, -5.0, 5.0 * size)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "width": size, "height": size,
        "crs": MOON, "transform": transform, "tiled": True, "sparse_ok": True, "nodata": -9999.0,
    }  # fmt: skip
    path = tmp_path / "huge.tif"
    with rasterio.open(path, "w", **profile) as file:
        window = rasterio.windows.Window(10_000, 10_000, COLS, ROWS)
        file.write(HEIGHTS[::-1], 1, window=window)
    with pytest.raises(TerrainError, match=r"above the limit of .*: give a window"):
        read_geotiff(path)
    x, y = 50_000.0, 5.0 * (size - 10_000 - ROWS)
    dem = read_geotiff(path, (x, y, x + 5.0 * COLS, y + 5.0 * ROWS))
    np.testing.assert_array_equal(dem.heights_m, HEIGHTS)


def test_refuses_files_that_are_absent_truncated_or_no_image(tmp_path: Path) -> None:
    with pytest.raises(TerrainError, match="no such file"):
        read_geotiff(tmp_path / "absent.tif")
    (tmp_path / "text.tif").write_text("not an image")
    with pytest.raises(TerrainError, match="cannot be read"):
        read_geotiff(tmp_path / "text.tif")
    whole = make(tmp_path / "a.tif", np.random.default_rng(0).normal(size=(400, 400)))
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(TerrainError, match="cannot be read"):
        read_geotiff(tmp_path / "cut.tif")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    dem = Dem(HEIGHTS, GridSpec(0.0, 0.0, 5.0, ROWS, COLS), "not a projection")
    with pytest.raises(TerrainError, match="cannot be written"):
        write_geotiff(tmp_path / "b.tif", dem)
    with pytest.raises(TerrainError, match="cannot be written"):
        write_geotiff(tmp_path / "absent" / "b.tif", Dem(HEIGHTS, dem.spec))
    assert list(tmp_path.iterdir()) == []


SITE = """
name: test
latitude_deg: -89.5
longitude_deg: 0.0
epoch_utc: "2035-01-15T00:00:00Z"
terrain: {{kind: geotiff, geotiff: "{named}"}}
robots:
  - {{name: rover, model: long_range, x_m: {x_m}}}
"""


def site_with(folder: Path, named: str, x_m: float = 0.0) -> str:
    folder.mkdir(exist_ok=True)
    path = folder / "site.yaml"
    path.write_text(SITE.format(named=named, x_m=x_m))
    return str(path)


def terrain_of(path: str) -> Any:
    return load_site(path)[1]


def test_a_site_takes_its_geotiff_from_its_folder_or_an_absolute_path(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    site = site_with(inner, "data/../a.tif")
    make(inner / "a.tif")
    np.testing.assert_array_equal(terrain_of(site).surface.dem.heights_m, HEIGHTS)
    make(tmp_path / "b.tif", HEIGHTS[::-1] + 1)
    site = site_with(inner, str(tmp_path / "b.tif"))
    np.testing.assert_array_equal(terrain_of(site).surface.dem.heights_m, HEIGHTS + 1)
    (inner / "link.tif").symlink_to(tmp_path / "b.tif")
    terrain_of(site_with(inner, "link.tif"))


@pytest.mark.parametrize("named", ["../b.tif", "data/../../b.tif", ".."])
def test_a_relative_path_does_not_leave_the_sites_folder(tmp_path: Path, named: str) -> None:
    make(tmp_path / "b.tif")
    site = site_with(tmp_path / "inner", named)
    with pytest.raises(ConfigError, match=r"leaves the folder of site\.yaml: .* absolute"):
        load_site(site)


def holed() -> Any:
    bands = HEIGHTS[::-1].copy()
    bands[1, 2:4] = np.nan
    return bands


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bands": holed()}, r"2 of 48 samples are no-data, limit 0 samples; .* x = -7\.5 m"),
        ({"crs": "+proj=longlat +R=1737400 +no_defs"}, "coordinates in degrees .*; reproject"),
        ({"crs": None}, "no coordinate system; a projected one in metres is needed"),
        ({"crs": POLAR.format(radius=3396190)}, r"radius 3396190 m; must be .*1737400 m"),
        ({"bands": HEIGHTS + 1_737_400.0}, r"height 1737457.0 m; must be within 20000.0 m"),
    ],
)
def test_a_site_refuses_its_geotiff_with_both_files_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    make(tmp_path / "bad.tif", **changes)
    with pytest.raises(TerrainError, match=words) as caught:
        load_site(site_with(tmp_path, "bad.tif"))
    assert "site.yaml: terrain.geotiff = 'bad.tif': bad.tif: " in str(caught.value)


def test_a_site_refuses_a_geotiff_that_is_cut_off_absent_or_without_its_robot(
    tmp_path: Path,
) -> None:
    whole = make(tmp_path / "a.tif", np.random.default_rng(0).normal(size=(400, 400)))
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(TerrainError, match=r"site\.yaml: .*cut\.tif: cannot be read"):
        load_site(site_with(tmp_path, "cut.tif"))
    with pytest.raises(TerrainError, match=r"site\.yaml: .*absent\.tif: no such file"):
        load_site(site_with(tmp_path, "absent.tif"))
    with pytest.raises(TerrainError, match=r"'rover' at \(5000.0, 0.0\) m stands outside .* 997"):
        load_site(site_with(tmp_path, "a.tif", x_m=5000.0))
