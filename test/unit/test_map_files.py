"""Maps that are kept: every byte comes back, odom may have moved, and nothing else is opened."""

from __future__ import annotations

import json
import re
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import ConfigError, IlrsError, StorageError, TerrainError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.io import map_files
from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.io.map_files import Place, export_geotiff, inside, load_map, save_map
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig
from ilrs_robots.core.types import Cloud
from ilrs_robots.robots import map_store
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.steps import MappingStep, limits_of

S = 1_000_000_000
NOW = 1_700_000_000 * S
SMALL = ElevationMapConfig(size_cells=80)
LIMITS = limits_of(load_robot("long_range"))
MOON_POLAR = (
    'PROJCS["moon south pole",GEOGCS["moon",DATUM["D_Moon",SPHEROID["Moon",1737400,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Polar_Stereographic"],PARAMETER["latitude_of_origin",-90],'
    'PARAMETER["central_meridian",0],PARAMETER["scale_factor",1],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",NORTH],AXIS["Northing",NORTH]]'
)


def hills_m(xy: np.ndarray) -> np.ndarray:
    """Smooth ground in ``map``."""
    return 0.4 * np.sin(0.9 * xy[..., 0]) + 0.3 * np.cos(0.7 * xy[..., 1]) + 0.05 * xy[..., 0]


def mapped(anchor: np.ndarray, at_map_xy: tuple[float, float] = (40.0, -7.0)) -> MappingStep:
    """A map of the hills around a place in ``map``, in an odom that lies at ``anchor``."""
    rng = np.random.default_rng(3)
    step = MappingStep("r", LIMITS, SMALL)
    tree = TransformTree()
    stamp = NOW - S
    base = se3.invert(anchor) @ se3.from_rpy((*at_map_xy, 1.2), (0.0, 0.0, 0.7))
    tree.set("r/odom", "r/base_link", stamp, *se3.split_transform(base))
    tree.set_static("r/base_link", "r/lidar", se3.from_rpy((0.0, 0.0, 0.5), (0.0, 0.1, 0.0)))
    xy = rng.uniform(-4.4, 4.4, (60_000, 2)) + at_map_xy
    ground = np.column_stack((xy, hills_m(xy)))
    sensor = se3.invert(anchor @ base @ tree.lookup("r/base_link", "r/lidar", stamp))
    local = (ground @ sensor[:3, :3].T + sensor[:3, 3]).astype(np.float32)
    step.add(Cloud(stamp, "r/lidar", local, None, np.full(len(local), 30.0, np.float32)))
    assert len(step.process(tree, NOW)) == 1
    return step


def error_m(step: MappingStep, anchor: np.ndarray) -> np.ndarray:
    """Map minus truth of the known cells, both in ``map``."""
    spec, height = step.map.spec, step.map.layer("elevation")
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    known = np.isfinite(height)
    assert known.sum() > 4000
    points = np.column_stack((x[known], y[known], height[known]))
    points = points @ anchor[:3, :3].T + anchor[:3, 3]
    return np.asarray(points[:, 2] - hills_m(points[:, :2]))


ANCHOR = se3.from_rpy((12.3, 4.56, -1.7), (0.0, 0.0, 0.0))


def test_what_is_saved_comes_back_to_the_byte(tmp_path: Path) -> None:
    step = mapped(ANCHOR)
    path = tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, ANCHOR))
    before = {k: v.tobytes() for k, v in step.map.to_arrays().items()}
    spec, origin, stamp = step.map.spec, step.map.time_origin_ns, step.last_stamp_ns
    step.clear()
    assert step.why_empty()
    words = map_store.restore(step, load_map(path), ANCHOR, NOW)
    assert words == "restored where it was in odom"
    assert {k: v.tobytes() for k, v in step.map.to_arrays().items()} == before
    assert (step.map.spec, step.map.time_origin_ns, step.last_stamp_ns) == (spec, origin, stamp)
    assert not step.why_empty()
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    assert len(step.traversability()[0].cost) == 80


@pytest.mark.parametrize("yaw", [0.0, 0.002, 0.4, 3.0])
def test_the_ground_stays_where_it_is_when_odom_began_elsewhere(
    tmp_path: Path, yaw: float
) -> None:
    step = mapped(ANCHOR)
    near = np.percentile(np.abs(error_m(step, ANCHOR)), 95)
    path = tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, ANCHOR))
    other = se3.from_rpy((39.0, -8.0, 2.25), (0.0, 0.0, yaw))
    assert np.percentile(np.abs(error_m(step, other)), 95) > 1.0
    words = map_store.restore(step, load_map(path), other, NOW)
    assert "the map moved with it" in words
    # a cell's value may now lie half a cell (and its corner) beside its place on 0.4 m/m slopes
    assert np.percentile(np.abs(error_m(step, other)), 95) < near + 0.03
    assert np.nanmax(step.map.layer("upper_bound") - step.map.layer("elevation")) < 0.2


