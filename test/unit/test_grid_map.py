"""GridMap contents: values land where grid_map's convention says, and come back."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.io.grid_map import GridMapArrays, from_grid_map, to_grid_map_arrays
from ilrs_robots.core.types import GridSpec

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "data" / "bags" / "grid_map_golden.bag"
SPEC = GridSpec(10.05, -3.45, 0.1, 4, 6)


def position_of(content: GridMapArrays, row: int, col: int) -> tuple[float, float]:
    """Where grid_map puts index (row, col): from the corner of highest x and y downwards."""
    half = 0.5 * content.resolution
    x = content.position[0] + 0.5 * content.length_x - half - row * content.resolution
    y = content.position[1] + 0.5 * content.length_y - half - col * content.resolution
    return x, y


def test_every_value_is_where_the_convention_says():
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    layers = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    content = to_grid_map_arrays(layers, SPEC)
    assert content.layers == ("x", "y")
    assert (content.length_x, content.length_y) == pytest.approx((0.6, 0.4))
    assert content.dims == (("column_index", 4, 24), ("row_index", 6, 6))
    assert (content.outer_start_index, content.inner_start_index) == (0, 0)
    for data in content.data:
        assert isinstance(data, array)
        assert data.typecode == "f"
    for row in range(6):
        for col in range(4):
            at = row + col * 6  # Eigen stores column by column
            expected = position_of(content, row, col)
            assert (content.data[0][at], content.data[1][at]) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31), st.booleans(),
    st.floats(-1e5, 1e5), st.floats(0.01, 5.0),
)  # fmt: skip
def test_round_trip_with_any_start_index_and_order(rows, cols, seed, row_major, origin, step):
    rng = np.random.default_rng(seed)
    spec = GridSpec(origin, -origin, step, rows, cols)
    layers = {name: rng.normal(size=spec.shape).astype(np.float32) for name in ("a", "b")}
    layers["a"][rng.random(spec.shape) < 0.3] = np.nan
    content = to_grid_map_arrays(layers, spec)
    outer, inner = int(rng.integers(cols)), int(rng.integers(rows))
    data = []
    for flat in content.data:
        matrix = np.asarray(flat).reshape(rows, cols).T  # grid_map's matrix: (along x, along y)
        circular = np.empty_like(matrix)
        for i in range(cols):
            for j in range(rows):
                circular[(i + outer) % cols, (j + inner) % rows] = matrix[i, j]
        data.append(circular.ravel() if row_major else circular.T.ravel())
    rolled = content._replace(
        data=tuple(data),
        dims=content.dims[::-1] if row_major else content.dims,
        outer_start_index=outer,
        inner_start_index=inner,
    )
    back, back_spec = from_grid_map(rolled)
    for name, values in layers.items():
        np.testing.assert_array_equal(back[name], values)
    assert back_spec.shape == spec.shape
    assert back_spec.origin_x_m == pytest.approx(spec.origin_x_m, abs=1e-9 + 1e-12 * abs(origin))
    assert back_spec.origin_y_m == pytest.approx(spec.origin_y_m, abs=1e-9 + 1e-12 * abs(origin))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"position": (float("inf"), 0.0)}, "resolution"),
        ({"length_x": 1e9}, "size"),
        ({"length_x": 0.0}, "size"),
        ({"length_y": -1.0}, "size"),
        ({"layers": ("a", "b")}, "layers"),
        ({"data": (np.zeros(23, np.float32),)}, "truncated"),
        ({"outer_start_index": 6}, "start_index"),
        ({"inner_start_index": -1}, "start_index"),
        ({"dims": (("column_index", 6, 24), ("row_index", 4, 4))}, "dims"),
        ({"dims": ()}, "dims"),
    ],
)
def test_what_does_not_fit_is_refused(changed, reason):
    content = to_grid_map_arrays({"a": np.zeros(SPEC.shape, np.float32)}, SPEC)
    from_grid_map(content)
    with pytest.raises(MessageLayoutError) as caught:
        from_grid_map(content._replace(**changed))
    assert caught.value.reason == reason


def test_a_layer_off_the_grid_is_refused():
    with pytest.raises(MessageLayoutError, match="layer 'a' has shape"):
        to_grid_map_arrays({"a": np.zeros((6, 4), np.float32)}, SPEC)


def golden() -> GridMapArrays:
    from rosbags.rosbag1 import Reader
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Reader(GOLDEN) as reader:
        connection, _, raw = next(iter(reader.messages()))
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        msg = store.deserialize_ros1(raw, connection.msgtype)
    place = msg.info.pose.position
    return GridMapArrays(
        msg.info.resolution,
        msg.info.length_x,
        msg.info.length_y,
        (place.x, place.y),
        tuple(msg.layers),
        tuple(item.data for item in msg.data),
        tuple((d.label, d.size, d.stride) for d in msg.data[0].layout.dim),
        msg.outer_start_index,
        msg.inner_start_index,
    )


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the golden bag is not there")
def test_the_map_that_grid_map_wrote():
    content = golden()
    layers, spec = from_grid_map(content)
    heights = layers["elevation"]
    assert spec.shape == (120, 40)
    assert np.isnan(heights).mean() == pytest.approx(0.81, abs=0.01)
    raw = content.data[0]
    for row in range(40):
        for col in range(0, 120, 7):
            ours = spec.cell_of(np.array(position_of(content, row, col)))
            np.testing.assert_array_equal(heights[ours], raw[row + col * 40])
    # the map shows a word; the dots over its letter u stand where x is higher
    dots = [spec.cell_of(np.array(position_of(content, row, 73))) for row in (12, 14, 16)]
    assert [bool(np.isfinite(heights[cell])) for cell in dots] == [True, False, True]
    again = to_grid_map_arrays(layers, spec)
    assert again.dims == content.dims
    assert np.asarray(again.data[0]).tobytes() == raw.tobytes()
    assert again[:3] == pytest.approx(content[:3])
    assert again.position == pytest.approx(content.position)


@pytest.mark.skipif(not GOLDEN.is_file(), reason="the golden bag is not there")
@pytest.mark.parametrize("start", [(0, 0), (17, 0), (0, 101), (39, 119)])
def test_the_map_that_grid_map_wrote_comes_back_to_the_byte_from_any_start(start):
    """Read, turned to our arrays, written again: every byte, wherever its buffer began."""
    content = golden()
    outer, inner = start
    circular = [np.roll(np.reshape(d, (120, 40)), (inner, outer), (0, 1)) for d in content.data]
    moved = content._replace(
        data=tuple(c.ravel() for c in circular), outer_start_index=outer, inner_start_index=inner
    )
    again = to_grid_map_arrays(*from_grid_map(moved))
    for ours, theirs in zip(again.data, content.data, strict=True):
        assert np.asarray(ours).tobytes() == np.asarray(theirs, np.float32).tobytes()
    assert again.layers == content.layers
    assert again.dims == content.dims
