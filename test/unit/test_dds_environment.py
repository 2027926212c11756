"""Transport and discovery that every process gets: loopback, unless widened on purpose."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.assembly import PROFILE_KEYS, dds_environment, dds_profile

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


def test_the_default_is_the_loopback_profile_alone() -> None:
    env = dds_environment({})
    assert env[PROFILE] == str(dds_profile("localhost"))
    assert env[RANGE] == "SYSTEM_DEFAULT"


def test_a_profile_of_ones_own_is_kept_and_stays_on_this_machine(tmp_path: Path) -> None:
    mine = tmp_path / "mine.xml"
    mine.write_text("<dds/>", encoding="utf-8")
    env = dds_environment({PROFILE: str(mine)})
    assert env[PROFILE] == str(mine)
    assert env[RANGE] == "LOCALHOST"


@pytest.mark.parametrize("key", PROFILE_KEYS)
@pytest.mark.parametrize("text", [None, "", "<dds>"])
def test_a_profile_that_is_missing_or_broken_is_refused(
    tmp_path: Path, key: str, text: str | None
) -> None:
    """Fast DDS itself would open every interface then."""
    file = tmp_path / "fastdds.xml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="every interface"):
        dds_environment({key: str(file), RANGE: "SYSTEM_DEFAULT"})


def test_other_middleware_stays_on_this_machine_by_range() -> None:
    env = dds_environment({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"})
    assert env[RANGE] == "LOCALHOST"
    assert PROFILE not in env


def test_widening_replaces_what_the_entry_script_has_set() -> None:
    narrow = dds_environment({})
    env = {**narrow, **dds_environment(narrow, localhost_only=False)}
    assert env[PROFILE] == str(dds_profile("network"))
    assert env[RANGE] == "SUBNET"


@pytest.mark.parametrize("name", ["localhost", "network"])
def test_every_profile_has_a_segment_for_large_clouds(name: str) -> None:
    text = dds_profile(name).read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    sizes = [int(e.text or 0) for e in root.iter() if e.tag.endswith("segment_size")]
    assert sizes == [64 * 2**20]
