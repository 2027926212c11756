"""Whole maps of links: at what rate and delay a vehicle would reach a goal from every cell."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.environment.links import (
    both_ways_bps,
    cells_to_point,
    cells_to_sky,
    free_space_loss_db,
    fresnel_loss_db,
    geometry_of,
)
from ilrs_robots.core.environment.moon_axes import LIGHT_SPEED_MPS
from ilrs_robots.core.environment.surface_network import (
    EARTH_NODE,
    CommsConfig,
    LinkModel,
    LinkNode,
    Network,
    sky_delay_s,
    sky_rates_bps,
)
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

Progress = Callable[[int, int], None]
_BAND_ROWS = 32


@dataclass(frozen=True)
class LinkMap:
    """Links of every cell; NaN where the ground is unknown.

    Attributes:
        rate_bps: (rows, cols) float32, 0 where the target is out of reach.
        delay_s: (rows, cols) float32 one way, infinite where it is out of reach.
        spec: of the terrain.
    """

    rate_bps: Float32Array
    delay_s: Float32Array
    spec: GridSpec


def link_map(
    model: LinkModel,
    comms: CommsConfig,
    nodes: Sequence[LinkNode],
    utc_s: float,
    *,
    target: str = EARTH_NODE,
    on_progress: Progress | None = None,
) -> LinkMap:
    """Best rate, and its delay, from every cell to a target over what stands at a site.

    The first hop goes to a node on the ground, a relay, or the Earth; from there on as the
    network routes. Relays and the Earth stand alike for the whole map, as seen from its middle.

    Args:
        model: terrain and sky.
        comms: of the vehicle.
        nodes: masts, bases and vehicles that stand still.
        utc_s: POSIX seconds.
        target: a node's name, a relay's or ``earth``.
        on_progress: called with first hops done and first hops in all.

    Raises:
        TerrainError: a node stands outside the terrain, or nothing has the target's name.
        EphemerisError: the time is outside 2020 to 2060.
    """
    known = [*(n.name for n in nodes), *(r.name for r in model.earth.relays), EARTH_NODE]
    if target not in known:
        raise TerrainError(f"link to {target!r}: there is no such end; known: {', '.join(known)}")
    work = _Work(model, comms, nodes, utc_s, target)
    jobs = [*((work.over_node, n) for n in range(len(nodes))),
            *((work.over_sky, k) for k in range(len(work.sky.names)))]  # fmt: skip
    for done, (job, n) in enumerate(jobs, start=1):
        job(n)
        if on_progress is not None:
            on_progress(done, len(jobs))
    unknown = np.isnan(model.dem.heights_m)
    work.rate[unknown] = work.delay[unknown] = np.nan
    spec = model.dem.spec
    return LinkMap(work.rate.astype(np.float32), work.delay.astype(np.float32), spec)


class _Work:
    def __init__(
        self, model: LinkModel, comms: CommsConfig, nodes: Sequence[LinkNode], utc_s: float,
        target: str,
    ) -> None:  # fmt: skip
        self.model, self.comms, self.nodes, self.target = model, comms, nodes, target
        self.dem, spec = model.dem, model.dem.spec
        self.level = float(np.nanmedian(self.dem.heights_m))
        x, y = spec.x_m(), spec.y_m()
        self.sky = model.sky(float(x[len(x) // 2]), float(y[len(y) // 2]), self.level, utc_s)
        self.network = model.network(nodes, utc_s) if nodes else Network(self.sky.downlinks)
        self.rate = np.zeros(spec.shape)
        self.delay = np.full(spec.shape, np.inf)
        self._x, self._y = np.meshgrid(x, y)
        self._geo = geometry_of(self.dem)

    def over_node(self, n: int) -> None:
        """First hop to a node on the ground."""
        node = self.nodes[n]
        onward = self._onward(node.name)
        if onward is None:
            return
        at, radio = self.model.antenna_m(node), self.comms.surface
        clear = np.empty(self.dem.spec.shape)

        def band(first: int, last: int) -> None:
            cells_to_point(
                self.dem.heights_m, self._geo, first, last, self.comms.antenna_m, at,
                radio.wavelength_m, clear,
            )  # fmt: skip

        self._rows(band)
        up = self.dem.heights_m + self.comms.antenna_m - at[2]
        way = np.sqrt((self._x - at[0]) ** 2 + (self._y - at[1]) ** 2 + up.astype(np.float64) ** 2)
        loss = free_space_loss_db(way, radio.wavelength_m) + fresnel_loss_db(clear)
        rate = both_ways_bps(radio, node.comms.surface, loss)
        hop = max(self.comms.hop_s, node.comms.hop_s)
        self._take(np.minimum(rate, onward[0]), way / LIGHT_SPEED_MPS + hop + onward[1])

    def over_sky(self, k: int) -> None:
        """First hop to a relay or to the Earth."""
        name = self.sky.names[k]
        rate = sky_rates_bps(self.comms, self.sky, self.model.earth)[k]
        onward = self._onward(name)
        if onward is None or rate <= 0.0:
            return
        free = np.empty(self.dem.spec.shape)
        yaw, up = float(self.sky.yaw_rad[k]), float(self.sky.elevation_rad[k])

        def band(first: int, last: int) -> None:
            cells_to_sky(
                self.dem.heights_m, self._geo, first, last, self.comms.antenna_m, yaw,
                up, self.level, free,
            )  # fmt: skip

        self._rows(band)
        delay = sky_delay_s(self.comms, self.sky, self.model.earth, k) + onward[1]
        self._take(min(rate, onward[0]) * free, np.full(free.shape, delay))

    def _onward(self, name: str) -> tuple[float, float] | None:
        """Rate and delay from the first hop's end to the target."""
        if name == self.target:
            return np.inf, 0.0
        route = self.network.route(name, self.target)
        return None if route is None else (route.rate_bps, route.delay_s)

    def _take(self, rate: FloatArray, delay: FloatArray) -> None:
        better = (rate > self.rate) | ((rate == self.rate) & (rate > 0.0) & (delay < self.delay))
        self.rate[better], self.delay[better] = rate[better], delay[better]

    def _rows(self, band: Callable[[int, int], None]) -> None:
        rows = self.dem.spec.rows
        edges = range(0, rows, _BAND_ROWS)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda a: band(a, min(a + _BAND_ROWS, rows)), edges))
