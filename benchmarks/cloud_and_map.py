"""Cloud decoding, map fusion and hazards beside what teams would otherwise write, on one core.

Every row has the same input on both sides. Fusion peers only bin points: they get the transform,
the mask and the cell index, but no gate, no noise model and no filter, which ours includes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from ilrs_robots.core.cloud import deskew as deskewing
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.grid_map import to_grid_map_arrays
from ilrs_robots.core.io.occupancy import cost_to_occupancy
from ilrs_robots.core.io.pointcloud2 import PointField, decode_cloud, encode_cloud, structured_view
from ilrs_robots.core.mapping import elevation_map, traversability
from ilrs_robots.core.mapping.elevation_map import LAYER_NAMES, ElevationMap, ElevationMapConfig
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.types import Cloud

LIDAR = Path(__file__).resolve().parents[2] / "shared" / "data" / "lidar"
T_ODOM_LIDAR = se3.from_rpy((3.0, 2.0, 1.8), (0.01, 0.02, 0.3))
CONFIG = ElevationMapConfig(range_min_m=0.5, range_max_m=60.0)
FUSION = dataclasses.replace(CONFIG, visibility=False, drift_compensation=False)
LIMITS = VehicleLimits(np.radians(20.0), 0.24, 0.12, 2.6, 2.1)
FIELDS = [PointField(name, 4 * k, 7, 1) for k, name in enumerate(("x", "y", "z", "intensity"))]
FIELDS.append(PointField("t", 16, 6, 1))
STEP = 32
IMAGE = Path(__file__).resolve().parents[1] / "docs" / "images" / "map_scaling.png"
"""Where the plot of time against size goes."""


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, so that peers with thread pools run like for like."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def times_ms(work: Callable[[], Any], repeats: int) -> list[float]:
    """Durations of warm runs."""
    work()
    work()
    out = []
    for _ in range(repeats):
        begin = perf_counter()
        work()
        out.append((perf_counter() - begin) * 1e3)
    return out


def pair_ms(
    ours: Callable[[], Any], peer: Callable[[], Any], repeats: int
) -> tuple[list[float], list[float]]:
    """Durations of warm runs in turn, so that a busy machine slows both alike."""
    both: tuple[list[float], list[float]] = ([], [])
    for k in range(repeats + 2):
        for work, out in zip((ours, peer), both, strict=True):
            begin = perf_counter()
            work()
            if k > 1:
                out.append((perf_counter() - begin) * 1e3)
    return both


def row(
    what: str,
    ours: list[float],
    peer: str = "",
    theirs: list[float] | None = None,
    points: int = 0,
) -> dict[str, Any]:
    """One line of the table."""
    ours_ms = median(ours)
    peer_ms = median(theirs) if theirs else None
    line: dict[str, Any] = {
        "work": what,
        "ours_ms": ours_ms,
        "ours_p95_ms": float(np.percentile(ours, 95)),
        "peer": peer,
        "peer_ms": peer_ms,
        "ratio": peer_ms / ours_ms if peer_ms is not None else None,
    }
    if points:
        line["ours_mpoints_per_s"] = points / ours_ms * 1e-3
    return line


def real_scan() -> np.ndarray:
    """(N, 3) float32 of a real 128-beam scan, or of a generated one of the same size."""
    if LIDAR.is_dir():
        raw = np.load(LIDAR / "os1_128_scan0.npy")
        return np.stack([raw[axis] for axis in "xyz"], axis=1).astype(np.float32)
    return scan_of_flat_ground(875, 123)


def scan_of_flat_ground(columns: int, channels: int) -> np.ndarray:
    """(columns * channels, 3) in scan order, ring by ring, from 1.8 m above rough ground."""
    rng = np.random.default_rng(0)
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns, endpoint=False),
        np.radians(np.linspace(-45.0, -5.2, channels)),
    )
    reach = 1.8 / np.sin(-elevation)
    points = np.stack(
        (
            reach * np.cos(elevation) * np.cos(azimuth),
            reach * np.cos(elevation) * np.sin(azimuth),
            reach * np.sin(elevation),
        ),
        axis=-1,
    ).reshape(-1, 3)
    return (points + rng.normal(0.0, 0.01, points.shape)).astype(np.float32)


def indexed(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell and height of each point inside the window: transform, mask, index, with arrays."""
    rotation = T_ODOM_LIDAR[:3, :3].astype(np.float32)
    square = np.einsum("ij,ij->i", points, points)
    keep = (square >= CONFIG.range_min_m**2) & (square <= CONFIG.range_max_m**2)
    world = points @ rotation.T + T_ODOM_LIDAR[:3, 3].astype(np.float32)
    col = np.floor((world[:, 0] - 3.0) * 10.0 + 200.5).astype(np.int32)
    row_ = np.floor((world[:, 1] - 2.0) * 10.0 + 200.5).astype(np.int32)
    keep &= (col >= 0) & (col < 400) & (row_ >= 0) & (row_ < 400)
    return (row_ * 400 + col)[keep], world[keep, 2]


