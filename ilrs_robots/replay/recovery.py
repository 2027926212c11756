"""Recover mcap bags that were cut: whole chunks, what decompresses of a cut one, and how much.

A recording that ended by a power cut has at worst a torn end. ``repair_bag`` gives it an end again
where it stands; ``salvage`` writes what can be read into a new bag and leaves the old one alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ilrs_robots.core.paths import PACKAGE
from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.bag import BagError
from ilrs_robots.replay.bag_metadata import (
    FILE_NAME,
    FileRow,
    TopicRow,
    inner_text,
    metadata_text,
    normal_qos_text,
    read_metadata,
    write_metadata,
)
from ilrs_robots.replay.mcap_scan import look
from ilrs_robots.replay.mcap_summary import ABOUT, Scan

_HEAD_BYTES = 4096
KEY = "ilrs_recovered"
"""Key of the bag's custom data: what a recovery found, as JSON."""


@dataclass
class Recovered:
    """What was found in the files of a bag.

    Attributes:
        messages: messages that can be read.
        lost_bytes: bytes of the files that hold nothing readable.
        bytes: size of the files.
        whole: files that were in order.
        mended: files that got a new end.
        empty: files that held nothing at all.
        first_ns: smallest log time, 0 when there are no messages.
        last_ns: greatest log time.
    """

    messages: int = 0
    lost_bytes: int = 0
    bytes: int = 0
    whole: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    first_ns: int = 0
    last_ns: int = 0

    def sentence(self) -> str:
        """One line for people."""
        span_s = (self.last_ns - self.first_ns) * 1e-9
        return (
            f"{self.messages} messages over {span_s:.1f} s in "
            f"{len(self.whole) + len(self.mended)} files ({len(self.mended)} mended, "
            f"{len(self.empty)} empty); {self.lost_bytes} of {self.bytes} bytes lost"
        )


def needs_repair(bag: Path) -> bool:
    """Whether a folder holds mcap files that are cut, or that its metadata do not describe."""
    counts = {row["path"]: row["message_count"] for row in read_metadata(bag).get("files", ())}
    for path in mcap_files(bag):
        end = look(path)
        if not end.whole or counts.get(path.name) != end.index.message_count:
            return True
    return False


def unfinished_beside(bag: Path) -> list[Path]:
    """Bags of our own in the same folder that a recorder has left unfinished.

    Only files that say that this package wrote them are looked at: other recorders do not lock
    what they write.
    """
    found = []
    for other in sorted(bag.parent.iterdir()):
        if other == bag or not other.is_dir():
            continue
        files = mcap_files(other)
        try:
            if files and all(map(_is_ours, files)) and needs_repair(other):
                found.append(other)
        except OSError:
            continue
    return found


def _is_ours(path: Path) -> bool:
    """Whether this package wrote the file and nobody writes it now."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        head = file.read(_HEAD_BYTES)
    if not head.strip(b"\0"):  # its writer came no further than to make it
        return path.stem.rpartition("_")[0] == path.parent.name
    if not head.startswith(mcap.MAGIC):
        return False
    for item in mcap.records(head, len(mcap.MAGIC)):
        fields = mcap.Fields(item.content)
        fields.text()
        return fields.text().startswith(PACKAGE)
    return False


def mcap_files(bag: Path) -> list[Path]:
    """The mcap files of a folder in the order of rosbag2's numbers."""

    def number(path: Path) -> tuple[int, str]:
        digits = path.stem.rpartition("_")[2]
        return (int(digits) if digits.isdecimal() else -1, path.name)

    return sorted(bag.glob("*.mcap"), key=number)


