"""The mission view: a site under its Sun, its vehicles, their maps and ways, and the panel."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.site_light import SiteLight
from ilrs_robots.robots.view_state import GroundView, Orders, SiteView
from ilrs_robots.view.browser_server import open_server
from ilrs_robots.view.gate import Gate
from ilrs_robots.view.glb import glb_of
from ilrs_robots.view.ground_tiles import GroundTiles, thinned
from ilrs_robots.view.own_ground import own_ground
from ilrs_robots.view.panel import Panel
from ilrs_robots.view.shapes import Shape, sdf_shapes, solid
from ilrs_robots.view.sunlit_ground import GroundPicture, Sun
from ilrs_robots.view.vehicle_scene import VehicleScene

SUN_STEP_RAD: Final = math.radians(0.25)
"""The ground is lit anew when the Sun has moved so far."""
SUN_PERIOD_S: Final = 3.0
"""And not more often than this, of wall time."""
PANEL_PERIOD_S: Final = 0.5
MAP_PERIOD_S: Final = 2.0
FOV_RAD: Final = math.radians(45.0)


@dataclass(frozen=True)
class ViewSettings:
    """How the view is opened.

    Attributes:
        host: address to listen on.
        port: TCP port.
        token: that a browser must bring; empty for none, on loopback only.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""


