"""What is warmed up at a start is all that driving needs: no message waits for a compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.sim

COMPILED = """
import sys
from numba.core.dispatcher import Dispatcher

def compiled():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("ilrs_robots.core"):
            for value in vars(module).values():
                if isinstance(value, Dispatcher):
                    key = value.py_func.__module__ + "." + value.py_func.__name__
                    found[key] = set(value.signatures)
    return found
"""
DRIVE = (
    COMPILED
    + """
from ilrs_robots.core import warm
from ilrs_robots.core.mapping.layers import LAYERS
from ilrs_robots.robots.map_view import MapView
from ilrs_robots.robots.site import load_prior, load_site
from ilrs_robots.sim.lockstep import Lockstep

warm.mapping()
warm.localization()
warm.navigation()
warm.power()
warm.gate()
before = compiled()
site, terrain = load_site("shackleton", seed=1)
run = Lockstep(site, terrain, "long_range", 1)
run.drive((6.0, 0.0), 3.0, lambda progress: None)
_, prior = load_prior("shackleton", seed=1)
view = MapView(run.pipeline.mapping, prior, 0.4)
view.layers(tuple(LAYERS), run.pipeline.localization.T_map_odom)
late = {key: kinds - before.get(key, set()) for key, kinds in compiled().items()}
for key in sorted(key for key, kinds in late.items() if kinds):
    if ".core.terrain." not in key or ".dem." in key:  # the rest of it is the simulator's ground
        print(key)
"""
)


@pytest.mark.timeout(600)
def test_nothing_is_compiled_once_a_vehicle_drives() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRIVE], capture_output=True, text=True, timeout=500, check=True
    )
    assert done.stdout.split() == []


HOP = (
    COMPILED
    + """
import numpy as np
from ilrs_robots.core import warm
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.analytic import hills
from ilrs_robots.sim.hop_lockstep import HopLockstep
from ilrs_robots.sim.world import SimRobot

warm.hopping()
before = compiled()
spec = GridSpec(-100.0, -100.0, 5.0, 41, 41)
prior = Dem(hills().grid(spec), spec)
run = HopLockstep(hills(), prior, SimRobot("hopper", load_robot("hopper")), 1)
print(run.hop((38.0, 0.0), 90.0), file=sys.stderr)
late = {key: kinds - before.get(key, set()) for key, kinds in compiled().items()}
print(*sorted(key for key, kinds in late.items() if kinds), sep="\\n")
"""
)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_nothing_is_compiled_once_a_hopper_flies() -> None:
    """A flight that waits for a compiler is one without commands."""
    done = subprocess.run(
        [sys.executable, "-c", HOP], capture_output=True, text=True, timeout=800, check=True
    )
    assert done.stdout.split() == [], done.stderr
