"""Draw the three vehicles side by side, from their URDF, to docs/images/vehicles.png.

Needs MuJoCo and a renderer that works without a display: run with MUJOCO_GL=egl (or osmesa).
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
import numpy as np
from matplotlib import image

from ilrs_robots.robots.description import urdf_of

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "vehicles.png"
VEHICLES = {
    "hopper": (0.0, 3.2, -20.0),
    "long_range": (0.0, 0.0, -32.0),
    "crewed_rover": (0.0, -3.8, -32.0),
}
"""Place x, y (m) and heading (deg) of each."""
SIZE_PX = (1600, 640)
SEED = 4


def scene() -> mujoco.MjSpec:
    """Grey ground with stones, a low Sun and a black sky."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 2 * SIZE_PX[0], 2 * SIZE_PX[1]
    spec.visual.quality.shadowsize = 16384
    spec.visual.quality.offsamples = 8
    spec.visual.headlight.ambient = [0.22, 0.22, 0.24]
    spec.visual.headlight.diffuse = [0.18, 0.18, 0.19]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.stat.extent, spec.stat.center = 5.0, [0, 0, 0.5]
    spec.visual.map.shadowclip = 1.3
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 80.0
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT, rgb1=[0, 0, 0], rgb2=[0, 0, 0],
        width=64, height=384,
    )  # fmt: skip
    world = spec.worldbody
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[60, 60, 1], rgba=[0.50, 0.49, 0.48, 1])
    world.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[6, 5, 6], dir=[-0.72, -0.50, -0.55],
        castshadow=True, diffuse=[0.85, 0.84, 0.80], specular=[0.15, 0.15, 0.15],
        ambient=[0.0, 0.0, 0.0],
    )  # fmt: skip
    rng = np.random.default_rng(SEED)
    for _ in range(500):
        x, y = rng.uniform(-22, 5), rng.uniform(-16, 16)
        if -1.9 < x < 3.5 and abs(y) < 6.0 and rng.random() < 0.85:
            continue
        size = 0.02 + rng.exponential(0.05)
        world.add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=[x, y, 0.2 * size],
            size=[size, size * rng.uniform(0.6, 1.0), size * rng.uniform(0.5, 0.8)],
            rgba=[*([rng.uniform(0.30, 0.42)] * 3), 1],
        )  # fmt: skip
    return spec


def add_vehicle(spec: mujoco.MjSpec, name: str, x_m: float, y_m: float, yaw_deg: float) -> None:
    """Put one vehicle's shapes into the scene; what only collides is left out."""
    vehicle = mujoco.MjSpec.from_string(
        urdf_of(name, name).replace(
            "</robot>",
            '<mujoco><compiler discardvisual="false" fusestatic="false"/></mujoco></robot>',
        )
    )
    for geom in vehicle.geoms:
        if geom.contype or geom.conaffinity:
            vehicle.delete(geom)
    half = math.radians(0.5 * yaw_deg)
    frame = spec.worldbody.add_frame(
        pos=[x_m, y_m, 0.0], quat=[math.cos(half), 0, 0, math.sin(half)]
    )
    spec.attach(vehicle, frame=frame, prefix=f"{name}/")


def main() -> None:
    """Render at twice the size and reduce it, which smooths the edges."""
    spec = scene()
    for name, place in VEHICLES.items():
        add_vehicle(spec, name, *place)
    model = spec.compile()
    data = mujoco.MjData(model)
    for k in range(model.njnt):  # wheels that are turned show what steers
        name = model.joint(k).name
        if name in ("crewed_rover/front_left_steer", "crewed_rover/front_right_steer"):
            data.qpos[model.jnt_qposadr[k]] = 0.30
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    camera.lookat[:] = (0.0, -0.75, 0.86)
    camera.distance, camera.azimuth, camera.elevation = 14.6, 180.0, -10.0
    model.vis.global_.fovy = 16.5
    width, height = SIZE_PX
    with mujoco.Renderer(model, 2 * height, 2 * width) as renderer:
        renderer.update_scene(data, camera)
        pixels = renderer.render().astype(np.float64)
    small = pixels.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    image.imsave(target, small.astype(np.uint8))


if __name__ == "__main__":
    main()
