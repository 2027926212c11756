"""Message definitions of any type that this machine can import, as a bag needs them.

The text of a type is its installed ``.msg`` file; hidden types of actions have none and get theirs
from the generated class, which knows its fields. Events of introspected services cannot be written
as ros2msg text that ``rosbags`` reads back, so they are refused.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ilrs_robots.core.errors import IlrsError

_TYPE_NAME = re.compile(r"([a-z][a-z0-9_]*)/(msg|action|srv)/([A-Za-z][A-Za-z0-9_]*)")
_SEPARATOR = "=" * 80
_BASIC = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}


class UnknownTypeError(IlrsError):
    """A message type is not installed here or cannot be described in a bag."""


def message_class(msgtype: str) -> Any:
    """The generated class of ``package/msg|action/Name``, hidden action types included.

    Raises:
        UnknownTypeError: the package is not installed or lacks the type.
    """
    # The name comes from whoever publishes: nothing but an interface package may be imported.
    match = _TYPE_NAME.fullmatch(msgtype)
    if match is None:
        raise UnknownTypeError(f"type {msgtype!r} is not package/msg/Name or package/action/Name")
    package, kind, name = match.groups()
    if kind == "srv":
        raise UnknownTypeError(f"type {msgtype}: events of services cannot be recorded")
    try:
        module = importlib.import_module(f"{package}.{kind}")
        if hasattr(module, name):
            return getattr(module, name)
        owner, _, part = name.rpartition("_")
        owner_class = getattr(module, owner)
        for holder in (owner_class, getattr(owner_class, "Impl", None)):
            if holder is not None and hasattr(holder, part):
                return getattr(holder, part)
    except (ImportError, AttributeError) as error:
        raise UnknownTypeError(f"type {msgtype} is not installed here ({error})") from error
    raise UnknownTypeError(f"type {msgtype} is not installed here")


def message_definition(msgtype: str) -> tuple[str, str]:
    """Complete ros2msg text of a type and its RIHS01 hash.

    Raises:
        UnknownTypeError: the type or one that it holds is not installed.
    """
    texts: dict[str, str] = {}
    pending = [msgtype]
    while pending:
        current = pending.pop()
        if current in texts:
            continue
        cls = message_class(current)
        texts[current] = _installed_text(current) or _generated_text(current, cls)
        pending += [name for name in map(_nested, cls.SLOT_TYPES) if name]
    head = texts.pop(msgtype)
    parts = [f"MSG: {name}\n{text}" for name, text in texts.items()]
    text = f"\n{_SEPARATOR}\n".join([head, *parts])
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, msgtype))
    return text, str(store.hash_rihs01(msgtype))


def _installed_text(msgtype: str) -> str:
    package, kind, name = msgtype.split("/")
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in (*prefixes, sys.prefix):
        path = Path(prefix, "share", package, kind, f"{name}.msg")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""


def _generated_text(msgtype: str, cls: Any) -> str:
    home = msgtype.rsplit("/", 1)[0]
    names = cls.get_fields_and_field_types()
    lines = [
        f"{_spell(kind, home)} {name}" for name, kind in zip(names, cls.SLOT_TYPES, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _inner(kind: Any) -> Any:
    return getattr(kind, "value_type", kind)


def _nested(kind: Any) -> str:
    """Name of the message type that a field holds, empty for numbers and strings."""
    inner = _inner(kind)
    return "/".join([*inner.namespaces, inner.name]) if hasattr(inner, "namespaces") else ""


def _spell(kind: Any, home: str) -> str:
    """A field's type as a ``.msg`` file spells it (rosidl_parser's types, by their attributes)."""
    suffix = ""
    if hasattr(kind, "value_type"):
        if hasattr(kind, "size"):
            suffix = f"[{kind.size}]"
        else:
            bounded = kind.has_maximum_size()
            suffix = f"[<={kind.maximum_size}]" if bounded else "[]"
    inner = _inner(kind)
    if nested := _nested(kind):
        folder, name = nested.rsplit("/", 1)
        return (name if folder == home else nested) + suffix
    if hasattr(inner, "typename"):
        return _BASIC.get(inner.typename, inner.typename) + suffix
    wide = "wstring" if "W" in type(inner).__name__ else "string"
    bound = f"<={inner.maximum_size}" if inner.has_maximum_size() else ""
    return wide + bound + suffix
