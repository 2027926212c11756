"""Shared memory of a process: as much as it needs, and nobody else's profile is touched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ilrs_robots.nodes.dds_segment import WORDS_BYTES, segment_of
from ilrs_robots.robots.assembly import PROFILE_KEYS, dds_environment, dds_profile

NODE = """
import os, re, sys, rclpy
from pathlib import Path
from ilrs_robots.nodes.dds_segment import WORDS_BYTES, segment_of
rclpy.init()
with segment_of(WORDS_BYTES if sys.argv[1] == "small" else None):
    node = rclpy.create_node("talker")
held = " ".join(os.readlink(f"/proc/self/fd/{n}") for n in range(3, 64)
                if os.path.islink(f"/proc/self/fd/{n}"))
(own,) = set(re.findall(r"fastrtps_[0-9a-f]{16}(?=_el)", held))  # its owner keeps the lock open
print(Path("/dev/shm", own).stat().st_size)
node.destroy_node()
rclpy.shutdown()
"""


def size_named() -> int:
    text = Path(os.environ[PROFILE_KEYS[0]]).read_text()
    return int(re.findall(r"<segment_size>(\d+)<", text)[0])


@pytest.mark.parametrize("name", ["localhost", "network"])
def test_a_shipped_profile_is_made_smaller_for_a_while(monkeypatch, name):
    monkeypatch.setenv(PROFILE_KEYS[0], str(dds_profile(name)))
    monkeypatch.delenv(PROFILE_KEYS[1], raising=False)
    before = size_named()
    with segment_of(WORDS_BYTES):
        assert size_named() == WORDS_BYTES
        file = Path(os.environ[PROFILE_KEYS[0]])
        assert PROFILE_KEYS[1] not in os.environ
    assert not file.exists()
    assert size_named() == before
    with segment_of(None):
        assert size_named() == before
    with segment_of(1 << 40):
        assert size_named() == before


def test_a_profile_of_somebody_else_stays(monkeypatch, tmp_path):
    theirs = tmp_path / "mine.xml"
    theirs.write_text(dds_profile().read_text() + "<!-- mine -->")
    monkeypatch.setenv(PROFILE_KEYS[0], str(theirs))
    with segment_of(WORDS_BYTES):
        assert os.environ[PROFILE_KEYS[0]] == str(theirs)


def test_a_participant_takes_what_is_asked_for(domain_id):
    environment = {**os.environ, **dds_environment({}), "ROS_DOMAIN_ID": str(domain_id)}
    sizes = [
        int(
            subprocess.run(
                [sys.executable, "-c", NODE, how],
                env=environment, check=True, capture_output=True, text=True, timeout=60,
            ).stdout
        )
        for how in ("small", "whole")
    ]  # fmt: skip
    assert WORDS_BYTES <= sizes[0] < 2 * WORDS_BYTES
    assert sizes[1] > 60 << 20
