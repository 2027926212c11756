"""Speeds that can be braked from, that bumps allow, and profiles that obey both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilrs_robots.core.control.speed_limits import (
    SpeedConfig,
    braking_decel,
    bump_speed,
    profile,
    stopping_speed,
)


@given(st.floats(0.0, 100.0), st.floats(0.05, 2.0), st.floats(0.0, 3.0))
def test_the_stopping_speed_stops_exactly_there(way: float, decel: float, wait: float) -> None:
    v = float(stopping_speed(way, decel, wait))
    assert v * wait + v * v / (2.0 * decel) == pytest.approx(way, abs=1e-6 + 1e-9 * way)


def test_low_gravity_brakes_worse_and_downhill_worse_still() -> None:
    flat = float(braking_decel(5.0, 0.75, 0.0, 0.5))
    down = float(braking_decel(5.0, 0.75, math.radians(-15.0), 0.5))
    assert flat == pytest.approx(0.5 * 0.75 * 1.62)
    assert down == pytest.approx(1.62 * (0.375 * math.cos(0.2618) - math.sin(0.2618)), rel=1e-3)
    assert float(braking_decel(0.25, 0.75, 0.0, 0.5)) == 0.25
    assert float(braking_decel(5.0, 0.75, math.radians(-40.0), 0.5)) > 0.0


def test_a_wave_throws_a_body_up_at_the_textbook_speed() -> None:
    """A sin wave of amplitude A and length L heaves with A (2 pi v / L)^2."""
    amplitude, length = 0.05, 4.0
    x = np.arange(0.0, 12.0, 0.05)
    settings = SpeedConfig(bump_share=1.0, bump_base_m=0.2)
    speed = bump_speed(amplitude * np.sin(2.0 * np.pi * x / length), 0.05, settings, 1.62)
    expected = length / (2.0 * np.pi) * math.sqrt(1.62 / amplitude)
    assert speed.min() == pytest.approx(expected, rel=0.02)
    assert np.isinf(bump_speed(0.3 * x, 0.05, settings)).all()
    assert np.isinf(bump_speed(np.full(40, np.nan), 0.05, settings)).all()


def test_a_profile_obeys_limits_and_brakes_in_time() -> None:
    limit = np.full(60, 2.0)
    limit[30:] = 0.5
    decel = np.full(60, 0.25)
    speed = profile(limit, 0.2, decel, 0.0)
    assert (speed <= limit).all()
    assert speed[-1] == 0.0
    assert (np.diff(speed**2) >= -2.0 * 0.25 * 0.2 - 1e-9).all()
    assert speed[0] == pytest.approx(math.sqrt(0.5**2 + 2.0 * 0.25 * 6.0))
