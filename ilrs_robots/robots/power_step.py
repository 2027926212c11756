"""Battery, heat, light and links of one vehicle from its pose and time; ROS-free.

Nodes, lock-step and campaigns call this, whatever moves the vehicle. It sees what is known from
orbit only, as the vehicle does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ilrs_robots.core.energy.battery import Battery
from ilrs_robots.core.energy.bus import Ledger, PowerBus
from ilrs_robots.core.energy.drive import DriveModel
from ilrs_robots.core.environment.relay import load_network
from ilrs_robots.core.environment.surface_network import EARTH_NODE, LinkModel, LinkNode, Route
from ilrs_robots.core.environment.thermal import (
    ElectronicsBox,
    RegolithConfig,
    equilibrium_k,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel, RoverModel
from ilrs_robots.robots.power import drive_model_of
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.site_light import LightState, SiteLight

LONGEST_STEP_S: Final = 60.0
"""Longer spans are cut into steps of at most this."""
LINK_PERIOD_S: Final = 10.0
STANDING_MPS: Final = 0.02
COLDEST_GROUND_K: Final = 90.0
"""Of ground that gets light now and then; ground that never does is colder still."""
YEAR_S: Final = 365.25 * 86_400.0


@dataclass(frozen=True)
class PowerState:
    """One step of a vehicle's power; powers in watts are means over it.

    Attributes:
        time_s: ROS time at its end.
        light: of the Sun.
        solar_w: that the arrays could give.
        sources_w: that all sources could give.
        loads_w: delivered, by name.
        shed: loads that got less than they asked for.
        battery_w: into the battery, negative out of it.
        charge: of the battery, 0 to 1.
        voltage_v: of the battery.
        box_k: temperature of electronics and battery.
        charger: where it is charged, or empty.
        ledger: of all energy so far.
        earth: route to the Earth, or None.
        base: route to the site's first radio, or None.
    """

    time_s: float
    light: LightState
    solar_w: float
    sources_w: float
    loads_w: Mapping[str, float]
    shed: tuple[str, ...]
    battery_w: float
    charge: float
    voltage_v: float
    box_k: float
    charger: str
    ledger: Ledger
    earth: Route | None
    base: Route | None


@dataclass
class _Links:
    """The newest routes and when they were looked up."""

    at_s: float = -math.inf
    earth: Route | None = None
    base: Route | None = None


@dataclass
class PowerStep:
    """The power of one vehicle as time passes.

    Attributes:
        name: of the vehicle in the network.
        model: its file.
        site: place, epoch, base.
        prior: ground as known from orbit.
        others: vehicles that relay, where they are known to stand.
        grant_w: what the base grants at a charger; None where no base speaks: then every other
            charger is taken to be in full use.
    """

    name: str
    model: RobotModel
    site: SiteConfig
    prior: Dem
    others: Sequence[LinkNode] = ()
    grant_w: float | None = None
    _links: _Links = field(default_factory=_Links, init=False)

    def __post_init__(self) -> None:
        """Begin at the epoch with the charge that the file says.

        Raises:
            ConfigError: the site's network is unknown.
            EphemerisError: its epoch is outside 2020 to 2060.
        """
        power = self.model.power
        self._sky = SiteLight(self.site, self.prior)
        self._epoch_s = self._sky.epoch_s
        self._network = LinkModel(self.prior, self._sky.frame, load_network(self.site.network))
        self._drive: DriveModel | None = None
        if isinstance(self.model, RoverModel):
            mass_kg = self.model.total_mass_kg
            self._drive = drive_model_of(self.model.wheels, mass_kg, power.drive)
        self.restart(power.charge, power.box.setpoint_k)

    def restart(self, charge: float, box_k: float, time_s: float | None = None) -> None:
        """Begin anew with a charge (0 to 1) and a temperature in K, at a ROS time or the next."""
        self.bus = PowerBus(Battery(self.model.power.battery, charge))
        self.box_k, self._time_s = box_k, time_s
        self._links.at_s = -math.inf

    def step(self, time_s: float, T_map_base: FloatArray, speed_mps: float) -> PowerState:
        """Go on to a ROS time.

        Args:
            time_s: seconds after the epoch; time that was set back moves nothing.
            T_map_base: (4, 4) pose of the vehicle, a rigid transform.
            speed_mps: along its x, over the span since the last step.

        Raises:
            EphemerisError: the time is outside 2020 to 2060.
            ConfigError: time or speed are no number.
        """
        last = time_s if self._time_s is None else self._time_s
        span = max(time_s - last, 0.0)
        light = self.light(time_s, T_map_base[:3, 3])
        parts = max(1, math.ceil(span / LONGEST_STEP_S))
        for _ in range(parts):
            state = self._advance(max(span / parts, 1e-3), light, T_map_base, speed_mps)
        self._time_s = time_s
        self._look_up(time_s, T_map_base)
        return replace(state, time_s=time_s, earth=self._links.earth, base=self._links.base)

    def since_epoch_s(self, utc_ns: int) -> float:
        """Mission time in seconds of a wall clock's POSIX nanoseconds."""
        return utc_ns * 1e-9 - self._epoch_s

    def light(self, time_s: float, position_m: FloatArray) -> LightState:
        """The Sun from a place in map, (3,) metres, at a ROS time."""
        panel_m = max((a.mast_m for a in self.model.power.solar), default=1.0)
        return self._sky.at(time_s, position_m, panel_m)

    def _advance(
        self, dt_s: float, light: LightState, T_map_base: FloatArray, speed_mps: float
    ) -> PowerState:
        power, s = self.model.power, self._epoch_age_s()
        sun = T_map_base[:3, :3].T @ light.toward
        solar = math.fsum(
            float(a.power_w(light.irradiance_wpm2, light.share, a.light_on(sun)))
            for a in power.solar
        )
        electric, warmth = (0.0, 0.0) if power.radioisotope is None else (
            power.radioisotope.power_w(s)
        )  # fmt: skip
        charger, granted = self._charging(T_map_base, speed_mps)
        inside = math.fsum(power.loads_w.values())
        ground_k, on_box_w = self._surroundings(light)
        box = ElectronicsBox(power.box)
        wanted = box.step(
            self.box_k, dt_s, dissipated_w=inside + warmth, ground_k=ground_k,
            sunlight_w=on_box_w,
        ).heater_w  # fmt: skip
        asked = {"heater": wanted, "drive": self.drive_w(T_map_base, speed_mps), **power.loads_w}
        flow = self.bus.step(dt_s, solar + electric + granted, asked, self.box_k)
        heat = math.fsum(v for k, v in flow.delivered_w.items() if k != "drive") + warmth
        unheated = ElectronicsBox(replace(power.box, heater_w=0.0))
        self.box_k = unheated.step(
            self.box_k, dt_s, dissipated_w=heat, ground_k=ground_k, sunlight_w=on_box_w
        ).temperature_k
        battery = self.bus.battery
        return PowerState(
            0.0, light, solar, solar + electric + granted, flow.delivered_w, flow.shed,
            flow.battery_w, battery.charge, battery.voltage_v, self.box_k, charger,
            self.bus.ledger, None, None,
        )  # fmt: skip

    def drive_w(self, T_map_base: FloatArray, speed_mps: float) -> float:
        """Power of driving at a pose, a (4, 4) rigid transform; turning in place costs nothing.

        On a slope that is too steep for steady driving it is that of the steepest one.
        """
        if self._drive is None or abs(speed_mps) < STANDING_MPS:
            return 0.0
        climb = math.asin(min(max(float(T_map_base[2, 0]), -1.0), 1.0))
        energy = float(self._drive.energy_jpm(math.copysign(1.0, speed_mps) * climb))
        if math.isnan(energy):
            energy = float(np.nanmax(self._drive.table[1])) if climb * speed_mps > 0.0 else 0.0
        return max(energy, 0.0) * abs(speed_mps)

    def _charging(self, T_map_base: FloatArray, speed_mps: float) -> tuple[str, float]:
        if abs(speed_mps) >= STANDING_MPS or self.model.power.charger_w <= 0.0:
            return "", 0.0
        charger = self.site.base.charger_at(float(T_map_base[0, 3]), float(T_map_base[1, 3]))
        if charger is None:
            return "", 0.0
        most_w = self.model.power.charger_w
        if self.grant_w is not None:
            return charger.name, min(max(self.grant_w, 0.0), charger.max_w, most_w)
        return charger.name, self.site.base.granted_w(charger, most_w)

    def _surroundings(self, light: LightState) -> tuple[float, float]:
        """Temperature of level ground in balance with the light, and sunlight on the box, W."""
        ground = RegolithConfig()
        flux = light.irradiance_wpm2 * light.share
        absorbed = flux * max(math.sin(light.elevation_rad), 0.0) * (1.0 - ground.albedo)
        lit_k = float(equilibrium_k(absorbed, ground.emissivity))
        return max(lit_k, COLDEST_GROUND_K), flux * 0.25 * self.model.power.box.area_m2

    def _epoch_age_s(self) -> float:
        time_s = 0.0 if self._time_s is None else max(self._time_s, 0.0)
        return self.model.power.radioisotope_age_years * YEAR_S + time_s

    def _look_up(self, time_s: float, T_map_base: FloatArray) -> None:
        """Routes to the Earth and to the base, every ``LINK_PERIOD_S``."""
        links = self._links
        if 0.0 <= time_s - links.at_s < LINK_PERIOD_S:
            return
        links.at_s, links.earth, links.base = time_s, None, None
        x, y = float(T_map_base[0, 3]), float(T_map_base[1, 3])
        if not self.prior.contains(np.array([[x, y]]))[0]:
            return
        radios = self.site.base.radios
        own = LinkNode(self.name, x, y, self.model.comms)
        nodes = [own, *(radio.node for radio in radios), *self.others]
        network = self._network.network(nodes, self._epoch_s + time_s)
        links.earth = network.route(self.name, EARTH_NODE)
        if radios:
            links.base = network.route(self.name, radios[0].name)
