"""A vehicle in the scene: its model, moving parts, long shadow, route, path and name."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import viser

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.link_tree import LinkTree
from ilrs_robots.robots.view_state import VehicleView
from ilrs_robots.view.glb import Mesh, glb_of
from ilrs_robots.view.ground_tiles import GroundTiles
from ilrs_robots.view.shapes import Shape, extent_m, grid_triangles, solid, urdf_shapes
from ilrs_robots.view.sunlit_ground import Sun

SILENT_S: Final = 3.0
"""A vehicle that has not been heard for so long is drawn grey."""
TINTS: Final = {"lit": (1.0, 0.0), "dark": (0.35, 0.1), "silent": (0.7, 1.0)}
"""How its colours are changed: bright, grey."""
MOVED_M: Final = 0.01
TURNED: Final = 2e-3
SHADOW_M: Final = 60.0
"""Longest shadow that is drawn."""
COLOURS: Final = (
    (90, 200, 255),
    (255, 190, 80),
    (150, 240, 130),
    (255, 130, 190),
    (190, 150, 255),
)


class VehicleScene:
    """One vehicle.

    Args:
        server: that shows it.
        name: of the vehicle.
        urdf: its description.
        tiles: ground that lines lie on.
        level_m: height that is drawn as zero.
        index: chooses its colour.
    """

    def __init__(
        self, server: viser.ViserServer, name: str, urdf: str, tiles: GroundTiles,
        level_m: float, index: int,
    ) -> None:  # fmt: skip
        self._server, self._scene, self.name = server, server.scene, name
        self._tiles, self._level_m = tiles, level_m
        self.colour = COLOURS[index % len(COLOURS)]
        self._tree = LinkTree(urdf)
        self._shapes = self._rigid(urdf_shapes(urdf))
        self._extent = extent_m(self._shapes, self._tree.places({}))
        self._root = self._scene.add_frame(f"/vehicles/{name}", show_axes=False, visible=False)
        self._parts: dict[str, Any] = {}
        self._placed: dict[str, FloatArray] = {}
        self._tint = self._text = ""
        self._lines: dict[str, FloatArray] = {}
        self._label: Any = None
        self._shadow_at: FloatArray | None = None

    @property
    def height_m(self) -> float:
        """Of its highest part above its wheels' contacts."""
        return float(self._extent[1, 2])

    @property
    def place(self) -> FloatArray | None:
        """(4, 4) where it is drawn, None before it was heard of."""
        return self._placed.get("")

    def _rigid(self, by_link: dict[str, list[Shape]]) -> dict[str, list[Shape]]:
        """Visuals by the link that moves them: what is fixed to a link goes with it."""
        carried = {j.child: (j.parent, j.T_parent_joint) for j in self._tree.fixed}
        groups: dict[str, list[Shape]] = {}
        for link, shapes in by_link.items():
            carrier, T = link, np.eye(4)
            while carrier in carried:
                carrier, own = carried[carrier]
                T = own @ T
            for shape in shapes:
                moved = Shape(shape.kind, shape.size_m, T @ shape.T_link_shape, shape.rgba)
                groups.setdefault(carrier, []).append(moved)
        return {link: shapes for link, shapes in groups.items() if shapes}

    def show(self, view: VehicleView, sun: Sun) -> None:
        """Bring it up to date; what has not moved is not sent."""
        if view.T_map_base is None:
            return
        silent = view.silent_s > SILENT_S
        dark = math.isfinite(view.sun_share) and view.sun_share < 0.05
        self._paint("silent" if silent else "dark" if dark else "lit")
        self._place("", self._root, self._drawn(view.T_map_base))
        self._root.visible = True
        places = self._tree.places(view.joints)
        for link, part in self._parts.items():
            if link in places:
                self._place(link, part, places[link])
        self._name(view, silent)
        self._shadow(view, sun)
        base = np.asarray(view.T_map_base)[:3, 3]
        self._line("path", view.path_m, 3.0, self.colour, base, drape=not view.hops)
        faint = tuple(int(0.75 * v) for v in self.colour)
        self._line("route", view.route_m, 2.0, faint, base, drape=True)
        if view.hops:
            self._landing(view.path_m)

    def _paint(self, tint: str) -> None:
        if tint == self._tint:
            return
        self._tint = tint
        bright, grey = TINTS[tint]
        places = self._tree.places({})
        for link, shapes in self._shapes.items():
            mesh = solid(shapes, bright=bright, grey=grey)
            if mesh is None or link not in places:
                continue
            T = self._placed.get(link, places[link])
            position, quat = se3.split_transform(T)
            self._parts[link] = self._scene.add_glb(
                f"/vehicles/{self.name}/{link}", glb_of(mesh), position=position, wxyz=quat,
                cast_shadow=False, receive_shadow=False,
            )  # fmt: skip
            self._placed[link] = T

    def _place(self, key: str, handle: Any, T: FloatArray) -> None:
        old = self._placed.get(key)
        if old is not None and (
            np.abs(T[:3, 3] - old[:3, 3]).max() < MOVED_M
            and np.abs(T[:3, :3] - old[:3, :3]).max() < TURNED
        ):
            return
        self._placed[key] = T
        handle.position, handle.wxyz = se3.split_transform(T)

    def _drawn(self, T_map: FloatArray) -> FloatArray:
        T = np.array(T_map)
        T[2, 3] -= self._level_m
        return T

    def _name(self, view: VehicleView, silent: bool) -> None:
        text = self.name
        if silent:
            text += f", silent since T+{view.last_heard_s:.0f} s"
        if text == self._text:
            return
        self._text = text
        self._label = self._scene.add_label(
            f"/vehicles/{self.name}/name", text, position=(0.0, 0.0, self.height_m + 0.6)
        )

    # -- what lies on the ground ------------------------------------------------------------
    def _line(
        self, key: str, points_m: FloatArray, width: float, colour: tuple[int, ...],
        base_m: FloatArray, *, drape: bool,
    ) -> None:  # fmt: skip
        old = self._lines.get(key)
        if old is not None and np.array_equal(old, points_m):
            return
        self._lines[key] = np.array(points_m)
        name = f"/lines/{self.name}/{key}"
        if len(points_m) < 2:
            if old is not None and len(old) >= 2:
                self._scene.remove_by_name(name)
            return
        points = self._on_ground(points_m, base_m) if drape else np.array(points_m)
        points[:, 2] -= self._level_m
        segments = np.stack((points[:-1], points[1:]), axis=1).astype(np.float32)
        self._scene.add_line_segments(
            name, segments, colors=colour, thickness=width, thickness_units="screen"
        )

    def _on_ground(self, points_m: FloatArray, base_m: FloatArray) -> FloatArray:
        """Points every two metres or so, a hand above what is drawn there."""
        steps = np.linalg.norm(np.diff(points_m[:, :2], axis=0), axis=1)
        along = np.concatenate(([0.0], np.cumsum(steps)))
        count = int(np.clip(along[-1] / 2.0, len(points_m), 2000))
        at = np.linspace(0.0, along[-1], count)
        xy = np.stack([np.interp(at, along, points_m[:, k]) for k in (0, 1)], axis=1)
        z = self._tiles.height(xy)
        z = np.where(np.isnan(z), base_m[2], z) + 0.2
        return np.column_stack((xy, z))

    def _landing(self, arc_m: FloatArray) -> None:
        """A ring where the arc ends."""
        key = "landing"
        end = np.array(arc_m[-1:]) if len(arc_m) else np.zeros((0, 3))
        old = self._lines.get(key)
        if old is not None and np.array_equal(old, end):
            return
        self._lines[key] = end
        name = f"/lines/{self.name}/{key}"
        if not len(end):
            if old is not None and len(old):
                self._scene.remove_by_name(name)
            return
        turn = np.linspace(0.0, 2.0 * math.pi, 49)
        reach = 0.5 * float(np.linalg.norm(self._extent[1, :2] - self._extent[0, :2])) + 0.5
        ring = end[0] + reach * np.stack((np.cos(turn), np.sin(turn), 0.0 * turn), axis=1)
        ring[:, 2] += 0.3 - self._level_m
        segments = np.stack((ring[:-1], ring[1:]), axis=1).astype(np.float32)
        self._scene.add_line_segments(
            name, segments, colors=(90, 255, 140), thickness=4.0, thickness_units="screen"
        )

    def _shadow(self, view: VehicleView, sun: Sun) -> None:
        """The vehicle's shadow as a strip along the ground, away from the Sun."""
        assert view.T_map_base is not None
        lit = not view.sun_share < 0.05 and sun.elevation_rad > 0.0
        at = np.append(view.T_map_base[:3, 3], [sun.yaw_rad, sun.elevation_rad, float(lit)])
        if self._shadow_at is not None and np.abs(at - self._shadow_at).max() < 0.03:
            return
        self._shadow_at = at
        name = f"/lines/{self.name}/shadow"
        if not lit:
            self._scene.remove_by_name(name)
            return
        mesh = self._shadow_mesh(view.T_map_base, sun)
        if mesh is not None:
            self._scene.add_glb(name, glb_of(mesh), cast_shadow=False, receive_shadow=False)

    def _shadow_mesh(self, T_map_base: FloatArray, sun: Sun) -> Mesh | None:
        body = self._extent[1] - self._extent[0]
        length = min(self.height_m / math.tan(sun.elevation_rad), SHADOW_M)
        away = -np.array([math.cos(sun.yaw_rad), math.sin(sun.yaw_rad)])
        across = np.array([-away[1], away[0]])
        turn = math.atan2(T_map_base[1, 0], T_map_base[0, 0]) - sun.yaw_rad
        half = 0.5 * (abs(body[0] * math.sin(turn)) + abs(body[1] * math.cos(turn)))
        start = 0.25 * (abs(body[0] * math.cos(turn)) + abs(body[1] * math.sin(turn)))
        along = np.linspace(-start, length, 41)
        wide = half * np.clip(1.0 - 0.55 * (along / max(length, 1e-6)), 0.3, 1.0)
        left, right = (
            T_map_base[:2, 3] + along[:, None] * away + sign * wide[:, None] * across
            for sign in (1.0, -1.0)
        )
        xy = np.concatenate((left, right))
        z = self._tiles.height(xy)
        if np.isnan(z).any():
            return None
        points = np.column_stack((xy, z + 0.05 - self._level_m))
        return Mesh(points, grid_triangles(2, len(along)), colour=(0.0, 0.0, 0.004, 0.72))
