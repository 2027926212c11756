"""Compile (or load from cache) the kernels before the first message needs them."""

from __future__ import annotations


def mapping() -> None:
    """Kernels from cloud to traversability."""
    from ilrs_robots.core.cloud import deskew
    from ilrs_robots.core.mapping import elevation_map, layer_shared, traversability

    deskew.warm_up()
    elevation_map.warm_up()
    traversability.warm_up()
    layer_shared.warm_up()


def navigation() -> None:
    """Kernels of cost map, planner and navigator."""
    from ilrs_robots.core.control import navigator

    navigator.warm_up()
