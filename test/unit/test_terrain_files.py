"""Elevation files of every kind and size: PDS3, cloud-optimised, windows by place, memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import Affine

from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_files import (
    read_geotiff,
    read_marks,
    read_window,
    write_geotiff,
)
from ilrs_robots.core.io.dem_window import factor_of, pixels_of, place_of, window_around
from ilrs_robots.core.io.dem_writer import dem_writer
from ilrs_robots.core.io.raster_files import open_raster
from ilrs_robots.core.io.survey import survey
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.fill import filled
from ilrs_robots.core.types import GridSpec

MOON = "+proj=stere +lat_0=-90 +lon_0=0 +R=1737400 +units=m +no_defs"
SIDE = 40
COUNTS = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) - 300).astype("<i2")
LABEL = """PDS_VERSION_ID            = "PDS3"
/* numbers as in the polar products of the altimeter = here only smaller */
PRODUCT_ID                = "LDEM_TEST"
TARGET_NAME               = {target}
RECORD_TYPE               = FIXED_LENGTH
RECORD_BYTES              = 80
^IMAGE                    = "{image}"
OBJECT                    = IMAGE
  NAME                      = HEIGHT
  DESCRIPTION               = "Every pixel is a height.
                               OFFSET = 3 is not the offset."
  LINES                     = 40
  LINE_SAMPLES              = 40
  SAMPLE_TYPE               = {kind}
  SAMPLE_BITS               = {bits}
  UNIT                      = {unit}
  SCALING_FACTOR            = {factor}
  OFFSET                    = {offset}
{extra}END_OBJECT                = IMAGE
OBJECT                    = IMAGE_MAP_PROJECTION
  MAP_PROJECTION_TYPE       = "{projection}"
  A_AXIS_RADIUS             = {radius} <km>
  B_AXIS_RADIUS             = {radius} <km>
  C_AXIS_RADIUS             = {radius} <km>
  POSITIVE_LONGITUDE_DIRECTION = "EAST"
  CENTER_LATITUDE           = -90. <deg>
  CENTER_LONGITUDE          = 0. <deg>
  MAP_PROJECTION_ROTATION   = 0.0
  MAP_SCALE                 = {scale}
  LINE_PROJECTION_OFFSET    = {at}
  SAMPLE_PROJECTION_OFFSET  = {at}
