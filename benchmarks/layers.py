"""Layers and hazards of the terrain map beside what teams would otherwise call, on one core.

Everything works on a map of real scans (or generated ones where those are absent). Hidden cells
are taken out of what was seen and compared with what the fillers make of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from cloud_and_map import (
    CONFIG,
    LIDAR,
    LIMITS,
    T_ODOM_LIDAR,
    one_core,
    pair_ms,
    real_scan,
    row,
    times_ms,
)

from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.mapping import elevation_map, layer_shared, traversability
from ilrs_robots.core.mapping.elevation_map import LAYER_NAMES, ElevationMap
from ilrs_robots.core.mapping.filling import fill_holes
from ilrs_robots.core.mapping.hazard_tracker import HazardTracker
from ilrs_robots.core.mapping.layers import LAYERS, LayerContext, compute_layers
from ilrs_robots.core.mapping.normals import Normals, normals

LOLA = LIDAR.parent / "lola_shoemaker_5m_256.tif"
WINDOW_M = 0.5
SMOOTH_M = 0.02


def real_map() -> ElevationMap:
    """A map of five real scans from one place."""
    built = ElevationMap(CONFIG, (3.0, 2.0))
    for k in range(5):
        built.update(real_scan(), T_ODOM_LIDAR, k * 100_000_000)
    return built


def hidden_cells(height: np.ndarray, seed: int, count: int = 150) -> np.ndarray:
    """Blobs of 1 to 5 cells radius around cells whose neighbours are seen."""
    rng = np.random.default_rng(seed)
    seen = np.isfinite(height)
    inner = np.argwhere(cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    y, x = np.mgrid[: height.shape[0], : height.shape[1]]
    out = np.zeros(height.shape, bool)
    for r, c in inner[rng.integers(0, len(inner), count)]:
        out |= np.hypot(y - r, x - c) < rng.uniform(1.0, 5.0)
    return out & seen


def telea(broken: np.ndarray, radius: int) -> tuple[Callable[[], np.ndarray], float, float]:
    """OpenCV's filler on 16 bit: its float form is no better. Also the scale back to metres."""
    unknown = np.isnan(broken)
    low, high = float(np.nanmin(broken)), float(np.nanmax(broken))
    scale = 65535.0 / (high - low)
    image = np.where(unknown, 0.0, (broken - low) * scale).astype(np.uint16)
    mask = unknown.astype(np.uint8)
    return lambda: cv2.inpaint(image, mask, radius, cv2.INPAINT_TELEA), scale, low


def filling(height: np.ndarray, what: str, repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of hole filling: time, and error over five choices of what was hidden."""
    hidden = [hidden_cells(height, seed) for seed in range(5)]
    broken = [np.where(mask, np.nan, height).astype(np.float32) for mask in hidden]

    def rmse(filled: list[np.ndarray]) -> float:
        pairs = zip(filled, hidden, strict=True)
        wrong = np.concatenate([(one - height)[mask] for one, mask in pairs])
        return float(np.sqrt(np.mean(wrong**2)))

    for radius in (1, 3):
        peers = [telea(grid, radius) for grid in broken]
        ours, theirs = pair_ms(lambda: fill_holes(broken[0]), peers[0][0], repeats)
        line = row(f"fill holes, {what}", ours, f"cv2.inpaint TELEA, radius {radius}", theirs)
        line["our_rmse_m"] = rmse([fill_holes(grid) for grid in broken])
        line["peer_rmse_m"] = rmse([peer() / scale + low for peer, scale, low in peers])
        yield line


def real_dem(repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of hole filling in a real lunar DEM, where only what was hidden is unknown."""
    if LOLA.exists():
        heights = read_geotiff(LOLA).heights_m.astype(np.float32)
        yield from filling(heights, "LOLA tile 256 x 256 at 5 m", repeats)


def smooth_part(height: np.ndarray) -> np.ndarray:
    """Cells on smooth ground, judged by the residual to planes of a metre."""
    config = traversability.TraversabilityConfig(plane_window_m=1.0)
    judged = traversability.traversability(height, 0.1, LIMITS, config)
    return np.isfinite(height) & (judged.roughness_m < SMOOTH_M)


def angle_deg(first: Normals, second: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Angles between two fields of unit vectors, whatever their sign."""
    ours = np.stack(first, axis=-1)[where]
    both = np.isfinite(ours).all(axis=1)
    cosine = np.abs(np.einsum("ij,ij->i", ours[both], second[both]))
    return np.degrees(np.arccos(np.minimum(cosine, 1.0)))


def on_grid(points: np.ndarray, vectors: np.ndarray, built: ElevationMap) -> np.ndarray:
    """(rows, cols, 3) one vector per cell of the points on the ground in it, else NaN."""
    height, spec = built.layer("elevation"), built.spec
    out = np.full((*height.shape, 3), np.nan)
    near = spec.contains(points[:, :2])
    at = spec.cell_of(points[near, :2])
    ground = np.abs(points[near, 2] - height[at]) < 0.1
    out[at[0][ground], at[1][ground]] = vectors[near][ground]
    return out


def normals_rows(built: ElevationMap, repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of normals: the peer on the scan, and on the map's own cells."""
    try:
        import open3d
    except (ImportError, OSError):
        return
    height = built.layer("elevation")
    where = smooth_part(height)
    spec = built.spec
    cells = np.argwhere(np.isfinite(height))
    points = np.column_stack((spec.xy_of(*cells.T), height[tuple(cells.T)]))
    scan = real_scan() @ T_ODOM_LIDAR[:3, :3].T + T_ODOM_LIDAR[:3, 3]
    for what, xyz in (("the scan, 107k points", scan), ("the known cells as points", points)):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz.astype(float)))
        search = open3d.geometry.KDTreeSearchParamKNN(20)

        def peer(cloud: Any = cloud, search: Any = search) -> None:
            cloud.estimate_normals(search)

        ours, theirs = pair_ms(lambda: normals(height, 0.1, WINDOW_M), peer, repeats)
        line = row("normals of the grid, 400 x 400", ours, f"open3d KNN-20 of {what}", theirs)
        grid = on_grid(xyz, np.asarray(cloud.normals), built)
        compared = where & np.isfinite(grid).all(axis=2)
        angles = angle_deg(normals(height, 0.1, WINDOW_M), grid[compared], compared)
        line["median_difference_deg"] = float(np.median(angles))
        yield line