def test_a_map_of_another_run_gets_todays_times(tmp_path: Path) -> None:
    step = mapped(ANCHOR)
    path = tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, ANCHOR))
    words = map_store.restore(step, load_map(path), ANCHOR, 5 * S)
    assert "its times were" in words
    assert step.last_stamp_ns == 5 * S
    assert step.map.time_origin_ns == 5 * S


def test_an_empty_map_and_one_without_anchor_come_back_too(tmp_path: Path) -> None:
    step, path = MappingStep("r", LIMITS, SMALL), tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, None))
    other = mapped(ANCHOR)
    assert "without a pose" in map_store.restore(other, load_map(path), ANCHOR, NOW)
    assert other.last_stamp_ns is None
    assert np.isnan(other.map.layer("elevation")).all()


def broken(kind: str, path: Path, good: bytes) -> None:
    """Write what must not be loaded."""
    if kind == "absent":
        return
    if kind == "text":
        path.write_text("not a map")
    elif kind == "half":
        path.write_bytes(good[: len(good) // 2])
    elif kind == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("map/elevation.npy", bytes(50_000_000))
    elif kind == "huge":
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000, 10000000), }"
        header = header.ljust(117) + b"\n"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("map/elevation.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
            packed.writestr("saved_map_json.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
    elif kind == "pickle":
        np.savez(path, saved_map_json=np.array([print, {}], dtype=object))
    elif kind == "other":
        np.savez(path, a=np.zeros(3))
    else:
        path.write_bytes(good)
        arrays = dict(np.load(path))
        meta = json.loads(str(arrays["saved_map_json"]))
        if kind == "version":
            meta["version"] = 99
        elif kind == "no_layer":
            del arrays["map/variance"]
        elif kind == "shape":
            arrays["map/variance"] = arrays["map/variance"][:5]
        elif kind == "words":
            arrays["map/variance"] = arrays["map/variance"].astype(str)
        elif kind == "sheared":
            meta["T_map_odom"][0][1] = 0.5
        elif kind == "tilted":
            meta["T_map_odom"] = se3.from_rpy((0.0, 0.0, 0.0), (0.1, 0.0, 0.0)).tolist()
        arrays["saved_map_json"] = np.array(json.dumps(meta))
        with path.open("wb") as file:
            np.savez(file, **arrays)


BROKEN = (
    "absent", "text", "half", "bomb", "huge", "pickle", "other", "version", "no_layer", "shape",
    "words", "sheared", "tilted",
)  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_map_is_refused_and_the_present_one_stays(
    tmp_path: Path, kind: str, monkeypatch: Any
) -> None:
    if kind == "bomb":
        monkeypatch.setattr(map_files, "MAX_BYTES", 10_000_000)
    step, path = mapped(ANCHOR), tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, ANCHOR))
    good = path.read_bytes()
    path.unlink()
    broken(kind, path, good)
    before = step.map.to_arrays()
    with pytest.raises(IlrsError):
        map_store.restore(step, load_map(path), ANCHOR, NOW)
    for name, values in step.map.to_arrays().items():
        assert values.tobytes() == before[name].tobytes()


def test_a_map_of_another_cell_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    step, path = mapped(ANCHOR), tmp_path / "a.npz"
    save_map(path, map_store.snapshot(step, ANCHOR))
    coarse = MappingStep("r", LIMITS, ElevationMapConfig(size_cells=80, resolution_m=0.2))
    with pytest.raises(ConfigError, match=r"resolution_m = 0\.1 m, this map has 0\.2 m"):
        map_store.restore(coarse, load_map(path), ANCHOR, NOW)


@pytest.mark.parametrize("kind", map_files.KINDS)
def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, kind: str) -> None:
    step, path = mapped(ANCHOR), tmp_path / f"a{kind}"
    write = save_map if kind == ".npz" else export_geotiff
    saved = map_store.snapshot(step, ANCHOR, {"elevation": step.map.layer("elevation")})
    write(path, saved)
    good = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # the kernel takes no more
    try:
        with pytest.raises(StorageError) as caught:
            write(path, saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    words = r"File too large: it needs \d+\.\d\d MB, \d+\.\d\d MB are free in"
    assert re.search(words, str(caught.value))
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "named", ["", "../a.npz", "/etc/a.npz", "a.pkl", "link/a.npz", "..", "a/../../a.npz", ".npz"]
)
def test_only_files_in_the_folder_of_maps_are_touched(tmp_path: Path, named: str) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(TerrainError):
        inside(folder, named)
    assert inside(folder, "a.npz") == inside(folder, str(folder / "a.npz"))