class BrowserScene:
    """A scene in the browser.

    Args:
        site: place, epoch, base.
        prior: ground as known from orbit.
        urdfs: descriptions of the vehicles by name.
        orders: takes what a person asks for.
        settings: how it is opened.

    Raises:
        ConfigError: an address beyond loopback without a token.
        IlrsError: the viewer cannot be gated.
    """

    def __init__(
        self, site: SiteConfig, prior: Dem, urdfs: Mapping[str, str], orders: Orders,
        settings: ViewSettings,
    ) -> None:  # fmt: skip
        gate = Gate(settings.host, settings.token)
        ground = thinned(prior)
        self._level_m = float(np.nanmedian(ground.heights_m))
        self._light = SiteLight(site, prior)
        self._tiles = GroundTiles(ground, self._level_m)
        self._picture = GroundPicture(ground)
        self._sun: Sun | None = None
        self._rgb: FloatArray | None = None
        self._due = dict.fromkeys(("sun", "panel"), -math.inf)
        self._maps: dict[str, tuple[GroundView, bool, Sun, bool]] = {}
        self._map_due: dict[str, float] = {}
        self.server = open_server(settings.host, settings.port, gate, f"ILRS {site.name}")
        scene = self.server.scene
        scene.configure_default_lights(enabled=False)
        scene.configure_environment_map(hdri=None)
        self._sky()
        self._vehicles = {
            name: VehicleScene(self.server, name, urdf, self._tiles, self._level_m, index)
            for index, (name, urdf) in enumerate(urdfs.items())
        }
        reserves = {n: site.robot(n).load_model().power.battery.reserve for n in urdfs}
        self._panel = Panel(
            self.server, site.name, site.epoch, self._vehicles, reserves, orders, self._look_at
        )
        self._base(site)
        self._stand = {n: np.array([site.robot(n).x_m, site.robot(n).y_m]) for n in urdfs}
        scene.on_click()(self._clicked)
        self._turn_sun(0.0)
        self._open_at(np.mean(list(self._stand.values()), axis=0) if urdfs else np.zeros(2))

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self.server.get_port())

    def close(self) -> None:
        """End the server."""
        self.server.stop()

    def show(self, state: SiteView) -> None:
        """Bring the scene up to date; each part at its own pace."""
        now_s = time.monotonic()
        with self.server.atomic():
            if math.isfinite(state.time_s) and now_s >= self._due["sun"]:
                self._due["sun"] = now_s + SUN_PERIOD_S
                self._turn_sun(state.time_s)
            if self._sun is not None:
                for name, vehicle in self._vehicles.items():
                    if name in state.vehicles:
                        vehicle.show(state.vehicles[name], self._sun)
            self._one_map(state, now_s)
            if now_s >= self._due["panel"]:
                self._due["panel"] = now_s + PANEL_PERIOD_S
                self._panel.show(state, self._sun)

    # -- sun and ground ---------------------------------------------------------------------
    def _sky(self) -> None:
        """Black, with nothing in it but the Sun's light."""
        self.server.scene.set_background_image(np.zeros((4, 4, 3), dtype=np.uint8), format="png")
        self.server.scene.world_axes.visible = False
        self.server.scene.add_light_ambient("/light/sky", intensity=0.5)

    def _turn_sun(self, time_s: float) -> None:
        try:
            seen = self._light.at(time_s, np.zeros(3), 2.0)
        except EphemerisError:
            return  # beyond the ephemeris the Sun stands where it stood
        x, y, _z = seen.toward
        sun = Sun(math.atan2(y, x), seen.elevation_rad)
        if self._sun is not None and sun.apart_rad(self._sun) < SUN_STEP_RAD:
            return
        self._sun = sun
        self._rgb = self._picture.shine(sun)
        for name in self._tiles.names:
            self._send_tile(name)
        self._due |= {"sun": time.monotonic() + SUN_PERIOD_S}
        bright = 3.2 if sun.elevation_rad > -0.01 else 0.0
        x, y, z = 1000.0 * sun.toward
        self.server.scene.add_light_directional(
            "/light/sun", color=(255, 246, 230), intensity=bright, position=(x, y, max(z, 120.0))
        )

    def _send_tile(self, name: str) -> None:
        assert self._rgb is not None
        mesh = self._tiles.mesh(name, self._rgb, self._picture.per_cell)
        self.server.scene.add_glb(
            f"/ground/{name}", glb_of(mesh), cast_shadow=False, receive_shadow=False
        )

    def _one_map(self, state: SiteView, now_s: float) -> None:
        """At most one vehicle's map in a frame, each at its own pace."""
        if self._sun is None:
            return
        for name, view in state.vehicles.items():
            if view.ground is None or now_s < self._map_due.get(name, -math.inf):
                continue
            shown, hazards = self._panel.maps.value, self._panel.hazards.value
            newest = (view.ground, hazards, self._sun, shown)
            old = self._maps.get(name)
            if old is not None and all(a is b for a, b in zip(old, newest, strict=True)):
                continue
            self._map_due[name] = now_s + MAP_PERIOD_S
            self._maps[name] = newest
            self._send_map(name, view.ground if shown else None, hazards=hazards)
            return

    def _send_map(self, name: str, ground: GroundView | None, *, hazards: bool) -> None:
        assert self._sun is not None
        for tile in self._tiles.lay_over(name, ground):
            self._send_tile(tile)
        mesh = ground and own_ground(ground, self._sun, self._picture, hazards=hazards)
        where = f"/maps/{name}"
        if mesh is None or ground is None:
            self.server.scene.remove_by_name(where)
            return
        T = np.array(ground.T_map_frame)
        T[2, 3] -= self._level_m
        position, quat = se3.split_transform(T)
        self.server.scene.add_glb(
            where, glb_of(mesh), position=position, wxyz=quat, cast_shadow=False,
            receive_shadow=False,
        )  # fmt: skip

    # -- base -------------------------------------------------------------------------------
    def _base(self, site: SiteConfig) -> None:
        """Buildings, masts, towers and chargers where the site says."""
        for index, placed in enumerate(site.structures):
            path = share_dir() / "worlds" / "models" / f"{placed.kind}.sdf"
            if not path.is_file():
                continue
            self._building(
                f"{placed.kind}_{index}", sdf_shapes(path), placed.x_m, placed.y_m, placed.yaw_deg
            )
        masts = [
            (t.name, t.x_m, t.y_m, t.array.mast_m, (0.10, 0.16, 0.45)) for t in site.base.towers
        ]
        masts += [(c.name, c.x_m, c.y_m, 1.2, (0.85, 0.75, 0.2)) for c in site.base.chargers]
        for name, x, y, tall, rgb in masts:
            pole = Shape("cylinder", (0.12, tall), _up(0.5 * tall), (0.6, 0.6, 0.62, 1.0))
            head = Shape("box", (0.6, 0.6, 0.35 * tall), _up(0.83 * tall), (*rgb, 1.0))
            self._building(name, [pole, head], x, y, 0.0)

    def _building(
        self, name: str, shapes: list[Shape], x_m: float, y_m: float, yaw_deg: float
    ) -> None:
        height = float(self._tiles.height(np.array([[x_m, y_m]]))[0])
        mesh = solid(shapes)
        if mesh is None or not math.isfinite(height):
            return
        turn = math.radians(0.5 * yaw_deg)
        self.server.scene.add_glb(
            f"/base/{name}", glb_of(mesh), position=(x_m, y_m, height - self._level_m),
            wxyz=(math.cos(turn), 0.0, 0.0, math.sin(turn)), cast_shadow=False,
            receive_shadow=False,
        )  # fmt: skip

    # -- the person -------------------------------------------------------------------------
    def _open_at(self, middle_m: FloatArray) -> None:
        """Where a browser looks from at first: low, across the Sun's light, at the vehicles."""
        height = float(np.nan_to_num(self._tiles.height(middle_m[None])[0], nan=self._level_m))
        at = np.array([*middle_m, height - self._level_m])
        camera = self.server.initial_camera
        camera.position = at + self._seen_from(34.0, 13.0)
        camera.look_at = at
        camera.up, camera.fov, camera.far, camera.near = (0.0, 0.0, 1.0), FOV_RAD, 6000.0, 0.2

    def _seen_from(self, far_m: float, high_m: float) -> FloatArray:
        side = (0.0 if self._sun is None else self._sun.yaw_rad) + math.radians(65.0)
        return np.array([far_m * math.cos(side), far_m * math.sin(side), high_m])

    def _look_at(self, vehicle: str) -> None:
        T = self._vehicles[vehicle].place if vehicle in self._vehicles else None
        if T is None:
            return
        for client in self.server.get_clients().values():
            with client.atomic():
                client.camera.position = T[:3, 3] + self._seen_from(14.0, 6.0)
                client.camera.look_at = T[:3, 3]

    def _clicked(self, event: Any) -> None:
        origin = np.add(event.ray_origin, (0.0, 0.0, self._level_m))
        place = self._tiles.hit(origin, np.array(event.ray_direction))
        if place is None:
            return
        self._panel.choose(place)
        turn = np.linspace(0.0, 2.0 * math.pi, 37)
        ring = place + 1.2 * np.stack((np.cos(turn), np.sin(turn), 0.0 * turn), axis=1)
        ring[:, 2] += 0.25 - self._level_m
        segments = np.stack((ring[:-1], ring[1:]), axis=1).astype(np.float32)
        self.server.scene.add_line_segments(
            "/chosen", segments, colors=(255, 90, 220), thickness=4.0, thickness_units="screen"
        )


def _up(height_m: float) -> FloatArray:
    T = np.eye(4)
    T[2, 3] = height_m
    return T
