"""PointCloud2: any layout is read without copying, anything else is refused with a reason."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import InvalidCloudError, MessageLayoutError
from ilrs_robots.core.io.pointcloud2 import (
    PointField,
    decode_cloud,
    encode_cloud,
    structured_view,
)
from ilrs_robots.core.types import Cloud

LIDAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "lidar"
CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
STAMP = 1_700_000_000_123_456_789


def layout(*columns: tuple[str, str], order: str = "<", step: int | None = None):
    """Fields, point_step and dtype of columns that follow one another."""
    fields, offset, formats = [], 0, {"names": [], "formats": [], "offsets": []}
    for name, kind in columns:
        fields.append(PointField(name, offset, CODES[kind], 1))
        formats["names"].append(name)
        formats["formats"].append(order + kind)
        formats["offsets"].append(offset)
        offset += np.dtype(kind).itemsize
    formats["itemsize"] = step or offset
    return fields, formats["itemsize"], np.dtype(formats)


XYZ = (("x", "f4"), ("y", "f4"), ("z", "f4"))


def decode(points: np.ndarray, fields, order: str = "<", stamp_ns: int = STAMP) -> Cloud:
    step = points.dtype.itemsize
    return decode_cloud(
        points.tobytes(), 1, points.size, fields, step, step * points.size, order == ">",
        stamp_ns, "lidar",
    )  # fmt: skip


def filled(dtype: np.dtype, count: int = 5) -> np.ndarray:
    points = np.zeros(count, dtype)
    for k, axis in enumerate("xyz"):
        points[axis] = np.arange(count) + 10 * k
    return points


@st.composite
def layouts(draw):
    """A random layout, its points and how they are laid into rows."""
    extra = draw(st.lists(st.sampled_from(sorted(CODES)), max_size=4))
    columns = [(axis, draw(st.sampled_from(["f4", "f8", "i2", "i4"]))) for axis in "xyz"]
    columns += [(f"c{k}", kind) for k, kind in enumerate(extra)]
    columns = draw(st.permutations(columns))
    order = draw(st.sampled_from("<>"))
    names, formats, offsets, fields, offset = [], [], [], [], draw(st.integers(0, 5))
    for name, kind in columns:
        names.append(name)
        formats.append(order + kind)
        offsets.append(offset)
        fields.append(PointField(name, offset, CODES[kind], draw(st.sampled_from([0, 1]))))
        offset += np.dtype(kind).itemsize + draw(st.integers(0, 5))
    dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": offset})
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    row_step = width * offset + draw(st.integers(0, 7))
    return fields, dtype, order, height, width, row_step, draw(st.integers(0, 2**31))


@settings(max_examples=150, deadline=None)
@given(layouts())
def test_any_layout_reads_back_what_was_written(drawn):
    fields, dtype, order, height, width, row_step, seed = drawn
    rng = np.random.default_rng(seed)
    buffer = bytearray(rng.bytes(row_step * height))
    written = np.ndarray((height, width), dtype, buffer, strides=(row_step, dtype.itemsize))
    for name in dtype.names:
        written[name] = rng.integers(-100, 100, (height, width)).astype(dtype[name])
    view = structured_view(buffer, height, width, fields, dtype.itemsize, row_step, order == ">")
    assert np.shares_memory(view, np.frombuffer(buffer, np.uint8))
    for name in dtype.names:
        np.testing.assert_array_equal(view[name], written[name])
    cloud = decode_cloud(
        bytes(buffer), height, width, fields, dtype.itemsize, row_step, order == ">", 7, "f"
    )
    expected = np.stack([written[a].ravel().astype(np.float32) for a in "xyz"], axis=1)
    np.testing.assert_array_equal(cloud.xyz_m, expected)
    assert cloud.xyz_m.dtype == np.float32
    assert cloud.xyz_m.flags.c_contiguous
    assert (cloud.stamp_ns, cloud.frame_id) == (7, "f")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: array("B", b)])
def test_any_buffer_will_do(kind):
    fields, step, dtype = layout(*XYZ)
    view = structured_view(kind(filled(dtype).tobytes()), 1, 5, fields, step, 5 * step, False)
    assert view.shape == (1, 5)
    np.testing.assert_array_equal(view["y"][0], np.arange(5) + 10)


def test_array_columns_and_pcl_padding_are_read():
    fields = [PointField("x", 0, 7, 1), PointField("y", 4, 7, 1), PointField("z", 8, 7, 1),
              PointField("_", 12, 2, 4), PointField("_", 16, 2, 4), PointField("", 20, 2, 1),
              PointField("normal", 16, 7, 3)]  # fmt: skip
    raw = np.arange(14, dtype="<f4").tobytes()
    view = structured_view(raw, 1, 2, fields, 28, 56, False)
    assert view.dtype.names == ("x", "y", "z", "normal")
    np.testing.assert_array_equal(view["normal"][0], [[4, 5, 6], [11, 12, 13]])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"point_step": 11}, "point_step"),
        ({"point_step": 0}, "point_step"),
        ({"point_step": 2**32 - 1}, "point_step"),
        ({"data": b"\0" * 59}, "truncated"),
        ({"width": 10**8}, "truncated"),
        ({"height": 10**8, "width": 10**8, "row_step": 12 * 10**8}, "truncated"),
        ({"width": -1}, "negative_size"),
        ({"height": -1}, "negative_size"),
        ({"row_step": -60}, "negative_size"),
        ({"height": 2, "row_step": 20}, "row_step"),
        ({"fields": [PointField(a, 4 * k, 7, 1) for k, a in enumerate("xy")]}, "missing_xyz"),
        ({"fields": []}, "missing_xyz"),
        ({"fields": [PointField(a, 0, 7, 1) for a in "xyzz"]}, "duplicate_field"),
        ({"fields": [PointField(a, 0, 9, 1) for a in "xyz"]}, "datatype"),
        ({"fields": [PointField(a, -4, 7, 1) for a in "xyz"]}, "point_step"),
        ({"fields": [PointField(a, 0, 7, 10**9) for a in "xyz"]}, "point_step"),
        ({"fields": [PointField(a, 0, 7, 2) for a in "xyz"]}, "missing_xyz"),
    ],
)
def test_what_the_bytes_do_not_hold_is_refused(changed, reason):
    good = {
        "data": b"\0" * 60, "height": 1, "width": 5, "point_step": 12, "row_step": 60,
        "fields": [PointField(a, 4 * k, 7, 1) for k, a in enumerate("xyz")],
        "is_bigendian": False, "stamp_ns": 0, "frame_id": "lidar",
    }  # fmt: skip
    decode_cloud(**good)
    claimed = good | changed
    if claimed["point_step"] == 0:
        claimed["fields"] = []
    with pytest.raises(MessageLayoutError) as caught:
        decode_cloud(**claimed)
    assert caught.value.reason == reason


def test_empty_and_all_nan_have_their_own_reason():
    fields, _, dtype = layout(*XYZ)
    with pytest.raises(InvalidCloudError) as caught:
        decode(np.empty(0, dtype), fields)
    assert caught.value.reason == "empty"
    points = filled(dtype)
    points["y"] = np.nan
    with pytest.raises(InvalidCloudError) as caught:
        decode(points, fields)
    assert caught.value.reason == "all_nan"


def test_one_keep_drops_a_point_from_every_column():
    fields, _, dtype = layout(*XYZ, ("intensity", "f4"), ("t", "u4"))
    points = filled(dtype, 6)
    points["intensity"], points["t"] = np.arange(6) * 2, np.arange(6) * 3
    points["x"][1], points["y"][3], points["z"][5] = np.nan, np.inf, -np.inf
    cloud = decode(points, fields)
    kept = np.array([0, 2, 4])
    np.testing.assert_array_equal(cloud.xyz_m[:, 0], kept)
    np.testing.assert_array_equal(cloud.intensity, kept * 2)
    np.testing.assert_array_equal(cloud.time_offset_ns, kept * 3)


def test_a_double_too_large_for_float32_is_not_finite():
    fields, _, dtype = layout(("x", "f8"), ("y", "f8"), ("z", "f8"))
    points = filled(dtype)
    points["x"][2] = 1e300
    assert decode(points, fields).xyz_m.shape == (4, 3)


OFFSETS_NS = np.array([0, 25_000_000, 50_000_000, 75_000_000, 99_999_000])


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("t", "u4", OFFSETS_NS),  # Ouster
        ("time_offset", "u4", OFFSETS_NS),
        ("offset_time", "u4", OFFSETS_NS),  # Livox
        ("time", "f4", OFFSETS_NS * 1e-9),  # Velodyne
        ("timestamp", "f8", STAMP * 1e-9 + OFFSETS_NS * 1e-9),  # Hesai, RoboSense
        ("timestamp", "f8", np.float64(STAMP) + OFFSETS_NS),  # Livox, nanoseconds
        ("timestamp", "f8", STAMP * 1e-3 + OFFSETS_NS * 1e-3),  # microseconds
        ("timestamp", "u4", OFFSETS_NS),
        ("time_stamp", "u4", OFFSETS_NS),  # Nebula
        ("time_offset_ns", "i4", OFFSETS_NS),  # Aeva
        ("time_offset_ns", "f8", OFFSETS_NS),
        ("t", "f4", OFFSETS_NS * 1e-9),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_time_conventions(name, kind, values, order):
    fields, _, dtype = layout(*XYZ, (name, kind), order=order)
    points = filled(dtype)
    points[name] = values
    offset = decode(points, fields, order).time_offset_ns
    assert offset.dtype == np.int64
    # float64 seconds since 1970 resolve 240 ns
    np.testing.assert_allclose(offset, OFFSETS_NS, atol=600 if kind == "f8" else 8)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0], ids=["s", "us", "ns"])
def test_an_absolute_time_keeps_its_unit_in_simulated_time(unit):
    fields, _, dtype = layout(*XYZ, ("timestamp", "f8"))
    points = filled(dtype)
    stamp_ns = 12_300_000_000
    points["timestamp"] = (stamp_ns + OFFSETS_NS) * unit
    offset = decode(points, fields, stamp_ns=stamp_ns).time_offset_ns
    np.testing.assert_allclose(offset, OFFSETS_NS, atol=8)


def test_velodyne_times_may_be_before_the_stamp():
    fields, _, dtype = layout(*XYZ, ("time", "f4"))
    points = filled(dtype)
    points["time"] = -0.05
    np.testing.assert_allclose(decode(points, fields).time_offset_ns, -50_000_000, atol=5)


def test_a_clock_that_is_not_the_headers_is_refused():
    fields, _, dtype = layout(*XYZ, ("timestamp", "f8"))
    points = filled(dtype)
    points["timestamp"] = 123.0
    with pytest.raises(InvalidCloudError, match=r"s away from the header stamp") as caught:
        decode(points, fields)
    assert caught.value.reason == "point_time"


def test_a_point_whose_time_is_not_finite_goes():
    fields, _, dtype = layout(*XYZ, ("time", "f4"))
    points = filled(dtype)
    points["time"][2] = np.nan
    cloud = decode(points, fields)
    np.testing.assert_array_equal(cloud.xyz_m[:, 0], [0, 1, 3, 4])
    assert cloud.time_offset_ns.shape == (4,)


@pytest.mark.parametrize("with_time", [True, False])
@pytest.mark.parametrize("with_intensity", [True, False])
def test_encoding_round_trips(with_time, with_intensity):
    rng = np.random.default_rng(0)
    cloud = Cloud(
        STAMP,
        "lidar",
        rng.normal(size=(50, 3)).astype(np.float32),
        rng.integers(0, 2**32, 50) if with_time else None,
        rng.random(50, dtype=np.float32) if with_intensity else None,
    )
    fields, step, data = encode_cloud(cloud)
    assert isinstance(data, array)
    assert data.typecode == "B"
    stamp_limit = 10_000_000_000
    assert cloud.time_offset_ns is None or cloud.time_offset_ns.max() < stamp_limit
    back = decode_cloud(data, 1, 50, fields, step, 50 * step, False, STAMP, "lidar")
    for name in ("xyz_m", "time_offset_ns", "intensity"):
        np.testing.assert_array_equal(getattr(back, name), getattr(cloud, name))


def test_encoding_refuses_what_does_not_fit():
    xyz = np.zeros((2, 3), np.float32)
    with pytest.raises(InvalidCloudError, match="uint32"):
        encode_cloud(Cloud(0, "lidar", xyz, np.array([0, -1])))
    with pytest.raises(InvalidCloudError, match="shape"):
        encode_cloud(Cloud(0, "lidar", np.zeros((2, 4), np.float32)))
    fields, step, data = encode_cloud(Cloud(0, "lidar", np.zeros((0, 3), np.float32)))
    assert (len(fields), step, len(data)) == (3, 12, 0)


@pytest.mark.skipif(not LIDAR.is_dir(), reason="the real scans are not there")
def test_real_scans_with_unaligned_points():
    for name, count in (("os1_128_scan0", 107_647), ("os1_128_scan1", 107_357)):
        scan = np.load(LIDAR / f"{name}.npy")
        codes = {"<f4": 7, "<u4": 6, "<u2": 4}
        fields = [
            PointField(column, offset, codes[kind.str], 1)
            for column, (kind, offset) in scan.dtype.fields.items()
        ]
        cloud = decode(scan, fields)
        assert scan.dtype.itemsize == 22
        assert cloud.xyz_m.shape == (count, 3)
        np.testing.assert_array_equal(cloud.xyz_m[:, 2], scan["z"])
        assert cloud.time_offset_ns.min() >= 0
        assert cloud.time_offset_ns.max() < 100_000_000
