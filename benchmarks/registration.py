"""A real scan against the map of the scans before, beside other libraries, on both cores.

Two real scans of a driving 128-beam lidar come in turn, so that every scan has to be moved by
what the vehicle drove. All get the same points; deskewing is left out on all sides. KISS-ICP and
ours thin, match and keep a map; the others are given a prepared map of the first scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from cloud_and_map import LIDAR, scan_of_flat_ground

from ilrs_robots.core.localization import dem_match, scan_odometry
from ilrs_robots.core.localization.scan_odometry import ScanOdometry, ScanOdometryConfig
from ilrs_robots.core.terrain.prior import LIKE_LOLA, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem

Work = Callable[[int], np.ndarray]
TARGET_MS = 30.0
COARSE_M = 0.5


def scans() -> list[np.ndarray]:
    """Two (N, 3) float32 scans of 107 000 points, real ones where they are."""
    if not LIDAR.is_dir():
        flat = scan_of_flat_ground(875, 123)
        return [flat, flat + np.float32(0.001)]
    raws = [np.load(LIDAR / f"os1_128_scan{k}.npy") for k in (0, 1)]
    return [np.stack([raw[axis] for axis in "xyz"], axis=1).astype(np.float32) for raw in raws]


def ours(clouds: list[np.ndarray]) -> Work:
    odometry = ScanOdometry(ScanOdometryConfig())

    def work(k: int) -> np.ndarray:
        odometry.update(k, clouds[k % 2], np.eye(4))
        return odometry.T_local_body.copy()

    return work


def kiss_icp(clouds: list[np.ndarray]) -> Work:
    from kiss_icp.config.parser import load_config
    from kiss_icp.kiss_icp import KissICP

    config = load_config(None)
    config.data.deskew = False
    config.data.max_range = 60.0
    config.data.min_range = 0.8
    config.mapping.voxel_size = 0.6
    pipeline = KissICP(config)
    frames = [cloud.astype(np.float64) for cloud in clouds]
    none = np.array([])

    def work(k: int) -> np.ndarray:
        pipeline.register_frame(frames[k % 2], none)
        return pipeline.last_pose.copy()

    return work


def small_gicp_of(kind: str, threads: int) -> Callable[[list[np.ndarray]], Work]:
    def prepared(clouds: list[np.ndarray]) -> Work:
        import small_gicp

        first, second = (cloud.astype(np.float64) for cloud in clouds)
        target, tree = small_gicp.preprocess_points(first, 0.25, num_threads=threads)

        def work(k: int) -> np.ndarray:
            source = small_gicp.PointCloud(second if k % 2 else first)
            source = small_gicp.voxelgrid_sampling(source, COARSE_M, threads)
            if kind == "GICP":
                small_gicp.estimate_covariances(source, num_threads=threads)
            found = small_gicp.align(
                target, source, tree, registration_type=kind, num_threads=threads
            )
            return found.T_target_source

        return work

    return prepared


def open3d_icp(clouds: list[np.ndarray]) -> Work:
    import open3d

    registration = open3d.pipelines.registration
    first, second = (
        open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud.astype(np.float64)))
        for cloud in clouds
    )
    target = first.voxel_down_sample(0.25)
    target.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(20))
    method = registration.TransformationEstimationPointToPlane()

    def work(k: int) -> np.ndarray:
        source = (second if k % 2 else first).voxel_down_sample(COARSE_M)
        found = registration.registration_icp(source, target, 1.0, np.eye(4), method)
        return np.asarray(found.transformation)

    return work


PEERS: tuple[tuple[str, Callable[[list[np.ndarray]], Work]], ...] = (
    ("KISS-ICP, voxel 0.6 m, all threads", kiss_icp),
    ("small_gicp point to plane, 1 thread", small_gicp_of("PLANE_ICP", 1)),
    ("small_gicp point to plane, 2 threads", small_gicp_of("PLANE_ICP", 2)),
    ("small_gicp GICP, 1 thread", small_gicp_of("GICP", 1)),
    ("Open3D point to plane", open3d_icp),
)


Times = list[tuple[float, float]]


def in_turn(first: Work, second: Work | None, repeats: int) -> tuple[Times, Times]:
    """Wall and CPU ms of warm runs in turn, so that a busy machine slows both alike."""
    both: tuple[Times, Times] = ([], [])
    for k in range(repeats + 6):
        for work, out in zip((first, second), both, strict=True):
            if work is None:
                continue
            begin, used = perf_counter(), process_time()
            work(k)
            if k >= 6:
                out.append(((perf_counter() - begin) * 1e3, (process_time() - used) * 1e3))
    return both


def rows(repeats: int) -> Iterator[dict[str, Any]]:
    clouds = scans()
    for name, make in PEERS:
        try:
            peer: Work | None = make(clouds)
        except (ImportError, OSError) as error:
            peer, name = None, f"{name} (skipped: {error})"
        mine, theirs = (np.array(t).reshape(-1, 2) for t in in_turn(ours(clouds), peer, repeats))
        line: dict[str, Any] = {
            "work": f"a real scan of {len(clouds[1])} points to the map",
            "ours_ms": float(np.median(mine[:, 0])),
            "ours_p95_ms": float(np.percentile(mine[:, 0], 95)),
            "target_p95_ms": TARGET_MS,
            "ours_cpu_p95_ms": float(np.percentile(mine[:, 1], 95)),
            "peer": name,
        }
        if len(theirs):
            line["peer_ms"] = float(np.median(theirs[:, 0]))
            line["peer_p95_ms"] = float(np.percentile(theirs[:, 0], 95))
            line["peer_cpu_p95_ms"] = float(np.percentile(theirs[:, 1], 95))
            line["ratio"] = line["peer_ms"] / line["ours_ms"]
        yield line


def dem_row(repeats: int) -> dict[str, Any]:
    """A stretch of 300 m x 80 m against the prior of a site, 150 m searched around."""
    dem = procedural_dem(5, 1000.0)
    prior = orbital_prior(dem, 5, LIKE_LOLA)
    x, y = np.meshgrid(np.arange(-150.0, 150.0, 5.0), np.arange(-40.0, 40.0, 5.0))
    xy = np.column_stack((x.ravel(), y.ravel()))
    z, cfg = dem.height(xy), dem_match.DemMatchConfig()
    taken: list[float] = []
    for _ in range(repeats + 2):
        begin = perf_counter()
        dem_match.match(xy, z, np.zeros(2), 25.0 * np.eye(2), prior, cfg)
        taken.append((perf_counter() - begin) * 1e3)
    return {
        "work": f"{len(xy)} cells of ground to the orbital map",
        "ours_ms": median(taken[2:]),
        "ours_p95_ms": float(np.percentile(taken[2:], 95)),
    }


def run(quick: bool = False) -> dict[str, Any]:
    """Measure on both cores."""
    scan_odometry.warm_up()
    dem_match.warm_up()
    found = [*rows(15 if quick else 60), dem_row(3 if quick else 9)]
    return {
        "name": "Registration",
        "unit": "ms",
        "rows": found,
        "note": "Thinning, matching and, for KISS-ICP and ours, keeping the map; ours uses one "
        "thread. Two real scans in turn.",
    }


if __name__ == "__main__":
    import json
    import sys

    json.dump(run("--quick" in sys.argv), sys.stdout, indent=1)
