"""Parameters: every mistake in a file is named with file, key, value, limit and unit."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots.model import RobotModel, load_robot
from ilrs_robots.robots.site import SiteConfig, load_site


@dataclass(frozen=True)
class Wheel:
    radius_m: float = param(doc="radius", unit="m", low=0.1, high=1.0)
    names: tuple[str, ...] = param((), doc="names")

    def __post_init__(self) -> None:
        config.check(self)


@dataclass(frozen=True)
class Cart:
    wheels: Wheel = param(doc="wheels")
    at_m: dict[str, tuple[float, float]] = param(doc="places", unit="m", low=-5.0, high=5.0)
    label: str = param("", doc="label")

    def __post_init__(self) -> None:
        config.check(self)
        if self.label == self.wheels.names[0]:
            raise ConfigError(f"label = {self.label!r}: taken by a wheel")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"radius_m": 2.0}, "f.yaml: radius_m = 2.0 m: above the limit 1.0 m"),
        ({"radius_m": 0.0}, "f.yaml: radius_m = 0.0 m: below the limit 0.1 m"),
        ({"radius_m": float("nan")}, "f.yaml: radius_m is NaN (m): a number is needed"),
        ({"radius_m": float("inf")}, "f.yaml: radius_m = inf m: above the limit 1.0 m"),
        ({"radius_m": "wide"}, "f.yaml: radius_m = 'wide': expected a number"),
        ({"radius_m": True}, "f.yaml: radius_m = True: expected a number"),
        ({"radius_m": None}, "f.yaml: radius_m = None: expected a number"),
        ({}, "f.yaml: key 'radius_m' is missing"),
        (
            {"radius_m": 0.5, "colour": 1},
            "f.yaml: unknown key 'colour'; known keys are names, radius_m",
        ),
        ({"radius_m": 0.5, "names": "x"}, "f.yaml: names = 'x': expected a list"),
        ({"radius_m": 0.5, "names": [3]}, "f.yaml: names[0] = 3: expected text (in quotes)"),
    ],
)
def test_a_wrong_value_is_named(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_mapping(Wheel, mapping, "f.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wheels": {"radius_m": 9.0}}, "f: wheels.radius_m = 9.0 m: above the limit 1.0 m"),
        ({"wheels": {"radius": 1}}, "f: unknown key 'wheels.radius'; known keys are names, rad"),
        ({"wheels": {}}, "f: key 'wheels.radius_m' is missing"),
        ({"wheels": [1]}, "f: wheels = [1]: expected keys and values"),
        ({"at_m": {"a": [1.0]}}, "f: at_m.a = [1.0]: expected 2 values, got 1"),
        ({"at_m": {"a": [0, "b"]}}, "f: at_m.a[1] = 'b': expected a number"),
        ({"at_m": {"a": [0, 7]}}, "f: at_m = 7.0 m: above the limit 5.0 m"),
        ({"label": "left"}, "f: label = 'left': taken by a wheel"),
    ],
)
def test_a_key_deep_in_a_file_is_named_with_its_path(
    change: dict[str, object], message: str
) -> None:
    whole = {"wheels": {"radius_m": 0.5, "names": ["left"]}, "at_m": {}, **change}
    with pytest.raises(ConfigError) as caught:
        config.from_mapping(Cart, whole, "f")
    assert str(caught.value).startswith(message)


def test_leaves_are_the_scalars_with_their_path_and_can_be_replaced() -> None:
    cart = config.from_mapping(
        Cart, {"wheels": {"radius_m": 0.5, "names": ["left"]}, "at_m": {}}, "f"
    )
    found = {leaf.name: leaf for leaf in config.leaves(cart)}
    assert list(found) == ["wheels.radius_m", "label"]
    assert found["wheels.radius_m"].spec.unit == "m"
    wider = config.replaced(cart, {"wheels.radius_m": 0.75, "label": "b"})
    assert (wider.wheels.radius_m, wider.wheels.names, wider.label) == (0.75, ("left",), "b")
    with pytest.raises(ConfigError, match=r"radius_m = 3\.0 m: above the limit 1\.0 m"):
        config.replaced(cart, {"wheels.radius_m": 3.0})
    with pytest.raises(ConfigError, match="taken by a wheel"):
        config.replaced(cart, {"label": "left"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "key 'c' stands twice, in lines 3 and 4"),
        ("a: 1\na: 1\n", "key 'a' stands twice, in lines 1 and 2"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: &x {b: *x}\n? [1, 2]\n: 3\n", "not valid YAML"),
        ("- " * 100_000, "not valid YAML"),
        ("a: " + "[" * 100_000, "not valid YAML"),
        ("- 1\n", "expected keys and values at the top"),
        ("", "expected keys and values at the top"),
    ],
)
def test_malformed_yaml_is_refused_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        config.load_yaml(path)
    assert "bad.yaml" in str(caught.value)


def test_yaml_merge_keys_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text("base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n")
    assert config.load_yaml(path)["other"] == {"x": 1, "y": 3}


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"bytes\.yaml: not text in UTF-8"):
        config.load_yaml(path)


def test_integers_become_floats() -> None:
    assert config.from_mapping(Wheel, {"radius_m": 1}, "f").radius_m == 1.0


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load_yaml(path)


def test_every_yaml_in_config_has_a_loader_that_knows_all_its_keys() -> None:
    """Robots and sites are read by the tests that follow; layouts and missions by their own."""
    found = {path.parent.name for path in (share_dir() / "config").rglob("*.y*ml")}
    assert found == {"robots", "sites", "missions", "networks", "joystick", "recording", "replay"}


@pytest.mark.parametrize("path", sorted((share_dir() / "config" / "robots").glob("*.yaml")))
def test_every_robot_file_loads(path: Path) -> None:
    model = load_robot(str(path))
    assert isinstance(model, RobotModel)
    assert model.total_mass_kg > model.body.mass_kg


@pytest.mark.parametrize("path", sorted((share_dir() / "config" / "sites").glob("*.yaml")))
def test_every_site_file_loads_and_its_robots_stand_on_its_ground(path: Path) -> None:
    site, terrain = load_site(str(path))
    assert isinstance(site, SiteConfig)
    for placement in site.robots:
        x_min, y_min, x_max, y_max = terrain.surface.bounds_m
        assert x_min < placement.x_m < x_max
        assert y_min < placement.y_m < y_max


def test_a_site_without_the_robot_says_which_it_has() -> None:
    site, _ = load_site("shackleton")
    with pytest.raises(ConfigError, match="long_range"):
        site.robot("submarine")


def changed(tmp_path: Path, kind: str, source: str, **changes: object) -> str:
    """A copy of a packaged file with other values, by dotted key."""
    content = yaml.safe_load((share_dir() / "config" / kind / f"{source}.yaml").read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("wheels__radius_m", 9.0, "wheels.radius_m = 9.0 m: above the limit 3.0 m"),
        ("wheels__colour", "red", "unknown key 'wheels.colour'; known keys are fork_thick"),
        ("wheels__steered", ["nose"], "wheels: steered wheel 'nose' has no position"),
        ("lidar__range_min_m", 60, "lidar: range_min_m = 60.0 m: must be below range_max_m = 45"),
        ("limits__max_slope_deg", "steep", "limits.max_slope_deg = 'steep': expected a number"),
        ("body__size_m", [1.0, 2.0], "body.size_m = [1.0, 2.0]: expected 3 values, got 2"),
        ("body__centre_m", [0.0, 0.0, float("inf")], "body.centre_m = inf m: a finite number"),
        ("suspension__kind", "springs", "suspension.kind = 'springs': must be one of rocker_b"),
        ("type", "submarine", "type = 'submarine': must be one of rover"),
    ],
)
def test_a_mistake_in_a_robot_file_is_named(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    path = changed(tmp_path, "robots", "long_range", **{key: value})
    with pytest.raises(ConfigError) as caught:
        load_robot(path)
    assert f"changed.yaml: {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("latitude_deg", -98.0, "latitude_deg = -98.0 deg: below the limit -90.0 deg"),
        ("terrain__sise_m", 3.0, "unknown key 'terrain.sise_m'; known keys are geotiff, kind"),
        ("terrain__kind", "lava", "terrain.kind = 'lava': must be one of procedural, geotiff"),
        ("terrain__geotiff", "a.tif", "terrain: terrain kind 'procedural' with geotiff = 'a.tif'"),
        ("terrain__seed", 1.5, "terrain.seed = 1.5: expected a whole number"),
        ("robots", [{"name": "a b", "model": "long_range"}], "robots[0]: robot name 'a b' cannot"),
        ("robots", [{"name": "a", "model": "x", "z_m": 1}], "unknown key 'robots[0].z_m'; known"),
        ("robots", [{"name": "a"}], "key 'robots[0].model' is missing"),
        ("epoch_utc", dt.datetime(2035, 1, 1), "expected text (in quotes)"),
        ("epoch_utc", "soon", "epoch_utc = 'soon': not an ISO 8601 time"),
    ],
)
def test_a_mistake_in_a_site_file_is_named(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    path = changed(tmp_path, "sites", "shackleton", **{key: value})
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert "changed.yaml: " in str(caught.value)
    assert words in str(caught.value)


def test_a_demo_site_without_robots_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path, "sites", "demo", robots=[])
    with pytest.raises(ConfigError, match=r"robots = \[\]: .* needs at least 1 robot"):
        load_site(path)


def test_two_robots_of_one_name_are_refused(tmp_path: Path) -> None:
    source = yaml.safe_load((share_dir() / "config/sites/shackleton.yaml").read_text())
    source["robots"] *= 2
    path = tmp_path / "twins.yaml"
    path.write_text(yaml.safe_dump(source))
    with pytest.raises(ConfigError, match="two robots of the name 'long_range'"):
        load_site(str(path))


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    source = yaml.safe_load((share_dir() / "config/sites/shackleton.yaml").read_text())
    source["epoch_utc"] = "2035-01-15T00:00:00"
    path = tmp_path / "naive.yaml"
    path.write_text(yaml.safe_dump(source))
    with pytest.raises(ConfigError, match="UTC"):
        load_site(str(path))