END_OBJECT                = IMAGE_MAP_PROJECTION
END
"""
USUAL = {
    "target": "MOON", "image": "TEST.IMG", "kind": "LSB_INTEGER", "bits": 16, "unit": "METER",
    "factor": 0.5, "offset": 1737400.0, "extra": "", "projection": "POLAR STEREOGRAPHIC",
    "radius": 1737.4, "scale": "80. <m/pix>", "at": "19.5 <pix>",
}  # fmt: skip


def pds(folder: Path, data: Any = COUNTS, **changes: Any) -> Path:
    (folder / "TEST.IMG").write_bytes(np.ascontiguousarray(data).tobytes())
    path = folder / "TEST.LBL"
    path.write_text(LABEL.format(**{**USUAL, **changes}), encoding="ascii")
    return path


def tiff(path: Path, heights: np.ndarray, resolution: float = 5.0, **changes: Any) -> Path:
    """Heights with row 0 southernmost, the pole in the middle."""
    rows, cols = heights.shape
    move = Affine(
        resolution, 0.0, -0.5 * resolution * cols, 0.0, -resolution, 0.5 * resolution * rows
    )
    profile = {
        "driver": "GTiff", "dtype": heights.dtype, "count": 1, "width": cols, "height": rows,
        "crs": MOON, "transform": move, **changes,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(heights[::-1], 1)
    return path


def test_pds3_heights_and_places_are_those_of_gdal(tmp_path: Path) -> None:
    label = pds(tmp_path)
    dem = read_geotiff(label)
    np.testing.assert_array_equal(dem.heights_m, 0.5 * COUNTS[::-1].astype(np.float32))
    with rasterio.open(label) as theirs:
        left, bottom, right, top = theirs.bounds
        assert theirs.crs.to_dict()["proj"] == "stere"
    assert dem.spec.bounds_m == (left, bottom, right, top) == (-1600.0, -1600.0, 1600.0, 1600.0)
    again = read_geotiff(tmp_path / "TEST.IMG", (0.0, 0.0, 400.0, 400.0))
    np.testing.assert_array_equal(again.heights_m, dem.heights_m[20:25, 20:25])
    assert again.provenance["product"] == "LDEM_TEST"
    assert place_of(str(dem.projection), 0.0, 1000.0)[1] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (COUNTS, {"offset": 0.0}),
        (COUNTS.astype(">i2"), {"kind": "MSB_INTEGER"}),
        (COUNTS, {"scale": "0.080 <km/pix>", "at": "20.5 <pix>"}),
        ((COUNTS * 5e-4).astype("<f4"), {"kind": "PC_REAL", "bits": 32, "unit": "KILOMETER",
                                         "factor": 1.0, "offset": 1737.4}),
        (COUNTS, {"image": "test.img"}),
    ],
)  # fmt: skip
def test_pds3_in_its_variants_is_the_same_ground(
    tmp_path: Path, data: np.ndarray, changes: dict[str, Any]
) -> None:
    dem = read_geotiff(pds(tmp_path, data, **changes))
    np.testing.assert_allclose(dem.heights_m, 0.5 * COUNTS[::-1], atol=1e-3)
    assert dem.spec.bounds_m == (-1600.0, -1600.0, 1600.0, 1600.0)


def test_pds3_with_the_label_in_front_of_the_image(tmp_path: Path) -> None:
    label = pds(tmp_path).read_text().replace('^IMAGE                    = "TEST.IMG"',
                                              "^IMAGE                    = 41")  # fmt: skip
    one = tmp_path / "ATTACHED.IMG"
    one.write_bytes(label.encode().ljust(40 * 80) + COUNTS.tobytes())
    dem = read_geotiff(one)
    np.testing.assert_array_equal(dem.heights_m, 0.5 * COUNTS[::-1].astype(np.float32))


def test_pds3_missing_constant_is_unknown(tmp_path: Path) -> None:
    data = COUNTS.copy()
    data[3, 4] = -32768
    dem = read_geotiff(pds(tmp_path, data, extra="  MISSING_CONSTANT = -32768\n"))
    assert np.isnan(dem.heights_m[SIDE - 4, 4])
    assert np.isnan(dem.heights_m).sum() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radius": 3396.19}, "radius 3396190 m; must be the Moon's 1737400 m"),
        ({"radius": 6371.0}, "radius 6371000 m; must be the Moon's"),
        ({"target": "MARS"}, "TARGET_NAME = MARS: must be MOON"),
        ({"projection": "SIMPLE CYLINDRICAL"}, "degrees or another map; only POLAR STEREO"),
        ({"bits": 32}, "3200 bytes; 40 x 40 samples of 32 bit need 6400 bytes: .* cut off"),
        ({"kind": "VAX_REAL"}, "16 bit VAX_REAL: not a known sample type"),
        ({"unit": "FURLONG"}, "UNIT = FURLONG: must be METER or KILOMETER"),
        ({"offset": 0.0, "factor": 400.0}, "height 519600.0 m; must be within 20000"),
        ({"at": "'N/A'"}, "LINE_PROJECTION_OFFSET = .*: not a number"),
        ({"image": "OTHER.IMG"}, "OTHER.IMG is not beside the label"),
        ({"scale": "-80 <m/pix>"}, "MAP_SCALE = -80 .*: must be above 0 m"),
    ],
)
def test_pds3_refuses_with_one_clear_error(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(TerrainError, match=words):
        read_geotiff(pds(tmp_path, **changes))


def test_pds3_without_a_label_or_cut_off(tmp_path: Path) -> None:
    label = pds(tmp_path)
    (tmp_path / "LONE.IMG").write_bytes(b"\0" * 3200)
    with pytest.raises(TerrainError, match=r"no label LONE\.LBL beside it"):
        read_geotiff(tmp_path / "LONE.IMG")
    (tmp_path / "TEST.IMG").write_bytes(COUNTS.tobytes()[:-1])
    with pytest.raises(TerrainError, match=r"3199 bytes; .* 3200 bytes: the file is cut off"):
        read_geotiff(label)
    label.write_text("LINES = 3\n")
    with pytest.raises(TerrainError, match="not a PDS3 label"):
        read_geotiff(label)


def hills(side: int = 600) -> np.ndarray:
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    return (40.0 * np.sin(x / 31.0) * np.cos(y / 47.0) + 0.05 * x).astype(np.float32)


def test_a_window_around_a_place_of_a_cloud_optimised_file(tmp_path: Path) -> None:
    heights = hills()
    plain = tiff(tmp_path / "a.tif", heights)
    path = tmp_path / "cog.tif"
    with rasterio.open(plain) as data:
        rasterio.shutil.copy(data, path, driver="COG", blocksize=256)
    frame = SiteFrame.of_site(-np.pi / 2.0, 0.0)
    lat, lon = (float(np.degrees(v)) for v in frame.place_of(400.0, -350.0))
    with open_raster(path) as raster:
        window = window_around(raster, lat, lon, 500.0)
        assert window == pytest.approx((150.0, -600.0, 650.0, -100.0), abs=1e-6)
        dem = read_window(raster, pixels_of(raster, window))
        assert dem.spec.shape == (100, 100)
        np.testing.assert_array_equal(dem.heights_m, heights[180:280, 330:430])
        coarse = read_window(raster, pixels_of(raster, window), factor_of(raster, 20.0))
        assert coarse.spec.bounds_m == pytest.approx(dem.spec.bounds_m)
        means = dem.heights_m.reshape(25, 4, 25, 4).mean(axis=(1, 3))
        np.testing.assert_allclose(coarse.heights_m, means, atol=1e-4)
        assert place_of(str(raster.projection), 400.0, -350.0) == pytest.approx((lat, lon))
        for bad, words in (
            ((-91.0, 0.0, 100.0), "latitude -91 deg.*-90 to 90"),
            ((-90.0, 0.0, -5.0), "size -5 m: must be above 0 m"),
            ((-89.0, 0.0, 500.0), "the file spans x -1500.0 to 1500.0 m"),
        ):
            with pytest.raises(TerrainError, match=words):
                window_around(raster, *bad)
        for posting in (7.0, 2.5, float("nan")):
            with pytest.raises(TerrainError, match="must be a multiple of the file's 5 m"):
                factor_of(raster, posting)


def test_a_survey_in_strips_is_that_of_the_whole_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heights = hills(301)
    heights[10, 20] = np.nan
    path = tiff(tmp_path / "a.tif", heights, 1.0)
    monkeypatch.setattr("ilrs_robots.core.io.survey._STRIP_SAMPLES", 301 * 37)
    with open_raster(path) as raster:
        told = survey(raster, pixels_of(raster, None)).as_dict()
    slopes = np.degrees(read_geotiff(path).slope_map_rad())
    own = told["slopes_by_baseline_m"]["1"]
    wanted = np.nanpercentile(slopes, (50, 90, 95, 100))
    np.testing.assert_allclose(
        [own[k] for k in ("p50_deg", "p90_deg", "p95_deg", "max_deg")], wanted, atol=0.02
    )
    assert own["share_over_20_deg"] == pytest.approx(
        float(np.mean(slopes[np.isfinite(slopes)] > 20.0)), abs=2e-3
    )
    assert told["no_data_samples"] == 1
    coarse = Dem(
        np.nanmean(heights[::-1][:300, :300].reshape(60, 5, 60, 5), axis=(1, 3)),
        GridSpec(0.0, 0.0, 5.0, 60, 60),
    )
    there = np.degrees(np.median(coarse.slope_map_rad()))
    assert told["slopes_by_baseline_m"]["5"]["p50_deg"] == pytest.approx(there, abs=0.02)


def test_holes_are_filled_smoothly_marked_and_told(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.arange(90.0), np.arange(80.0))
    plane = (0.3 * x - 0.2 * y + 500.0).astype(np.float32)
    holed = plane.copy()
    holed[20:60, 30:70] = np.nan
    holed[5, 5] = np.nan
    dem = Dem(holed, GridSpec(0.0, 0.0, 5.0, 80, 90), provenance={"source": "x"})
    whole, where = filled(dem)
    np.testing.assert_array_equal(where, np.isnan(holed))
    np.testing.assert_array_equal(whole.heights_m[~where], holed[~where])
    assert np.abs(whole.heights_m - plane).max() < 0.15  # of 20 m across the hole
    assert whole.provenance["filled_samples"] == 1601
    write_geotiff(tmp_path / "a.tif", whole, {"filled": where})
    np.testing.assert_array_equal(read_marks(tmp_path / "a.tif")["filled"], where)
    np.testing.assert_array_equal(read_geotiff(tmp_path / "a.tif").heights_m, whole.heights_m)
    with pytest.raises(TerrainError, match=r"1601 of 7200 samples are no-data \(22.2 %\): limit"):
        filled(dem, 0.1)
    with pytest.raises(TerrainError, match="7200 of 7200"):
        filled(Dem(np.full_like(plane, np.nan), dem.spec))


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    spec = GridSpec(0.0, 0.0, 5.0, 8, 8)
    rows = np.zeros((4, 8), dtype=np.float32)

    def interrupted() -> None:
        with dem_writer(tmp_path / "a.tif", spec, None, {}) as file:
            file.write(rows)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with (
        pytest.raises(TerrainError, match="rows were left out"),
        dem_writer(tmp_path / "a.tif", spec, None, {}) as file,
    ):
        file.write(rows)
    assert list(tmp_path.iterdir()) == []


def sparse(path: Path, side: int, value: float | None = None) -> Path:
    """A tiled float32 file in which only the middle is written."""
    transform = Affine(5.0, 0.0, -2.5 * side, 0.0, -5.0, 2.5 * side)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "width": side, "height": side,
        "crs": MOON, "transform": transform, "tiled": True, "blockxsize": 512, "blockysize": 512,
        "sparse_ok": True, "nodata": -9999.0, "bigtiff": "yes",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        if value is not None:
            block = np.full((512, 512), value, dtype=np.float32)
            first = side // 2 // 512 * 512
            file.write(block, 1, window=rasterio.windows.Window(first, first, 512, 512))
    return path


def test_a_file_that_is_too_large_says_what_to_do(tmp_path: Path) -> None:
    path = sparse(tmp_path / "huge.tif", 100_000)
    with open_raster(path) as raster:
        every = pixels_of(raster, None)
        with pytest.raises(TerrainError, match=r"100000 x 100000 .* give a window"):
            read_window(raster, every)
        with pytest.raises(TerrainError, match=r"to average; above the limit .* give a window"):
            read_window(raster, every, 20)
        with pytest.raises(TerrainError, match=r"above the limit of 2000000000: give a window"):
            survey(raster, every)
        with pytest.raises(TerrainError, match=r"all .* samples of the window are no-data"):
            survey(raster, pixels_of(raster, (0.0, 0.0, 1000.0, 1000.0)))


_MAIN = "import sys; from ilrs_robots.cli.main import main; sys.exit(main())"


def in_four_gigabytes(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``ilrs`` with an address space of 4 GiB."""
    limit = 4 * 1024**3
    return subprocess.run(
        [sys.executable, "-c", _MAIN,
         *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


def test_a_window_of_a_product_of_three_gigabytes_in_four_of_memory(tmp_path: Path) -> None:
    source = sparse(tmp_path / "ldem.tif", 40_000, 123.0)
    done = in_four_gigabytes(
        "terrain", "import", str(source), "-o", str(tmp_path / "a.tif"), "--lat", "-90",
        "--lon", "0", "--size", "1500", "--max-fill", "0.99",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    dem = read_geotiff(tmp_path / "a.tif")
    assert dem.spec.shape == (300, 300)
    np.testing.assert_allclose(dem.heights_m, 123.0, rtol=1e-5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_whole_product_is_averaged_and_surveyed_in_four_gigabytes(tmp_path: Path) -> None:
    source = sparse(tmp_path / "ldem.tif", 40_000, 123.0)
    output = str(tmp_path / "a.tif")
    done = in_four_gigabytes(
        "terrain", "import", str(source), "-o", output, "--posting", "20", "--no-fill"
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert float(np.nanmax(read_geotiff(output).heights_m)) == 123.0
    done = in_four_gigabytes("terrain", "info", str(source), "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert (told["rows"], told["high_m"]) == (40_000, 123.0)
    assert told["no_data_samples"] == 40_000**2 - 512**2
