"""A whole vehicle whose simulation is reset: it starts anew, and drives again."""

from __future__ import annotations

import numpy as np

from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.lockstep import Lockstep


def test_after_a_reset_the_vehicle_maps_and_drives_as_at_first() -> None:
    site, terrain = load_site("shackleton")
    run = Lockstep(site, terrain, "long_range", 1)
    run.pipeline.navigation.navigator.set_goal(6.0, 0.0, None)
    while run.world.time_ns < 4_000_000_000:
        run.step()
    before = run.pipeline.T_map_base()[:3, 3]
    again = Lockstep(site, terrain, "long_range", 1)
    start = again.world.truth("long_range").position_m
    again.pipeline = run.pipeline
    while again.world.time_ns < 4_000_000_000:
        again.step()
    pose, truth = run.pipeline.T_map_base()[:3, 3], again.world.truth("long_range").position_m
    assert np.linalg.norm(before - start) > 0.3
    assert np.linalg.norm(truth - start) > 0.3
    # The start is known to a metre; distances to the masts, to 0.3 m, then move the place.
    np.testing.assert_allclose(pose[:2], truth[:2], atol=0.5)
    odometry = run.pipeline.state.odometry
    assert odometry is not None
    np.testing.assert_allclose(odometry.position_m[:2], (truth - start)[:2], atol=0.05)
    assert run.pipeline.mapping.resets == run.pipeline.localization.restarts == 1
    seen = run.pipeline.mapping.map.layer("last_seen_s")
    assert np.nanmin(seen) == 0.0
    assert np.nanmax(seen) < 4.1
    stamp_ns = run.pipeline.mapping.last_stamp_ns
    assert stamp_ns is not None
    assert 3_500_000_000 < stamp_ns <= 4_000_000_000
