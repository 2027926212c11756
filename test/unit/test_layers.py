"""Every layer declares what its numbers mean, and keeps to it; adding one is adding a file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping import layers as package
from ilrs_robots.core.mapping.elevation_map import LAYER_NAMES, ElevationMap, ElevationMapConfig
from ilrs_robots.core.mapping.judge import REASONS
from ilrs_robots.core.mapping.layers import (
    LAYERS,
    LayerContext,
    LayerSpec,
    compute_layers,
    discover,
)
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.types import GridSpec

LIMITS = VehicleLimits(np.radians(20.0), 0.24, 0.12, 2.6, 2.1)
LIDAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "lidar"
WANTED = {
    "elevation", "variance", "upper_bound", "lower_bound", "count", "age", "slope", "roughness",
    "step_height", "normal_x", "normal_y", "normal_z", "elevation_filled", "filled",
    "filled_confidence", "intensity", "prior", "prior_variance", "cost", "reason",
}  # fmt: skip
ADDED = """
import numpy as np
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec

def compute(context):
    return np.degrees(context["slope"])

LAYER = LayerSpec("slope_deg", "deg", 0.0, 90.0, "slope for people", compute, inputs=("slope",))
"""


def context_of(elevation: np.ndarray, **kwargs) -> LayerContext:
    spec = GridSpec(0.0, 0.0, 0.1, *elevation.shape)
    state = {"elevation": elevation, "upper_bound": elevation}
    state["variance"] = np.where(np.isnan(elevation), np.nan, 1e-4).astype(np.float32)
    return LayerContext(state | kwargs.pop("state", {}), spec, LIMITS, **kwargs)


def plane(slope_x: float, slope_y: float, cells: int = 60) -> np.ndarray:
    y, x = np.mgrid[:cells, :cells] * 0.1
    return (slope_x * x + slope_y * y).astype(np.float32)


@pytest.fixture(scope="module")
def real_context() -> LayerContext:
    """A real scan in a map, on top of a rough idea of the ground."""
    if not LIDAR.is_dir():
        pytest.skip("no real scans here: shared/data/lidar is absent")
    raw = np.load(LIDAR / "os1_128_scan0.npy")
    points = np.stack([raw[axis] for axis in "xyz"], axis=1).astype(np.float32)
    built = ElevationMap(ElevationMapConfig(range_min_m=0.5, range_max_m=60.0))
    pose = se3.from_rpy((0.0, 0.0, 1.8), (0.0, 0.0, 0.3))
    for k in range(3):
        bright = raw["intensity"].astype(np.float32)
        built.update(points, pose, k * 100_000_000, intensity=bright)
    state = {name: built.layer(name) for name in LAYER_NAMES}
    prior = np.full(built.spec.shape, 0.7, np.float32)
    return LayerContext(
        state, built.spec, LIMITS, prior_m=prior, prior_variance_m2=prior * 0.0 + 0.16, now_s=5.0
    )


def test_every_layer_that_is_promised_is_there_and_says_what_it_is():
    assert set(LAYERS) >= WANTED
    for name, spec in LAYERS.items():
        assert name == spec.name
        assert spec.doc
        assert spec.low < spec.high
        assert set(spec.inputs) <= set(LAYERS)
        assert spec.unit in {"", "m", "m2", "rad", "s"}
    files = {item.stem for item in Path(package.__file__).parent.glob("[a-z]*.py")}
    assert files == set(LAYERS)


def test_layers_of_a_real_scan_keep_their_ranges(real_context):
    done = compute_layers(LAYERS, real_context)
    for name, values in done.items():
        known = values[np.isfinite(values)]
        assert known.size > 1000, name
        assert values.dtype == np.float32
        assert known.min() >= LAYERS[name].low, name
        assert known.max() <= LAYERS[name].high, name
        assert not np.isinf(values).any(), name
    seen = np.isfinite(done["elevation"])
    assert 0.1 < seen.mean() < 0.5
    assert not np.isnan(done["elevation_filled"]).any()
    np.testing.assert_array_equal(done["filled"] == 1.0, ~seen)
    np.testing.assert_array_equal(done["filled_confidence"] == 1.0, seen)
    np.testing.assert_array_equal(done["elevation_filled"][seen], done["elevation"][seen])
    assert set(np.unique(done["reason"])) <= set(range(len(REASONS)))
    length = np.sqrt(sum(done[f"normal_{axis}"] ** 2 for axis in "xyz"))
    np.testing.assert_allclose(length[np.isfinite(length)], 1.0, atol=1e-5)
    known_age = done["age"][seen]
    np.testing.assert_allclose(known_age, 5.0 - 0.2, atol=1e-4)


def test_adding_a_layer_is_adding_a_file(tmp_path, monkeypatch):
    (tmp_path / "slope_deg.py").write_text(ADDED)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    found = discover()
    assert set(found) == {*LAYERS, "slope_deg"}
    done = compute_layers(["slope_deg"], context_of(plane(0.1, 0.0)), found)
    np.testing.assert_allclose(done["slope_deg"], np.degrees(np.arctan(0.1)), atol=3e-3)
    (tmp_path / "again.py").write_text(ADDED)
    with pytest.raises(ConfigError, match=r"slope_deg\.py: there is a layer 'slope_deg' already"):
        discover()
    (tmp_path / "again.py").unlink()
    (tmp_path / "blank.py").write_text("")
    with pytest.raises(ConfigError, match=r"blank\.py: a layer's file declares LAYER"):
        discover()


def test_what_several_layers_need_is_computed_once():
    calls: list[str] = []

    def made(name: str, inputs: tuple[str, ...]) -> LayerSpec:
        def compute(context: LayerContext) -> np.ndarray:
            calls.append(name)
            return sum((context[n] for n in inputs), np.ones((9, 9), np.float32))

        return LayerSpec(name, "", 0.0, 9.0, "test", compute, inputs)

    specs = {s.name: s for s in (made("a", ()), made("b", ("a",)), made("c", ("a", "b")))}
    done = compute_layers(["c", "b", "c"], context_of(np.zeros((9, 9), np.float32)), specs)
    assert list(done) == ["c", "b"]
    assert sorted(calls) == ["a", "b", "c"]
    assert (done["c"] == 4.0).all()


def test_mistakes_are_named():
    flat = np.zeros((9, 9), np.float32)

    def no(context: LayerContext) -> np.ndarray:
        return context["elevation"]

    def spec(name: str, *inputs: str) -> LayerSpec:
        return LayerSpec(name, "", 0.0, 1.0, "test", no, inputs)

    with pytest.raises(ConfigError, match="no layer 'nope'; there are age, cost"):
        compute_layers(["nope"], context_of(flat))
    with pytest.raises(ConfigError, match="no layer 'gone', which 'a' needs"):
        compute_layers(["a"], context_of(flat), {"a": spec("a", "gone")})
    circle = {"a": spec("a", "b"), "b": spec("b", "c"), "c": spec("c", "b")}
    with pytest.raises(ConfigError, match="need one another: b needs c needs b"):
        compute_layers(["a"], context_of(flat), circle)
    with pytest.raises(ConfigError, match="'elevation' was not computed: it must stand among"):
        compute_layers(["a"], context_of(flat), {"a": spec("a")})
    with pytest.raises(TerrainError, match=r"prior is \(3, 3\): its grid is \(9, 9\)"):
        context_of(flat, prior_m=flat[:3, :3])
    bad = LayerSpec("bad", "", 0.0, 1.0, "test", lambda _: flat[0])
    with pytest.raises(TerrainError, match=r"layer 'bad' is \(9,\)"):
        compute_layers(["bad"], context_of(flat), {"bad": bad})


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.3, 0.0), (-0.2, 0.4), (2.0, -1.5)])
def test_slope_and_normals_of_a_plane_are_exact(a, b):
    done = compute_layers(["slope", "normal_x", "normal_y", "normal_z"], context_of(plane(a, b)))
    length = np.sqrt(1.0 + a * a + b * b)
    np.testing.assert_allclose(done["slope"], np.arctan(np.hypot(a, b)), atol=1e-4)
    for name, value in (("normal_x", -a), ("normal_y", -b), ("normal_z", 1.0)):
        np.testing.assert_allclose(done[name], value / length, atol=2e-4)


def test_the_prior_is_bent_to_what_was_seen_and_is_itself_far_away():
    cells = 200
    truth = plane(0.05, 0.02, cells)
    elevation = np.where(np.arange(cells) < 60, truth, np.nan).astype(np.float32)
    prior = (truth - 0.4).astype(np.float32)
    local = np.float32(0.3) * (np.arange(cells) > 50).astype(np.float32)
    elevation += local
    context = context_of(
        elevation, prior_m=prior, prior_variance_m2=np.full(prior.shape, 0.16, np.float32)
    )
    done = compute_layers(["prior", "prior_variance"], context)
    seen = np.isfinite(elevation)
    np.testing.assert_array_equal(done["prior"][seen], elevation[seen])
    beside = done["prior"][:, 60] - (truth + local)[:, 60]
    np.testing.assert_allclose(beside, 0.0, atol=0.03)
    np.testing.assert_allclose(done["prior"][:, -1], truth[:, -1], atol=0.03)
    variance = done["prior_variance"]
    assert (variance[seen] == np.float32(1e-4)).all()
    assert (np.diff(variance[:, 60:], axis=1) >= 0.0).all()
    assert variance[0, 60] < 0.02
    assert 0.14 < variance[0, -1] <= 0.16


def test_without_prior_or_without_anything_seen():
    unknown = np.full((30, 30), np.nan, np.float32)
    done = compute_layers(LAYERS, context_of(unknown))
    for name in ("prior", "prior_variance", "slope", "cost", "elevation_filled", "normal_z"):
        assert np.isnan(done[name]).all(), name
    for name, value in itertools.product(("filled", "filled_confidence", "reason"), (0.0,)):
        assert (done[name] == value).all(), name
    prior = np.full((30, 30), 7.0, np.float32)
    done = compute_layers(
        ["prior", "prior_variance"],
        context_of(unknown, prior_m=prior, prior_variance_m2=prior * 0.1),
    )
    np.testing.assert_array_equal(done["prior"], prior)
    np.testing.assert_allclose(done["prior_variance"], 0.7)
