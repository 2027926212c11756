"""``metadata.yaml`` of a rosbag2 bag, version 9, written fast enough to be written often.

Reference: rosbag2_storage's BagMetadata and its YAML conversions (Jazzy); strings are written as
JSON, which YAML reads as double-quoted scalars.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability

FILE_NAME: Final = "metadata.yaml"
_ENUMS: Final = {
    "history": QosHistory,
    "reliability": QosReliability,
    "durability": QosDurability,
    "liveliness": QosLiveliness,
}
_TIMES: Final = ("deadline", "lifespan", "liveliness_lease_duration")


@dataclass
class FileRow:
    """A file of the bag: name, first and last log time in nanoseconds, messages."""

    name: str
    first_ns: int
    last_ns: int
    messages: int


@dataclass
class TopicRow:
    """A topic: name, type, RIHS01 hash, profiles as YAML (see ``qos_text``), messages."""

    name: str
    msgtype: str
    type_hash: str
    qos: str
    messages: int


def qos_text(profiles: Iterable[Qos]) -> str:
    """Profiles as a YAML list, empty for none; the form of channels and of ``metadata.yaml``."""
    lines = []
    for profile in profiles:
        rows = []
        for key in ("history", "depth", "reliability", "durability", *_TIMES[:2], "liveliness"):
            rows.append((key, getattr(profile, key)))
        rows.append((_TIMES[2], profile.liveliness_lease_duration))
        rows.append(("avoid_ros_namespace_conventions", profile.avoid_ros_namespace_conventions))
        text = [f"{key}: {_qos_value(key, value)}" for key, value in rows]
        lines += ["- " + text[0], *("  " + line for line in text[1:])]
    return "\n".join(lines)


def _qos_value(key: str, value: Any) -> str:
    if key in _ENUMS:
        return str(value.name).lower()
    if key in _TIMES:
        return f"{{sec: {value.sec}, nsec: {value.nsec}}}"
    return str(value).lower()


def normal_qos_text(text: str) -> str:
    """Profiles as other recorders write them (enums as numbers), in the form of ``qos_text``."""
    try:
        profiles = yaml.safe_load(text) or []
        return "\n".join(line for profile in profiles for line in _normal_lines(profile))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return ""


def _normal_lines(profile: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in profile.items():
        if key in _ENUMS and isinstance(value, int):
            known = {int(member.value): member.name.lower() for member in _ENUMS[key]}
            text = known.get(value, "unknown")
        elif key in _TIMES:
            text = f"{{sec: {int(value['sec'])}, nsec: {int(value['nsec'])}}}"
        else:
            text = str(value).lower()
        lines.append(f"{'  ' if lines else '- '}{key}: {text}")
    return lines


def metadata_text(
    files: Sequence[FileRow], topics: Sequence[TopicRow], custom: Mapping[str, str]
) -> str:
    """The file's whole text.

    Args:
        files: in the order of time.
        topics: their messages are those of all files together.
        custom: free key-value pairs.
    """
    held = [file for file in files if file.messages]
    start = min((file.first_ns for file in held), default=0)
    end = max((file.last_ns for file in held), default=0)
    lines = [
        "rosbag2_bagfile_information:",
        "  version: 9",
        "  storage_identifier: mcap",
        f"  duration: {{nanoseconds: {end - start}}}",
        f"  starting_time: {{nanoseconds_since_epoch: {start}}}",
        f"  message_count: {sum(file.messages for file in files)}",
        "  topics_with_message_count:" + ("" if topics else " []"),
        *(line for topic in topics for line in _topic_lines(topic)),
        '  compression_format: ""',
        '  compression_mode: ""',
        "  relative_file_paths:",
        *(f"    - {json.dumps(file.name)}" for file in files),
        "  files:",
        *(line for file in files for line in _file_lines(file)),
        "  custom_data:" + ("" if custom else " ~"),
        *(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in custom.items()),
        '  ros_distro: "rosbags"',
    ]
    return "\n".join(lines) + "\n"


def _topic_lines(topic: TopicRow) -> list[str]:
    profiles = ["          " + line for line in topic.qos.splitlines()]
    return [
        "    - topic_metadata:",
        f"        name: {json.dumps(topic.name)}",
        f"        type: {json.dumps(topic.msgtype)}",
        "        serialization_format: cdr",
        "        offered_qos_profiles:" + ("" if profiles else " []"),
        *profiles,
        f"        type_description_hash: {json.dumps(topic.type_hash)}",
        f"      message_count: {topic.messages}",
    ]


def _file_lines(file: FileRow) -> list[str]:
    start, end = (file.first_ns, file.last_ns) if file.messages else (0, 0)
    return [
        f"    - path: {json.dumps(file.name)}",
        f"      starting_time: {{nanoseconds_since_epoch: {start}}}",
        f"      duration: {{nanoseconds: {end - start}}}",
        f"      message_count: {file.messages}",
    ]


def inner_text(text: str) -> str:
    """The text without its outer key, as the mcap record ``rosbag2`` holds it."""
    return "\n".join(line[2:] for line in text.splitlines()[1:])


def write_metadata(bag: Path, text: str) -> None:
    """Replace the bag's ``metadata.yaml``; a power cut leaves the old one or the new one.

    Raises:
        OSError: the disk refuses.
    """
    new = bag / f".{FILE_NAME}.new"
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fdatasync(file.fileno())
    new.replace(bag / FILE_NAME)
    folder = os.open(bag, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_metadata(bag: Path) -> dict[str, Any]:
    """What a bag's ``metadata.yaml`` says; empty when there is none or it cannot be read."""
    try:
        loaded = yaml.safe_load((bag / FILE_NAME).read_text(encoding="utf-8"))
        found = loaded["rosbag2_bagfile_information"]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
