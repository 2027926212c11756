"""The arguments of a launch file: texts, read into what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ilrs_robots.core.errors import ConfigError


class Arguments:
    """Launch arguments by name.

    Launch knows nothing but text; each reader names the argument, its value and what is allowed.

    Args:
        texts: every argument that the launch file declares.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def text(self, name: str) -> str:
        """The text without blanks around it, empty where the launch file has no such argument."""
        return self._texts.get(name, "").strip()

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """One of some words.

        Raises:
            ConfigError: another one.
        """
        text = self.text(name)
        if text not in allowed:
            raise ConfigError(f"{name}:={text}: must be one of {', '.join(allowed)}")
        return text

    def flag(self, name: str) -> bool:
        """``true`` or ``false``; false where the launch file has no such argument.

        Raises:
            ConfigError: another word.
        """
        return name in self._texts and self.choice(name, ("true", "false")) == "true"

    def names(self, name: str) -> tuple[str, ...]:
        """Names separated by commas; none for an empty text."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def number(self, name: str, *, low: float) -> float:
        """A finite number; 0 where the launch file has no such argument.

        Raises:
            ConfigError: no number, or one below ``low``.
        """
        text = self._texts.get(name, str(low))
        try:
            value = float(text)
        except ValueError as error:
            raise ConfigError(f"{name}:={text}: is not a number") from error
        if not (math.isfinite(value) and value >= low):
            raise ConfigError(f"{name}:={text}: must be {low:g} or more")
        return value

    def optional_int(self, name: str, *, low: int) -> int | None:
        """A whole number, or None for an empty text.

        Raises:
            ConfigError: no whole number, or one below ``low``.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            value = int(text)
        except ValueError as error:
            raise ConfigError(f"{name}:={text}: is not a whole number") from error
        if value < low:
            raise ConfigError(f"{name}:={text}: must be {low} or more")
        return value