def bincounts(points: np.ndarray) -> None:
    """Count, sum and sum of squares per cell."""
    cell, z = indexed(points)
    np.bincount(cell, minlength=160_000)
    np.bincount(cell, z, 160_000)
    np.bincount(cell, z * z, 160_000)


def binned_statistics(points: np.ndarray) -> None:
    """Mean and maximum per cell, by scipy."""
    from scipy.stats import binned_statistic_2d

    rotation = T_ODOM_LIDAR[:3, :3].astype(np.float32)
    world = points @ rotation.T + T_ODOM_LIDAR[:3, 3].astype(np.float32)
    edges = [[3.0 - 20.05, 3.0 + 19.95], [2.0 - 20.05, 2.0 + 19.95]]
    for statistic in ("mean", "max"):
        binned_statistic_2d(
            world[:, 0], world[:, 1], world[:, 2], statistic, bins=400, range=edges
        )


def fusion_peers(points: np.ndarray) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What else bins points, where it is installed."""
    yield "numpy bincount x3, same transform and index", lambda: bincounts(points)
    yield "scipy binned_statistic_2d mean + max", lambda: binned_statistics(points)
    try:
        import open3d
    except (ImportError, OSError):
        pass
    else:
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points.astype(float)))
        yield "open3d voxel_down_sample", lambda: cloud.voxel_down_sample(0.1)
    try:
        import small_gicp
    except (ImportError, OSError):
        return
    cloud64 = small_gicp.PointCloud(points.astype(float))
    yield "small_gicp voxelgrid_sampling", lambda: small_gicp.voxelgrid_sampling(cloud64, 0.1)


def decoding(repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of the message layer."""
    count = 131_072
    rng = np.random.default_rng(0)
    data = bytearray(count * STEP)
    message = (data, 1, count, FIELDS, STEP, count * STEP, False)
    view = structured_view(*message)
    for axis in "xyz":
        view[axis] = rng.normal(size=count)
    view["t"] = np.arange(count)

    def gather() -> None:
        read = np.frombuffer(data, view.dtype)
        xyz = np.stack([read[axis] for axis in "xyz"], axis=1)
        keep = np.isfinite(xyz).all(axis=1)
        _ = xyz[keep], read["intensity"][keep], read["t"][keep].astype(np.int64)

    dtype = {
        "names": [f.name for f in FIELDS],
        "formats": ["<f4"] * 4 + ["<u4"],
        "offsets": [f.offset for f in FIELDS],
        "itemsize": STEP,
    }
    view_times = pair_ms(
        lambda: structured_view(*message),
        lambda: np.frombuffer(data, np.dtype(dtype)),
        10 * repeats,
    )
    gather_times = pair_ms(lambda: decode_cloud(*message, 0, "lidar"), gather, repeats)
    yield row(
        "PointCloud2 view, 131072 points",
        view_times[0],
        "numpy.frombuffer with a dtype built per message",
        view_times[1],
    )
    yield row(
        "PointCloud2 gathered, 131072 points",
        gather_times[0],
        "numpy: stack columns, mask what is not finite",
        gather_times[1],
        count,
    )
    cloud = decode_cloud(*message, 0, "lidar")
    yield row("PointCloud2 encode, 131072 points", times_ms(lambda: encode_cloud(cloud), repeats))


