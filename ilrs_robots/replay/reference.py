"""What a replay's numbers were when somebody found them good, and whether they still are.

A reference is a JSON file of metrics, each with its value, its tolerance and the direction that is
worse. Latencies and speeds never stand in one. Why it is as it is stands in it as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ilrs_robots.core.errors import ConfigError

_VERSION: Final = 1


class Tolerance(NamedTuple):
    """How far a metric may be off: ``absolute + relative * |value|``.

    Attributes:
        absolute: in the metric's unit.
        relative: share of the reference's value.
        worse: ``high``, ``low`` or ``both``: a metric that is better than that is no failure.
    """

    absolute: float
    relative: float
    worse: str


DEFAULTS: Final[dict[str, Tolerance]] = {
    "messages": Tolerance(0, 0, "both"),
    "segments": Tolerance(0, 0, "both"),
    "duration_s": Tolerance(0.05, 0, "both"),
    "samples_refused": Tolerance(0, 0.1, "high"),
    "final_x_m": Tolerance(0.05, 0, "both"),
    "final_y_m": Tolerance(0.05, 0, "both"),
    "final_z_m": Tolerance(0.02, 0, "both"),
    "final_yaw_deg": Tolerance(0.2, 0, "both"),
    "driven_m": Tolerance(0.02, 0.005, "both"),
    "ape_rmse_m": Tolerance(0.01, 0.1, "high"),
    "ape_max_m": Tolerance(0.02, 0.1, "high"),
    "ape_rotation_rmse_deg": Tolerance(0.05, 0.1, "high"),
    "rpe_rmse_m_per_m": Tolerance(0.005, 0.1, "high"),
    "yaw_error_max_deg": Tolerance(0.1, 0.1, "high"),
    "yaw_error_mean_deg": Tolerance(0.1, 0, "both"),
    "final_error_m": Tolerance(0.02, 0.1, "high"),
    "height_error_mean_m": Tolerance(0.01, 0, "both"),
    "scans_fused": Tolerance(0, 0, "low"),
    "scans_dropped": Tolerance(0, 0, "high"),
    "map_cells_known": Tolerance(0, 0.02, "low"),
    "map_coverage": Tolerance(0.01, 0, "low"),
    "map_rmse_m": Tolerance(0.002, 0.1, "high"),
    "map_bias_m": Tolerance(0.005, 0, "both"),
    "lethal_share": Tolerance(0.003, 0.1, "both"),
    "hazards_found": Tolerance(0.02, 0, "low"),
    "false_alarms": Tolerance(0.002, 0.1, "high"),
    "recorded_cells_known": Tolerance(0, 0, "both"),
    "recorded_mean": Tolerance(1e-5, 0, "both"),
}
"""What a new reference asks of each metric."""


@dataclass(frozen=True)
class Comparison:
    """One metric against its reference.

    Attributes:
        metric: its name.
        value: now; None where it is not there any more.
        reference: then.
        allowed: largest difference.
        verdict: ``within``, ``better``, ``outside``, ``missing`` or ``new``.
    """

    metric: str
    value: float | None
    reference: float | None
    allowed: float
    verdict: str

    @property
    def failed(self) -> bool:
        """Whether it makes the replay fail."""
        return self.verdict in ("outside", "missing")

    def sentence(self) -> str:
        """What is wrong, for people."""
        if self.verdict == "missing":
            return f"{self.metric} is missing, reference {self.reference:g}"
        return (
            f"{self.metric} = {self.value:g}, reference {self.reference:g}, "
            f"allowed difference {self.allowed:g}"
        )


def read_reference(path: Path) -> dict[str, Any]:
    """Read a reference.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, entry in content["metrics"].items():
            _tolerance(name, entry)
            float(entry["value"])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: this is no reference of a replay ({error!r})") from error
    return dict(content)


def _tolerance(name: str, entry: Mapping[str, Any]) -> Tolerance:
    found = Tolerance(float(entry["absolute"]), float(entry["relative"]), entry["worse"])
    if found.worse not in ("high", "low", "both") or min(found[:2]) < 0.0:
        raise ValueError(f"{name}: worse must be high, low or both, tolerances not negative")
    return found


def compare(values: Mapping[str, float], reference: Mapping[str, Any]) -> list[Comparison]:
    """Every metric of the reference, then those that are new.

    Args:
        values: as ``outcome.numbers_of`` gives them.
        reference: as ``read_reference`` gives it.
    """
    rows = []
    for name, entry in reference["metrics"].items():
        then, tolerance = float(entry["value"]), _tolerance(name, entry)
        allowed = tolerance.absolute + tolerance.relative * abs(then)
        now = values.get(name)
        rows.append(Comparison(name, now, then, allowed, _verdict(now, then, allowed, tolerance)))
    rows += [
        Comparison(name, value, None, 0.0, "new")
        for name, value in values.items()
        if name not in reference["metrics"]
    ]
    return rows


def _verdict(now: float | None, then: float, allowed: float, tolerance: Tolerance) -> str:
    if now is None:
        return "missing"
    if abs(now - then) <= allowed + 1e-12:
        return "within"
    better = {"high": now < then, "low": now > then, "both": False}[tolerance.worse]
    return "better" if better else "outside"


def write_reference(path: Path, values: Mapping[str, float], why: str, when_utc: str) -> None:
    """Write or renew a reference; tolerances and former reasons stay.

    Args:
        path: of the reference.
        values: as ``outcome.numbers_of`` gives them.
        why: the reason, which stays in the file.
        when_utc: date.

    Raises:
        ConfigError: no reason is given, or the file cannot be written.
    """
    if not why.strip():
        raise ConfigError("--update-reference needs a reason: --why '...'")
    old = read_reference(path) if path.exists() else {"metrics": {}, "why": []}
    entries: dict[str, Any] = {}
    for name, value in values.items():
        held = old["metrics"].get(name)
        tolerance = _tolerance(name, held) if held else DEFAULTS.get(name)
        if tolerance is not None:
            entries[name] = {"value": value, **tolerance._asdict()}
    reasons = [*old.get("why", []), {"date": when_utc, "why": why.strip()}]
    content = {"version": _VERSION, "why": reasons, "metrics": entries}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
