"""The pages: links and anchors hold, none is lost, and commands that are marked really run.

Every block of shell commands says who runs it. ``<!-- runs: short -->`` before it: the test here;
``soak``: the long tests here; ``in FILE...``: those tests (it, or what it starts), or marked
blocks of those pages; ``not here, because ...``: nobody. ``./run X`` is run as ``ilrs X``, in a
folder of the test's own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.cli.supervisor import program

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TOP = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
FENCED = re.compile(
    r"(?:^ *<!-- runs: (?P<when>[^>]*?) -->\n)?^ *```sh\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
RUN_ALONE = {"test", "bench", "setup", "lint", "soak", "clean", "test-compat"}
"""What `./run` does without the program."""
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
UNLISTED = {"contributing.md", "reference/commands.md", "security.md"}
"""Made when the site is built."""


def marked(when: str) -> list[tuple[str, str]]:
    """Page and commands of every block with this mark."""
    return [
        (str(page.relative_to(REPOSITORY)), found["text"])
        for page in [*TOP, *PAGES]
        for found in FENCED.finditer(page.read_text(encoding="utf-8"))
        if found["when"] == when
    ]


def lines_of(text: str) -> list[str]:
    """Commands, one a line; a backslash at the end goes on in the next."""
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]


def calls_in(text: str) -> Iterator[list[str]]:
    """Arguments of every call of the program in a block of shell commands."""
    for line in lines_of(text):
        words = shlex.split(line, comments=True)
        words = [w for i, w in enumerate(words) if i or "=" not in w]
        if words[:4][:3] == ["ros2", "run", "ilrs_robots"] and words[3:4] == ["ilrs"]:
            words = words[3:]
        if words and words[0] in ("./run", "ilrs") and words[1] not in RUN_ALONE:
            yield words[1:]


def documented() -> Iterator[tuple[str, list[str]]]:
    """Page and arguments of every call of the program in the pages."""
    for page in [*TOP, *PAGES]:
        for block in FENCED.finditer(page.read_text(encoding="utf-8")):
            for words in calls_in(block["text"]):
                yield page.name, words


def complaint(words: list[str]) -> str:
    """What the program says against these arguments; empty when it takes them."""
    command: click.Command = cli
    context, rest = None, list(words)
    try:
        while isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=rest[0])
            inner = command.get_command(context, rest.pop(0))
            if inner is None:
                return "no such command"
            command = inner
        if "--help" not in rest:
            command.make_context(command.name, rest, parent=context)
    except click.UsageError as error:
        said = error.format_message()
        return "" if "does not exist" in said else said
    return ""


def test_every_documented_call_is_one_that_the_program_takes() -> None:
    """Parsed, not run: commands, options and values are there; files need not be."""
    found = list(documented())
    assert len(found) > 40
    wrong = {f"{page}: {' '.join(words)}": complaint(words) for page, words in found}
    assert {call: said for call, said in wrong.items() if said} == {}


def runs_in(file: str) -> set[str]:
    """Commands of the program that a test names, or that marked blocks of a page have."""
    if file.endswith(".py"):
        return set(re.findall(r"\w+", (REPOSITORY / file).read_text(encoding="utf-8")))
    texts = (text for when in ("short", "soak") for at, text in marked(when) if at == file)
    return {words[0] for text in texts for words in calls_in(text)}


@pytest.mark.parametrize("page", [*TOP, *PAGES], ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_every_block_of_commands_says_who_runs_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"^ *```\n *(ilrs|\./run) ", text, re.MULTILINE), "```sh makes it one"
    for block in FENCED.finditer(text):
        assert block["when"], f"no mark before: {block['text']}"
        if block["when"] in ("short", "soak"):
            continue
        first, *files = block["when"].split()
        if first == "in":
            there = set().union(*(runs_in(file) for file in files))
            assert {words[0] for words in calls_in(block["text"])} <= there, block["text"]
        else:
            assert block["when"].startswith("not here, because "), block["when"]
            for named in re.findall(r"test/[\w/]+\.py", block["when"]):
                assert (REPOSITORY / named).is_file(), named


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
        for line in lines_of(text) if where == page else ():
            done = CliRunner().invoke(cli, arguments(line), standalone_mode=False)
            assert done.exception is None, f"{line}: {done.output} {done.exception}"
            if "doctor" not in line:  # it says what this machine lacks
                assert done.return_value in (0, None), f"{line}: {done.output}"


@pytest.mark.soak
@pytest.mark.parametrize("page", sorted({page for page, _ in marked("soak")}))
def test_long_commands_run(page: str, tmp_path: Path) -> None:
    (tmp_path / "test").symlink_to(REPOSITORY / "test")
    for line in (line for at, text in marked("soak") if at == page for line in lines_of(text)):
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
    there -= {name for name in there if name.startswith("adr/")}
    assert nav_pages(nav) - UNLISTED == there


def test_the_tutorial_and_every_how_to_have_commands_that_run() -> None:
    pages = {page.removeprefix("docs/") for page, _ in [*marked("short"), *marked("soak")]}
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
    # from a folder, too: an index that needs no server, a worker that is our own
    assert (tmp_path / "site" / "search" / "search_index.js").is_file()
    assert "assets/iframe-worker.js" in page
    assert "unpkg.com" not in page
