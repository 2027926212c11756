"""What the recorder writes, and where: its parameters."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_type_hints

from rclpy.node import Node

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.parameters import descriptor
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, RecordProfiles


@dataclass(frozen=True)
class RecorderConfig:
    """What the recorder writes, and where."""

    output_dir: str = param("", doc="folder of the bag; must not exist yet")
    profile: str = param(DEFAULT_PROFILE, doc="topics, by a name in config/recording")
    topics: str = param("", doc="topics instead of a profile's, separated by commas")
    exclude: str = param("", doc="regular expression of topics to leave out; empty for none")
    split_mb: int = param(1024, doc="size of a file, 0 for no limit", unit="MB", low=0, high=65536)
    flush_s: float = param(
        0.5,
        doc="longest time until messages are safe on the disk",
        unit="s",
        low=0.1,
        high=60.0,
    )
    queue_mb: int = param(128, doc="bound of what waits for the disk", unit="MB", low=1, high=8192)
    depth: int = param(100, doc="depth of every subscription", low=1, high=10000)
    poll_s: float = param(0.5, doc="how often to look for topics", unit="s", low=0.05, high=60.0)
    compress: bool = param(True, doc="compress the bag's chunks with zstd")
    site: str = param("", doc="site whose file, seed and epoch the bag carries; empty for none")
    seed: int = param(-1, doc="seed that the bag names, -1 for the site's own", low=-1, high=2**31)

    def __post_init__(self) -> None:
        """Check ranges, the folder and the regular expression."""
        config.check(self)
        if not self.output_dir:
            raise ConfigError("output_dir is empty: the folder of the bag is needed")
        try:
            re.compile(self.exclude)
        except re.error as error:
            raise ConfigError(f"exclude = {self.exclude!r}: {error}") from error

    def wanted(self, profiles: RecordProfiles) -> Callable[[str, str], bool]:
        """Tells by name and type whether a topic is to be recorded.

        Raises:
            ConfigError: there is no such profile.
        """
        choice = profiles.choice(self.profile)
        names = {"/" + name.strip().lstrip("/") for name in self.topics.split(",") if name.strip()}
        exclude = re.compile(self.exclude) if self.exclude else None

        def wants(topic: str, msgtype: str) -> bool:
            if exclude is not None and exclude.search(topic):
                return False
            return topic in names if names else choice.holds(topic, msgtype)

        return wants


def declare(node: Node) -> RecorderConfig:
    """Declare the parameters at a node; returns their values.

    Raises:
        ConfigError: a value is out of its range.
    """
    hints = get_type_hints(RecorderConfig)
    values = {}
    for item in dataclasses.fields(RecorderConfig):
        spec = config.spec_of(item)
        assert spec is not None
        values[item.name] = node.declare_parameter(
            item.name, item.default, descriptor(spec, hints[item.name])
        ).value
    return config.from_mapping(RecorderConfig, values, "recorder")
