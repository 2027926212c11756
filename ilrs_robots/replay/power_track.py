"""What a vehicle's power node said over time, as arrays."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay.tracks import DiagnosticSeries

_KEYS = ("charge", "battery_w", "sources_w", "solar_w", "sun_share", "box_k",
         "link.earth.rate_mbps", "link.base.rate_mbps")  # fmt: skip


def power_series(series: DiagnosticSeries | None) -> dict[str, FloatArray]:
    """(N,) arrays by key, with ``time_s`` (of the clock), ``load_w``, ``drive_w``; or empty.

    Args:
        series: of the status ``<robot>/power``.
    """
    if series is None or "charge" not in series.values:
        return {}
    stamps = np.array([stamp for stamp, _ in series.values["charge"]], dtype=np.int64)
    found = {key: _at(series, key, stamps) for key in _KEYS}
    loads = [k for k in series.values if k.startswith("load.")]
    parts = [_at(series, key, stamps) for key in loads]
    found["load_w"] = np.nansum(parts, axis=0) if parts else np.full(stamps.size, np.nan)
    found["drive_w"] = np.nan_to_num(_at(series, "load.drive_w", stamps))
    found["time_s"] = stamps * 1e-9
    return found


def _at(series: DiagnosticSeries, key: str, stamps_ns: np.ndarray) -> FloatArray:
    """(N,) values of a key at (N,) stamps, NaN where it was not said or is no number."""
    said = dict(series.values.get(key, ()))
    out = np.full(stamps_ns.size, np.nan)
    for n, stamp in enumerate(stamps_ns.tolist()):
        try:
            out[n] = float(said.get(stamp, "nan"))
        except ValueError:
            continue
    return out
