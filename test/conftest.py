"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ilrs_robots.cli.domain import own_domain

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def shared_data() -> Path:
    """Real data beside the repository; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is not there ({folder.name}/ beside the repository's folder)")
    return folder


@pytest.fixture
def domain_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A DDS domain that no other test or run on this machine uses at the same time."""
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    with own_domain(environment) as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain
