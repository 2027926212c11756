"""Every node's parameters as plain data, read from the nodes themselves."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.base import BaseNode
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.flight import FlightNode
from ilrs_robots.nodes.gazebo_support import GazeboSupportNode
from ilrs_robots.nodes.mission import MissionNode
from ilrs_robots.nodes.mission_view import MissionViewNode
from ilrs_robots.nodes.recorder import RecorderNode
from ilrs_robots.nodes.robot_main import make_nodes
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.view_state import SiteView

_EVERYWHERE = ("use_sim_time", "start_type_description_service")
_DESCRIPTION = re.compile(
    r"(?P<doc>.*?)(?: \[(?P<unit>[^\]]*)\])?(?: \((?P<choices>one of .*)\))?"
)
_KINDS = {
    Parameter.Type.BOOL: "bool",
    Parameter.Type.INTEGER: "int",
    Parameter.Type.DOUBLE: "float",
    Parameter.Type.STRING: "string",
}


@dataclass(frozen=True)
class ParameterRow:
    """One parameter of a node.

    Attributes:
        name: with its group.
        kind: bool, int, float or string.
        default: as text.
        limits: what it may be, in words; empty for anything.
        unit: empty for a pure number.
        doc: meaning.
        changeable: whether it may change while the node runs.
    """

    name: str
    kind: str
    default: str
    limits: str
    unit: str
    doc: str
    changeable: bool


def rows_of(node: Node) -> list[ParameterRow]:
    """The parameters that a configured node has declared, in the order of their declaration."""
    names = [n for n in node.list_parameters([], 0).names if n not in _EVERYWHERE]
    return [
        _row(node.get_parameter(name), node.describe_parameter(name))
        for name in names
        if not name.startswith("qos_overrides.")
    ]


def tables() -> dict[str, list[ParameterRow]]:
    """Parameters by node, of every node of the package, with their defaults.

    Nodes declare what they need when they are configured, so each is made and configured here;
    none is activated. rclpy has to be initialised.

    Raises:
        IlrsError: a node cannot be configured.
    """
    found: dict[str, list[ParameterRow]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in (make_nodes, _gate, _flight, _simulator, _support,
                     lambda: _recorder(folder), _mission, _view,
                     lambda: [BaseNode()]):  # fmt: skip
            with _made(make) as nodes:
                rows = {node.get_name(): rows_of(node) for node in nodes}
                found |= {name: table for name, table in rows.items() if table}
    return found


def tables_alone() -> dict[str, list[ParameterRow]]:
    """``tables`` in a process that does not use ROS otherwise."""
    rclpy.init(args=[])
    try:
        return tables()
    finally:
        rclpy.try_shutdown()


def _gate() -> list[Node]:
    return [CommandGateNode()]


def _flight() -> list[Node]:
    host = Node("flight_host")
    node = FlightNode(TransformListener(host))
    node.robot = "hopper"
    return [host, node]


def _simulator() -> list[Node]:
    return [EmbeddedSimNode()]


def _support() -> list[Node]:
    return [GazeboSupportNode()]


def _mission() -> list[Node]:
    return [MissionNode(parameter_overrides=[Parameter("mission", value="long_range_tour")])]


def _view() -> list[Node]:
    return [MissionViewNode(lambda *_: _Unseen())]


class _Unseen:
    """A viewer that nobody sees."""

    def show(self, state: SiteView) -> None:
        """Nothing to be seen."""

    def close(self) -> None:
        """Nothing to close."""


def _recorder(folder: str) -> list[Node]:
    return [RecorderNode(parameter_overrides=[Parameter("output_dir", value=f"{folder}/bag")])]


@contextlib.contextmanager
def _made(make: Callable[[], list[Node]]) -> Iterator[list[Node]]:
    nodes = make()
    try:
        for node in nodes:
            if not isinstance(node, LifecycleNode):
                continue
            if node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
                raise IlrsError(f"node {node.get_name()} did not configure: see its log")
        yield nodes
    finally:
        for node in nodes:
            if isinstance(node, RecorderNode):
                node.finish()
            node.destroy_node()


def _row(parameter: Parameter, described: ParameterDescriptor) -> ParameterRow:
    match = _DESCRIPTION.fullmatch(described.description)
    assert match is not None
    default = _text(parameter.value)
    if parameter.name in ("output_dir", "mission"):
        default = "(required)"
    return ParameterRow(
        parameter.name,
        _KINDS[parameter.type_],
        default,
        match["choices"] or _limits(described),
        match["unit"] or "",
        match["doc"],
        not described.read_only,
    )


def _limits(described: ParameterDescriptor) -> str:
    for bounds in (*described.floating_point_range, *described.integer_range):
        return f"{_text(bounds.from_value)} to {_text(bounds.to_value)}"
    return str(described.additional_constraints)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)
