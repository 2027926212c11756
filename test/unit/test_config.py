"""Parameters: every mistake in a file is named with file, key, value, limit and unit."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"radius_m": 2.0}, ["f.yaml", "radius_m", "2.0", "1.0 m"]),
        ({"radius_m": 0.0}, ["f.yaml", "radius_m", "0.0", "0.1 m"]),
        ({"radius_m": float("nan")}, ["f.yaml", "radius_m", "NaN"]),
        ({"radius_m": "wide"}, ["f.yaml", "radius_m", "wide", "float"]),
        ({"radius_m": True}, ["f.yaml", "radius_m", "True", "float"]),
        ({}, ["f.yaml", "radius_m", "missing"]),
        ({"radius_m": 0.5, "colour": 1}, ["f.yaml", "colour", "unknown"]),
        ({"radius_m": 0.5, "names": "x"}, ["f.yaml", "names", "list"]),
    ],
)
def test_a_wrong_value_is_named(mapping: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_mapping(Wheel, mapping, "f.yaml")
    for word in words:
        assert word in str(caught.value)


def test_integers_become_floats() -> None:
    assert config.from_mapping(Wheel, {"radius_m": 1}, "f").radius_m == 1.0


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load_yaml(path)


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
