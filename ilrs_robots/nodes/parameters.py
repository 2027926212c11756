"""The core's parameter dataclasses as ROS parameters: declared once, with range and unit.

Most parameters are read once, when a node is configured, and are read-only from then on. Those of
a *tunable* group may change while the node runs: the frozen dataclass is rebuilt with the new
values, so that every one of its checks is made again, and only then handed to the core's object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ilrs_robots.core import config
from ilrs_robots.core.config import ParamSpec
from ilrs_robots.core.errors import ConfigError

T = TypeVar("T")


def descriptor(spec: ParamSpec, kind: type, *, read_only: bool = True) -> ParameterDescriptor:
    """ROS descriptor of a parameter; the unit stands in the description."""
    unit = f" [{spec.unit}]" if spec.unit else ""
    choices = f" (one of {', '.join(spec.choices)})" if spec.choices else ""
    msg = ParameterDescriptor(description=f"{spec.doc}{unit}{choices}", read_only=read_only)
    if spec.low is not None and spec.high is not None:
        if kind is float:
            msg.floating_point_range = [
                FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))
            ]
        elif kind is int:
            msg.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high))]
    elif spec.low is not None:
        msg.additional_constraints = f"at least {spec.low:g}"
    elif spec.high is not None:
        msg.additional_constraints = f"at most {spec.high:g}"
    return msg


def is_fixed(name: str, fixed: Sequence[str]) -> bool:
    """Whether a leaf belongs to one of the sub-groups that do not change."""
    return any(name == group or name.startswith(f"{group}.") for group in fixed)


def declare(
    node: Node, prefix: str, default: T, *, tunable: bool = False, fixed: Sequence[str] = ()
) -> T:
    """Declare the scalar fields of a parameter dataclass, nested ones too, and read the values.

    Args:
        node: the node that gets the parameters ``<prefix>.<field>``.
        prefix: group name.
        default: instance that holds the defaults.
        tunable: whether they may change later; see ``Tunables``.
        fixed: sub-groups of a tunable group that may not.

    Returns:
        A new instance with the values in force.

    Raises:
        ConfigError: a value of the wrong type or out of its range, or values that do not go
            together.
    """
    values: dict[str, Any] = {}
    for leaf in config.leaves(default):
        name = f"{prefix}.{leaf.name}"
        if not node.has_parameter(name):
            read_only = not tunable or is_fixed(leaf.name, fixed)
            made = descriptor(leaf.spec, leaf.kind, read_only=read_only)
            try:
                node.declare_parameter(name, leaf.value, made)
            except (InvalidParameterTypeException, InvalidParameterValueException) as error:
                unit = f" [{leaf.spec.unit}]" if leaf.spec.unit else ""
                raise ConfigError(f"node {node.get_name()}: {error}{unit}") from error
        values[leaf.name] = node.get_parameter(name).value
    try:
        return config.replaced(default, values)
    except ConfigError as error:
        raise ConfigError(f"parameters {node.get_name()}.{prefix}: {error}") from error


def declare_one(node: Node, name: str, default: Any, doc: str) -> Any:
    """Declare a single read-only parameter and return its value."""
    if not node.has_parameter(name):
        node.declare_parameter(name, default, ParameterDescriptor(description=doc, read_only=True))
    return node.get_parameter(name).value


@dataclass
class _Group:
    config: Any
    apply: Callable[[Any], None]
    check: Callable[[Any], None]


class Tunables:
    """The groups of one node's parameters that may change while it runs."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._groups: dict[str, _Group] = {}

    def add(
        self,
        prefix: str,
        settings: Any,
        apply: Callable[[Any], None],
        check: Callable[[Any], None],
    ) -> None:
        """Take a group.

        Args:
            prefix: its name.
            settings: the values in force.
            apply: hands a changed dataclass to the core; must not refuse.
            check: raises ConfigError for what the dataclass itself cannot know.

        Raises:
            ConfigError: from ``check``.
        """
        check(settings)
        self._groups[prefix] = _Group(settings, apply, check)

    def clear(self) -> None:
        """Forget every group: its core object is gone."""
        self._groups.clear()

    def refusal(self, parameters: Sequence[Parameter]) -> str:
        """Why the new values cannot be taken, with value, limit and unit; empty if they can."""
        for parameter in parameters:
            known = self._node.has_parameter(parameter.name)
            if known and self._node.describe_parameter(parameter.name).read_only:
                return f"{parameter.name} cannot change while the node runs: set it at start"
        try:
            for prefix, group in self._groups.items():
                changed = self._changed(prefix, group, parameters)
                if changed is not group.config:
                    group.check(changed)
        except ConfigError as error:
            return str(error)
        return ""

    def take(self, parameters: Sequence[Parameter]) -> None:
        """Hand changed values to the core."""
        for prefix, group in self._groups.items():
            changed = self._changed(prefix, group, parameters)
            if changed is not group.config:
                group.config = changed
                group.apply(changed)

    def _changed(self, prefix: str, group: _Group, parameters: Sequence[Parameter]) -> Any:
        """The group's dataclass with the new values; itself when none of them is its own."""
        if not any(parameter.name.startswith(f"{prefix}.") for parameter in parameters):
            return group.config
        known = {f"{prefix}.{leaf.name}": leaf for leaf in config.leaves(group.config)}
        own: dict[str, Any] = {}
        for parameter in parameters:
            leaf = known.get(parameter.name)
            if leaf is not None:
                config.check_leaf(parameter.name, parameter.value, leaf)
                own[leaf.name] = parameter.value
        if not own:
            return group.config
        try:
            return config.replaced(group.config, own)
        except ConfigError as error:
            raise ConfigError(f"{prefix}: {error}") from error
