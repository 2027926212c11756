"""Places of a vehicle's links, from its URDF and the joints' positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray

_TURNING = ("revolute", "continuous")


@dataclass(frozen=True)
class Joint:
    """One joint of a URDF.

    Attributes:
        name: as in ``joint_states``.
        kind: ``fixed``, ``revolute``, ``continuous`` or ``prismatic``.
        parent: link, without the robot's name.
        child: link, without the robot's name.
        T_parent_joint: (4, 4) place at position zero.
        axis: (3,) unit vector in the joint's own frame.
    """

    name: str
    kind: str
    parent: str
    child: str
    T_parent_joint: FloatArray
    axis: FloatArray

    def transform(self, position: float) -> FloatArray:
        """(4, 4) T_parent_child at a position, rad or m."""
        T_joint_child = np.eye(4)
        if self.kind in _TURNING:
            x, y, z = self.axis
            cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
            T_joint_child[:3, :3] += np.sin(position) * cross
            T_joint_child[:3, :3] += (1.0 - np.cos(position)) * (cross @ cross)
        elif self.kind == "prismatic":
            T_joint_child[:3, 3] = position * self.axis
        return self.T_parent_joint @ T_joint_child


class LinkTree:
    """The joints of a URDF.

    Attributes:
        joints: in the order of the text.
    """

    def __init__(self, urdf: str) -> None:
        """Read the joints.

        Raises:
            ConfigError: not XML, a joint of another kind, a parent or child that is no link, or
                a link with two parents.
        """
        try:
            root = ET.fromstring(urdf)
        except ET.ParseError as error:
            raise ConfigError(f"the URDF is not XML: {error}") from error
        self.joints = tuple(_joint(element) for element in root.findall("joint"))
        links = {link.get("name") for link in root.findall("link")}
        children = [joint.child for joint in self.joints]
        for joint in self.joints:
            for link in (joint.parent, joint.child):
                if link not in links:
                    raise ConfigError(f"joint {joint.name!r} names {link!r}, which is no link")
            if children.count(joint.child) > 1:
                raise ConfigError(f"link {joint.child!r} has two parents")

    @property
    def fixed(self) -> tuple[Joint, ...]:
        """Joints that never move."""
        return tuple(joint for joint in self.joints if joint.kind == "fixed")

    @property
    def moving(self) -> tuple[Joint, ...]:
        """Joints that do."""
        return tuple(joint for joint in self.joints if joint.kind != "fixed")

    def places(
        self, positions: Mapping[str, float], root: str = "base_link"
    ) -> dict[str, FloatArray]:
        """(4, 4) T_root_link of every link below the root, by name.

        Args:
            positions: by joint, rad or m; joints that are not named stand at zero.
            root: link.
        """
        found = {root: np.eye(4)}
        left = list(self.joints)
        while left:
            reached = [joint for joint in left if joint.parent in found]
            if not reached:
                break
            for joint in reached:
                position = positions.get(joint.name, 0.0)
                found[joint.child] = found[joint.parent] @ joint.transform(position)
            left = [joint for joint in left if joint.child not in found]
        return found


def _joint(element: ET.Element) -> Joint:
    name, kind = element.get("name", ""), element.get("type", "")
    if kind not in (*_TURNING, "fixed", "prismatic"):
        raise ConfigError(
            f"joint {name!r}: type {kind!r} is not one of fixed, prismatic, revolute"
        )
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise ConfigError(f"joint {name!r}: parent or child is missing")
    origin, axis = element.find("origin"), element.find("axis")
    position, rpy = (_vector(origin, key, "0 0 0") for key in ("xyz", "rpy"))
    direction = _vector(axis, "xyz", "1 0 0")
    roll, pitch, yaw = (float(v) for v in rpy)
    return Joint(
        name, kind, parent.get("link", ""), child.get("link", ""),
        se3.from_rpy(position, (roll, pitch, yaw)), direction / np.linalg.norm(direction),
    )  # fmt: skip


def _vector(element: ET.Element | None, key: str, default: str) -> FloatArray:
    text = default if element is None else element.get(key, default)
    return np.array([float(v) for v in text.split()], dtype=np.float64)
