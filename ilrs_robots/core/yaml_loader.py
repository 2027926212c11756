"""The one loader of YAML files: safe, fast, and refusing a key that stands twice.

libyaml reads a file some fifteen times as fast as Python does, but its own composer recurses in C
as deep as the file says and ends the process with it. So libyaml only parses; composing stays
Python's, which ends in a RecursionError.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from ilrs_robots.core.errors import ConfigError

try:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]
except ImportError:  # PyYAML without libyaml
    _Base: Any = yaml.SafeLoader
else:

    class _Parsed(Composer, CParser, SafeConstructor, Resolver):
        """The safe loader over libyaml's parser."""

        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    _Base = _Parsed


class OnceLoader(_Base):  # type: ignore[misc]
    """The safe loader, which refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping as the safe loader makes it.

        Raises:
            ConfigError: a key stands twice.
        """
        seen: dict[str, int] = {}
        for key, _value in node.value if isinstance(node, yaml.MappingNode) else ():
            name, line = str(key.value), key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:merge" and name in seen:
                raise ConfigError(f"key {name!r} stands twice, in lines {seen[name]} and {line}")
            seen[name] = line
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made
