"""Program ``mission_view``: the node that hears and the scene in the browser, put together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.view_state import MissionScene, Orders

if TYPE_CHECKING:
    from ilrs_robots.nodes.mission_view import ViewParameters


def open_scene(
    site: SiteConfig, prior: Dem, urdfs: Mapping[str, str], orders: Orders, told: ViewParameters
) -> MissionScene:
    """Open the browser's scene and say where it is.

    Raises:
        IlrsError: the viewer is not installed, or may not be opened like this.
    """
    try:
        from ilrs_robots.view.mission_scene import BrowserScene, ViewSettings
    except ImportError as error:
        raise IlrsError(
            f"the view needs viser ({error}): pip install 'ilrs_robots[view]'"
        ) from error
    settings = ViewSettings(told.host, told.port, told.token)
    scene = BrowserScene(site, prior, urdfs, orders, settings)
    where = f"http://{told.host}:{scene.port}/"
    print(f"mission view: {where}{'?token=...' if told.token else ''}", flush=True)
    return scene


def main(args: list[str] | None = None) -> int:
    """Run until asked to end; 1 when the view cannot be opened."""
    from ilrs_robots.nodes.mission_view import MissionViewNode
    from ilrs_robots.nodes.runtime import run

    return run(lambda: [MissionViewNode(open_scene)], args)


if __name__ == "__main__":
    sys.exit(main())
