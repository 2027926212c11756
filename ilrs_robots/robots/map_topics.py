"""Which layers go to which topic, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.mapping.layers import LAYERS

DEFAULT_LAYERS = "elevation, variance, upper_bound, count, cost, reason"
HEIGHTS_TOPIC = "terrain_heights"
"""From which the command gate predicts how the vehicle will stand."""
DEFAULT_MAPS = f"{HEIGHTS_TOPIC}: elevation, upper_bound @ 0.5"


@dataclass(frozen=True)
class MapTopic:
    """A GridMap topic.

    Attributes:
        name: relative topic name.
        layers: in the order of the message.
        period_s: between two messages, of the scans' time.
    """

    name: str
    layers: tuple[str, ...]
    period_s: float


def map_topics(layers: str, period_s: float, more: str) -> tuple[MapTopic, ...]:
    """Read the parameters that say what is sent.

    Args:
        layers: of ``elevation_map``, comma-separated.
        period_s: of ``elevation_map``.
        more: further topics, ``name: layer, layer @ seconds`` separated by semicolons.

    Raises:
        ConfigError: names the entry and what is wrong with it.
    """
    topics = [
        MapTopic("elevation_map", _layers("layers", layers), _period("map_period_s", period_s))
    ]
    for entry in filter(None, (part.strip() for part in more.split(";"))):
        match = re.fullmatch(r"([a-z][a-z0-9_/]*)\s*:([^@]*)(?:@\s*(\S+))?", entry)
        if match is None:
            raise ConfigError(f"maps: {entry!r}: must be 'topic: layer, layer @ seconds'")
        where = f"maps: {match[1]}"
        every = period_s if match[3] is None else _number(where, match[3])
        topics.append(MapTopic(match[1], _layers(where, match[2]), _period(where, every)))
    names = [topic.name for topic in topics]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"maps: topic {name!r} stands twice")
    return tuple(topics)


def _layers(where: str, text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in LAYERS:
            raise ConfigError(f"{where}: no layer {name!r}; there are {', '.join(sorted(LAYERS))}")
        if names.count(name) > 1:
            raise ConfigError(f"{where}: layer {name!r} stands twice")
    return names


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is no number of seconds") from None


def _period(where: str, value: float) -> float:
    if not 0.0 <= value <= 3600.0:
        raise ConfigError(f"{where}: period {value} s: must be 0 to 3600 s")
    return value


def with_inputs(names: Iterable[str]) -> set[str]:
    """Layers with everything that they are computed from."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += LAYERS[name].inputs
    return found


def wants_prior(names: Iterable[str]) -> bool:
    """Whether any of the layers is made from the orbital DEM."""
    return any(name.startswith("prior") for name in with_inputs(names))
