"""Terrain: ground made, written and surveyed at 0.1 m; GDAL's slope beside ours."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.io.surface_files import write_surface
from ilrs_robots.core.terrain.fill import filled
from ilrs_robots.core.terrain.generate import GenerateConfig, generate
from ilrs_robots.core.terrain.prior import LIKE_LOLA, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.slopes import slope_statistics
from ilrs_robots.core.terrain.strips import surface_strips

GENERATE = "import sys; from ilrs_robots.cli.main import main; sys.exit(main())"


def seconds(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and CPU time of one call."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def whole_command(size_m: float, posting_m: float) -> dict[str, Any]:
    """``ilrs terrain generate`` in a process of its own: wall, CPU and memory with all in it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["terrain", "generate", "-o", str(Path(folder) / "a.tif")]
        arguments += ["--size", str(size_m), "--posting", str(posting_m)]
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", GENERATE, *arguments],
                                 stdout=subprocess.DEVNULL)  # fmt: skip
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"ilrs terrain generate ended with {child.returncode}")
    cells = round(size_m / posting_m) ** 2
    return {
        "work": f"ilrs terrain generate {size_m:g} m at {posting_m:g} m, {cells:.0e} cells, file",
        "ours_s": round(wall, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "memory_gb": round(used.ru_maxrss * 1024 / 1e9, 2),
    }


def row(work: str, run: Callable[[], object], repeats: int) -> dict[str, Any]:
    run()
    wall, cpu = seconds(run, repeats)
    return {"work": work, "ours_s": round(wall, 3), "cpu_s": round(cpu, 3)}


def slope_row(side: int, repeats: int) -> dict[str, Any]:
    """Percentiles of the slope of a large array; beside numpy over the whole of it."""
    rng = np.random.default_rng(0)
    heights = np.cumsum(rng.normal(0.0, 0.1, (side, side)), axis=1).astype(np.float32)
    told = row(f"slope percentiles of {side} x {side}", lambda: slope_statistics(heights, 1.0),
               repeats)  # fmt: skip

    def peer() -> object:
        dz_dy, dz_dx = np.gradient(heights.astype(np.float64))
        slope = np.degrees(np.arctan(np.hypot(dz_dx, dz_dy)))
        return np.percentile(slope, (50, 90, 95, 100))

    peer()
    wall, _ = seconds(peer, repeats)
    return {**told, "peer": "numpy gradient and percentile", "peer_s": round(wall, 3),
            "ratio": round(wall / max(told["ours_s"], 1e-9), 1)}  # fmt: skip


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; kernels are warm but for the whole command."""
    repeats = 1 if quick else 5
    settings = GenerateConfig(posting_m=0.1)
    surface = generate(settings)
    part = GenerateConfig(size_m=200.0, posting_m=0.1).grid
    dem = procedural_dem(1)
    holed = dem.heights_m.copy()
    holed[60:190, 60:190] = np.nan
    holes = type(dem)(holed, dem.spec)
    rows = [
        row("shape 1 km with LOLA's slopes", lambda: generate(settings), repeats),
        row("200 m at 0.1 m (4e6 cells) with rocks, in memory",
            lambda: list(surface_strips(surface, part, rocks=True)), repeats),
        row("prior of 1.28 km at 5 m", lambda: orbital_prior(dem, 1, LIKE_LOLA), repeats),
        row("fill a hole of 130 x 130", lambda: filled(holes), repeats),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.append(slope_row(1000 if quick else 3000, repeats))
        path = folder / "a.tif"
        rows.append(row("write 4e6 cells as GeoTIFF", lambda: write_surface(path, surface, part),
                        repeats))  # fmt: skip
        rows.append(row("read them", lambda: read_geotiff(path), repeats))
    rows.append(whole_command(200.0 if quick else 1000.0, 0.1))
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    note = (
        "The whole command counts starting Python, shaping, writing and compressing; limits 60 s "
        f"and 4 GB. The benchmark's own process peaked at {limit:.2f} GB."
    )
    return {"name": "Terrain", "unit": "s", "rows": rows, "note": note}


if __name__ == "__main__":
    import json

    print(json.dumps(run("--quick" in sys.argv), indent=1))
