"""Hazards for the eye: coloured cubes by reason, and a legend that names the colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from ilrs_robots.core.io.hazard_marks import Marks
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes.convert import to_stamp

# Colours that people with any colour vision can tell (Okabe and Ito 2008, Color Universal Design).
_PALETTE: Final = (
    (0.84, 0.37, 0.00), (0.00, 0.45, 0.70), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65),
    (0.00, 0.62, 0.45), (0.34, 0.71, 0.91), (0.90, 0.62, 0.00), (0.60, 0.60, 0.60),
)  # fmt: skip
_TEXT_M: Final = 0.6
_ALPHA: Final = 0.8


def hazard_markers(
    marks: Sequence[Marks], names: tuple[str, ...], spec: GridSpec, frame_id: str, stamp_ns: int
) -> MarkerArray:
    """Markers of the closed cells; the array replaces everything that was shown before.

    Args:
        marks: closed cells by reason.
        names: every reason there is; its place gives its colour.
        spec: window, beside which the legend stands.
        frame_id: of the window.
        stamp_ns: of the map.
    """
    array = MarkerArray(markers=[_marker(frame_id, stamp_ns, "all", 0, Marker.DELETEALL)])
    x_min, _, _, y_max = spec.bounds_m
    for line, one in enumerate(marks):
        colour = _colour(names.index(one.reason))
        cubes = _marker(frame_id, stamp_ns, "hazards", line, Marker.ADD)
        cubes.type = Marker.CUBE_LIST
        cubes.scale.x = cubes.scale.y = cubes.scale.z = one.size_m
        cubes.color = colour
        cubes.points = [Point(x=x, y=y, z=z) for x, y, z in one.points_m.tolist()]
        text = _marker(frame_id, stamp_ns, "legend", line, Marker.ADD)
        text.type = Marker.TEXT_VIEW_FACING
        text.scale.z, text.color = _TEXT_M, colour
        text.text = f"{one.reason}: {one.cells} cells"
        text.pose.position.x = x_min
        text.pose.position.y = y_max - 1.5 * _TEXT_M * line
        text.pose.position.z = float(one.points_m[:, 2].max()) + 1.0
        array.markers += [cubes, text]
    return array


def _marker(frame_id: str, stamp_ns: int, group: str, number: int, action: int) -> Marker:
    marker = Marker(ns=group, id=number, action=action)
    marker.header.frame_id, marker.header.stamp = frame_id, to_stamp(stamp_ns)
    marker.pose.orientation.w = 1.0
    return marker


def _colour(index: int) -> ColorRGBA:
    r, g, b = _PALETTE[index % len(_PALETTE)]
    return ColorRGBA(r=r, g=g, b=b, a=_ALPHA)
