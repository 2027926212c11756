"""Faults put into a recording on replay: what a robot must notice, made again at will.

A fault is written ``kind:key=value,...``, for example ``dropout:topic=imu,start=5,duration=2`` or
``spike:topic=joints,start=4,share=0.1,size=50``. Times are seconds since the bag's first message;
without ``duration`` a fault lasts to the end. Equal seeds give equal faults.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import AttitudeSample, Cloud, ImuSample, JointSample
from ilrs_robots.replay.decode import Payload, PoseSample

KINDS: Final = ("dropout", "spike", "delay", "nan", "frame_missing", "clock_jump", "rate")
_NOT_SENSED: Final = ("truth", "recorded_map", "reset", "true_ground")


class Event(NamedTuple):
    """One sample in its place.

    Attributes:
        key_ns: time of its arrival.
        kind: what it is, as the profile says.
        topic: where it came from.
        payload: the sample; None for a ``reset``.
    """

    key_ns: int
    kind: str
    topic: str
    payload: Payload | None


@dataclass(frozen=True)
class Fault:
    """One fault."""

    kind: str = param(doc="what happens", choices=KINDS)
    topic: str = param("", doc="topic or kind (imu, joints, attitude, cloud); empty for all")
    start: float = param(0.0, doc="seconds after the bag's first message", unit="s", low=0.0)
    duration: float = param(1e9, doc="how long", unit="s", low=0.0)
    share: float = param(1.0, doc="share of the messages that it hits", low=0.0, high=1.0)
    size: float = param(
        20.0, doc="of a spike: rad/s, m/s2, rad or m; of a clock jump: s, may be negative"
    )
    delay: float = param(1.0, doc="of delayed messages", unit="s", low=0.0, high=60.0)
    keep: int = param(5, doc="rate: one message of so many stays", low=1)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    def hits(self, event: Event, since_s: float) -> bool:
        """Whether the fault is about a message at this time."""
        if event.payload is None:
            return False
        everyones = self.kind == "clock_jump" and not self.topic
        if event.kind in _NOT_SENSED and not everyones:
            return False
        if self.topic and self.topic not in (event.kind, event.topic):
            return False
        return self.start <= since_s < self.start + self.duration


def parse_fault(text: str) -> Fault:
    """Read ``kind:key=value,...``.

    Raises:
        ConfigError: with what is wrong.
    """
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {"kind": kind.strip()}
    kinds = {item.name: str(item.type) for item in fields(Fault)}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = (p.strip() for p in part.partition("="))
        if not equals or key not in kinds or key == "kind":
            known = ", ".join(name for name in kinds if name != "kind")
            raise ConfigError(f"--fault {text!r}: {part!r}: must be key=value with {known}")
        try:
            number = {"float": float, "int": int}.get(kinds[key], str)
            values[key] = number(value)
        except ValueError as error:
            raise ConfigError(f"--fault {text!r}: {part!r} is not a number") from error
    return config.from_mapping(Fault, values, f"--fault {text!r}")


class FaultMaker:
    """Puts faults into a stream of events.

    Args:
        faults: in the order of their effect.
        seed: of what they hit and how.
    """

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._faults = tuple(faults)
        self._rngs = [np.random.default_rng([seed, k]) for k in range(len(faults))]
        self._counts = [0] * len(faults)
        self._held: list[tuple[int, int, Event]] = []
        self._order = 0
        self.changed = [0] * len(faults)

    @property
    def none(self) -> bool:
        """Whether there are no faults."""
        return not self._faults

    def put_in(self, events: Iterator[Event]) -> Iterator[Event]:
        """The stream as a robot with these faults would get it."""
        first: int | None = None
        for event in events:
            first = event.key_ns if first is None else first
            while self._held and self._held[0][0] <= event.key_ns:
                yield heapq.heappop(self._held)[2]
            changed = self._through(event, (event.key_ns - first) * 1e-9)
            if changed is not None:
                yield changed
        while self._held:
            yield heapq.heappop(self._held)[2]

    def _through(self, event: Event, since_s: float) -> Event | None:
        for k, fault in enumerate(self._faults):
            if not fault.hits(event, since_s):
                continue
            if fault.share < 1.0 and self._rngs[k].random() >= fault.share:
                continue
            self._counts[k] += 1
            if fault.kind == "rate" and self._counts[k] % fault.keep == 1 % fault.keep:
                continue
            self.changed[k] += 1
            if fault.kind in ("dropout", "rate"):
                return None
            if fault.kind == "delay":
                self._hold(event, round(fault.delay * 1e9))
                return None
            event = self._altered(event, fault, self._rngs[k])
        return event

    def _hold(self, event: Event, delay_ns: int) -> None:
        self._order += 1
        later = event._replace(key_ns=event.key_ns + delay_ns)
        heapq.heappush(self._held, (later.key_ns, self._order, later))

    def _altered(self, event: Event, fault: Fault, rng: np.random.Generator) -> Event:
        sample = event.payload
        assert sample is not None
        if fault.kind == "clock_jump":
            moved = sample.stamp_ns + round(fault.size * 1e9)
            # all clocks together are the robot's own clock
            key = event.key_ns if fault.topic else event.key_ns + round(fault.size * 1e9)
            return event._replace(key_ns=key, payload=replace(sample, stamp_ns=moved))
        if fault.kind == "frame_missing":
            if isinstance(sample, Cloud):
                sample = replace(sample, frame_id=f"{sample.frame_id}_unknown")
            return event._replace(payload=sample)
        value = float("nan") if fault.kind == "nan" else fault.size
        return event._replace(payload=_with_value(sample, value, rng))


def _with_value(sample: Payload, value: float, rng: np.random.Generator) -> Payload:
    """The sample with one number, or some points, off by ``value`` (NaN: not a number)."""
    if isinstance(sample, ImuSample):
        rate = sample.angular_velocity_rps.copy()
        rate[rng.integers(3)] += value
        return replace(sample, angular_velocity_rps=rate)
    if isinstance(sample, JointSample):
        position = np.array(sample.position_rad, dtype=np.float64)
        position[rng.integers(position.size)] += value
        return replace(sample, position_rad=position)
    if isinstance(sample, AttitudeSample):
        quat = sample.quat_wxyz.copy()
        quat[rng.integers(4)] += value
        norm = np.linalg.norm(quat) if np.isfinite(value) else 1.0
        return replace(sample, quat_wxyz=quat / norm)
    if isinstance(sample, PoseSample):
        pose = sample.T_map_base.copy()
        pose[rng.integers(3), 3] += value
        return replace(sample, T_map_base=pose)
    points = sample.xyz_m.copy()
    chosen = rng.random(len(points)) < 0.1
    points[chosen, 2] += np.float32(value)
    if not np.isfinite(value):
        points = points[~chosen]  # the reader of messages leaves such points out
    times, intensity = (_rest(c, chosen, value) for c in (sample.time_offset_ns, sample.intensity))
    return replace(sample, xyz_m=points, time_offset_ns=times, intensity=intensity)


def _rest(column: Any, chosen: Any, value: float) -> Any:
    return column if column is None or np.isfinite(value) else column[~chosen]
