"""MuJoCo lays a baked heightmap where the terrain is: its extent rule, in the real engine."""

from __future__ import annotations

import mujoco
import numpy as np

from ilrs_robots.core.terrain.heightmap import FULL_SCALE, extents
from ilrs_robots.robots.gazebo.terrain import read_baked, shipped_dir
from ilrs_robots.robots.site import load_site

BASE_M = 1.0
FAR_UP_M = 100.0


def test_mujocos_ground_is_the_sites_ground_at_centre_and_corners() -> None:
    heightmap = read_baked(shipped_dir("shackleton")).heightmap
    half = extents(heightmap.samples, heightmap.spacing_m).mujoco_half_m
    n = heightmap.samples
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><asset><hfield name="h" nrow="{n}" ncol="{n}" '
        f'size="{half} {half} {heightmap.relief_m} {BASE_M}"/></asset><worldbody>'
        f'<geom type="hfield" hfield="h" pos="0 0 {heightmap.low_m}"/></worldbody></mujoco>'
    )
    model.hfield_data[:] = (heightmap.pixels[::-1] / FULL_SCALE).astype(np.float32).ravel()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    surface = load_site("shackleton")[1].surface
    edge = half - 1e-6
    places = [0.0, 0.25, -64.0, 100.5, edge - 0.25, edge, -edge]
    for x in places:
        for y in places:
            start = np.array([x, y, FAR_UP_M])
            down = np.array([0.0, 0.0, -1.0])
            hit = np.zeros(1, dtype=np.int32)
            way = mujoco.mj_ray(model, data, start, down, None, 1, -1, hit)
            assert way >= 0.0, (x, y)
            true = float(surface.height(np.array([[x, y]]))[0])
            assert abs(FAR_UP_M - way - true) < 2e-3, (x, y)
    outside = np.array([half + 0.1, 0.0, FAR_UP_M])
    gone = mujoco.mj_ray(model, data, outside, np.array([0.0, 0.0, -1.0]), None, 1, -1, hit)
    assert gone < 0.0
