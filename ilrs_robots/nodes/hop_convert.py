"""Messages of what only a hopper has: altimeter and tank."""

from __future__ import annotations

import math

from sensor_msgs.msg import FluidPressure, Range

from ilrs_robots.core.types import AltimeterSample, TankSample
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


def altimeter_sample(msg: Range) -> AltimeterSample:
    """Answer of an altimeter; NaN where nothing answered or the message says no number."""
    seen = float(msg.range)
    known = math.isfinite(seen) and msg.min_range <= seen <= msg.max_range
    return AltimeterSample(
        convert.to_ns(msg.header.stamp), seen if known else math.nan, math.sqrt(msg.variance)
    )


def pressure_message(sample: TankSample, frame_id: str) -> FluidPressure:
    """Pressure of the gas in the tank."""
    msg = FluidPressure()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(sample.stamp_ns), frame_id
    msg.fluid_pressure, msg.variance = float(sample.pressure_pa), sample.sigma_pa**2
    return msg


def tank_sample(msg: FluidPressure) -> TankSample:
    """Pressure of the gas in the tank."""
    stamp_ns = convert.to_ns(msg.header.stamp)
    return TankSample(stamp_ns, float(msg.fluid_pressure), math.sqrt(msg.variance))