def scans(repeats: int, step_m: float) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
    """Elevation, upper bound and window after each of two real scans in turn.

    Args:
        repeats: how many.
        step_m: how far the vehicle drives from scan to scan. The surroundings drive with it, since
            the scans are from one place: an untidy map.
    """
    files = [LIDAR / f"os1_128_scan{k}.npy" for k in (0, 1)]
    points = [real_scan()]
    if all(path.exists() for path in files):
        raw = [np.load(path) for path in files]
        points = [np.stack([r[axis] for axis in "xyz"], axis=1).astype(np.float32) for r in raw]
    built = ElevationMap(CONFIG)
    for k in range(repeats):
        pose = T_ODOM_LIDAR.copy()
        pose[:2, 3] = (step_m * k, 0.5 * step_m * k)
        built.recentre(pose[:2, 3])
        built.update(points[k % len(points)], pose, k * 100_000_000)
        yield built.layer("elevation"), built.layer("upper_bound"), built.spec


def hazards(repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of the hazards, kept from scan to scan and anew."""
    for what, step_m in (("a real scan", 0.0), ("a real scan and a move of 0.1 m", 0.1)):
        tracker, tracked, anew, cells = HazardTracker(LIMITS), [], [], []
        for elevation, upper, spec in scans(repeats + 3, step_m):
            begin = perf_counter()
            tracker.update(elevation, upper, spec)
            middle = perf_counter()
            traversability.traversability(elevation, 0.1, LIMITS, upper_bound=upper)
            tracked.append((middle - begin) * 1e3)
            anew.append((perf_counter() - middle) * 1e3)
            cells.append(tracker.computed_cells)
        line = row(f"all hazards after {what}", tracked[3:], "all anew", anew[3:])
        line["cells_computed"] = float(np.median(cells[3:]))
        yield line
    for side in (20, 100):
        yield _small_change(side, repeats)


def _small_change(side: int, repeats: int) -> dict[str, Any]:
    """Hazards after a change in a square."""
    built = real_map()
    upper, spec = built.layer("upper_bound"), built.spec
    first = built.layer("elevation")
    second = first.copy()
    second[150 : 150 + side, 150 : 150 + side] += np.float32(0.01)
    tracker = HazardTracker(LIMITS)
    tracker.update(first, upper, spec)
    grids = [first, second]

    def change() -> None:
        grids.reverse()
        tracker.update(grids[0], upper, spec)

    ours, theirs = pair_ms(
        change,
        lambda: traversability.traversability(first, 0.1, LIMITS, upper_bound=upper),
        repeats,
    )
    line = row(f"all hazards after a change of {side} x {side} cells", ours, "all anew", theirs)
    line["cells_computed"] = float(tracker.computed_cells)
    return line


def every_layer(built: ElevationMap, repeats: int) -> dict[str, Any]:
    """Row of all layers that there are."""
    state = {name: built.layer(name) for name in LAYER_NAMES}
    prior = np.zeros(built.spec.shape, np.float32)

    def work() -> None:
        context = LayerContext(
            state, built.spec, LIMITS, prior_m=prior, prior_variance_m2=prior + 0.16
        )
        compute_layers(LAYERS, context)

    return row(f"all {len(LAYERS)} layers anew, 400 x 400", times_ms(work, repeats))


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; medians of warm runs on one core."""
    repeats = 7 if quick else 31
    with one_core():
        for module in (elevation_map, traversability, layer_shared):
            module.warm_up()
        built = real_map()
        height = built.layer("elevation")
        rows = [
            *hazards(repeats),
            *filling(height, "real map, 81 % unknown", max(repeats // 4, 3)),
            *real_dem(max(repeats // 4, 3)),
            *normals_rows(built, max(repeats // 4, 3)),
            every_layer(built, repeats),
        ]
    return {"name": "Layers and hazards", "unit": "ms", "rows": rows}


if __name__ == "__main__":
    import json
    import sys

    json.dump(run("--quick" in sys.argv), sys.stdout, indent=1)
