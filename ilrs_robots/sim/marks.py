"""Sun sensor and ranging radio of one vehicle: they see what no ground stands before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, OdometryEstimate, RangeSample, SunSample
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.sim.terrain import Terrain

_FAR_M: Final = 600.0
"""Ground farther away is not looked at: the true one ends a little beyond."""
_LOOKS: Final = 120
_HEAD_M: Final = 1.5
"""Height of the sun sensor above base_link."""


class MarkSensors:
    """Fed with true poses; equal seeds give equal noise.

    Args:
        site: place, epoch, base.
        surface: true ground.
        known: the map in which the beacons were surveyed.
        model: the vehicle; what it does not have does not answer.
        seed: of the noise.
    """

    def __init__(
        self, site: SiteConfig, surface: Terrain, known: Dem, model: RobotModel, seed: list[int]
    ) -> None:
        self._marks, self._surface = KnownMarks(site, known, model), surface
        self._sun, self._ranging = model.sun_sensor, model.ranging
        self._antenna_m = np.array([0.0, 0.0, model.comms.antenna_m])
        self._rng = np.random.default_rng(seed)
        self._sun_ns = self._range_ns = -(10**18)

    def sense(self, truth: OdometryEstimate) -> Iterator[SunSample | RangeSample]:
        """What is due at a true pose in ``map``."""
        now, R = truth.stamp_ns, se3.make_transform(np.zeros(3), truth.quat_wxyz)[:3, :3]
        sun, ranging = self._sun, self._ranging
        if sun is not None and not 0 <= now - self._sun_ns < round(1e9 / sun.rate_hz):
            self._sun_ns = now
            toward = self._marks.toward_sun(now) if self._marks.lit(now) else None
            head = truth.position_m + _HEAD_M * R[:, 2]
            if toward is not None and not self._hidden(head, head + _FAR_M * toward):
                sigma = math.radians(sun.sigma_deg)
                seen = R.T @ toward + sigma * self._rng.standard_normal(3)
                yield SunSample(now, seen / np.linalg.norm(seen), sigma)
        if ranging is None or 0 <= now - self._range_ns < round(1e9 / ranging.rate_hz):
            return
        self._range_ns = now
        antenna = truth.position_m + R @ self._antenna_m
        for name, place in self._marks.beacons.items():
            far = float(np.linalg.norm(place - antenna))
            noise = ranging.sigma_m * float(self._rng.standard_normal())
            if far <= ranging.reach_m and not self._hidden(antenna, place):
                yield RangeSample(now, name, far + noise, ranging.sigma_m)

    def _hidden(self, start: FloatArray, end: FloatArray) -> bool:
        """Whether ground stands between two places (3,) in ``map``."""
        share = np.linspace(0.0, 1.0, _LOOKS + 2)[1:-1, None]
        along = start + share * (end - start)
        ground = self._surface.height(along[:, :2])
        return bool((ground > along[:, 2]).any())  # NaN, where no ground is known, hides nothing
