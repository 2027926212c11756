"""SECURITY.md's promises, as far as the source can show them: data stays data."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from yaml.constructor import FullConstructor, SafeConstructor, UnsafeConstructor

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import beside
from ilrs_robots.replay.bag import Bag, BagError

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("ilrs_robots", "launch", "tools", "deploy", "benchmarks")
FILES = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))
CODE_FROM_DATA = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp",
    "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.load_all",
    "shutil.unpack_archive",
}  # fmt: skip
IMPORTS_BY_NAME = {
    "ilrs_robots/nodes/recorder_types.py",  # an interface package that passes a pattern
    "ilrs_robots/core/mapping/layers/__init__.py",  # its own files
    "benchmarks/run.py",  # its own files
}
WORTH_A_LOOK = re.compile(
    r"pickle|dill|marshal|shelve|joblib|eval\b|exec\b|compile\b|__import__|os\.(system|popen)|"
    r"mktemp|yaml\.|unpack|extractall|shell|import_module|0\.0\.0\.0|::"
)
OPEN_ADDRESSES = {"0.0.0.0", "::"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def faults(path: Path) -> Iterator[str]:
    """What the file does that data could turn into code or into another place."""
    name = str(path.relative_to(REPOSITORY))
    text = path.read_text(encoding="utf-8")
    if not WORTH_A_LOOK.search(text):
        return
    tree = ast.parse(text)
    for node in ast.walk(tree):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (
            f"{name}: imports {m}" for m in modules if m.partition(".")[0] in CODE_FROM_DATA
        )
        if isinstance(node, ast.Constant) and node.value in OPEN_ADDRESSES:
            yield f"{name}: listens on every interface"
    for called, node in calls(tree):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in CALLS or called.endswith(".extractall"):
            yield f"{name}:{node.lineno}: {called}"
        if given.get("shell", "False") != "False":
            yield f"{name}:{node.lineno}: {called} with a shell"
        if given.get("allow_pickle", "False") != "False":
            yield f"{name}:{node.lineno}: {called} unpickles"
        if called == "yaml.load" and given.get("Loader") != "OnceLoader":
            yield f"{name}:{node.lineno}: yaml.load"
        fixed = bool(node.args) and isinstance(node.args[0], ast.Constant)
        if called.endswith("import_module") and not fixed and name not in IMPORTS_BY_NAME:
            yield f"{name}:{node.lineno}: imports by a name"


def test_no_data_becomes_code() -> None:
    assert [fault for path in FILES for fault in faults(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from marshal import loads", "eval(text)", "os.system(text)",
        "subprocess.run(text, shell=True)", "yaml.load(text, Loader=yaml.Loader)",
        "np.load(path, allow_pickle=True)", "server.bind('0.0.0.0')", "archive.extractall(folder)",
    ],
)  # fmt: skip
def test_what_would_do_so_is_seen(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    file = tmp_path / "one.py"
    file.write_text(line + "\n")
    assert list(faults(file))


def test_the_one_yaml_loader_is_a_safe_one() -> None:
    loader = importlib.import_module("ilrs_robots.core.yaml_loader").OnceLoader
    assert issubclass(loader, SafeConstructor)
    assert not issubclass(loader, FullConstructor | UnsafeConstructor)
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.getpid []", Loader=loader)  # noqa: S506 - as said


def test_a_file_that_names_another_cannot_reach_around_its_folder(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    assert beside(site, "dem.tif") == tmp_path / "dem.tif"
    for named in ("../secret.tif", "a/../../secret.tif", ".."):
        with pytest.raises(ConfigError, match="leaves the folder"):
            beside(site, named)


def test_a_bag_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.mcap"
    source = next((REPOSITORY / "test/replay/suite/bags").rglob("*.mcap"))
    outside.write_bytes(source.read_bytes())
    metadata = yaml.safe_load((source.parent / "metadata.yaml").read_text())
    info = metadata["rosbag2_bagfile_information"]
    info["relative_file_paths"] = ["../outside.mcap"]
    for entry in info.get("files", []):
        entry["path"] = "../outside.mcap"
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    with pytest.raises(BagError):
        Bag(bag)
