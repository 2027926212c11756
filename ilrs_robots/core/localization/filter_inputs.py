"""What the error-state filter can be told: one method for each kind of measurement."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ilrs_robots.core.localization.filter_layout import Kind
from ilrs_robots.core.localization.filter_types import (
    BeaconRange,
    GroundHeight,
    PositionFix,
    RelativePose,
    SunDirection,
    upper_triangle,
)
from ilrs_robots.core.localization.timeline import Timeline
from ilrs_robots.core.types import FloatArray, IntArray

_UNIT_TOLERANCE = 0.01


class FilterInputs:
    """Checks measurements and puts them into the timeline; each says whether it was taken there.

    Whether the filter then uses it, its gate decides when its time comes.

    Attributes:
        refused: what was not put into the timeline, by reason.
        heard_ns: newest stamp of each kind of measurement, by its kind in lower case.
    """

    refused: Counter[str]
    heard_ns: dict[str, int]
    _line: Timeline

    def imu(self, stamp_ns: int, rate_rps: FloatArray, force_mps2: FloatArray) -> bool:
        """One inertial sample; it is used when the state is asked for.

        Args:
            stamp_ns: nanoseconds.
            rate_rps: (3,) base_link.
            force_mps2: (3,) base_link.
        """
        return self._add(Kind.IMU, stamp_ns, np.concatenate((rate_rps, force_mps2)))

    def propagate(
        self, stamps_ns: IntArray, rates_rps: FloatArray, forces_mps2: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Many inertial samples at once, with whatever measurements were added before.

        Args:
            stamps_ns: (M,) int64, growing.
            rates_rps: (M, 3) base_link.
            forces_mps2: (M, 3) base_link.

        Returns:
            stamps (K,) of everything that was done and states (K, NOMINAL) after each.
        """
        good = np.asarray(np.isfinite(np.hstack((rates_rps, forces_mps2))).all(axis=1))
        good[1:] &= stamps_ns[1:] > stamps_ns[:-1]
        self.refused["imu_not_finite"] += int((~good).sum())
        values = np.hstack((rates_rps[good], forces_mps2[good]))
        self._line.add_many(Kind.IMU, stamps_ns[good], values)
        done = self._line.advance(out=True)
        return done.stamps_ns, done.states

    def wheels(
        self, stamp_ns: int, speed_mps: FloatArray, variance_m2ps2: FloatArray, alike: float = 1.0
    ) -> bool:
        """Speed of base_link as the wheels have it.

        Args:
            stamp_ns: time that the speed is of: the middle of the samples it is the mean of.
            speed_mps: (3,) base_link.
            variance_m2ps2: (3,) of noise along its axes, (m/s)2; slip comes on top.
            alike: how many samples in a row share their error: so many count as one.
        """
        values = np.concatenate((speed_mps, variance_m2ps2, [alike]))
        return self._add(Kind.WHEELS, stamp_ns, values)

    def many(self, kind: Kind, stamps_ns: IntArray, values: FloatArray) -> None:
        """Many events of one kind, which need no check any more; those that come late as well.

        Args:
            kind: what they are.
            stamps_ns: (M,) int64, growing.
            values: (M, K) numbers in SI units, as the kind's method puts them together.
        """
        if not len(stamps_ns):
            return
        late = int(np.searchsorted(stamps_ns, self._line.done_ns, side="right"))
        for stamp, row in zip(stamps_ns[:late].tolist(), values[:late], strict=True):
            self._add(kind, stamp, row)
        self._line.add_many(kind, stamps_ns[late:], values[late:])
        name = kind.name.lower()
        self.heard_ns[name] = max(int(stamps_ns[-1]), self.heard_ns.get(name, 0))

    def wheels_many(self, stamps_ns: IntArray, values: FloatArray) -> None:
        """Many of them, before the inertial samples of that time are propagated.

        Args:
            stamps_ns: (M,) int64, growing.
            values: (M, 7) speed (m/s), variance ((m/s)2) and ``alike`` as in ``wheels``.
        """
        self._line.add_many(Kind.WHEELS, stamps_ns, values)

    def stars(self, stamp_ns: int, quat_wxyz: FloatArray, sigma_rad: float) -> bool:
        """Attitude of base_link.

        Args:
            stamp_ns: nanoseconds.
            quat_wxyz: (4,) in the anchor.
            sigma_rad: of each axis.
        """
        norm = float(np.linalg.norm(quat_wxyz))
        if not abs(norm - 1.0) < _UNIT_TOLERANCE or not sigma_rad > 0.0:
            self.refused["attitude_not_valid"] += 1
            return False
        return self._add(Kind.STARS, stamp_ns, np.append(quat_wxyz / norm, sigma_rad))

    def sun(self, sample: SunDirection, known: FloatArray) -> bool:
        """The Sun's direction.

        Args:
            sample: what was seen.
            known: (3,) unit vector towards it in the anchor.
        """
        values = np.concatenate((known, sample.seen, [sample.sigma_rad]))
        return self._add(Kind.SUN, sample.stamp_ns, values)

    def scan(self, motion: RelativePose) -> bool:
        """Motion between two scans, by a copy of the older pose with its covariances."""
        since = float(motion.stamp_ns - motion.since_ns)
        parts = (motion.way_m, motion.turn_wxyz, upper_triangle(motion.covariance), [since])
        values = np.concatenate(parts)
        if not np.isfinite(values).all() or since <= 0.0:
            self.refused["scan_not_valid"] += 1
            return False
        self._line.add(Kind.KEEP, motion.since_ns, np.zeros(1))
        taken = self._add(Kind.SCAN, motion.stamp_ns, values)
        if taken and motion.keep:
            self._line.add(Kind.KEEP, motion.stamp_ns, np.zeros(1))
        return taken

    def fix(self, fix: PositionFix) -> bool:
        """Place of base_link in the anchor."""
        known = np.isfinite(fix.position_m)
        spread = np.where(np.outer(known, known), fix.covariance_m2, 0.0)
        if not known.any() or not np.isfinite(spread).all():
            self.refused["fix_not_valid"] += 1
            return False
        values = np.concatenate((fix.position_m, upper_triangle(spread)))
        return self._add(Kind.FIX, fix.stamp_ns, values, checked=True)

    def beacon(self, sample: BeaconRange) -> bool:
        """Distance to a beacon in the anchor."""
        values = np.concatenate((sample.beacon_m, sample.antenna_m))
        values = np.append(values, (sample.range_m, sample.sigma_m))
        return self._add(Kind.RANGE, sample.stamp_ns, values)

    def ground(self, sample: GroundHeight) -> bool:
        """Height above ground that is known in the anchor."""
        x, y, z = sample.place_m
        values = np.array(
            [sample.height_m, x, y, z, *sample.slope, sample.sigma_m, float(sample.height_only)]
        )
        return self._add(Kind.ALTITUDE, sample.stamp_ns, values)

    def stands(self, stamp_ns: int, speed_variance: float, rate_variance: float) -> bool:
        """The vehicle stands; variances in (m/s)2 and (rad/s)2."""
        return self._add(Kind.STAND, stamp_ns, np.array([speed_variance, rate_variance]))

    def doubt(self, stamp_ns: int, sigmas: FloatArray) -> bool:
        """Become less sure.

        Args:
            stamp_ns: when.
            sigmas: (6,) position m, speed m/s, attitude rad, gyro bias rad/s, accelerometer bias
                m/s2, slip m/s.
        """
        return self._add(Kind.DOUBT, stamp_ns, np.append(sigmas, 0.0))

    def way(self, stamp_ns: int, way_m: FloatArray, variance_m2: FloatArray) -> bool:
        """A way that no inertial sample saw.

        Args:
            stamp_ns: when it ended.
            way_m: (3,) metres in the body's axes of then.
            variance_m2: (3,) of its components.
        """
        return self._add(Kind.MOVE, stamp_ns, np.concatenate((way_m, variance_m2)))

    def _add(self, kind: Kind, stamp_ns: int, values: FloatArray, checked: bool = False) -> bool:
        name = kind.name.lower()
        if not checked and not np.isfinite(values).all():
            self.refused[f"{name}_not_finite"] += 1
            return False
        if not self._line.add(kind, int(stamp_ns), values):
            self.refused[f"{name}_stamp"] += 1
            return False
        self.heard_ns[name] = max(int(stamp_ns), self.heard_ns.get(name, int(stamp_ns)))
        return True
