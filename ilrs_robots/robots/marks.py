"""Marks in the world that a vehicle knows: the Sun over its site, and the masts of the base."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.core.localization.filter_types import BeaconRange, SunDirection
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, RangeSample, SunSample
from ilrs_robots.robots.gazebo.light import SiteSun
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig

_NS = 1e-9


class KnownMarks:
    """Where the Sun and the beacons are, in ``map``; what sees them goes into the filter.

    Args:
        site: place, epoch and the base with its radios, which are the beacons.
        ground: terrain that the masts stand on, in ``map``.
        model: the vehicle, for the place of its antenna.

    Attributes:
        unknown: samples that speak of what is not known: a beacon's name, a time without
            ephemeris.
    """

    def __init__(self, site: SiteConfig, ground: Dem, model: RobotModel) -> None:
        height = float(ground.height(np.zeros((1, 2)))[0])
        self._sun = SiteSun(site, height if np.isfinite(height) else 0.0)
        self._antenna_m = np.array([0.0, 0.0, model.comms.antenna_m])
        self.beacons = beacons_of(site, ground)
        self.unknown = 0

    def toward_sun(self, stamp_ns: int) -> FloatArray:
        """(3,) unit vector towards the Sun in ``map`` at a ROS time.

        Raises:
            EphemerisError: the time lies outside the years of the ephemeris.
        """
        return -self._sun.at(stamp_ns * _NS).direction

    def lit(self, stamp_ns: int) -> bool:
        """Whether any of the Sun's disc is known to be above the horizon of a sphere."""
        try:
            return self._sun.at(stamp_ns * _NS).intensity > 0.0
        except EphemerisError:
            return False

    def tell(self, step: InertialStep, sample: SunSample | RangeSample) -> bool:
        """Put a sample into a filter; gives whether it is one of a known mark."""
        if isinstance(sample, RangeSample):
            beacon = self.beacons.get(sample.beacon)
            if beacon is None:
                self.unknown += 1
                return False
            return step.on_range(
                BeaconRange(
                    sample.stamp_ns, beacon, sample.range_m, sample.sigma_m, self._antenna_m
                )
            )
        try:
            known = self.toward_sun(sample.stamp_ns)
        except EphemerisError:
            self.unknown += 1
            return False
        seen = sample.toward / np.linalg.norm(sample.toward)
        return step.on_sun(SunDirection(sample.stamp_ns, seen, known, sample.sigma_rad))


def beacons_of(site: SiteConfig, ground: Dem) -> dict[str, FloatArray]:
    """Place (3,) of each radio's antenna in ``map``, metres, by name.

    Args:
        site: with the base.
        ground: terrain that the masts stand on.
    """
    found: dict[str, FloatArray] = {}
    for radio in site.base.radios:
        z = float(ground.height(np.array([[radio.x_m, radio.y_m]]))[0])
        if np.isfinite(z):
            found[radio.name] = np.array([radio.x_m, radio.y_m, z + radio.comms.antenna_m])
    return found