def fusion(repeats: int, quick: bool) -> Iterator[dict[str, Any]]:
    """Rows of the elevation map's update: transform, gate, variance and filter per cell."""
    million = scan_of_flat_ground(8192, 123)[:1_000_000]
    shuffled = million[np.random.default_rng(1).permutation(len(million))]
    works = {"real 107k scan": real_scan(), "1.0M points in scan order": million}
    if not quick:
        works["1.0M points shuffled"] = shuffled
    for what, points in works.items():
        built = ElevationMap(FUSION, (3.0, 2.0))
        for label, peer in fusion_peers(points):
            few = repeats if label.startswith("numpy") else max(repeats // 5, 3)
            ours, theirs = pair_ms(
                lambda p=points, m=built: m.update(p, T_ODOM_LIDAR, 0), peer, few
            )
            yield row(f"fuse {what} into 400 x 400", ours, label, theirs, len(points))


def full_updates(repeats: int, quick: bool) -> Iterator[dict[str, Any]]:
    """Rows of the whole update on all cores.

    The same scan from ever other places is a world that moves along: much of it contradicts the
    map. What two scans of one street, in turn from their true poses, see is what stands there.
    """
    million = scan_of_flat_ground(8192, 123)[:1_000_000]
    what = "full update of {}: move, fuse, age, {}, two cores"
    for part, config in (("drift, see through", CONFIG), ("fusion alone", FUSION)):
        for name, points in (("a real 107k scan", real_scan()), ("1.0M points", million)):
            times = moving_updates(points, 2 * repeats, config)
            yield row(what.format(name, part), times, points=len(points))
    if LIDAR.is_dir():
        times = standing_updates(2 * repeats)
        yield row(what.format("two real 107k scans in turn", "drift, see through"), times)
    yield from scaling(repeats, None if quick else IMAGE)


def standing_updates(repeats: int) -> list[float]:
    """Durations of updates by two real scans of one place, half a metre of window moved each."""
    import small_gicp

    raw = [np.load(LIDAR / f"os1_128_scan{k}.npy") for k in (0, 1)]
    scans = [np.stack([r[axis] for axis in "xyz"], axis=1).astype(np.float32) for r in raw]
    found = small_gicp.align(
        scans[0].astype(float), scans[1].astype(float), downsampling_resolution=0.25
    )
    poses = (T_ODOM_LIDAR, T_ODOM_LIDAR @ found.T_target_source)
    built, out = ElevationMap(CONFIG), []
    for k in range(repeats + 4):
        middle = poses[k % 2][:2, 3] + 0.5 * (k % 2)
        begin = perf_counter()
        built.recentre(middle)
        built.update(scans[k % 2], poses[k % 2], k * 100_000_000)
        out.append((perf_counter() - begin) * 1e3)
    return out[4:]


def moving_updates(
    points: np.ndarray, repeats: int, config: ElevationMapConfig = CONFIG
) -> list[float]:
    """Durations of move and update along a drive of 0.1 m a scan."""
    built, out = ElevationMap(config), []
    for k in range(repeats + 3):
        pose = T_ODOM_LIDAR.copy()
        pose[:2, 3] = (0.1 * k, 0.05 * k)
        begin = perf_counter()
        built.recentre(pose[:2, 3])
        built.update(points, pose, k * 100_000_000)
        out.append((perf_counter() - begin) * 1e3)
    return out[3:]


def moves(repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of a move by 1, 10 and 100 rows or columns of a 400 x 400 map."""
    built = ElevationMap(CONFIG)
    for name, axis in (("rows", 1), ("columns", 0)):
        for cells in (1, 10, 100):
            place, out = np.zeros(2), []
            for _ in range(repeats):
                place[axis] += 0.1 * cells
                begin = perf_counter()
                built.recentre(place)
                out.append((perf_counter() - begin) * 1e3)
            yield row(f"move by {cells} {name}: {400 * cells} cells enter", out)


def scaling(repeats: int, image: Path | None) -> Iterator[dict[str, Any]]:
    """Rows of the full update over a decade of points and a decade of cells, and their plot."""
    dense = scan_of_flat_ground(8192, 123)[:1_000_000]
    few = max(repeats // 3, 5)
    by_points = {}
    for count in (100_000, 200_000, 500_000, 1_000_000):
        every = len(dense) // count
        by_points[count] = median(moving_updates(np.ascontiguousarray(dense[::every]), few))
        yield row(f"full update of {count} points, 400 x 400", [by_points[count]])
    by_cells = {}
    for size in (200, 280, 400, 632):
        config = dataclasses.replace(CONFIG, size_cells=size, resolution_m=40.0 / size)
        by_cells[size * size] = median(moving_updates(real_scan(), few, config))
        yield row(f"full update of a real 107k scan, {size} x {size}", [by_cells[size * size]])
    if image is not None:
        plot_scaling(by_points, by_cells, image)


def plot_scaling(by_points: dict[int, float], by_cells: dict[int, float], image: Path) -> None:
    """Time against size, with the straight line of least squares."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    works = (("points, 400 x 400 cells", by_points), ("cells, real 107k scan", by_cells))
    for axes, (what, times) in zip(figure.subplots(1, 2), works, strict=True):
        sizes, spent = np.array(list(times)), np.array(list(times.values()))
        slope, offset = np.polyfit(sizes, spent, 1)
        axes.plot(sizes, spent, "o")
        axes.plot(sizes, offset + slope * sizes, "-", label=f"{1e6 * slope:.1f} ns each")
        axes.set(xlabel=what, ylabel="full update, ms", ylim=(0.0, None), xlim=(0.0, None))
        axes.legend()
    figure.savefig(image, dpi=110)


def box_filter_planes(heights: np.ndarray) -> None:
    """Plane fit of a full grid by box filters: what remains when there are no unknown cells."""
    y, x = np.mgrid[:400, :400].astype(np.float64)
    known = np.isfinite(heights).astype(np.float64)
    z = np.where(known > 0, heights, 0.0)
    for value in (known, z, z * x, z * y, z * z, known * x, known * y, known * x * x,
                  known * x * y, known * y * y):  # fmt: skip
        cv2.boxFilter(value, -1, (15, 15), normalize=False)


def layers(repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of what follows from the map, on a map of a real scan."""
    built = ElevationMap(CONFIG, (3.0, 2.0))
    for k in range(5):
        built.update(real_scan(), T_ODOM_LIDAR, k)
    ground, upper = built.layer("elevation"), built.layer("upper_bound")
    yield row(
        "hazard layers and cost, 400 x 400",
        times_ms(
            lambda: traversability.traversability(ground, 0.1, LIMITS, upper_bound=upper), repeats
        ),
        "ten cv2 box filters of a plane fit alone, no step or cost",
        times_ms(lambda: box_filter_planes(ground), repeats),
    )
    hazards = traversability.traversability(ground, 0.1, LIMITS, upper_bound=upper)
    content = {name: built.layer(name) for name in LAYER_NAMES} | {"cost": hazards.cost}
    spec = built.spec
    yield row(
        "GridMap encode, 400 x 400 x 6",
        times_ms(lambda: to_grid_map_arrays(content, spec), repeats),
    )
    yield row(
        "OccupancyGrid encode, 400 x 400",
        times_ms(lambda: cost_to_occupancy(hazards.cost, spec), repeats),
    )
    points = real_scan()
    offsets = np.linspace(0, 99_000_000, len(points)).astype(np.int64)
    cloud = Cloud(0, "lidar", points, offsets)
    knots = np.linspace(0, 100_000_000, 9).astype(np.int64)
    quats = np.array([se3.quat_from_rpy(0.0, 0.0, 0.01 * k) for k in range(9)])
    yield row(
        "deskew a real 107k scan",
        times_ms(
            lambda: deskewing.deskew(cloud, knots, np.zeros((9, 3)), quats, 100_000_000), repeats
        ),
    )


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; medians of warm runs, on one core where nothing else is said."""
    repeats = 7 if quick else 31
    with one_core():
        for module in (elevation_map, traversability, deskewing):
            module.warm_up()
        rows = [*decoding(repeats), *fusion(repeats, quick), *moves(repeats)]
    rows += full_updates(repeats, quick)
    with one_core():
        rows += layers(repeats)
    return {"name": "Clouds and terrain map", "unit": "ms", "rows": rows}


if __name__ == "__main__":
    import json
    import sys

    json.dump(run("--quick" in sys.argv), sys.stdout, indent=1)