def repair_bag(bag: Path) -> Recovered:
    """Mend a bag where it stands: every file gets a valid end, ``metadata.yaml`` is written anew.

    Bytes that cannot be read at a file's end are cut off; a damaged chunk in between stays where
    it is and is left out of the index. Doing it twice changes nothing more.

    Raises:
        BagError: there is no mcap file, it is being written, or the disk refuses.
    """
    files = mcap_files(bag)
    if not files:
        raise BagError(f"{bag}: no mcap file there")
    found, rows, topics = Recovered(), [], {}
    try:
        for path in files:
            state = _mend(path, found)
            if state is not None:
                rows.append(_file_row(path, state))
                _add_topics(topics, state)
        custom = _custom(bag, found)
        text = metadata_text(rows, list(topics.values()), custom)
        write_metadata(bag, text)
    except OSError as error:
        raise BagError(f"{bag}: cannot be repaired ({error})") from error
    return found


def salvage(source: Path, into: Path) -> Recovered:
    """Copy what can be read of an mcap file or a bag's folder into a new bag.

    Raises:
        BagError: there is nothing to read, or ``into`` exists.
    """
    files = mcap_files(source) if source.is_dir() else [source]
    if not files or not all(path.is_file() for path in files):
        raise BagError(f"{source}: no mcap file there")
    try:
        into.mkdir(parents=True)
        for path in files:
            shutil.copyfile(path, into / path.name)
        if source.is_dir() and (source / FILE_NAME).is_file():
            shutil.copyfile(source / FILE_NAME, into / FILE_NAME)
    except OSError as error:
        raise BagError(f"{into}: cannot be written ({error})") from error
    return repair_bag(into)


def _mend(path: Path, found: Recovered) -> Scan | None:
    """Look at one file, mend it if need be; None when nothing is in it."""
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BagError(f"{path}: is being written by a recorder") from error
        size = file.seek(0, os.SEEK_END)
        state = look(path)
        found.bytes += size
        found.lost_bytes += state.lost_bytes
        if state.data_end == 0:
            found.empty.append(path.name)
            return None
        if state.whole:
            found.whole.append(path.name)
        else:
            found.mended.append(path.name)
            end = state.data_end + len(state.rest)
            text = metadata_text([_file_row(path, state)], _topic_rows([state]), {})
            extra = {"rosbag2": {"serialized_metadata": inner_text(text)}}
            os.ftruncate(file.fileno(), state.data_end)
            file.seek(state.data_end)
            file.write(state.rest + state.index.tail(end, extra))
            file.flush()
            os.fsync(file.fileno())
    index = state.index
    if index.message_count:
        found.first_ns = min(found.first_ns or index.first_ns, index.first_ns)
        found.last_ns = max(found.last_ns, index.last_ns)
    found.messages += index.message_count
    return state


def _file_row(path: Path, state: Scan) -> FileRow:
    index = state.index
    return FileRow(path.name, index.first_ns, index.last_ns, index.message_count)


def _topic_rows(states: Iterable[Scan]) -> list[TopicRow]:
    topics: dict[str, TopicRow] = {}
    for state in states:
        _add_topics(topics, state)
    return list(topics.values())


def _add_topics(topics: dict[str, TopicRow], state: Scan) -> None:
    for number, channel in state.channels.items():
        row = topics.get(channel.topic)
        if row is None:
            qos = normal_qos_text(channel.metadata.get("offered_qos_profiles", ""))
            type_hash = channel.metadata.get("topic_type_hash", "")
            row = TopicRow(channel.topic, channel.msgtype, type_hash, qos, 0)
            topics[channel.topic] = row
        row.messages += state.index.counts.get(number, 0)


def _custom(bag: Path, found: Recovered) -> dict[str, str]:
    """The bag's own custom data, else those of its first file, with what was found."""
    custom = read_metadata(bag).get("custom_data") or {}
    for path in mcap_files(bag):
        custom = custom or look(path).about.get(ABOUT, {})
    kept = {str(key): str(value) for key, value in custom.items()}
    if found.mended or found.empty:
        facts = {"messages": found.messages, "lost_bytes": found.lost_bytes}
        kept[KEY] = json.dumps({**facts, "mended": found.mended, "empty": found.empty})
    return kept
