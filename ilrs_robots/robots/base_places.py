"""What of a base has a place: chargers, towers, masts with their beacons, pads to keep off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.gazebo.structures import structure_reach_m
from ilrs_robots.robots.site import SiteConfig

PAD: Final = "landing_pad"
"""Kind of the structure that wheels stay off: it is for what comes down from above."""


@dataclass(frozen=True)
class BasePlace:
    """Something that stands.

    Attributes:
        name: unique.
        kind: ``charger``, ``tower``, ``beacon`` or a structure's.
        x_m: map.
        y_m: map.
        z_m: of a beacon its antenna's, of a tower its cells', else the ground's; NaN for unknown.
        keep_out_m: radius that vehicles on wheels stay out of, 0 for none.
    """

    name: str
    kind: str
    x_m: float
    y_m: float
    z_m: float
    keep_out_m: float = 0.0


def places_of(site: SiteConfig, ground: Dem) -> tuple[BasePlace, ...]:
    """Everything of a site's base that has a place.

    Args:
        site: with base and structures.
        ground: terrain that they stand on, in ``map``.
    """

    def z_m(x: float, y: float) -> float:
        return float(ground.height(np.array([[x, y]]))[0])

    base = site.base
    found = [BasePlace(c.name, "charger", c.x_m, c.y_m, z_m(c.x_m, c.y_m)) for c in base.chargers]
    found += [
        BasePlace(t.name, "tower", t.x_m, t.y_m, z_m(t.x_m, t.y_m) + t.array.mast_m)
        for t in base.towers
    ]
    found += [
        BasePlace(r.name, "beacon", r.x_m, r.y_m, z_m(r.x_m, r.y_m) + r.comms.antenna_m)
        for r in base.radios
    ]
    for n, s in enumerate(site.structures):
        keep_out_m = structure_reach_m(s.kind) if s.kind == PAD else 0.0
        name = f"{s.kind}_{n + 1}"
        found.append(BasePlace(name, s.kind, s.x_m, s.y_m, z_m(s.x_m, s.y_m), keep_out_m))
    return tuple(found)


def keep_outs_of_site(site: SiteConfig) -> tuple[KeepOut, ...]:
    """Discs around the site's pads and buildings that vehicles on wheels stay out of."""
    return tuple(
        KeepOut(f"{s.kind}_{n + 1}", s.x_m, s.y_m, structure_reach_m(s.kind))
        for n, s in enumerate(site.structures)
    )
