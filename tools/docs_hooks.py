"""What MkDocs cannot do by itself: pages from the repository's root and from the code, equations.

Nothing that is generated here lies in the repository, so it cannot grow old there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
FROM_ROOT = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
"""Pages of the root and their names in the site."""
API = ("core", "robots")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")
EQUATION = re.compile(r"^\$\$\n(.+?)\n\$\$$", re.MULTILINE | re.DOTALL)
_MATHML: dict[str, str] = {}
"""Equations by their marks."""
INLINE = re.compile(r"(?<![\\$\w`])\$([^$\n`]+?)\$(?![\w$])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the order: decisions, code."""
    docs = Path(config.docs_dir)
    groups = {name: pages for entry in config.nav or [] for name, pages in entry.items()}
    decisions = sorted(f"adr/{path.name}" for path in (docs / "adr").glob("*.md"))
    groups["Explanation"].append({"Decisions": decisions})
    groups["Reference"].append({"Code": [{name: page} for name, page in _api_pages()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated."""
    for name, page in FROM_ROOT.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        inside = re.sub(r"\]\(docs/", "](", text)
        files.append(File.generated(config, page, content=inside))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    for package, page in _api_pages():
        files.append(File.generated(config, page, content=_api_page(package)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository become their names; equations become MathML."""
    known = {file.src_uri for file in files}
    here = Path(page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        target = match["target"].partition("#")[0]
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        uri = _joined(here, target)
        if uri in known:
            return match[0]
        if uri.startswith("../") and uri[3:] in FROM_ROOT:
            return f"[{match['text']}]({'../' * len(here.parts)}{FROM_ROOT[uri[3:]]})"
        outside = (Path(config.docs_dir) / here / target).resolve()
        inside_repository = outside.exists() and not outside.is_relative_to(config.docs_dir)
        return match["text"] if inside_repository else match[0]

    return _outside_code(markdown, lambda text: LINK.sub(link, _equations(text)))


def _joined(here: Path, target: str) -> str:
    parts: list[str] = []
    for part in [*here.parts, *target.split("/")]:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _outside_code(markdown: str, change: Any) -> str:
    """Change everything but fenced code."""
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _equations(text: str) -> str:
    """Put marks for equations: Markdown would take MathML at the begin of a line for a block."""
    if "$" not in text:
        return text
    from latex2mathml.converter import convert

    def mark(source: str, display: str) -> str:
        mark = f"EQUATION{len(_MATHML)}END"
        _MATHML[mark] = convert(source, display=display)
        return mark

    text = EQUATION.sub(lambda m: f"\n{mark(m[1], 'block')}\n", text)
    return INLINE.sub(lambda m: mark(m[1], "inline"), text)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the equations where their marks are."""
    return re.sub(r"EQUATION\d+END", lambda match: _MATHML[match[0]], html)


# -- commands ---------------------------------------------------------------------------------
def commands_page() -> str:
    """Every command of ``ilrs`` with its arguments and options, as the program knows them."""
    from ilrs_robots.cli.main import cli

    lines = ["# Commands\n", "Generated from the program. `./run X` is `ilrs X` with set-up.\n"]
    for name, command in sorted(cli.commands.items()):
        lines += _command(f"ilrs {name}", command, 2)
    return "\n".join(lines)


def _command(name: str, command: click.Command, depth: int) -> list[str]:
    context = click.Context(command, info_name=name)
    lines = [f"{'#' * depth} {name}\n", f"{_clean(command.help or '')}\n"]
    if isinstance(command, click.Group):
        for sub, inner in sorted(command.commands.items()):
            lines += _command(f"{name} {sub}", inner, depth + 1)
        return lines
    usage = " ".join(command.collect_usage_pieces(context))
    lines.append(f"```text\n{name} {usage}\n```\n")
    rows = [
        (", ".join(p.opts), p.help or "", _default(p))
        for p in command.params
        if isinstance(p, click.Option)
    ]
    if rows:
        lines += ["| option | meaning | default |", "|---|---|---|"]
        lines += [f"| `{name}` | {_clean(doc)} | {value} |" for name, doc, value in rows]
        lines.append("")
    return lines


def _default(option: click.Option) -> str:
    value = option.default
    if option.is_flag or value is None or callable(value) or not str(value).strip():
        return ""
    return "" if "UNSET" in str(value).upper() or value == () else f"`{value}`"


def _clean(text: str) -> str:
    # what looks like a tag would be one
    flat = " ".join(text.replace("\b", "").split()).replace("|", "\\|")
    return re.sub(r"<([a-z_]+)>", r"&lt;\1&gt;", flat)


# -- code -------------------------------------------------------------------------------------
def _api_pages() -> list[tuple[str, str]]:
    """Packages whose modules get a page, and the page."""
    found = []
    for box in API:
        folder = ROOT / "ilrs_robots" / box
        for path in [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]:
            if (path / "__init__.py").is_file() and list(_modules(path)):
                package = ".".join(path.relative_to(ROOT / "ilrs_robots").parts)
                found.append((package, f"reference/code/{package}.md"))
    return found


def _modules(folder: Path) -> list[str]:
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))


def _api_page(package: str) -> str:
    folder = ROOT / "ilrs_robots" / Path(*package.split("."))
    full = f"ilrs_robots.{package}"
    return f"# {package}\n\n" + "\n".join(f"::: {full}.{name}\n" for name in _modules(folder))
