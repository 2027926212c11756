"""Which topics a recording holds, and which of them a slow disk loses first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir, shown

DEFAULT_PROFILE: Final = "everything"
FIELD_PROFILE: Final = "replay"
"""What a team in the field wants: all that cannot be computed again."""
LOWEST_PRIORITY: Final = 2


@dataclass(frozen=True)
class TopicChoice:
    """Topics by name and by type.

    Attributes:
        names: regular expressions, of which one must match the whole name.
        types: message types.
    """

    names: tuple[re.Pattern[str], ...]
    types: frozenset[str]

    def holds(self, topic: str, msgtype: str) -> bool:
        """Whether the topic is among them."""
        return msgtype in self.types or any(name.fullmatch(topic) for name in self.names)


@dataclass(frozen=True)
class _ProfileEntry:
    doc: str = param(doc="what it is for")
    topics: tuple[str, ...] = param((), doc="regular expressions of whole topic names")
    types: tuple[str, ...] = param((), doc="message types")
    extends: str = param("", doc="profile whose topics belong to this one as well")


@dataclass(frozen=True)
class _PriorityEntry:
    priority: int = param(doc="0 is dropped last", low=0, high=LOWEST_PRIORITY)
    topics: tuple[str, ...] = param((), doc="regular expressions of whole topic names")
    types: tuple[str, ...] = param((), doc="message types")

    def __post_init__(self) -> None:
        """Check the range."""
        config.check(self)


@dataclass(frozen=True)
class RecordProfiles:
    """The profiles that ``config/recording/profiles.yaml`` defines.

    Attributes:
        choices: by name of the profile.
        docs: what each is for.
    """

    choices: Mapping[str, TopicChoice]
    docs: Mapping[str, str]
    _priorities: tuple[tuple[int, TopicChoice], ...]

    def choice(self, profile: str) -> TopicChoice:
        """The topics of a profile.

        Raises:
            ConfigError: there is no such profile.
        """
        if profile not in self.choices:
            raise ConfigError(
                f"profile = {profile!r}: must be one of {', '.join(sorted(self.choices))}"
            )
        return self.choices[profile]

    def priority(self, topic: str, msgtype: str) -> int:
        """0 for what a slow disk loses last."""
        for priority, choice in self._priorities:
            if choice.holds(topic, msgtype):
                return priority
        return 0


def load_profiles(path: Path | None = None) -> RecordProfiles:
    """Read the profiles.

    Args:
        path: a file of one's own; the package's by default.

    Raises:
        ConfigError: the file is wrong; names file, key and value.
    """
    path = path or share_dir() / "config" / "recording" / "profiles.yaml"
    where, data = shown(path), config.load_yaml(path)
    if unknown := data.keys() - {"profiles", "priorities"}:
        raise ConfigError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    entries: dict[str, _ProfileEntry] = {
        str(name): config.from_mapping(_ProfileEntry, _mapping(entry, where), f"{where}: {name}")
        for name, entry in _mapping(data.get("profiles", {}), where).items()
    }
    priorities = []
    for item in data.get("priorities", []):
        entry = config.from_mapping(_PriorityEntry, _mapping(item, where), where)
        priorities.append((entry.priority, _choice(entry.topics, entry.types, where)))
    return RecordProfiles(
        {name: _resolved(name, entries, where) for name in entries},
        {name: entry.doc for name, entry in entries.items()},
        tuple(priorities),
    )


def profile_names() -> list[str]:
    """Names of the package's profiles."""
    return sorted(load_profiles().choices)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {value!r} must be a mapping")
    return value


def _resolved(name: str, entries: Mapping[str, _ProfileEntry], where: str) -> TopicChoice:
    topics: list[str] = []
    types: list[str] = []
    seen: list[str] = []
    while name:
        if name not in entries or name in seen:
            raise ConfigError(f"{where}: extends = {name!r}: unknown, or in a circle")
        seen.append(name)
        entry = entries[name]
        topics += entry.topics
        types += entry.types
        name = entry.extends
    return _choice(topics, types, where)


def _choice(topics: Iterable[str], types: Iterable[str], where: str) -> TopicChoice:
    patterns = []
    for text in topics:
        try:
            patterns.append(re.compile(text))
        except re.error as error:
            raise ConfigError(f"{where}: topics: {text!r}: {error}") from error
    return TopicChoice(tuple(patterns), frozenset(types))
