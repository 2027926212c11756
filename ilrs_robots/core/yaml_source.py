"""Where in a YAML file a key stands, so that a refusal can name the line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ilrs_robots.core.errors import ConfigError

MAX_BYTES = 1_000_000
"""A larger file is none that somebody wrote by hand."""


class Source(str):
    """A file's name for messages that knows the lines of the file's keys.

    It is a string, so it goes wherever the name of a file goes.

    Attributes:
        lines: line, from 1, by dotted path: ``vehicles.long_range[0].to``.
        prefix: of the paths that are asked for.
    """

    lines: Mapping[str, int]
    prefix: str

    def __new__(cls, file: str, lines: Mapping[str, int], prefix: str = "") -> Source:
        """Take a file's name, its lines, and where in it one is."""
        made = super().__new__(cls, file)
        made.lines, made.prefix = lines, prefix
        return made

    def below(self, key: str) -> Source:
        """The same file seen from a key."""
        return Source(str(self), self.lines, self.path(key))

    def path(self, key: str) -> str:
        """The whole path of a key."""
        joint = "" if not self.prefix or not key or key.startswith("[") else "."
        return f"{self.prefix}{joint}{key}"

    def place(self, key: str = "") -> str:
        """``file:line`` of a key, or of the nearest key around it that the file has."""
        path = self.path(key)
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        line = self.lines.get(path)
        return str(self) if line is None else f"{self}:{line}"

    def refuse(self, key: str, sentence: str) -> ConfigError:
        """An error that names file, line and key."""
        return ConfigError(f"{self.place(key)}: {self.path(key)}: {sentence}")


def source_of(path: Path, shown: str) -> Source:
    """The lines of all keys of a YAML file.

    Args:
        path: the file.
        shown: its name for messages.

    Raises:
        ConfigError: the file is absent, too large, no YAML, or uses aliases, with which a small
            file could stand for an endless one.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{shown}: {path.stat().st_size} bytes: the limit is {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 1
                raise ConfigError(f"{shown}:{line}: *{token.value}: no aliases in this file")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: cannot be read ({error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{shown}: not valid YAML ({error})") from error
    return Source(shown, dict(_lines(root, "")))


def _lines(root: Any, path: str) -> Iterator[tuple[str, int]]:
    stack: list[tuple[Any, str]] = [(root, path)]
    while stack:
        node, here = stack.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{here}.{key.value}" if here else str(key.value)
                yield inner, key.start_mark.line + 1
                stack.append((value, inner))
        elif isinstance(node, yaml.SequenceNode):
            for n, value in enumerate(node.value):
                inner = f"{here}[{n}]"
                yield inner, value.start_mark.line + 1
                stack.append((value, inner))
