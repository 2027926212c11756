"""Which ground keeps its link to the base while a plan lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from ilrs_robots.core.environment.link_map import link_map
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.planning.leave_limits import linked_until
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, FloatArray
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.site_links import link_model_of

Show = Callable[[str, int, int], None]
STEP_S: Final = 7200.0
"""Between two maps of links; relays come and go within hours."""
MOST_MAPS: Final = 25


def linked_cells(
    site: SiteConfig, dem: Dem, model: RobotModel, utc_s: float, span_s: float, show: Show
) -> FloatArray:
    """How long each cell stays linked to the base's first radio, by whatever relays there are.

    Returns:
        (rows, cols) seconds after the departure; see ``linked_until``.

    Raises:
        ConfigError: the site has no radio.
        EphemerisError: a time outside 2020 to 2060.
    """
    radios = site.base.radios
    if not radios:
        raise ConfigError(f"site {site.name!r} has no radio to stay in reach of")
    links, nodes = link_model_of(site, dem), [r.node for r in radios]
    step_s = max(STEP_S, span_s / (MOST_MAPS - 1))
    times = np.append(np.arange(0.0, span_s, step_s), span_s)

    def maps() -> Iterator[tuple[float, BoolArray]]:
        for n, time_s in enumerate(times):
            found = link_map(links, model.comms, nodes, utc_s + float(time_s),
                             target=radios[0].name)  # fmt: skip
            show("links", n + 1, len(times))
            yield float(time_s), np.asarray(found.rate_bps > 0.0)

    return linked_until(maps(), span_s)
