"""The core's parameter dataclasses as ROS parameters: declared once, with range and unit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from ilrs_robots.core import config
from ilrs_robots.core.config import ParamSpec
from ilrs_robots.core.errors import ConfigError

T = TypeVar("T")
_SCALARS = (bool, int, float, str)


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
    return msg


def declare(node: Node, prefix: str, default: T) -> T:
    """Declare the scalar fields of a parameter dataclass, nested ones too, and read the values.

    Args:
        node: the node that gets the parameters ``<prefix>.<field>``.
        prefix: group name.
        default: instance that holds the defaults.

    Returns:
        A new instance with the values in force.

    Raises:
        ConfigError: values that do not go together.
    """
    cls = type(default)
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for item in fields(default):  # type: ignore[arg-type]
        current = getattr(default, item.name)
        spec = config.spec_of(item)
        kind = hints[item.name]
        if is_dataclass(current) and not isinstance(current, type):
            values[item.name] = declare(node, f"{prefix}.{item.name}", current)
            continue
        if spec is None or kind not in _SCALARS:
            values[item.name] = current
            continue
        name = f"{prefix}.{item.name}"
        if not node.has_parameter(name):
            node.declare_parameter(name, current, descriptor(spec, kind))
        values[item.name] = node.get_parameter(name).value
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"parameters {node.get_name()}.{prefix}: {error}") from error


def declare_one(node: Node, name: str, default: Any, doc: str) -> Any:
    """Declare a single read-only parameter and return its value."""
    if not node.has_parameter(name):
        node.declare_parameter(name, default, ParameterDescriptor(description=doc, read_only=True))
    return node.get_parameter(name).value
