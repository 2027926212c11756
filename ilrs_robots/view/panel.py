"""The panel beside the scene: what is told, and what may be asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import viser

from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.view_state import Orders, SiteView
from ilrs_robots.view import panel_html
from ilrs_robots.view.sunlit_ground import Sun
from ilrs_robots.view.vehicle_scene import VehicleScene


class Panel:
    """Texts and buttons.

    Args:
        server: that shows them.
        title: name of the site.
        epoch: UTC of mission time zero.
        vehicles: in the scene, by name.
        reserves: charge below which each goes nowhere, 0 to 1.
        orders: takes what is asked for.
        look_at: brings the camera to a vehicle.
    """

    def __init__(
        self, server: viser.ViserServer, title: str, epoch: datetime,
        vehicles: Mapping[str, VehicleScene], reserves: Mapping[str, float], orders: Orders,
        look_at: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._title, self._epoch, self._orders = title, epoch, orders
        self._vehicles, self._reserves = vehicles, reserves
        self._texts: dict[str, str] = {}
        self._blocks: dict[str, Any] = {}
        self.chosen_m: FloatArray | None = None
        self._paused = False
        gui = server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(390)
        self._block(gui, "head")
        with gui.add_folder("Goal"):
            self._block(gui, "chosen")
            self._vehicle = gui.add_dropdown("Vehicle", tuple(vehicles) or ("none",))
            self._send = gui.add_button("Send goal", disabled=True)
            gui.add_button("Cancel goal").on_click(lambda _: self._cancel())
            self._pause = gui.add_button("Pause")
            gui.add_button("Look at vehicle").on_click(lambda _: look_at(self._vehicle.value))
        self._send.on_click(lambda _: self._go())
        self._pause.on_click(lambda _: self._toggle())
        with gui.add_folder("Vehicles"):
            for name in vehicles:
                self._block(gui, f"vehicle/{name}")
        with gui.add_folder("Mission"):
            self._block(gui, "timeline")
        with gui.add_folder("Events"):
            self._block(gui, "log")
        with gui.add_folder("Layers"):
            self.maps = gui.add_checkbox("Vehicles' maps", True)
            self.hazards = gui.add_checkbox("Hazards in colour", True)
        self._say_chosen("click a place on the ground")

    def show(self, state: SiteView, sun: Sun | None) -> None:
        """Bring the texts up to date; one that has not changed is not sent."""
        self._paused = state.paused
        self._pause.label = "Go on" if state.paused else "Pause"
        self._put("head", panel_html.heading_html(self._title, self._epoch, state, sun))
        for name, vehicle in self._vehicles.items():
            view = state.vehicles.get(name)
            if view is not None:
                reserve = self._reserves.get(name, 0.0)
                text = panel_html.vehicle_html(view, vehicle.colour, reserve)
                self._put(f"vehicle/{name}", text)
        self._put("timeline", panel_html.timeline_html(state))
        self._put("log", panel_html.log_html(state.events))

    def choose(self, place_m: FloatArray) -> None:
        """A place on the ground was clicked: (3,) metres in map."""
        self.chosen_m = place_m
        self._say_chosen(f"place x {place_m[0]:.1f} m, y {place_m[1]:.1f} m")
        self._send.disabled = False

    def _block(self, gui: viser.GuiApi, key: str) -> None:
        self._blocks[key] = gui.add_html("")

    def _put(self, key: str, text: str) -> None:
        if self._texts.get(key) != text:
            self._texts[key] = text
            self._blocks[key].content = text

    def _say_chosen(self, text: str) -> None:
        self._put("chosen", panel_html.page_html(text))

    def _go(self) -> None:
        if self.chosen_m is not None and self._vehicle.value in self._vehicles:
            x, y = (float(v) for v in self.chosen_m[:2])
            self._orders.go_to(self._vehicle.value, x, y)

    def _cancel(self) -> None:
        if self._vehicle.value in self._vehicles:
            self._orders.cancel(self._vehicle.value)

    def _toggle(self) -> None:
        self._orders.pause(not self._paused)
