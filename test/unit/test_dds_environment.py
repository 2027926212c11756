"""Transport and discovery that every process gets: loopback, unless widened on purpose."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ilrs_robots.robots.assembly import dds_environment, dds_profile

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


def test_the_default_is_the_loopback_profile_alone() -> None:
    env = dds_environment({})
    assert env[PROFILE] == str(dds_profile("localhost"))
    assert env[RANGE] == "SYSTEM_DEFAULT"


def test_a_profile_of_ones_own_is_kept_and_stays_on_this_machine() -> None:
    env = dds_environment({PROFILE: "/etc/mine.xml"})
    assert env[PROFILE] == "/etc/mine.xml"
    assert env[RANGE] == "LOCALHOST"


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