def test_the_folder_of_maps_is_the_users_state_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert map_store.maps_folder("") == tmp_path / "ilrs_robots" / "maps"
    assert map_store.maps_folder("").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="maps_dir"):
        map_store.maps_folder(str(tmp_path / "file" / "maps"))


def exported(tmp_path: Path, anchor: np.ndarray, place: Place) -> tuple[MappingStep, Path]:
    step, path = mapped(anchor), tmp_path / "a.tif"
    saved = map_store.snapshot(step, anchor, units={"elevation": "m", "variance": "m2"})
    saved = map_files.SavedMap(
        saved.arrays, saved.spec, saved.layers, anchor, saved.stamp_ns, place, saved.units
    )
    export_geotiff(path, saved, ("elevation", "variance", "count"))
    return step, path


def test_a_geotiff_has_named_bands_where_the_projection_says(tmp_path: Path) -> None:
    place = Place(MOON_POLAR, (1500.0, -2500.0), "pole")
    step, path = exported(tmp_path, ANCHOR, place)
    with rasterio.open(path) as data:
        assert data.descriptions == ("elevation", "variance", "count")
        assert data.units[:2] == ("m", "m2")
        assert np.isnan(data.nodata)
        x, y = 40.0 + 1.0, -7.0 + 2.0
        row, col = data.index(x + 1500.0, y - 2500.0)
        assert data.read(1)[row, col] == pytest.approx(hills_m(np.array([x, y])), abs=0.06)
    dem = read_geotiff(path, origin_xy_m=place.origin_xy_m)
    layer = step.map.layer("elevation")
    np.testing.assert_array_equal(np.isnan(dem.heights_m), np.isnan(layer))
    np.testing.assert_allclose(dem.heights_m, layer - 1.7, atol=1e-5)
    assert dem.spec.origin_x_m == pytest.approx(step.map.spec.origin_x_m + 12.3, abs=1e-6)
    assert dem.spec.origin_y_m == pytest.approx(step.map.spec.origin_y_m + 4.56, abs=1e-6)


def test_a_turned_odom_gives_a_turned_grid_and_no_resampling(tmp_path: Path) -> None:
    anchor = se3.from_rpy((5.0, 6.0, 0.5), (0.0, 0.0, 0.5))
    step, path = exported(tmp_path, anchor, Place())
    with rasterio.open(path) as data:
        band = data.read(1)
        for x, y in ((39.0, -6.0), (38.2, -5.1), (42.0, -9.5)):
            row, col = data.index(x, y)
            assert band[row, col] == pytest.approx(hills_m(np.array([x, y])), abs=0.08)
        np.testing.assert_array_equal(band[::-1], step.map.layer("elevation") + np.float32(0.5))


def test_export_refuses_layers_that_are_not_there_and_tilted_frames(tmp_path: Path) -> None:
    step = mapped(ANCHOR)
    with pytest.raises(TerrainError, match="no layer 'gold'; the map has elevation"):
        export_geotiff(tmp_path / "a.tif", map_store.snapshot(step, ANCHOR), ("gold",))
    tilted = se3.from_rpy((0.0, 0.0, 0.0), (0.1, 0.0, 0.0))
    with pytest.raises(TerrainError, match="tilted"):
        export_geotiff(tmp_path / "a.tif", map_store.snapshot(step, tilted))
    with pytest.raises(TerrainError, match="cannot be written"):
        export_geotiff(tmp_path / "no" / "a.tif", map_store.snapshot(step, ANCHOR))
    assert not list(tmp_path.iterdir())


def test_the_command_line_exports_and_tells(tmp_path: Path, capsys: Any) -> None:
    step, path, out = mapped(ANCHOR), tmp_path / "a.npz", tmp_path / "a.tif"
    save_map(path, map_store.snapshot(step, ANCHOR))
    for arguments, said in (
        (["export", str(path), str(out), "--layers", "elevation, count"], "2 bands"),
        (["info", str(path)], "80 x 80 cells of 0.1 m"),
    ):
        assert cli.main(["map", *arguments], standalone_mode=False) == 0
        assert said in " ".join(capsys.readouterr().out.split())
    with rasterio.open(out) as data:
        assert data.descriptions == ("elevation", "count")
        assert data.tags()["ILRS_FRAME"] == "map"
    for bad in ([str(out), str(tmp_path / "b.tif")], [str(path), str(tmp_path / "b.png")]):
        with pytest.raises(TerrainError):
            cli.main(["map", "export", *bad], standalone_mode=False)
