"""Links of a site as its file says them: who reaches whom, and maps for planners."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Sequence

import numpy as np

from ilrs_robots.core.environment.link_map import LinkMap, Progress, link_map
from ilrs_robots.core.environment.relay import load_network
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_maps import SiteMap
from ilrs_robots.core.environment.surface_network import (
    EARTH_NODE,
    CommsConfig,
    LinkModel,
    LinkNode,
    Route,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.site import SiteConfig


def link_model_of(site: SiteConfig, dem: Dem) -> LinkModel:
    """Terrain, frame, relays and stations of a site.

    Raises:
        ConfigError: the site's network is unknown.
    """
    frame = SiteFrame.of_dem(
        dem, math.radians(site.latitude_deg), math.radians(site.longitude_deg)
    )
    return LinkModel(dem, frame, load_network(site.network))


def robot_nodes(site: SiteConfig) -> list[LinkNode]:
    """The site's vehicles where they stand at the epoch."""
    return [LinkNode(r.name, r.x_m, r.y_m, r.load_model().comms) for r in site.robots]


def who_reaches_whom(
    site: SiteConfig, dem: Dem, utc_s: float, robots: Sequence[LinkNode] | None = None
) -> dict[tuple[str, str], Route]:
    """Routes between vehicles, the base's radios, relays and the Earth at POSIX seconds.

    Args:
        site: with its base.
        dem: of the site.
        utc_s: POSIX seconds.
        robots: vehicles where they stand; None takes the site's at the epoch.

    Returns:
        A route for each pair that reaches each other; others are missing.

    Raises:
        TerrainError: something stands outside the terrain.
        EphemerisError: the time is outside 2020 to 2060.
    """
    nodes = [*(robot_nodes(site) if robots is None else robots),
             *(radio.node for radio in site.base.radios)]  # fmt: skip
    model = link_model_of(site, dem)
    network = model.network(nodes, utc_s)
    names = [*(n.name for n in nodes), *(r.name for r in model.earth.relays), EARTH_NODE]
    found = {}
    for first, second in itertools.combinations(names, 2):
        route = network.route(first, second)
        if route is not None:
            found[first, second] = route
    return found


def site_link_map(
    site: SiteConfig,
    dem: Dem,
    utc_s: float,
    *,
    comms: CommsConfig | None = None,
    target: str = EARTH_NODE,
    on_progress: Progress | None = None,
) -> LinkMap:
    """Rate and delay from every cell over the site's radios; see ``link_map``.

    Args:
        site: with its base.
        dem: of the site.
        utc_s: POSIX seconds.
        comms: of the vehicle; None takes those of the first that the site runs by default, or of
            the long-range vehicle where it has none.
        target: ``earth``, a relay's or a radio's name.
        on_progress: called with first hops done and first hops in all.

    Raises:
        TerrainError: nothing has the target's name, or a radio stands outside the terrain.
        EphemerisError: the time is outside 2020 to 2060.
    """
    if comms is None:
        from ilrs_robots.robots.model import load_robot

        names = site.run_by_default
        model = site.robot(names[0]).load_model() if names else load_robot("long_range")
        comms = model.comms
    nodes = [radio.node for radio in site.base.radios]
    links = link_model_of(site, dem)
    return link_map(links, comms, nodes, utc_s, target=target, on_progress=on_progress)


def site_link_picture(
    site: SiteConfig, dem: Dem, utc_s: float, on_progress: Progress | None = None
) -> SiteMap:
    """The rate to the Earth from every cell, with what a picture and a raster of it say.

    Args:
        site: with its base.
        dem: of the site.
        utc_s: POSIX seconds.
        on_progress: as in ``site_link_map``.

    Raises:
        TerrainError: a radio stands outside the terrain.
        EphemerisError: the time is outside 2020 to 2060.
    """
    found = site_link_map(site, dem, utc_s, on_progress=on_progress)
    frame = link_model_of(site, dem).frame
    x0, y0, x1, y1 = dem.bounds_m
    lat, lon = frame.place_of(0.5 * (x0 + x1), 0.5 * (y0 + y1))
    kilobits = (found.rate_bps * 1e-3).astype(np.float32)
    seen = found.rate_bps[np.isfinite(found.rate_bps)]
    reached = float((seen > 0.0).mean()) if seen.size else 0.0
    radios = ", ".join(radio.node.name for radio in site.base.radios) or "no radio of a base"
    notes = (
        f"{dt.datetime.fromtimestamp(utc_s, dt.UTC):%Y-%m-%d %H:%M} UTC, "
        f"{100.0 * reached:.0f} % of the ground is reached",
        f"over {radios}, relays in orbit and straight to the Earth",
        f"terrain: {dem.provenance.get('source', 'procedural terrain')}; no terrain beyond",
    )
    top = float(kilobits[np.isfinite(kilobits)].max(initial=1.0))
    return SiteMap(
        f"Link to the Earth: {site.name}", notes, "rate (kbit/s), 0 where out of reach",
        kilobits, found.spec, frame, float(frame.north_yaw(lat, lon)), (0.0, max(top, 1.0)),
        None, dem.provenance,
    )  # fmt: skip
