"""The pages: links and anchors hold, none is lost, and commands that are marked really run.

``<!-- runs: short -->`` before a block of shell commands says that a test runs it, ``soak`` that
the long tests do. ``./run X`` is run as ``ilrs X``, in a folder of the test's own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.cli.supervisor import program

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TOP = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
MARKED = re.compile(
    r"^ *<!-- runs: (?P<when>short|soak) -->\n *```sh\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
UNLISTED = {"contributing.md", "reference/commands.md", "security.md"}
"""Made when the site is built."""
OPTIONAL = {"missions.md"}


def marked(when: str) -> list[tuple[str, str]]:
    """Page and commands of every block with this mark."""
    return [
        (str(page.relative_to(DOCS)), found["text"])
        for page in PAGES
        for found in MARKED.finditer(page.read_text(encoding="utf-8"))
        if found["when"] == when
    ]


def arguments(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    assert words[0] in ("./run", "ilrs"), line
    return words[1:]


@pytest.mark.parametrize("page", sorted({page for page, _ in marked("short")}))
def test_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a page in one folder, in their order: later ones use what earlier ones wrote."""
    monkeypatch.chdir(tmp_path)
    for where, text in marked("short"):
        for line in text.splitlines() if where == page else ():
            done = CliRunner().invoke(cli, arguments(line), standalone_mode=False)
            assert done.exception is None, f"{line}: {done.output} {done.exception}"
            if "doctor" not in line:  # it says what this machine lacks
                assert done.return_value in (0, None), f"{line}: {done.output}"


@pytest.mark.soak
@pytest.mark.parametrize("page", sorted({page for page, _ in marked("soak")}))
def test_long_commands_run(page: str, tmp_path: Path) -> None:
    (tmp_path / "test").symlink_to(REPOSITORY / "test")
    for line in (line for at, text in marked("soak") if at == page for line in text.splitlines()):
        environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
        command = [*program("ilrs"), *arguments(line)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1800
        )
        assert done.returncode == 0, f"{line}: {done.stdout[-2000:]} {done.stderr[-2000:]}"


def anchors(page: Path) -> set[str]:
    """Headings as GitHub and MkDocs name them."""
    found = set()
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"`", "", heading)).strip().lower()
        found.add(re.sub(r"[ -]+", "-", plain))
    return found


@pytest.mark.parametrize("page", [*TOP, *PAGES], ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for match in LINK.finditer(text):
        target, _, anchor = match["target"].partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{page.name}: {target}#{anchor}"


def nav_pages(entry: object) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    parts = entry.values() if isinstance(entry, dict) else entry
    assert hasattr(parts, "__iter__")
    return set().union(*(nav_pages(part) for part in parts))


def test_every_page_has_its_place_in_the_site() -> None:
    nav = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    there = {str(page.relative_to(DOCS)) for page in PAGES}
    there -= {name for name in there if name.startswith("adr/")} | OPTIONAL
    assert nav_pages(nav) - UNLISTED == there


def test_the_tutorial_and_every_how_to_have_commands_that_run() -> None:
    pages = {page for page, _ in [*marked("short"), *marked("soak")]}
    assert {"tutorial.md", "howto/own_dem.md", "howto/own_bag.md", "deployment.md"} <= pages


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=REPOSITORY, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "site" / "mathematics.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert "EQUATION" not in page
