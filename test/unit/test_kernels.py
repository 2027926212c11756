"""Kernels are compiled once before many processes start, and again for other sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from ilrs_robots.cli import kernels


def test_only_a_whole_cache_of_these_sources_counts_as_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run had compiled a few for its own use, and started everybody with the rest."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "GROUPS", (("power",),))
    (tmp_path / "cache" / "some").mkdir(parents=True)
    (tmp_path / "cache" / "some" / "kernel.nbi").write_bytes(b"")
    assert not kernels.compiled()

    kernels.compile_kernels()
    assert kernels.compiled()

    (tmp_path / "source.py").write_text("from numba import njit\n", encoding="utf-8")
    monkeypatch.setattr(kernels, "SOURCES", tmp_path)
    assert not kernels.compiled()


def test_kernels_that_fail_to_compile_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run finds them missing."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernels, "GROUPS", (("nothing_of_this_name",),))
    kernels.compile_kernels()
    assert not kernels.compiled()


def test_without_a_named_cache_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process then keeps its kernels beside its sources."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert kernels.compiled()
