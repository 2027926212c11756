"""Who reaches whom: robots, masts and bases on the ground, relays in orbit, the Earth.

The network at a time is a graph with a rate and a delay on every link. A route is the one whose
slowest link is fastest; among those, the one of least delay. Its rate is that of its slowest link,
its delay the sum over its hops.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.environment import ephemeris
from ilrs_robots.core.environment.links import (
    RadioConfig,
    both_ways_bps,
    free_space_loss_db,
    fresnel_clearance,
    fresnel_loss_db,
    rate_bps,
    sees_sky,
)
from ilrs_robots.core.environment.moon_axes import LIGHT_SPEED_MPS
from ilrs_robots.core.environment.relay import EarthNetworkConfig, seen_from, sees_earth
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray

EARTH_NODE: Final = "earth"


@dataclass(frozen=True)
class CommsConfig:
    """The radios of a vehicle, a mast or a base."""

    surface: RadioConfig = param(doc="to others on the ground")
    antenna_m: float = param(2.0, doc="height above ground", unit="m", low=0.0, high=500.0)
    space: RadioConfig | None = param(None, doc="to relays and the Earth; None for none")
    hop_s: float = param(0.02, doc="delay of one hop besides light", unit="s", low=0.0, high=60.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class LinkNode:
    """Something with radios on the ground.

    Attributes:
        name: unique in the network.
        x_m: map.
        y_m: map.
        comms: its radios.
    """

    name: str
    x_m: float
    y_m: float
    comms: CommsConfig


@dataclass(frozen=True)
class Link:
    """One hop, the same both ways."""

    first: str
    second: str
    rate_bps: float
    delay_s: float
    distance_m: float


@dataclass(frozen=True)
class Route:
    """How two reach each other.

    Attributes:
        path: names from one end to the other.
        rate_bps: of the slowest hop.
        delay_s: one way, over all hops.
    """

    path: tuple[str, ...]
    rate_bps: float
    delay_s: float


class Network:
    """All links at one time."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)
        self._beside: dict[str, list[tuple[str, Link]]] = {}
        for link in links:
            self._beside.setdefault(link.first, []).append((link.second, link))
            self._beside.setdefault(link.second, []).append((link.first, link))

    def widest(self, source: str) -> dict[str, float]:
        """Rate at which the source reaches each name, bit/s; those out of reach are missing."""
        best, queue = {source: math.inf}, [(-math.inf, source)]
        while queue:
            negative, name = heapq.heappop(queue)
            if -negative < best[name]:
                continue
            for other, link in self._beside.get(name, ()):
                rate = min(-negative, link.rate_bps)
                if rate > best.get(other, 0.0):
                    best[other] = rate
                    heapq.heappush(queue, (-rate, other))
        del best[source]
        return best

    def route(self, source: str, target: str) -> Route | None:
        """The best way from one to another, or None where there is none."""
        rate = self.widest(source).get(target)
        if rate is None:
            return None
        best, before = {source: 0.0}, {source: ""}
        queue = [(0.0, source)]
        while queue:
            delay, name = heapq.heappop(queue)
            if name == target:
                break
            if delay > best[name]:
                continue
            for other, link in self._beside.get(name, ()):
                later = delay + link.delay_s
                if link.rate_bps >= rate and later < best.get(other, math.inf):
                    best[other], before[other] = later, name
                    heapq.heappush(queue, (later, other))
        path = [target]
        while path[-1] != source:
            path.append(before[path[-1]])
        return Route(tuple(path[::-1]), rate, best[target])


@dataclass(frozen=True)
class Sky:
    """What can be reached beyond the ground at one time.

    Attributes:
        yaw_rad: (S,) of each in map.
        elevation_rad: (S,) above the horizontal at the site.
        distance_m: (S,).
        names: of the relays, and ``earth`` last.
        downlinks: of each relay to the Earth.
        gain_over_noise_dbpk: of the best station that sees the Moon; None when none does.
        ground_s: delay on the Earth.
    """

    yaw_rad: FloatArray
    elevation_rad: FloatArray
    distance_m: FloatArray
    names: tuple[str, ...]
    downlinks: tuple[Link, ...]
    gain_over_noise_dbpk: float | None
    ground_s: float


