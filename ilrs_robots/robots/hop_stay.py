"""May a hopper stand at a place of a site for a while: Sun, battery, links to Earth and base.

Only what is known from orbit counts. Everything is taken at its worse: the darker end of every
step, every load on and the heater at its most, a link only where it holds at both ends of a step.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.environment.surface_network import EARTH_NODE, LinkNode
from ilrs_robots.core.planning.hop_stay import DARK, NO_LINK, Stay, StayConfig
from ilrs_robots.core.planning.hop_types import HopProfile, HopRefusedError
from ilrs_robots.core.planning.route_survive import stored
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.hop_flight_types import HopFlightConfig, Supplies
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.power_step import YEAR_S
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.site_light import SiteLight
from ilrs_robots.robots.site_links import link_model_of

AFTER_S = 60.0
"""Settling, verifying and saying so, seconds."""
_NAME = "hopper"


def stay_after(
    stays: SiteStay | None, hop: HopProfile, now_ns: int, supplies: Supplies | None,
    cfg: HopFlightConfig, way_station: bool,
) -> Stay | None:  # fmt: skip
    """Light, battery and links at the end of a hop that begins soon; None where nobody counts.

    Args:
        stays: of the site.
        hop: as planned.
        now_ns: stamp of the newest inertial sample.
        supplies: what is left now; None counts on a full battery.
        cfg: of the flight.
        way_station: whether another hop follows.

    Raises:
        HopRefusedError: it may not stand there.
    """
    if stays is None:
        return None
    held = stays.full_wh() if supplies is None else supplies.battery_wh
    held -= stays.flight_wh(hop.duration_s)
    arrive_s = stays.site_s(now_ns) + cfg.stand_s + hop.duration_s
    stay_s = cfg.stay.station_s if way_station else cfg.stay_s
    stay = stays.stand(hop.goal_m, arrive_s, held, stay_s, way_station)
    if stay.code:
        raise HopRefusedError(stay.code, stay.why)
    return stay


@dataclass(frozen=True)
class _Look:
    """What is seen from a place at a time."""

    share: float
    power_w: float
    linked: bool


class SiteStay:
    """Light, power and links over the places of a site; a ``StayModel``.

    Args:
        site: place, epoch, base.
        prior: ground as known from orbit.
        model: the vehicle.
        cfg: what way-stations need.
        simulated: whether stamps count from the site's epoch, and not from 1970.

    Raises:
        ConfigError: the site's network is unknown.
        EphemerisError: its epoch is outside 2020 to 2060.
    """

    def __init__(
        self, site: SiteConfig, prior: Dem, model: HopperModel, cfg: StayConfig,
        simulated: bool = True,
    ) -> None:  # fmt: skip
        self.cfg, self._power, self._simulated = cfg, model.power, simulated
        self._comms, self._prior = model.comms, prior
        self._light, self._links = SiteLight(site, prior), link_model_of(site, prior)
        self._radios = [radio.node for radio in site.base.radios]
        self._panel_m = max((a.mast_m for a in model.power.solar), default=1.0)
        unit, age = model.power.radioisotope, model.power.radioisotope_age_years
        self._steady_w = 0.0 if unit is None else unit.power_w(age * YEAR_S)[0]
        self._load_w = math.fsum(model.power.loads_w.values()) + model.power.box.heater_w

    def site_s(self, stamp_ns: int) -> float:
        """Site time of a stamp."""
        return stamp_ns * 1e-9 - (0.0 if self._simulated else self._light.epoch_s)

    def full_wh(self) -> float:
        """What a full battery may give."""
        battery = self._power.battery
        return (1.0 - battery.reserve) * battery.capacity_wh

    def flight_wh(self, duration_s: float) -> float:
        """What a flight and the landing's verification take, the Sun not counted."""
        return self._load_w * (duration_s + AFTER_S) / 3600.0

    def stand(
        self, place_m: FloatArray, arrive_s: float, usable_wh: float, stay_s: float, station: bool
    ) -> Stay:
        """Standing at (3,) a place, metres, map, from a site time on; see ``StayModel``.

        Raises:
            EphemerisError: the time is outside 2020 to 2060.
        """
        steps = max(1, math.ceil(stay_s / self.cfg.look_s))
        step_s = stay_s / steps
        looks = [self._look(place_m, arrive_s + k * step_s) for k in range(steps + 1)]
        pairs = list(itertools.pairwise(looks))
        battery, left, lowest, income = self._power.battery, usable_wh, usable_wh, 0.0
        cell = np.array([
            self.full_wh(), 0.0, battery.max_charge_w, battery.charge_efficiency,
            battery.discharge_efficiency,
        ])  # fmt: skip
        for before, after in pairs:
            power = min(before.power_w, after.power_w)
            income += power * step_s / 3600.0
            left = float(stored(left, power - self._load_w, step_s, cell))
            lowest = min(lowest, left)
        light = math.fsum(min(a.share, b.share) for a, b in pairs) / steps
        linked_s = step_s * sum(a.linked and b.linked for a, b in pairs)
        shares = [100.0 * look.share for look in looks]
        sun = f"{min(shares):.0f} to {max(shares):.0f} % of the Sun's disc in sight"
        told = f"{sun}, in reach of the Earth or the base for {linked_s / 60.0:.0f} min"
        code, why = self._refusal(lowest, usable_wh, income, light, linked_s, stay_s, station)
        if code:
            x, y = (float(v) for v in place_m[:2])
            why = f"standing {stay_s / 60.0:.0f} min at ({x:.0f}, {y:.0f}) m: {why}; {told}"
        return Stay(code, why, told, usable_wh - lowest, left, light, linked_s)

    def _refusal(
        self, lowest_wh: float, usable_wh: float, income_wh: float, light: float, linked_s: float,
        stay_s: float, station: bool,
    ) -> tuple[str, str]:  # fmt: skip
        cfg = self.cfg
        if lowest_wh < 0.0:
            return DARK, (
                f"loads take {self._load_w * stay_s / 3600.0:.0f} Wh, the Sun gives "
                f"{income_wh:.0f} Wh, {usable_wh:.0f} Wh are held on landing: "
                f"{-lowest_wh:.0f} Wh short"
            )
        if station and light < cfg.station_light:
            return DARK, (
                f"light: {100.0 * light:.0f} % of the Sun's disc in the mean, "
                f"{100.0 * cfg.station_light:.0f} % are needed at a way-station"
            )
        if station and linked_s < cfg.station_link_s:
            return NO_LINK, (
                f"links: {linked_s / 60.0:.0f} min in reach of the Earth or the base, "
                f"{cfg.station_link_s / 60.0:.0f} min are needed at a way-station"
            )
        return "", ""

    def _look(self, place_m: FloatArray, time_s: float) -> _Look:
        light = self._light.at(time_s, place_m, self._panel_m)
        solar = math.fsum(
            float(a.power_w(light.irradiance_wpm2, light.share, a.light_on(light.toward)))
            for a in self._power.solar
        )
        x, y = float(place_m[0]), float(place_m[1])
        linked = False
        if self._prior.contains(np.array([[x, y]]))[0]:
            nodes = [LinkNode(_NAME, x, y, self._comms), *self._radios]
            reached = self._links.network(nodes, self._light.epoch_s + time_s).widest(_NAME)
            linked = EARTH_NODE in reached or any(r.name in reached for r in self._radios)
        return _Look(light.share, solar + self._steady_w, linked)
