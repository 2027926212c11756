"""Judge a vehicle on its own computer by what was heard of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from ilrs_robots.robots.findings import BAD, GOOD, NOTE, Finding
from ilrs_robots.robots.interfaces import DRIVER, OPERATOR, TopicContract

SLOW: Final = 0.8
"""A topic that comes less often than this share of its rate is slow, and below a third broken."""
BROKEN: Final = 1.0 / 3.0
CLOCK_WARN_S: Final = 0.05
CLOCK_BAD_S: Final = 0.5
"""Scans and poses of two computers are put together by stamp; a vehicle drives 0.5 m/s."""
DISK_BAD_MB: Final = 200.0
DISK_WARN_MB: Final = 2000.0


class HeardTopic(Protocol):
    """What came of one topic."""

    kinds: tuple[str, ...]
    count: int
    span_s: float

    @property
    def rate_hz(self) -> float:
        """Messages per second of ROS time."""
        ...


def reached(robot: str, heard: tuple[str, ...], expected: tuple[str, ...]) -> Iterator[Finding]:
    """Can the vehicle's nodes be seen over DDS?

    Args:
        robot: its name.
        heard: absolute names of the nodes that are seen.
        expected: names of the nodes that it consists of.
    """
    if not heard:
        yield Finding(
            "reachability",
            BAD,
            f"no node of {robot} is seen",
            "same ROS_DOMAIN_ID and discovery range there and here? a profile that fits on "
            "both sides? is the unit running: systemctl status 'ilrs-*'",
        )
        return
    seen = {name.rpartition("/")[2] for name in heard}
    missing = [name for name in expected if name not in seen]
    if missing:
        yield Finding(
            "reachability",
            BAD,
            f"nodes that are not seen: {', '.join(missing)}",
            "journalctl -u 'ilrs-*' on the vehicle says why they ended",
        )
    else:
        yield Finding("reachability", GOOD, f"all {len(expected)} nodes of {robot} are seen")


def topic(
    row: TopicContract, name: str, heard: HeardTopic, *, waited_s: float
) -> Iterator[Finding]:
    """Is a topic there, of the right type, and often enough?

    Args:
        row: what it should be.
        name: absolute name.
        heard: what it is.
        waited_s: for how long it was listened to.
    """
    check = f"topic {name}"
    whose = "the driver's" if row.source == DRIVER else "the vehicle's"
    if heard.kinds and row.kind not in heard.kinds:
        yield Finding(
            check, BAD, f"has type {heard.kinds[0]}, must be {row.kind}",
            f"remap or convert {whose} topic; docs/frames_and_topics.md has the table",
        )  # fmt: skip
        return
    if row.source == OPERATOR or row.rate_hz == 0.0:
        return
    if heard.count == 0:
        yield Finding(
            check, BAD, f"nothing came within {waited_s:.0f} s",
            f"is {whose} process running, and does it publish under this name? ros2 topic info -v",
        )  # fmt: skip
        return
    due = row.rate_hz * heard.span_s
    if due < 3.0:
        yield Finding(check, GOOD, f"{heard.count} messages")
        return
    share = (heard.count + 1) / due  # the next may be due at any moment
    what = f"{heard.rate_hz:.1f} Hz of {row.rate_hz:g} Hz"
    if share >= SLOW:
        yield Finding(check, GOOD, what)
    else:
        yield Finding(
            check,
            BAD if share < BROKEN else NOTE,
            what,
            "overloaded computer, lossy network, or a driver set to another rate",
        )


def told(values: Mapping[str, str], here: Mapping[str, str]) -> Iterator[Finding]:
    """Versions and disk, from what the node ``health`` tells.

    Args:
        values: of its diagnostics.
        here: versions on this computer.
    """
    if not values:
        yield Finding(
            "versions", NOTE, "the vehicle's computer tells nothing of itself",
            "the node health does that: is it among the nodes of the vehicle?",
        )  # fmt: skip
        return
    theirs = ", ".join(f"{key} {values.get(key) or 'unknown'}" for key in here)
    if values.get("version") == here["version"]:
        yield Finding("versions", GOOD, theirs)
    else:
        yield Finding(
            "versions", NOTE, f"{theirs}; here {here['version']}",
            "install the same version on both sides",
        )  # fmt: skip
    free_mb = float(values.get("disk_free_mb", "nan"))
    if free_mb >= DISK_WARN_MB:
        yield Finding("disk", GOOD, f"{free_mb / 1000.0:.1f} GB free")
    else:
        level = BAD if not free_mb >= DISK_BAD_MB else NOTE
        yield Finding("disk", level, f"{free_mb:.0f} MB free", "remove old bags, maps and logs")


def clock(
    offset_s: float | None, synchronised: str, stamp_age_s: float | None, *, simulated: bool
) -> Iterator[Finding]:
    """Does the vehicle's clock agree with this computer's?

    Args:
        offset_s: the vehicle's wall clock minus this computer's; None when it did not tell.
        synchronised: ``true``, ``false`` or ``unknown``, as the vehicle says.
        stamp_age_s: of the newest sensor message by the vehicle's own clock, None if unknown.
        simulated: whether its time is a simulation's.
    """
    remedy = "chronyc tracking on both sides; deploy/chrony has a configuration"
    if offset_s is None:
        yield Finding("clock", NOTE, "the vehicle does not tell its time", "see versions")
        return
    size_s = abs(offset_s)
    what = f"{offset_s * 1e3:+.0f} ms from this computer's, time of travel included"
    if simulated or size_s < CLOCK_WARN_S:
        yield Finding("clock", GOOD, f"{what}{' (simulated time)' if simulated else ''}")
    else:
        yield Finding("clock", BAD if size_s >= CLOCK_BAD_S else NOTE, what, remedy)
    if synchronised == "false" and not simulated:
        yield Finding("clock keeper", NOTE, "nobody keeps the vehicle's clock", remedy)
    if stamp_age_s is not None and abs(stamp_age_s) > CLOCK_BAD_S:
        yield Finding(
            "sensor stamps", BAD, f"imu/data is stamped {stamp_age_s:+.1f} s ago",
            "the driver stamps with another clock: PTP for the sensor, or its driver's host time",
        )  # fmt: skip


def health(values: Mapping[str, tuple[int, str, Mapping[str, str]]]) -> Iterator[Finding]:
    """What the nodes say of themselves.

    Args:
        values: level, sentence and values by node.
    """
    for node, (level, sentence, _) in sorted(values.items()):
        if level == 0:
            yield Finding(f"node {node}", GOOD, sentence)
        else:
            wanted = "docs/frames_and_topics.md says what each node needs"
            yield Finding(f"node {node}", BAD if level > 1 else NOTE, sentence, wanted)
