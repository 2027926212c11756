"""Out of the light into permanent shadow, a measurement there, and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.environment.sight import sun_share
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.sortie import SortieRun

pytestmark = pytest.mark.sim

STAY_S = 1200.0


def test_the_goal_of_the_site_never_sees_the_sun_and_its_start_does():
    site, terrain = load_site("dark_crater")
    goal, start = np.array(site.goal_m), np.array([site.robots[0].x_m, site.robots[0].y_m])
    heights = terrain.prior.height(np.stack((goal, start)))
    assert heights[1] - heights[0] > 60.0
    assert np.linalg.norm(goal - start) < 1000.0
    most = np.radians(2.1)  # of a year there; the disc's radius comes on top
    eye = (float(goal[0]), float(goal[1]), float(heights[0]) + 0.9)
    around = np.radians(np.arange(0.0, 360.0, 10.0))
    shares = [
        sun_share(terrain.prior, eye, float(a), float(most), float(np.radians(0.267)))
        for a in around
    ]
    assert max(shares) == 0.0
    power = PowerStep("hopper", site.robot("hopper").load_model(), site, terrain.prior)
    assert power.light(0.0, np.array([*start, heights[1]])).share == 1.0


@pytest.mark.soak
def test_into_the_shadow_and_back_costs_propellant_charge_and_warmth():
    site, terrain = load_site("dark_crater")
    model = site.robot("hopper").load_model()
    few = dataclasses.replace(model.lidar, columns=128)  # quarter of the rays, same ground
    run = SortieRun(site, terrain, "hopper", 1, model=dataclasses.replace(model, lidar=few))
    try:
        sortie = run.fly(site.goal_m, STAY_S)
    finally:
        run.lockstep.world.close()
    assert sortie.depth_m > 60.0
    for hop in sortie.hops:
        assert hop.down_mps < 1.5
        assert hop.side_mps < 0.5
        assert not hop.tipped
    assert sortie.hops[1].miss_m < 2.0  # the first drifts on its long way down: docs/hopper.md
    stay = [row for row in sortie.rows if row.phase == "measure"][:-1]
    assert {row.sun_share for row in stay} == {0.0}
    assert all(row.science_w == 20.0 for row in stay)
    assert sortie.science_wh == pytest.approx(20.0 * STAY_S / 3600.0, rel=1e-6)
    assert sortie.dark_wh > 75.0 * STAY_S / 3600.0  # the other loads go on as well
    assert stay[-1].charge < stay[0].charge
    assert sortie.rows[0].sun_share > 0.5
    assert sortie.rows[-1].sun_share > 0.5
    burnt = sum(hop.propellant_kg for hop in sortie.hops)
    assert sortie.rows[-1].propellant_kg == pytest.approx(50.0 - burnt, abs=1e-6)
    assert burnt > 15.0
