"""``ilrs terrain`` as it is typed: files in, files out, one line when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.io.dem_files import read_geotiff, read_marks, write_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

WKT = (
    'PROJCS["x",GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Polar_Stereographic"],PARAMETER["latitude_of_origin",-90],'
    'PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def run(*arguments: Any) -> Result:
    result = CliRunner().invoke(
        cli, ["terrain", *map(str, arguments)], catch_exceptions=True, standalone_mode=False
    )
    if result.exception is not None and not isinstance(result.exception, IlrsError):
        raise result.exception
    return result


def refused(*arguments: Any) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, IlrsError), result.output
    return str(result.exception)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Hills 1.5 km from the pole, with a hole."""
    spec = GridSpec(1000.0, 1000.0, 5.0, 120, 120)
    x, y = np.meshgrid(np.arange(120.0), np.arange(120.0))
    heights = (12.0 * np.sin(x / 9.0) * np.cos(y / 13.0) + 600.0).astype(np.float32)
    heights += np.random.default_rng(0).normal(0.0, 0.1, heights.shape).astype(np.float32)
    heights[40:44, 50:55] = np.nan
    path = tmp_path / "source.tif"
    write_geotiff(path, Dem(heights, spec, WKT, {"source": "test"}))
    return path


def test_from_orbit_to_a_picture(source: Path, tmp_path: Path) -> None:
    base, fine, prior = (tmp_path / f"{name}.tif" for name in ("base", "fine", "prior"))
    assert "filled and marked: 20 of 14400" in run("import", source, "-o", base).output
    dem = read_geotiff(base)
    assert np.isfinite(dem.heights_m).all()
    assert read_marks(base)["filled"].sum() == 20
    assert dem.provenance["derived_from"]["filled_samples"] == 20
    run("refine", base, "-o", fine, "--posting", 1)
    assert read_geotiff(fine).spec.resolution_m == 1.0
    assert read_geotiff(fine).projection == dem.projection
    run("prior", fine, "-o", prior)
    known = read_geotiff(prior)
    assert known.spec.resolution_m == 5.0
    assert 0.85 < read_marks(prior)["interpolated"].mean() < 0.92
    told = json.loads(run("info", fine, "--json").output)
    assert set(told["slopes_by_baseline_m"]) == {"1", "5"}
    assert told["latitude_deg"] == pytest.approx(-89.94, abs=0.01)
    assert told["provenance"]["source"] == "refined"
    picture = tmp_path / "a.png"
    said = run("render", base, "-o", picture, "--time", "2035-06-02T06:00:00Z").output
    assert "elevation" in said
    image = cv2.imread(str(picture))
    assert image.shape == (120, 120, 3)
    assert image.max() > 200
    small = run("render", base, "-o", picture, "--time", "2035-06-02T06:00:00Z", "--pixels", 50)
    assert "40 x 40 pixels" in " ".join(small.output.split())


def test_a_picture_is_bright_where_the_sun_stands(tmp_path: Path) -> None:
    """A cone, lit from the side that the ephemeris names; north is up."""
    spec = GridSpec(-100.0, -100.0, 2.0, 101, 101)
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    cone = np.maximum(60.0 - 0.9 * np.hypot(x, y), 0.0).astype(np.float32)
    write_geotiff(tmp_path / "cone.tif", Dem(cone, spec))
    assert "a local plane; say where it lies with --at" in refused(
        "render", tmp_path / "cone.tif", "-o", tmp_path / "a.png", "--time", "2030-01-01T00:00:00Z"
    )
    said = run(
        "render", tmp_path / "cone.tif", "-o", tmp_path / "a.png", "--time",
        "2030-01-07T00:00:00Z", "--at", 20, 30, "--no-shadows",
    ).output.replace("\n", "")  # fmt: skip
    azimuth = np.radians(float(said.split("azimuth ")[1].split(" ")[0]))
    image = cv2.imread(str(tmp_path / "a.png"))[::-1, :, 0].astype(float)
    ring = (np.hypot(x, y) > 10.0) & (np.hypot(x, y) < 60.0)
    brightest = np.array([np.sum(image[ring] * x[ring]), np.sum(image[ring] * y[ring])])
    brightest /= np.hypot(*brightest)
    np.testing.assert_allclose(brightest, [np.sin(azimuth), np.cos(azimuth)], atol=0.05)


def test_generate_says_its_slopes_and_repeats(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tif", tmp_path / "two.tif"
    for path in (one, two):
        said = run("generate", "-o", path, "--size", 640, "--posting", 2, "--seed", 5).output
    assert "median 4." in said.replace("\n", " ")
    first, second = read_geotiff(one), read_geotiff(two)
    assert first.heights_m.tobytes() == second.heights_m.tobytes()
    assert first.spec.shape == (320, 320)


def test_one_clear_error_and_nothing_half_written(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tif"
    before = sorted(p.name for p in tmp_path.iterdir())
    for arguments, words in (
        (("import", tmp_path / "absent.tif", "-o", output), "no such file"),
        (("import", source, "-o", source), "is the source; name another file"),
        (("import", source, "-o", output, "--posting", 7), "multiple of the file's 5 m"),
        (("import", source, "-o", output, "--band", 3), "band 3 of 1"),
        (("import", source, "-o", output, "--lat", -91, "--lon", 0, "--size", 9), "latitude -91"),
        (("import", source, "-o", output, "--max-fill", 0.001), "no-data (0.1 %): limit 0.1 %"),
        (("refine", source, "-o", output), "20 of 14400 samples are no-data"),
        (("generate", "-o", tmp_path / "no" / "a.tif", "--size", 200), "cannot be written"),
        (("generate", "-o", output, "--size", 1), "size_m = 1.0 m: below the limit"),
        (("prior", source, "-o", output, "--error", -1), "error_m = -1.0 m: below the limit"),
        (("render", source, "-o", output, "--time", "2035-06-02T06:00:00"), "no offset from UTC"),
        (("render", source, "-o", output, "--time", "2099-01-01T00:00:00Z"), "outside 2020"),
    ):
        assert words in refused(*arguments), arguments
    assert sorted(p.name for p in tmp_path.iterdir()) == before


SITE = """
name: small
latitude_deg: -89.5
longitude_deg: 10.0
epoch_utc: "2035-01-15T00:00:00Z"
terrain: {kind: procedural, seed: 3, size_m: 200.0, resolution_m: 5.0}
robots: []
"""


def test_baking_a_site_twice_makes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "small.yaml").write_text(SITE)
    arguments = ("bake", tmp_path / "small.yaml", "--azimuths", 8)
    first = run(*arguments).output
    assert "made: dem.tif, prior.tif, horizon.npy" in first
    assert "kept: dem.tif, prior.tif, horizon.npy" in run(*arguments).output
    (folder,) = (tmp_path / "cache" / "ilrs_robots" / "sites").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == [
        "dem.tif", "horizon.json", "horizon.npy", "prior.tif"
    ]  # fmt: skip
    (folder / "prior.tif").write_bytes(b"damaged")
    assert "made: prior.tif" in run(*arguments).output
    assert "made: dem.tif" in run(*arguments, "--seed", 4).output
    assert len(list(folder.parent.iterdir())) == 2
