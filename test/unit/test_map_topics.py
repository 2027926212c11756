"""Which layers go where, what they hold, and hazards thinned for the eye."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.hazard_marks import MAX_MARKS, hazard_marks
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig
from ilrs_robots.core.mapping.layers import LAYERS
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.map_topics import DEFAULT_LAYERS, map_topics, wants_prior
from ilrs_robots.robots.map_view import MapView, prior_heights
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.steps import MappingStep, limits_of

LIMITS = limits_of(load_robot("long_range"))


def test_the_parameters_say_what_is_sent() -> None:
    first, second, third = map_topics(
        DEFAULT_LAYERS, 1.0, "hazards: cost, reason @ 0.5 ; heights/raw: elevation;"
    )
    assert (first.name, first.period_s) == ("elevation_map", 1.0)
    assert first.layers == tuple(name.strip() for name in DEFAULT_LAYERS.split(","))
    assert (second.name, second.layers, second.period_s) == ("hazards", ("cost", "reason"), 0.5)
    assert (third.name, third.layers, third.period_s) == ("heights/raw", ("elevation",), 1.0)


@pytest.mark.parametrize(
    ("layers", "period", "maps", "said"),
    [
        ("gold", 1.0, "", "layers: no layer 'gold'; there are "),
        ("", 1.0, "", "layers: no layer ''"),
        ("elevation, elevation", 1.0, "", "layer 'elevation' stands twice"),
        ("elevation", -1.0, "", "period -1.0 s: must be 0 to 3600 s"),
        ("elevation", float("nan"), "", "period nan s"),
        ("elevation", 1.0, "a: elevation @ fast", "maps: a: 'fast' is no number"),
        ("elevation", 1.0, "a elevation", "must be 'topic: layer, layer @ seconds'"),
        ("elevation", 1.0, "/a: elevation", "must be"),
        ("elevation", 1.0, "a: cost; a: slope", "topic 'a' stands twice"),
        ("elevation", 1.0, "elevation_map: cost", "stands twice"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(
    layers: str, period: float, maps: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        map_topics(layers, period, maps)
    assert said in str(caught.value)


def sloped() -> MappingStep:
    step = MappingStep("r", LIMITS, ElevationMapConfig(size_cells=60))
    x, y = np.meshgrid(np.arange(-2.5, 2.5, 0.05), np.arange(-2.5, 2.5, 0.05))
    points = np.column_stack((x.ravel(), y.ravel(), 0.1 * x.ravel() - 1.5)).astype(np.float32)
    step.map.update(points, se3.from_rpy((0.0, 0.0, 1.5), (0.0, 0.0, 0.0)), 10**9)
    step.last_stamp_ns = 10**9
    return step


def test_layers_are_those_of_the_map_and_its_hazards() -> None:
    step = sloped()
    view = MapView(step)
    layers, spec = view.layers(("elevation", "slope", "cost", "age"), None)
    assert spec == step.map.spec
    assert list(layers) == ["elevation", "slope", "cost", "age"]
    np.testing.assert_array_equal(layers["elevation"], step.map.layer("elevation"))
    np.testing.assert_array_equal(layers["cost"], step.traversability()[0].cost)
    inner = layers["slope"][20:40, 20:40]
    np.testing.assert_allclose(inner, np.arctan(0.1), atol=0.01)
    assert np.nanmax(layers["age"]) == 0.0
    step.map.clear()
    assert np.isfinite(view.layers(("elevation",), None)[0]["elevation"]).any()
    view.renew()
    assert np.isnan(view.layers(("elevation",), None)[0]["elevation"]).all()


def test_every_layer_of_the_registry_can_be_sent() -> None:
    step = sloped()
    prior = Dem(np.zeros((5, 5), np.float32), GridSpec(-100.0, -100.0, 50.0, 5, 5))
    layers, spec = MapView(step, prior, 0.4).layers(tuple(LAYERS), np.eye(4))
    for name, values in layers.items():
        assert values.shape == spec.shape, name
        finite = values[np.isfinite(values)].astype(np.float64)
        low, high = LAYERS[name].low, LAYERS[name].high
        assert ((finite >= low - 1e-6) & (finite <= high * (1 + 1e-6))).all(), name


def test_the_prior_lies_under_the_window_wherever_odom_is() -> None:
    x, y = np.meshgrid(np.arange(-50.0, 51.0, 5.0), np.arange(-50.0, 51.0, 5.0))
    prior = Dem(
        (100.0 + 0.2 * x - 0.1 * y).astype(np.float32), GridSpec(-50.0, -50.0, 5.0, 21, 21)
    )
    spec = GridSpec(-3.0, -2.0, 0.1, 40, 60)
    anchor = se3.from_rpy((20.0, -10.0, 103.0), (0.0, 0.0, 0.6))
    found = prior_heights(prior, spec, anchor)
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    points = np.stack((x, y), axis=-1) @ anchor[:2, :2].T + anchor[:2, 3]
    np.testing.assert_allclose(
        found, 100.0 + 0.2 * points[..., 0] - 0.1 * points[..., 1] - 103.0, atol=1e-4
    )
    far = se3.from_rpy((500.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert np.isnan(prior_heights(prior, spec, far)).all()


def test_only_layers_made_of_the_prior_ask_for_it() -> None:
    assert not wants_prior(name.strip() for name in DEFAULT_LAYERS.split(","))
    for name in LAYERS:
        assert wants_prior([name]) or not name.startswith("prior")


# -- hazards for the eye -----------------------------------------------------------------------
NAMES = ("unknown", "slope", "step")
SPEC = GridSpec(10.0, -5.0, 0.1, 200, 300)


def test_closed_cells_stand_at_their_place_by_reason() -> None:
    cost = np.full(SPEC.shape, np.nan, np.float32)
    reason = np.zeros(SPEC.shape, np.uint8)
    height = np.full(SPEC.shape, 0.5, np.float32)
    cost[5, 7], reason[5, 7], height[5, 7] = 1.0, 2, 0.9
    cost[20, 30], reason[20, 30], height[20, 30] = 1.0, 1, np.nan
    cost[21, 30], reason[21, 30] = 0.98, 1
    slope, step = hazard_marks(cost, reason, height, SPEC, NAMES)
    assert (slope.reason, step.reason) == ("slope", "step")
    assert (slope.cells, step.cells, step.size_m) == (1, 1, 0.1)
    np.testing.assert_allclose(step.points_m, [[10.7, -4.5, 0.9]], atol=1e-6)
    np.testing.assert_allclose(slope.points_m, [[13.0, -3.0, 0.5]], atol=1e-6)


def test_a_cell_without_height_stands_at_the_height_of_the_nearest_known() -> None:
    cost, height = (np.full(SPEC.shape, np.nan, np.float32) for _ in range(2))
    reason = np.zeros(SPEC.shape, np.uint8)
    height[10, 10], height[10, 40] = 1.0, 2.0
    cost[12, 22:28], reason[12, 22:28] = 1.0, 1
    (mark,) = hazard_marks(cost, reason, height, SPEC, NAMES)
    by_x = mark.points_m[np.argsort(mark.points_m[:, 0]), 2]
    np.testing.assert_array_equal(by_x[:3], 1.0)  # columns 22 to 24 are nearer to column 10
    np.testing.assert_array_equal(by_x[4:], 2.0)


def test_many_closed_cells_are_thinned_and_none_of_the_area_is_lost() -> None:
    rng = np.random.default_rng(0)
    cost = np.where(rng.random(SPEC.shape) < 0.5, 1.0, 0.2).astype(np.float32)
    reason = rng.integers(1, 3, SPEC.shape).astype(np.uint8)
    height = rng.normal(size=SPEC.shape).astype(np.float32)
    marks = hazard_marks(cost, reason, height, SPEC, NAMES)
    assert sum(len(m.points_m) for m in marks) <= MAX_MARKS
    assert sum(m.cells for m in marks) == (cost == 1.0).sum()
    for mark in marks:
        rows, cols = np.nonzero((cost == 1.0) & (reason == NAMES.index(mark.reason)))
        block = round(mark.size_m / SPEC.resolution_m)
        blocks = {(r // block, c // block) for r, c in zip(rows, cols, strict=True)}
        assert len(blocks) == len(mark.points_m)
        at = SPEC.cell_of(mark.points_m[:, :2] + 1e-6)
        assert {(r // block, c // block) for r, c in zip(*at, strict=True)} == blocks
        assert mark.points_m[:, 2].max() == height[rows, cols].max()


def test_no_closed_cell_gives_no_mark() -> None:
    nothing = np.full(SPEC.shape, np.nan, np.float32)
    assert hazard_marks(nothing, np.zeros(SPEC.shape, np.uint8), nothing, SPEC, NAMES) == []
