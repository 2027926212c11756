"""What a replay is worth in numbers, and the files that it leaves.

Everything here depends on the bag, the profile and the core only: equal runs give equal bytes.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots import __version__
from ilrs_robots.core.io.map_files import SavedMap, export_geotiff, save_map
from ilrs_robots.replay import metrics
from ilrs_robots.replay.run import Replay, Segment
from ilrs_robots.replay.tracks import GridMapSample
from ilrs_robots.replay.trajectory import trajectory_metrics

_DIGITS = 6


def numbers_of(replay: Replay) -> dict[str, float]:
    """Metric -> value; what the bag does not allow to measure is absent."""
    found: dict[str, float] = {
        "messages": replay.report.messages,
        "segments": replay.report.segments,
    }
    if replay.segment is not None:
        found |= _segment(replay.segment)
    if replay.recorded_map is not None:
        elevation = next(iter(replay.recorded_map.layers.values()))
        known = elevation[np.isfinite(elevation)]
        found["recorded_cells_known"] = int(known.size)
        if known.size:
            found["recorded_mean"] = float(known.mean(dtype=np.float64))
    return {name: _rounded(value) for name, value in found.items() if math.isfinite(value)}


def _segment(segment: Segment) -> dict[str, float]:
    found: dict[str, float] = {"duration_s": (segment.last_ns - segment.first_ns) * 1e-9}
    mapping = segment.perception.mapping
    if segment.perception.localization is not None:
        refused = segment.perception.localization.counters
        found["samples_refused"] = sum(refused.values())
    poses = segment.poses
    if len(poses):
        x, y, z = poses.positions_m[-1].tolist()
        yaw = float(np.degrees(metrics.rpy_of(poses.quats_wxyz[-1:])[0, 2]))
        found |= {"final_x_m": x, "final_y_m": y, "final_z_m": z, "final_yaw_deg": yaw}
        found["driven_m"] = metrics.path_length_m(poses.stamps_ns, poses.positions_m)
    found |= trajectory_metrics(poses, segment.truth)
    if mapping.tallies:
        found["scans_fused"] = sum(tally.fused for tally in mapping.tallies.values())
        found["scans_dropped"] = sum(mapping.dropped.values())
    if mapping.filled:
        found["map_cells_known"] = int(np.isfinite(mapping.map.layer("elevation")).sum())
    return found | segment.judge.numbers()


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, _DIGITS)


def write_outputs(out: Path, replay: Replay) -> dict[str, Any]:
    """Write metrics.json, the map, the trajectories; what there is none of is not written.

    Args:
        out: folder, made where it does not exist.
        replay: what came of it.

    Returns:
        the content of metrics.json.

    Raises:
        TerrainError: a map cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    report = replay.report
    content: dict[str, Any] = {
        "metrics": numbers_of(replay),
        "flags": replay.flags,
        "reading": {
            "messages": report.messages,
            "segments": report.segments,
            "damage": [_without_folder(text) for text in report.damage],
            **{
                name: dict(sorted(getattr(report, name).items()))
                for name in ("duplicates", "late", "other_clock", "undecodable")
            },
        },
        "refused": {},
        "dropped": {},
        "robot": replay.profile.robot,
        "recorded_by": {k: v for k, v in sorted(replay.custom.items()) if k.startswith("ilrs_")},
        "version": __version__,
    }
    segment = replay.segment
    if segment is not None:
        if segment.perception.localization is not None:
            content["refused"] = dict(sorted(segment.perception.localization.counters.items()))
        content["dropped"] = dict(sorted(segment.perception.mapping.dropped.items()))
        content["digest"] = segment.perception.digest()
        if len(segment.poses):
            segment.poses.write_tum(out / "trajectory.tum")
        if len(segment.truth):
            segment.truth.write_tum(out / "truth.tum")
    if replay.saved is not None:
        save_map(out / "map.npz", replay.saved)
        export_geotiff(out / "map.tif", replay.saved, tuple(replay.saved.units))
    if replay.recorded_map is not None:
        recorded = _as_saved(replay.recorded_map)
        save_map(out / "recorded_map.npz", recorded)
        export_geotiff(out / "recorded_map.tif", recorded, tuple(recorded.layers))
    text = json.dumps(content, indent=1, sort_keys=True)
    (out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    return content


def _as_saved(sample: GridMapSample) -> SavedMap:
    units = {"elevation": "m"}
    return SavedMap({}, sample.spec, sample.layers, np.eye(4), sample.stamp_ns, units=units)


def _without_folder(text: str) -> str:
    """A sentence about a file, the same wherever the file lies."""
    return " ".join(Path(word).name if "/" in word else word for word in text.split())