class LinkModel:
    """Links of a site as they stand at any time.

    Args:
        dem: ground that may stand in the way; the orbital prior on board of a vehicle.
        frame: of ``map``.
        earth: relays and stations.
    """

    def __init__(self, dem: Dem, frame: SiteFrame, earth: EarthNetworkConfig) -> None:
        self.dem, self.frame, self.earth = dem, frame, earth

    def antenna_m(self, node: LinkNode) -> FloatArray:
        """(3,) x, y in map and height above the reference sphere, metres.

        Raises:
            TerrainError: there is no ground.
        """
        ground = float(self.dem.height(np.array([[node.x_m, node.y_m]]))[0])
        if not math.isfinite(ground):
            raise TerrainError(
                f"{node.name!r} at ({node.x_m:.1f}, {node.y_m:.1f}) m stands outside the terrain"
            )
        return np.array([node.x_m, node.y_m, ground + node.comms.antenna_m])

    def network(self, nodes: Sequence[LinkNode], utc_s: float) -> Network:
        """Every link between nodes, relays and the Earth at POSIX seconds.

        Raises:
            TerrainError: a node stands outside the terrain.
            EphemerisError: the time is outside 2020 to 2060.
        """
        places = [self.antenna_m(node) for node in nodes]
        links = self.surface_links(nodes, places)
        if nodes:
            sky = self.sky(float(places[0][0]), float(places[0][1]), float(places[0][2]), utc_s)
            for node, place in zip(nodes, places, strict=True):
                links += self.sky_links(node, place, sky)
            links += sky.downlinks
        return Network(links)

    def surface_links(self, nodes: Sequence[LinkNode], places: Sequence[FloatArray]) -> list[Link]:
        """Links between nodes on the ground; ``places`` are (3,) antennas in metres."""
        found = []
        for (a, at), (b, to) in itertools.combinations(zip(nodes, places, strict=True), 2):
            radio = a.comms.surface
            clear = fresnel_clearance(self.dem, at, to, radio.wavelength_m)
            way = float(np.linalg.norm(to - at))
            loss = free_space_loss_db(way, radio.wavelength_m) + fresnel_loss_db(clear)[0]
            rate = float(both_ways_bps(radio, b.comms.surface, loss))
            if rate > 0.0:
                delay = way / LIGHT_SPEED_MPS + max(a.comms.hop_s, b.comms.hop_s)
                found.append(Link(a.name, b.name, rate, delay, way))
        return found

    def sky(self, x_m: float, y_m: float, height_m: float, utc_s: float) -> Sky:
        """Relays and the Earth as they stand for one place of the site."""
        lat, lon = (float(v) for v in self.frame.place_of(x_m, y_m))
        azimuths, elevations, distances, downlinks = [], [], [], []
        up = self.earth.station_seen(utc_s)
        gains = [
            s.gain_over_noise_dbpk for s, seen in zip(self.earth.stations, up, strict=True) if seen
        ]
        earth = ephemeris.earth(utc_s, lat, lon, height_m)
        for relay in self.earth.relays:
            place = relay.position_m(utc_s)
            az, el, way = seen_from(place, lat, lon, height_m)
            high = float(el) >= math.radians(relay.min_elevation_deg)
            azimuths.append(float(az))
            elevations.append(float(el) if high else -math.pi / 2.0)
            distances.append(float(way))
            if gains and bool(sees_earth(place, utc_s)):
                to_earth = float(earth.distance_m)
                delay = to_earth / LIGHT_SPEED_MPS + self.earth.ground_processing_s
                rate = relay.trunk_mbps * 1e6
                downlinks.append(Link(relay.name, EARTH_NODE, rate, delay, to_earth))
        azimuths.append(float(earth.azimuth_rad))
        elevations.append(float(earth.elevation_rad))
        distances.append(float(earth.distance_m))
        return Sky(
            self.frame.yaw_of_azimuth(np.array(azimuths), lat, lon),
            np.array(elevations),
            np.array(distances),
            (*(r.name for r in self.earth.relays), EARTH_NODE),
            tuple(downlinks),
            max(gains) if gains else None,
            self.earth.ground_processing_s,
        )

    def sky_links(self, node: LinkNode, place_m: FloatArray, sky: Sky) -> list[Link]:
        """Links of a node, whose antenna is at (3,) metres, to relays and the Earth."""
        if node.comms.space is None:
            return []
        rates = sky_rates_bps(node.comms, sky, self.earth)
        free = sees_sky(self.dem, place_m, sky.yaw_rad, sky.elevation_rad)
        found = []
        for k, name in enumerate(sky.names):
            if rates[k] > 0.0 and free[k]:
                way = float(sky.distance_m[k])
                found.append(Link(node.name, name, rates[k], sky_delay_s(node.comms, sky,
                                  self.earth, k), way))  # fmt: skip
        return found


def sky_rates_bps(comms: CommsConfig, sky: Sky, earth: EarthNetworkConfig) -> list[float]:
    """Rate to each of the sky's names where nothing stands in the way; 0 below the horizon."""
    radio, rates = comms.space, []
    for k, name in enumerate(sky.names):
        rate = 0.0
        if radio is not None and sky.elevation_rad[k] > -0.5 * math.pi:
            loss = free_space_loss_db(sky.distance_m[k], radio.wavelength_m)
            if name != EARTH_NODE:
                rate = float(both_ways_bps(radio, earth.relays[k].terminal, loss))
            elif sky.gain_over_noise_dbpk is not None:
                rate = float(rate_bps(radio.eirp_dbw, sky.gain_over_noise_dbpk, loss, radio))
        rates.append(rate)
    return rates


def sky_delay_s(comms: CommsConfig, sky: Sky, earth: EarthNetworkConfig, k: int) -> float:
    """One way delay from a node to the k-th of the sky's names."""
    there = sky.ground_s if sky.names[k] == EARTH_NODE else earth.relays[k].processing_s
    return float(sky.distance_m[k]) / LIGHT_SPEED_MPS + comms.hop_s + there
