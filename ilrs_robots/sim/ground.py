"""Ground under one vehicle: a heightfield patch that follows it, and a pool of rocks.

The patch lies on a world lattice, so a sample that is in the patch before and after a move has
the same height. MuJoCo's heightfield has a half side of (N - 1) r / 2, row 0 at the lowest y, and
splits each cell along the diagonal from its lowest to its highest corner.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import mujoco
import numpy as np

from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec
from ilrs_robots.sim.config import LATTICE_M, SNAP_M, SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.rover_layout import ContactBits
from ilrs_robots.sim.terrain import Terrain
from ilrs_robots.sim.vehicle import SimRobot

ROCK_FRAME_MARGIN_M = 4.0
"""Rocks whose centre lies this far outside the patch may still reach into it."""

_NOWHERE_M = (0.0, 0.0, -1e4)
_GROUND_GROUP = 3
_ROCK_STEP_M = 0.5
_NEAR_M = np.array([(0.0, 0.0), (8.0, 0.0), (-8.0, 0.0), (0.0, 8.0), (0.0, -8.0)])
_ROCK_SOLIMP = "0.998 0.998 0.001"


class GroundPatch:
    """Heightfield and rocks of one vehicle inside a MuJoCo model.

    Attributes:
        spec: grid of the patch now.
        heights_m: (rows, cols) float32 on it, metres.
        moves: how often the patch has moved.
        slots: place in the pool of each rock, by id.
    """

    def __init__(
        self, terrain: Terrain, name: str, reach_m: float, bits: ContactBits, config: SimConfig
    ) -> None:
        """Remember what to build.

        Args:
            terrain: ground and rocks.
            name: prefix of the patch's names.
            reach_m: half diagonal of the vehicle, within which rocks count.
            bits: contact bits of the vehicle.
            config: of the simulator.
        """
        self._terrain, self._name, self._reach_m, self._bits = terrain, name, reach_m, bits
        self._config = config
        self._half_cells = round(config.patch_half_m / LATTICE_M)
        side = 2 * self._half_cells + 1
        self.spec = GridSpec(0.0, 0.0, LATTICE_M, side, side)
        self.heights_m: Float32Array = np.zeros(self.spec.shape, dtype=np.float32)
        self.moves = -1
        self._centre_m = np.full(2, np.inf)
        self._rocks_at_m = np.full(2, np.inf)
        self.slots: dict[int, int] = {}

    @property
    def geom_name(self) -> str:
        """Name of the heightfield's geom."""
        return f"{self._name}ground"

    @property
    def centre_m(self) -> FloatArray:
        """(2,) centre of the patch, metres, map."""
        return self._centre_m

    def add_to(self, root: ET.Element) -> None:
        """Append the heightfield and the rocks to an ``<mujoco>`` element."""
        asset, world = root.find("asset"), root.find("worldbody")
        assert asset is not None
        assert world is not None
        half = repr(self._half_cells * LATTICE_M)
        ET.SubElement(
            asset,
            "hfield",
            name=self.geom_name,
            nrow=str(self.spec.rows),
            ncol=str(self.spec.cols),
            size=f"{half} {half} {self._config.patch_relief_m!r} 2",
        )
        body = ET.SubElement(world, "body", name=self.geom_name, mocap="true")
        ET.SubElement(
            body,
            "geom",
            name=self.geom_name,
            type="hfield",
            hfield=self.geom_name,
            contype=str(self._bits.ground),
            conaffinity="0",
            group=str(_GROUND_GROUP),
        )
        for k in range(self._config.rock_pool):
            body = ET.SubElement(world, "body", name=f"{self._name}rock_{k}", mocap="true")
            ET.SubElement(
                body,
                "geom",
                name=f"{self._name}rock_{k}",
                type="ellipsoid",
                size="0.1 0.1 0.1",
                contype=str(self._bits.rocks),
                conaffinity="0",
                group=str(_GROUND_GROUP),
                priority="1",
                condim="3",
                friction=f"{self._config.contact.rock_friction!r} 0.005 0.0001",
                solimp=_ROCK_SOLIMP,
            )

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Find the patch's places in the compiled model."""
        self._model, self._data = model, data
        field = model.hfield(self.geom_name).id
        start = model.hfield_adr[field]
        self._samples = model.hfield_data[start : start + self.spec.rows * self.spec.cols]
        self._mocap = model.body_mocapid[model.body(self.geom_name).id]
        names = [f"{self._name}rock_{k}" for k in range(self._config.rock_pool)]
        self._rock_geoms = np.array([model.geom(n).id for n in names], dtype=np.int64)
        bodies = np.array([model.body(n).id for n in names], dtype=np.int64)
        self._rock_mocaps = model.body_mocapid[bodies]
        self._rock_nodes = model.body_bvhadr[bodies]
        data.mocap_pos[self._rock_mocaps] = _NOWHERE_M

    def follow(self, xy_m: FloatArray) -> bool:
        """Move the patch and swap rocks where the vehicle has gone far enough.

        Returns:
            Whether the patch moved.

        Raises:
            SimulationError: the terrain ends here, or is too steep for the patch.
        """
        moved = float(np.max(np.abs(xy_m - self._centre_m))) > self._config.patch_move_m
        if moved:
            self._move(xy_m)
        if moved or float(np.hypot(*(xy_m - self._rocks_at_m))) > _ROCK_STEP_M:
            self._assign_rocks(xy_m)
        return moved

    def stand(self, robot: SimRobot, drop_m: float) -> tuple[FloatArray, FloatArray]:
        """Pose just above the ground, level with the plane through what lies under the vehicle.

        Returns:
            (3,) position and (4,) attitude of base_link in map.
        """
        size = robot.model.footprint
        along = np.linspace(-0.5 * size.length_m, 0.5 * size.length_m, 9)
        across = np.linspace(-0.5 * size.width_m, 0.5 * size.width_m, 9)
        local = np.stack(np.meshgrid(along, across), axis=-1).reshape(-1, 2)
        ahead = np.array([np.cos(robot.yaw_rad), np.sin(robot.yaw_rad)])
        offset = local @ np.array([ahead, (-ahead[1], ahead[0])])
        start = np.array([robot.x_m, robot.y_m])
        top = self._top(start + offset)
        if not np.isfinite(top).all():
            raise SimulationError(f"{robot.name}: no ground at its start {start.tolist()}")
        plane = np.column_stack((offset, np.ones(len(offset))))
        slope_x, slope_y, level = np.linalg.lstsq(plane, top, rcond=None)[0]
        level += float(np.max(top - plane @ (slope_x, slope_y, level))) + drop_m
        up = np.array([-slope_x, -slope_y, 1.0]) / np.sqrt(1.0 + slope_x**2 + slope_y**2)
        forward = np.array([*ahead, slope_x * ahead[0] + slope_y * ahead[1]])
        forward /= np.linalg.norm(forward)
        matrix = np.column_stack((forward, np.cross(up, forward), up))
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, matrix.ravel())
        return np.array([*start, level]), quat

    def touched(self, geoms: BoolArray) -> FloatArray:
        """Rocks of this patch among touched geoms.

        Args:
            geoms: (G,) which geoms of the whole model are touched.

        Returns:
            (K, 3) x and y in map and height above the ground, metres.
        """
        slots = set(np.flatnonzero(geoms[self._rock_geoms]).tolist())
        ids = [rock for rock, slot in self.slots.items() if slot in slots]
        rocks = np.flatnonzero(np.isin(self._rocks.ids, ids))
        place = self._rocks.centre_m[rocks]
        top_m = place[:, 2] + self._rocks.semi_axes_m[rocks, 2]
        return np.column_stack((place[:, :2], top_m - self._terrain.height(place[:, :2])))

    def _top(self, xy_m: FloatArray) -> FloatArray:
        """Height of ground or rock at points of the patch."""
        top = np.array(self._terrain.height(xy_m), dtype=np.float64)
        rocks = self._rocks
        for centre, axes, yaw in zip(
            rocks.centre_m, rocks.semi_axes_m, rocks.yaw_rad, strict=True
        ):
            d = xy_m - centre[:2]
            cos, sin = np.cos(yaw), np.sin(yaw)
            u = (cos * d[:, 0] + sin * d[:, 1]) / axes[0]
            v = (cos * d[:, 1] - sin * d[:, 0]) / axes[1]
            inside = 1.0 - u**2 - v**2
            over = inside > 0.0
            top[over] = np.maximum(top[over], centre[2] + axes[2] * np.sqrt(inside[over]))
        return top

    def probe_m(self, xy_m: FloatArray) -> FloatArray:
        """Height of what physics collides with, seen from above, (N,) metres; NaN for nothing.

        Rocks count only where the pool holds them, near the vehicle.
        """
        model, data, geom = self._model, self._data, np.zeros(1, dtype=np.int32)
        mujoco.mj_kinematics(model, data)
        own = [self.geom_name, *(f"{self._name}rock_{k}" for k in range(len(self._rock_geoms)))]
        groups = np.zeros(6, dtype=np.uint8)
        groups[_GROUND_GROUP] = 1
        top = float(np.nanmax(self.heights_m)) + 10.0
        heights = np.full(len(xy_m), np.nan)
        ids = {model.geom(name).id for name in own}
        for k, (x, y) in enumerate(xy_m):
            start, down = np.array([x, y, top]), np.array([0.0, 0.0, -1.0])
            distance = mujoco.mj_ray(model, data, start, down, groups, 1, -1, geom)
            if distance >= 0.0 and int(geom[0]) in ids:
                heights[k] = top - distance
        return heights

    def grid_at(self, xy_m: FloatArray) -> GridSpec:
        """Grid of a patch around (2,) a place, metres, map, on the world's lattice."""
        half, side = self._half_cells * LATTICE_M, self.spec.rows
        corner = np.round((SNAP_M * np.round(xy_m / SNAP_M) - half) / LATTICE_M) * LATTICE_M
        return GridSpec(float(corner[0]), float(corner[1]), LATTICE_M, side, side)

    def height_over(self, position_m: FloatArray) -> float:
        """Least height of (3,) a place in map over the ground below and near it, metres.

        Raises:
            SimulationError: the terrain ends here.
        """
        near = position_m[:2] + _NEAR_M
        ground = np.asarray(self._terrain.height(near), dtype=np.float64)
        if not np.isfinite(ground[0]):
            x, y = (float(v) for v in position_m[:2])
            raise SimulationError(f"the terrain ends at x = {x:.1f} m, y = {y:.1f} m")
        return float(position_m[2] - np.nanmax(ground))

    def _move(self, xy_m: FloatArray) -> None:
        centre = SNAP_M * np.round(xy_m / SNAP_M)
        half = self._half_cells * LATTICE_M
        spec = self.grid_at(xy_m)
        heights = np.asarray(self._terrain.grid(spec), dtype=np.float32)
        known = np.isfinite(heights)
        if not known.all():
            self._check_hole(known, spec, xy_m)
        low = float(np.floor(heights[known].min())) - 1.0
        relief = self._config.patch_relief_m
        if float(heights[known].max()) - low > relief:
            raise SimulationError(
                f"the ground around x = {xy_m[0]:.1f} m, y = {xy_m[1]:.1f} m rises by more than "
                f"patch_relief_m = {relief} m within {2 * half} m"
            )
        filled = np.where(known, heights, np.float32(low))
        self._samples[:] = ((filled.astype(np.float64) - low) / relief).ravel()
        self._data.mocap_pos[self._mocap] = (*centre, low)
        self.spec, self.heights_m, self._centre_m = spec, heights, centre
        self.moves += 1
        margin = half + ROCK_FRAME_MARGIN_M
        x, y = (float(v) for v in centre)
        self._rocks = self._terrain.rocks(x - margin, y - margin, x + margin, y + margin)

    def _check_hole(self, known: np.ndarray, spec: GridSpec, xy_m: FloatArray) -> None:
        dx = np.abs(spec.x_m() - xy_m[0])[None, :]
        dy = np.abs(spec.y_m() - xy_m[1])[:, None]
        needed = np.maximum(dx, dy) <= self._config.patch_move_m + self._reach_m
        if not known[needed].all():
            raise SimulationError(
                f"the terrain ends near x = {xy_m[0]:.1f} m, y = {xy_m[1]:.1f} m: the vehicle "
                "would drive off its edge"
            )

    def _assign_rocks(self, xy_m: FloatArray) -> None:
        """Give each rock within reach a slot of the pool; a rock keeps the slot it has."""
        self._rocks_at_m = xy_m.copy()
        rocks = self._rocks
        gap = np.hypot(*(rocks.centre_m[:, :2] - xy_m).T) - rocks.semi_axes_m[:, :2].max(
            axis=1, initial=0.0
        )
        near = np.flatnonzero(gap < self._reach_m + 2.0 * _ROCK_STEP_M)
        if len(near) > len(self._rock_geoms):
            ground = self._terrain.height(rocks.centre_m[near, :2])
            above = rocks.centre_m[near, 2] + rocks.semi_axes_m[near, 2] - ground
            near = near[np.argsort(-above, kind="stable")[: len(self._rock_geoms)]]
        wanted = {int(rocks.ids[i]): int(i) for i in near}
        for key in [k for k in self.slots if k not in wanted]:
            slot = self.slots.pop(key)
            self._data.mocap_pos[self._rock_mocaps[slot]] = _NOWHERE_M
        free = iter(sorted(set(range(len(self._rock_geoms))) - set(self.slots.values())))
        for key, index in wanted.items():
            if key not in self.slots:
                self.slots[key] = next(free)
                self._place(self.slots[key], index)

    def _place(self, slot: int, index: int) -> None:
        geom, mocap = self._rock_geoms[slot], self._rock_mocaps[slot]
        axes = self._rocks.semi_axes_m[index]
        half_yaw = 0.5 * float(self._rocks.yaw_rad[index])
        self._model.geom_size[geom] = axes
        self._model.geom_rbound[geom] = axes.max()
        self._model.geom_aabb[geom] = (0.0, 0.0, 0.0, *axes)
        self._model.bvh_aabb[self._rock_nodes[slot]] = (0.0, 0.0, 0.0, *axes)
        self._data.mocap_pos[mocap] = self._rocks.centre_m[index]
        self._data.mocap_quat[mocap] = (np.cos(half_yaw), 0.0, 0.0, np.sin(half_yaw))
