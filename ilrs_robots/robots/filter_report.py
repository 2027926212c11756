"""What the error-state filter says of itself, for diagnostics."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ilrs_robots.robots.inertial_step import InertialStep

SILENT_AFTER_S: Final = 5.0
"""A sensor that has spoken and then is not heard for so long is named."""

_SENSES: Final = ("wheels", "stars", "scan")
"""Those that speak all the time; others speak when there is something to say."""


def filter_values(step: InertialStep) -> dict[str, object]:
    """Key -> value: innovation statistics and counts of each sensor, spread, slip, biases."""
    found: dict[str, object] = {}
    for name, row in step.health.items():
        found[f"{name}_taken"], found[f"{name}_refused"] = row.taken, row.refused
        if math.isfinite(row.nis_mean):
            found[f"{name}_nis"] = round(row.nis_mean, 3)
        found[f"{name}_doubted"], found[f"{name}_lost"] = row.doubted, row.lost
    state = step.odometry.filter.state()
    spread = np.sqrt(np.maximum(np.diagonal(step.map_covariance()), 0.0))
    found["position_sigma_m"] = round(float(np.linalg.norm(spread[:3])), 3)
    found["attitude_sigma_deg"] = round(float(np.degrees(np.linalg.norm(spread[3:]))), 4)
    found["slip_mps"] = round(float(state.slip_mps[0]), 3)
    found["gyro_bias_rps"] = float(np.abs(state.gyro_bias_rps).max())
    found["accel_bias_mps2"] = float(np.abs(state.accel_bias_mps2).max())
    found["redone"] = step.odometry.filter.redone
    found["encoders_dead"] = ", ".join(step.odometry.wheels.encoders.dead)
    found["silent"] = ", ".join(step.odometry.silent(SILENT_AFTER_S))
    return found


def filter_trouble(step: InertialStep) -> str:
    """One sentence of what is wrong, empty where nothing is."""
    dead = step.odometry.wheels.encoders.dead
    doubted = [name for name, row in step.health.items() if row.doubted]
    silent = [name for name in step.odometry.silent(SILENT_AFTER_S) if name in _SENSES]
    if step.lost:
        limit = step.odometry.own.trusted_position_m
        return f"lost: the position is known no better than {limit:.0f} m"
    if dead:
        return f"encoders of {', '.join(dead)} seem dead"
    if doubted:
        return f"{', '.join(doubted)}: refused again and again, not used until they agree"
    if silent:
        return f"{', '.join(silent)}: not heard for {SILENT_AFTER_S:.0f} s"
    return ""
