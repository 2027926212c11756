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


def localization() -> None:
    """Kernels of the error-state filter, scan odometry and places on the orbital map."""
    from ilrs_robots.core.cloud import deskew, self_filter
    from ilrs_robots.core.localization import (
        dem_match,
        ground_mosaic,
        scan_odometry,
        state_filter,
    )

    state_filter.warm_up()
    deskew.warm_up()
    self_filter.warm_up()
    scan_odometry.warm_up()
    ground_mosaic.warm_up()
    dem_match.warm_up()


def reckoning() -> None:
    """Kernels of dead reckoning in batches, for replay."""
    from ilrs_robots.core.localization import inertial_batch, reckoning_batch

    reckoning_batch.warm_up()
    inertial_batch.warm_up()


def navigation() -> None:
    """Kernels of cost map, planner, navigator and of the prior terrain that they read."""
    from ilrs_robots.core.cloud import deskew, self_filter
    from ilrs_robots.core.control import navigator
    from ilrs_robots.core.localization import scan_odometry
    from ilrs_robots.core.terrain import dem

    deskew.warm_up()
    self_filter.warm_up()
    scan_odometry.warm_up()
    navigator.warm_up()
    dem.warm_up()


def gate() -> None:
    """The kernel of the command gate: ground under the wheels."""
    from ilrs_robots.core.control import ground_guard

    ground_guard.warm_up()


def power() -> None:
    """Kernels of drive energy, links and light."""
    from ilrs_robots.core.energy import drive
    from ilrs_robots.core.environment import links, sight

    drive.warm_up()
    links.warm_up()
    sight.warm_up()


def hopping() -> None:
    """Kernels of a hopper's filter, of its landing map and places, hop planning, terminal law."""
    from ilrs_robots.core.cloud import deskew, self_filter
    from ilrs_robots.core.control import terminal_law
    from ilrs_robots.core.localization import state_filter
    from ilrs_robots.core.mapping import elevation_map
    from ilrs_robots.core.planning import hop_clearance, landing_map
    from ilrs_robots.core.terrain import dem

    state_filter.warm_up()
    deskew.warm_up()
    self_filter.warm_up()
    elevation_map.warm_up()
    dem.warm_up()
    hop_clearance.warm_up()
    landing_map.warm_up()
    terminal_law.warm_up()
