"""A kilometre in full physics over soft, rough ground: odometry alone, and with fixes."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.sim.long_drive import long_drive

pytestmark = [pytest.mark.sim, pytest.mark.soak, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_kilometre_ends_within_half_a_percent(seed: int) -> None:
    drive = long_drive(seed, soil_softness=10.0, soil_drag=0.25)
    drive.go(1000.0)
    assert drive.way_m >= 1000.0
    slips = np.abs(drive.slips)
    assert 0.1 < np.median(slips) < 0.3
    assert np.mean((slips > 0.08) & (slips < 0.32)) > 0.8
    assert drive.odom_m < 0.005 * drive.way_m
    assert drive.turn_rad < np.radians(0.3)
    assert drive.step_m < 0.1  # a period is 0.02 s: odom never jumps
    assert all(error < 5.0 for error in drive.fixes_m)
    assert drive.fixes_m


def test_a_start_60_m_off_is_found_on_the_orbital_map() -> None:
    drive = long_drive(12, wrong_m=(36.0, -48.0), wrong_sigma_m=60.0)
    drive.go(400.0)
    assert drive.fixes_m
    assert drive.map_m < 6.0
    assert drive.odom_m < 0.005 * drive.way_m
    assert drive.step_m < 0.1
