"""Links of whole sites, and mistakes in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from ilrs_robots.core.environment.ephemeris import utc_seconds
from ilrs_robots.core.environment.relay import load_network
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import read_site
from ilrs_robots.robots.site_links import site_link_map, who_reaches_whom

LEVEL = Dem(np.zeros((65, 65), np.float32), GridSpec(-640.0, -640.0, 20.0, 65, 65))
T0 = utc_seconds("2035-06-02T06:00:00Z")


def test_at_the_main_base_everybody_reaches_everybody():
    found = who_reaches_whom(read_site("shackleton"), LEVEL, T0)
    names = {name for pair in found for name in pair}
    assert {"long_range", "crewed_rover", "hopper", "habitat", "mast", "earth"} <= names
    assert len(found) == len(names) * (len(names) - 1) // 2
    assert found["long_range", "earth"].delay_s > 1.2
    assert found["long_range", "habitat"].delay_s < 0.1


@pytest.mark.parametrize("site", ["shackleton", "shackleton_2050", "mare"])
def test_a_map_to_the_earth_covers_level_ground(site):
    made = site_link_map(read_site(site), LEVEL, T0)
    assert np.all(made.rate_bps > 0.0)
    assert np.all((made.delay_s > 1.2) & (made.delay_s < 3.0))
    base = read_site(site).base.radios[0].name
    nearer = site_link_map(read_site(site), LEVEL, T0, target=base)
    assert np.all(nearer.delay_s < 0.2)


def written(tmp_path: Path, kind: str, name: str, **changes: object) -> str:
    content = yaml.safe_load((share_dir() / "config" / kind / f"{name}.yaml").read_text())
    for key, value in changes.items():
        place = content
        *parents, last = key.split("__")
        for part in parents:
            place = place[int(part)] if part.isdigit() else place[part]
        place[last] = value
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "key", "value", "says"),
    [
        (
            "networks",
            "stations__0__latitude_deg",
            91.0,
            r"stations\[0\].latitude_deg = 91.0 deg: a",
        ),
        ("networks", "stations__0__dish", 1, r"unknown key 'stations\[0\].dish'"),
        ("networks", "relays__0__terminal__power_w", -2.0, "terminal.power_w = -2.0 W: below"),
        ("networks", "relays__0__name", "kashi", "two relays or stations of the name 'kashi'"),
        ("sites", "latitude_deg", 91.0, "latitude_deg = 91.0 deg: above the limit 90.0"),
        ("sites", "default_robots", ["nobody"], "has no robot 'nobody'"),
        ("sites", "base__fission__rated_w", -1.0, "base.fission.rated_w = -1.0 W: below"),
        (
            "sites",
            "base__chargers__1__name",
            "charger_1",
            "two chargers, radios or towers of the name",
        ),
        ("sites", "base__reactor", {}, "unknown key 'base.reactor'"),
        ("robots", "power__battery__capacity_wh", -5.0, "capacity_wh = -5.0 Wh: below"),
        ("robots", "power__loads_w__computer", -5.0, "power.loads_w = -5.0 W: below"),
        ("robots", "power__solar__0__pointing", "up", "pointing = 'up': must be one of tracking"),
        ("robots", "power__wind", 1.0, "unknown key 'power.wind'"),
        ("robots", "comms__surface__power_w", 0.0, "comms.surface.power_w = 0.0 W: below"),
    ],
)
def test_a_mistake_in_a_file_is_one_clear_error(tmp_path, kind, key, value, says):
    load = {"networks": load_network, "sites": read_site, "robots": load_robot}[kind]
    name = {"networks": "earth_moon", "sites": "shackleton", "robots": "long_range"}[kind]
    with pytest.raises(ConfigError, match=says) as caught:
        load(written(tmp_path, kind, name, **{key: value}))
    assert "changed.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
