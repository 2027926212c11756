"""SROS 2 policies: who may send and take what, and nothing else.

Reference: SROS 2 policy schema 0.2.0; ``ros2 security generate_artifacts -p`` turns such a file
into keys, governance and permissions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from ilrs_robots.robots.interfaces import DRIVER, OPERATOR, contract

POLICY_VERSION: Final = "0.2.0"
_ACTION_PART: Final = "/_action/"
ACTIONS: Final = ("navigate_to_pose", "follow_waypoints")
"""What an operator may ask of a vehicle."""
ESTOP: Final = "estop"
OPERATOR_SERVICES: Final = (ESTOP, "terrain/clear", "terrain/save", "terrain/load")
OPERATOR_TOPICS: Final = (
    "odom", "plan", "route", "battery", "link", "health", "gate_status", "traversability",
    "elevation_map", "robot_description",
)  # fmt: skip
"""What an operator may see of a vehicle, besides what all see."""
SEEN_BY_ALL: Final = ("/tf", "/tf_static", "/diagnostics", "/diagnostics_agg")


@dataclass(frozen=True)
class Endpoints:
    """What one node has; every name is absolute.

    Attributes:
        publish: topics that it sends.
        subscribe: topics that it takes.
        reply: services that it answers.
        request: services that it asks.
        execute: actions that it carries out.
        call: actions that it asks for.
    """

    publish: frozenset[str] = frozenset()
    subscribe: frozenset[str] = frozenset()
    reply: frozenset[str] = frozenset()
    request: frozenset[str] = frozenset()
    execute: frozenset[str] = frozenset()
    call: frozenset[str] = frozenset()

    def without_action_parts(self) -> Endpoints:
        """The same, without the topics and services that an action consists of."""

        def plain(names: frozenset[str]) -> frozenset[str]:
            return frozenset(name for name in names if _ACTION_PART not in name)

        return Endpoints(
            plain(self.publish), plain(self.subscribe), plain(self.reply), plain(self.request),
            self.execute, self.call,
        )  # fmt: skip


Profiles = Mapping[tuple[str, str], Endpoints]
"""Endpoints by (namespace, node)."""

_RULES: Final = (
    ("topics", "publish", "topic"),
    ("topics", "subscribe", "topic"),
    ("services", "reply", "service"),
    ("services", "request", "service"),
    ("actions", "execute", "action"),
    ("actions", "call", "action"),
)


def _basic(space: str, node: str) -> Endpoints:
    """What rclpy gives every node."""
    services = (
        "describe_parameters", "get_parameter_types", "get_parameters", "get_type_description",
        "list_parameters", "set_parameters", "set_parameters_atomically",
    )  # fmt: skip
    return Endpoints(
        publish=frozenset({"/rosout", "/parameter_events"}),
        reply=frozenset(f"{space}/{node}/{service}" for service in services),
    )


def drivers(robot: str, *, drives: bool, simulated: bool = False) -> Profiles:
    """The enclave of whatever feeds the vehicle's sensors and takes its commands.

    Args:
        robot: the vehicle's name.
        drives: whether it is a rover.
        simulated: whether it also sends ``/clock``.
    """
    space, node = f"/{robot}", "drivers"
    basic = _basic(space, node)
    sent = {f"{space}/{row.name}" for row in contract(drives=drives) if row.source == DRIVER}
    sent |= {"/diagnostics"} | ({"/clock"} if simulated else set())
    taken = {f"{space}/cmd_vel" if drives else f"{space}/thrusters/command"}
    taken |= set() if drives else {f"{space}/odom"}
    return {(space, node): Endpoints(basic.publish | sent, frozenset(taken), basic.reply)}


def operator(robot: str, *, drives: bool) -> Profiles:
    """The enclave of people and tools that watch a vehicle and tell it where to go.

    Args:
        robot: the vehicle's name.
        drives: whether it is a rover.
    """
    space, node = f"/{robot}", "operator"
    basic = _basic(space, node)
    rows = contract(drives=drives)
    sent = {f"{space}/{row.name}" for row in rows if row.source == OPERATOR}
    seen = {f"{space}/{name}" for name in OPERATOR_TOPICS} | set(SEEN_BY_ALL)
    asked = {f"{space}/{name}" for name in (OPERATOR_SERVICES if drives else (ESTOP,))}
    called = {f"{space}/{name}" for name in ACTIONS}
    return {
        (space, node): Endpoints(
            basic.publish | sent,
            frozenset(seen),
            basic.reply,
            request=frozenset(asked),
            call=frozenset(called),
        )
    }


def policy_xml(enclaves: Mapping[str, Profiles]) -> str:
    """A policy file.

    Args:
        enclaves: profiles by the enclave's path, ``/long_range``.
    """
    root = ElementTree.Element("policy", version=POLICY_VERSION)
    top = ElementTree.SubElement(root, "enclaves")
    for path, profiles in enclaves.items():
        enclave = ElementTree.SubElement(top, "enclave", path=path)
        inner = ElementTree.SubElement(enclave, "profiles")
        for (space, node), endpoints in sorted(profiles.items()):
            profile = ElementTree.SubElement(inner, "profile", ns=space, node=node)
            for group, rule, item in _RULES:
                names: Iterable[str] = sorted(getattr(endpoints, rule))
                if not names:
                    continue
                listed = ElementTree.SubElement(profile, group, {rule: "ALLOW"})
                for name in names:
                    ElementTree.SubElement(listed, item).text = name
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def read_policy(text: str) -> dict[str, dict[tuple[str, str], Endpoints]]:
    """The enclaves of a policy file that ``policy_xml`` has written.

    Args:
        text: the file's content.
    """
    enclaves: dict[str, dict[tuple[str, str], Endpoints]] = {}
    for enclave in ElementTree.fromstring(text).iter("enclave"):
        profiles = enclaves.setdefault(enclave.get("path", ""), {})
        for profile in enclave.iter("profile"):
            found = {
                rule: frozenset(
                    item.text or ""
                    for listed in profile.findall(group)
                    if listed.get(rule) == "ALLOW"
                    for item in listed
                )
                for group, rule, _ in _RULES
            }
            profiles[(profile.get("ns", ""), profile.get("node", ""))] = Endpoints(**found)
    return enclaves
