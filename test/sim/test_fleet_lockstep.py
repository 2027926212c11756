"""Two whole rovers in one simulated world: they meet head-on, and both get where they want."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.control.navigator import NavigatorState
from ilrs_robots.robots.site import RobotPlacement, load_site
from ilrs_robots.sim.fleet_lockstep import FleetLockstep

pytestmark = pytest.mark.sim

PLACES = (
    RobotPlacement("crewed_rover", "crewed_rover", -4.0, 0.0, 0.0),
    RobotPlacement("long_range", "long_range", 12.0, 0.3, 180.0),
)
GOALS = {"crewed_rover": (14.0, 0.0), "long_range": (-6.0, 0.0)}
ENDED = (NavigatorState.REACHED, NavigatorState.FAILED)


def fleet() -> FleetLockstep:
    site, terrain = load_site("shackleton")
    site = dataclasses.replace(site, robots=PLACES, default_robots=(), structures=())
    made = FleetLockstep(site, terrain, 1)
    for name, goal in GOALS.items():
        made.members[name].pipeline.navigation.navigator.set_goal(*goal, None)
    return made


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_they_pass_each_other_on_the_real_ground_of_the_site() -> None:
    run = fleet()
    nearest_m, touched = np.inf, 0
    try:
        while run.world.time_ns < 150e9:
            run.step()
            places = [run.world.truth(name).position_m[:2] for name in GOALS]
            nearest_m = min(nearest_m, float(np.linalg.norm(places[0] - places[1])))
            touched += sum(run.world.evaluation(name).body_contacts for name in GOALS)
            outputs = [member.output for member in run.members.values()]
            if all(out is not None and out.state in ENDED for out in outputs):
                break
        for name, goal in GOALS.items():
            out = run.members[name].output
            assert out is not None
            assert out.state is NavigatorState.REACHED, f"{name}: {out.reason}"
            assert np.linalg.norm(run.world.truth(name).position_m[:2] - goal) < 1.0
    finally:
        run.world.close()
    assert nearest_m > 2.2
    assert touched == 0
