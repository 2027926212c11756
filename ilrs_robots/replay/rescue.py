"""Open a bag of any kind; of a damaged one what can be saved, with a sentence that says how much.

The file itself is never altered: what is saved goes into a folder that is removed afterwards.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.faults import Fault
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.recovery import mcap_files, needs_repair, salvage
from ilrs_robots.replay.ros1_rescue import salvage_ros1
from ilrs_robots.replay.run import Replay, Replayer

_LARGEST = 1000
"""A file that claims to be so many times longer than it is has no header to believe."""
_ROS1 = (".bag", ".active", ".orig")


def replay_bag(
    path: Path | str,
    profile: ReplayProfile | None = None,
    faults: tuple[Fault, ...] = (),
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Replay:
    """Replay a bag; a damaged one as far as it can be read.

    Raises:
        BagError: it cannot be opened, or holds nothing that could be replayed.
        ConfigError: the profile does not fit.
    """
    with opened(Path(path)) as (bag, damage):
        replayer = Replayer(bag, profile or ReplayProfile(), faults, seed, on_progress)
        replayer.report.damage += damage
        return replayer.run()


@contextmanager
def opened(path: Path) -> Iterator[tuple[Bag, list[str]]]:
    """A bag and what is damaged in it; closed at the end.

    Raises:
        BagError: there is no bag, or nothing in it can be read.
    """
    if not path.exists():
        raise BagError(f"{path}: no bag there")
    how = _rescue_of(path)
    if how is None:
        try:
            bag = Bag(path)
        except BagError as error:
            how = _last_resort(path)
            if how is None:
                raise error from None
        else:
            with bag:
                yield bag, []
            return
    with tempfile.TemporaryDirectory(prefix="ilrs_rescue_") as folder:
        try:
            saved, sentence = how(path, Path(folder))
        except (OSError, sqlite3.Error) as error:
            raise BagError(f"{path}: nothing can be read ({error})") from error
        with Bag(saved) as bag:
            yield bag, [f"the file is damaged: {sentence}"]


Rescue = Callable[[Path, Path], tuple[Path, str]]


def _rescue_of(path: Path) -> Rescue | None:
    """How a file is saved that is seen to be damaged without opening it."""
    if path.is_dir() and mcap_files(path) and needs_repair(path):
        return _mcap
    return _ros1 if path.suffix in _ROS1[1:] else None


def _last_resort(path: Path) -> Rescue | None:
    """How a file is saved that a reader refused."""
    if path.suffix in _ROS1:
        return _ros1
    if path.suffix == ".mcap" or (path.is_dir() and mcap_files(path)):
        return _mcap
    if path.suffix == ".db3" or (path.is_dir() and sorted(path.glob("*.db3"))):
        return _sqlite
    return None


def _mcap(path: Path, folder: Path) -> tuple[Path, str]:
    into = folder / "bag"
    return into, salvage(path, into).sentence()


def _ros1(path: Path, folder: Path) -> tuple[Path, str]:
    into = folder / "saved.bag"
    return into, salvage_ros1(path, into)


def _sqlite(path: Path, folder: Path) -> tuple[Path, str]:
    """Copy the rows that can be read into a new file; a lost ``metadata.yaml`` is not needed."""
    files = sorted(path.glob("*.db3")) if path.is_dir() else [path]
    into = folder / files[0].name
    kept, broken = 0, ""
    with closing(sqlite3.connect(into)) as new:
        for file in files:
            with closing(sqlite3.connect(_padded(file, folder))) as old:
                for (text,) in old.execute("SELECT sql FROM sqlite_master WHERE type='table'"):
                    if "sqlite_" not in text:
                        new.execute(text.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
                for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type='table'"):
                    rows, error = _rows(old, new, name)
                    kept += rows if name == "messages" else 0
                    broken = broken or error
        new.commit()
    return into, f"{kept} messages were read" + (f", then {broken}" if broken else "")


def _padded(file: Path, folder: Path) -> Path:
    """A copy that is as long as its header says: SQLite reads nothing at all of a shorter one.

    Reference: SQLite database file format, 1.3 (page size at byte 16, page count at byte 28).
    """
    copy = folder / f"{file.name}.copy"
    shutil.copyfile(file, copy)
    with copy.open("rb") as opened_file:
        header = opened_file.read(32)
    if len(header) == 32:
        page, pages = struct.unpack_from(">H", header, 16)[0], struct.unpack_from(">I", header, 28)
        size = (65536 if page == 1 else page) * pages[0]
        if copy.stat().st_size < size <= _LARGEST * copy.stat().st_size:
            os.truncate(copy, size)
    return copy


def _rows(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> tuple[int, str]:
    count = 0
    try:
        for row in old.execute(f"SELECT * FROM {table}"):
            marks = ",".join("?" * len(row))
            new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
            count += 1
    except sqlite3.Error as error:
        return count, str(error)
    return count, ""
