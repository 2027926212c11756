"""Messages of what only a hopper has: altimeter, tank, thrusters, arcs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from sensor_msgs.msg import FluidPressure, JointState, Range

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.planning.hop_types import HopProfile
from ilrs_robots.core.types import AltimeterSample, TankSample, ThrusterCommand
from ilrs_robots.nodes import convert
from ilrs_robots.robots.sensor_parts import AltimeterConfig


def altimeter_message(sample: AltimeterSample, config: AltimeterConfig, frame_id: str) -> Range:
    """Range message; infinite where nothing answered (REP 117)."""
    msg = Range()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(sample.stamp_ns), frame_id
    msg.min_range, msg.max_range = config.range_min_m, config.range_max_m
    msg.range = float(sample.range_m) if math.isfinite(sample.range_m) else math.inf
    msg.variance = sample.sigma_m**2
    return msg


def _sigma(variance: float, unit: str) -> float:
    if not (math.isfinite(variance) and variance >= 0.0):
        raise MessageLayoutError("variance", f"variance {variance} {unit}: must be 0 or more")
    return math.sqrt(variance)


def altimeter_sample(msg: Range) -> AltimeterSample:
    """Answer of an altimeter; NaN where nothing answered or the message says no number.

    Raises:
        MessageLayoutError: a variance that is none.
    """
    seen = float(msg.range)
    known = math.isfinite(seen) and msg.min_range <= seen <= msg.max_range
    return AltimeterSample(
        convert.to_ns(msg.header.stamp), seen if known else math.nan, _sigma(msg.variance, "m2")
    )


def pressure_message(sample: TankSample, frame_id: str) -> FluidPressure:
    """Pressure of the gas in the tank."""
    msg = FluidPressure()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(sample.stamp_ns), frame_id
    msg.fluid_pressure, msg.variance = float(sample.pressure_pa), sample.sigma_pa**2
    return msg


def tank_sample(msg: FluidPressure) -> TankSample:
    """Pressure of the gas in the tank.

    Raises:
        MessageLayoutError: a variance that is none.
    """
    stamp_ns = convert.to_ns(msg.header.stamp)
    return TankSample(stamp_ns, float(msg.fluid_pressure), _sigma(msg.variance, "Pa2"))


def thruster_message(command: ThrusterCommand, names: Sequence[str], frame_id: str) -> JointState:
    """Thrust of each thruster by its name, newtons in ``effort``."""
    msg = JointState()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(command.stamp_ns), frame_id
    msg.name, msg.effort = list(names), [float(v) for v in command.thrust_n]
    return msg


def thruster_command(msg: JointState, names: Sequence[str]) -> ThrusterCommand:
    """Thrust in the vehicle's own order.

    Raises:
        MessageLayoutError: not one finite number for each thruster.
    """
    given = dict(zip(msg.name, msg.effort, strict=False))
    if len(msg.name) != len(msg.effort) or len(msg.name) != len(names) or set(given) != set(names):
        raise MessageLayoutError(
            "effort",
            f"{len(msg.name)} names and {len(msg.effort)} efforts: each of {', '.join(names)} "
            "must have one",
        )
    thrust = np.array([given[name] for name in names], dtype=np.float64)
    if not np.isfinite(thrust).all():
        raise MessageLayoutError("effort", f"thrust {thrust} N: must be finite")
    return ThrusterCommand(convert.to_ns(msg.header.stamp), thrust)


def arc_message(profile: HopProfile, frame_id: str, stamp_ns: int) -> Path:
    """The planned arc; each pose is stamped with its time, were the engines to start now."""
    msg = Path()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(stamp_ns), frame_id
    for time_s, place in zip(profile.time_s, profile.position_m, strict=True):
        pose = PoseStamped()
        pose.header.frame_id = frame_id
        pose.header.stamp = convert.to_stamp(stamp_ns + round(float(time_s) * 1e9))
        at = pose.pose.position
        at.x, at.y, at.z = (float(v) for v in place)
        pose.pose.orientation.w = 1.0
        msg.poses.append(pose)
    return msg
