"""Public functions of core and robots say of each array what shape and what unit it has.

What a machine can check honestly: that the docstring speaks of a shape, ``(N, 3)``, and that a
unit stands in the argument's name (``xyz_m``), follows from what it is (a transform, a
quaternion, a mask, an index), or is named. Whether it is true only a reader can tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ilrs_robots"
ARRAY = re.compile(r"\b(FloatArray|Float32Array|BoolArray|IntArray|NDArray|ArrayLike|ndarray)\b")
_SIZE = r"(\d+|[A-Za-z_]+|\.\.\.)( [*+-] \w+)?"
SHAPE = re.compile(rf"\({_SIZE}(, ?{_SIZE})*,?\)")
UNIT_IN_NAME = re.compile(r"_(m|mps|mps2|rad|rps|rps2|s|ns|kg|w|wh|n|k|deg|hz|m2|wxyz|px)$")
NO_UNIT = re.compile(r"^(T|R)_|^(T|R|J|quat\w*|steered|keep|mask|seen|rows?|cols?|cells?)$")
UNIT_WORD = re.compile(
    r"\b(m|m2|m/s|metres|metre|rad|rad/s|radians|s|seconds|ns|nanoseconds|cells?|bool|"
    r"kelvin|unit|units|share|quaternions?|transforms?|rigid|cost|costs|row|col|[Jj]acobian|covariance|variances?|factors?|dz/dx|dz/dy|"
    r"0 to 1|matrix|rotations?|indices|like)\b"
)
GAPS = {
    "core/geometry/pose_history.py insert pose",
    "core/geometry/pose_history.py widest_gap_ns stamps_ns",
    "core/geometry/se3.py require_inside stamps_ns",
    "core/geometry/se3.py require_rigid transform",
    "core/geometry/se3.py slerp q0",
    "core/geometry/se3.py slerp q1",
    "core/geometry/se3.py slerp u",
    "core/geometry/se3.py yaw_of quat_wxyz",
    "core/geometry/transform_tree.py set_static transform",
    "core/io/occupancy.py cost_to_occupancy cost",
    "core/io/point_time.py time_offset_ns raw",
    "core/localization/attitude.py level force_mps2",
    "core/localization/error_state.py add quat_wxyz",
    "core/localization/error_state.py between first",
    "core/localization/error_state.py between second",
    "core/localization/error_state.py correct jacobian",
    "core/localization/error_state.py correct residual",
    "core/localization/error_state.py quat_inverse_product left",
    "core/localization/error_state.py quat_inverse_product right",
    "core/localization/error_state.py replace_latest quat_wxyz",
    "core/mapping/elevation_map.py from_arrays arrays",
    "core/mapping/elevation_map.py update pose_covariance",
    "core/mapping/step_height.py step_height offsets",
    "core/mapping/step_height.py step_height slope_x",
    "core/mapping/step_height.py step_height slope_y",
    "core/planning/grid_planner.py path_cost cost",
    "core/planning/grid_planner.py plan_path previous",
    "core/planning/path_geometry.py polyline_cost factor",
    "core/planning/path_geometry.py resample points",
    "core/planning/path_geometry.py smooth factor",
    "core/planning/path_geometry.py smooth points",
    "core/planning/path_geometry.py straighten factor",
    "core/planning/search.py search factor",
    "core/terrain/corridor.py rocks_in_swath goal_xy_m",
    "core/terrain/corridor.py rocks_in_swath start_xy_m",
    "core/terrain/dem.py contains xy_m",
    "core/terrain/rock_sources.py area_share diameter_m",
    "core/terrain/rock_sources.py count_density diameter_m",
    "core/terrain/rock_sources.py draw_all box",
    "core/terrain/rocks.py select keep",
    "core/types.py contains xy_m",
    "robots/localization_step.py relocate T_map_base",
    "robots/steps.py on_traversability T_map_odom",
    "robots/steps.py on_traversability cost",
    "robots/steps.py step T_map_base",
}
"""Known to be silent; the list may only grow shorter."""


def public(tree: ast.AST, private: bool = False) -> Iterator[ast.FunctionDef]:
    for node in getattr(tree, "body", ()):
        hidden = private or getattr(node, "name", "").startswith("_")
        if isinstance(node, ast.ClassDef):
            yield from public(node, hidden)
        elif isinstance(node, ast.FunctionDef) and not hidden:
            yield node


def silent(path: Path) -> Iterator[str]:
    """``function argument`` of array arguments without a shape or without a unit."""
    for function in public(ast.parse(path.read_text(encoding="utf-8"))):
        if any("njit" in ast.unparse(decorator) for decorator in function.decorator_list):
            continue
        doc = ast.get_docstring(function) or ""
        every = function.args
        for arg in (*every.posonlyargs, *every.args, *every.kwonlyargs):
            if arg.annotation is None or not ARRAY.search(ast.unparse(arg.annotation)):
                continue
            own = re.search(rf"^ *{arg.arg}: (.*(?:\n {{5,}}.*)*)", doc, re.MULTILINE)
            text = own.group(1) if own else doc
            unit = UNIT_IN_NAME.search(arg.arg) or NO_UNIT.search(arg.arg)
            if not SHAPE.search(text) or not (unit or UNIT_WORD.search(text)):
                yield f"{function.name} {arg.arg}"


def test_array_arguments_of_public_functions_name_shape_and_unit() -> None:
    found = {
        f"{path.relative_to(PACKAGE)} {name}"
        for box in ("core", "robots")
        for path in sorted((PACKAGE / box).rglob("*.py"))
        for name in silent(path)
    }
    assert sorted(found - GAPS) == [], "say shape and unit, as CONTRIBUTING.md asks"
    assert sorted(GAPS - found) == [], "no longer silent: take them out of the list"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(N, 3) metres", True),
        ("(rows, cols) float32", True),
        ("(2 * N, 4)", True),
        ("(..., 4) quaternions", True),
        ("some points (see there for more)", False),
        ("points", False),
    ],
)
def test_what_counts_as_a_shape(text: str, found: bool) -> None:
    assert bool(SHAPE.search(text)) == found
