"""The wheel environment: what set-up checks, how it says no, and the interfaces it generates."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "tools" / "env"
Tool = Callable[[str], ModuleType]

# Of ROS 2 Jazzy. TFMessage's and the feedback's are also what running Jazzy systems print; the
# others were computed from Jazzy's own definitions by an implementation that is not rosidl's.
TYPE_HASHES = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "grid_map_msgs/msg/GridMap": (
        "343b0e72887541beda6b035cc053f2d6fffaad9d6dcb2773c15a808dfca31fde"
    ),
    "grid_map_msgs/msg/GridMapInfo": (
        "0a36d6b5bc9af8463d1d5a5008ef9fcac0c1373ba090f80c3594e47cc565b745"
    ),
    "grid_map_msgs/srv/ProcessFile": (
        "58adbbe82a3148c0620c86ab4685c3557e1e2e6101c6575061549b7d10b4c875"
    ),
    "nav2_msgs/msg/MissedWaypoint": (
        "cc79d1e3a1b86cd6a80788b16c844c396932462560936293011f062c21b82ed1"
    ),
    "nav2_msgs/action/NavigateToPose": (
        "a56dba8a3234a1215e610180dc703ae25bbf406dded8b54887891c9732857eab"
    ),
    "nav2_msgs/action/NavigateToPose_FeedbackMessage": (
        "9d1f6fa2eb975ce733b419ac2e97b134d8ff92b6478b6559feed9a50bdfd82b3"
    ),
    "nav2_msgs/action/FollowWaypoints": (
        "09e36a19e0374ab692e78b877e3345daa223ca4186b8af90f77939b78c6e6d7b"
    ),
}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a module of tools/env, which runs before anything is installed."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module


def generated_hashes() -> dict[str, str]:
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    found: dict[str, str] = {}
    for prefix in filter(None, prefixes):
        for package in ("tf2_msgs", "nav2_msgs", "grid_map_msgs"):
            for path in (Path(prefix) / "share" / package).glob("*/*.json"):
                for entry in json.loads(path.read_text())["type_hashes"]:
                    found.setdefault(entry["type_name"], entry["hash_string"])
    return found


@pytest.mark.parametrize("name", TYPE_HASHES)
def test_generated_interfaces_have_jazzys_type_hash(name: str) -> None:
    assert generated_hashes()[name] == f"RIHS01_{TYPE_HASHES[name]}"


def test_an_independent_implementation_computes_the_same_hashes() -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted((REPOSITORY / "underlay").glob("*/msg/*.msg")):
        name = f"{path.parts[-3]}/msg/{path.stem}"
        if name not in store.types:
            store.register(get_types_from_msg(path.read_text(), name))
    for name, digest in TYPE_HASHES.items():
        if "/msg/" in name:
            assert store.hash_rihs01(name) == f"RIHS01_{digest}"


def test_debian_list_is_well_formed_and_names_each_package_once(tool: Tool) -> None:
    needs = tool("debian").read_needs()
    assert {need.section for need in needs} == {"build", "run", "test"}
    assert {need.kind for need in needs} <= {"command", "module", "header", "library"}
    names = [name for need in needs for name in need.packages]
    assert len(names) == len(set(names))


def test_a_malformed_line_of_the_debian_list_is_named(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("[run]\nlibgl1 libGL.so.1 open3d\n")
    with pytest.raises(ValueError, match=r"list\.txt:2"):
        tool("debian").read_needs(path)


def test_a_user_without_root_gets_the_one_line_that_mends(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian = tool("debian")
    need = debian.Need("run", ("libnone9t64", "libnone9"), "library:libnone.so.9", "a test")
    monkeypatch.setattr(debian, "missing", lambda sections: [need])
    monkeypatch.setattr(debian, "_available", lambda alternatives: alternatives[1])
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    with pytest.raises(debian.SetupError, match=r"sudo apt-get install -y libnone9$"):
        debian.ensure(("run",), print)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_library_that_nobody_has_is_found_out(tool: Tool, tmp_path: Path) -> None:
    libraries = tool("shared_libraries")
    folder = tmp_path / "lib" / "python3" / "site-packages" / "wheel"
    folder.mkdir(parents=True)
    (folder / "empty.c").write_text("int nothing_at_all(void) { return 0; }\n")
    build = ["cc", "-shared", "-fPIC", str(folder / "empty.c")]
    absent = tmp_path / "libabsent.so"
    soname = "-Wl,-soname,libabsent.so.7"
    subprocess.run([*build, soname, "-o", str(absent)], check=True)
    subprocess.run(
        [*build, "-Wl,--no-as-needed", str(absent), "-o", str(folder / "user.so")], check=True
    )
    assert libraries.dynamic_names(absent)[0] == "libabsent.so.7"
    assert libraries.unresolved(tmp_path) == {"libabsent.so.7": ["wheel"]}
    shutil.move(absent, folder / "libabsent.so.7")
    assert libraries.unresolved(tmp_path) == {}


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("OSError: [Errno 28] No space left on device", "disk full"),
        ("NameResolutionError(...): Temporary failure in name resolution", "no network"),
        (
            "SSLError: CERTIFICATE_VERIFY_FAILED ... Max retries exceeded",
            "certificate not trusted",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "hash mismatch"),
        ("fine\nCMake Error at x\nninja: error: y", "CMake Error at x"),
    ],
)
def test_a_failed_step_is_explained_in_one_line(tool: Tool, output: str, line: str) -> None:
    explained = tool("prepare").explain(output, "a step")
    assert line in explained
    assert "\n" not in explained


def test_an_interrupted_environment_is_never_taken_for_whole(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = tool("prepare")
    monkeypatch.delenv("ILRS_PYTHON", raising=False)
    monkeypatch.setattr(prepare, "VENV", tmp_path)
    monkeypatch.setattr(prepare, "STAMP", tmp_path / "setup-stamp.json")
    assert not prepare.is_complete()
    version = prepare.own_version()
    (tmp_path / "pyvenv.cfg").write_text(f"version = {version}.1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not prepare.is_complete()

    made: list[str] = []
    fail_at = "underlay"

    def stage(name: str) -> Callable[[], None]:
        def make() -> None:
            if name == fail_at:
                raise KeyboardInterrupt
            made.append(name)

        return make

    monkeypatch.setattr(prepare, "STAGES", {name: stage(name) for name in prepare.STAGES})
    monkeypatch.setattr(prepare, "check_machine", lambda: None)
    monkeypatch.setattr(prepare.debian, "ensure", lambda sections, say: None)
    with pytest.raises(KeyboardInterrupt):
        prepare.build()
    assert made == ["wheels"]
    assert not prepare.is_complete()

    fail_at = ""
    prepare.build()
    assert made == ["wheels", "underlay", "package"]
    assert prepare.is_complete()

    (tmp_path / "bin" / "python").unlink()
    assert not prepare.is_complete()


def test_a_python_that_is_too_old_or_new_is_refused_in_one_line(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit\nexit 1\n')
    fake.chmod(0o755)
    for name in ("python3.13", "python3.12", "python3.11"):
        (tmp_path / name).symlink_to(fake)
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "run"), "setup"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Python 3.11 to 3.13 is needed" in done.stderr
    assert "Python 3.9.1" in done.stderr


def test_entry_script_is_posix_and_small() -> None:
    script = REPOSITORY / "run"
    assert script.read_text().startswith("#!/bin/sh\n")
    assert len(script.read_text().splitlines()) <= 160
    subprocess.run(["sh", "-n", str(script)], check=True)
