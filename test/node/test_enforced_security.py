"""SROS 2 with Enforce: without good keys nothing runs, so nobody believes it to be protected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ilrs_robots.robots.assembly import dds_environment

pytestmark = pytest.mark.node
PROGRAM = """
import rclpy
rclpy.init()
rclpy.create_node("one")
print("it runs")
"""
FILES = (
    "identity_ca.cert.pem", "cert.pem", "key.pem", "permissions_ca.cert.pem", "governance.p7s",
    "permissions.p7s",
)  # fmt: skip


@pytest.mark.parametrize("keys", [False, True])
def test_without_good_keys_no_node_is_made(keys: bool, domain_id: int, tmp_path: Path) -> None:
    if keys:
        enclave = tmp_path / "enclaves" / "one"
        enclave.mkdir(parents=True)
        for name in FILES:
            (enclave / name).write_text("no key")
    secure = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/one",  # as the units name it
        "ROS_DOMAIN_ID": str(domain_id),
    }
    env = {**os.environ, **dds_environment(os.environ), **secure}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60.0
    )
    assert ran.returncode != 0
    assert "it runs" not in ran.stdout
    assert "security" in ran.stderr.lower()
    assert keys or "enclaves/one'" in ran.stderr  # where it looked for them
