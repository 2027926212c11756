"""Messages of a bag to the core's samples, with the same meaning as in the running nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.pointcloud2 import PointField, decode_cloud
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    FloatArray,
    ImuSample,
    JointSample,
)
from ilrs_robots.replay.bag import stamp_ns
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.robots.model import require_rover

_NEVER_NS: Final = 10**18
NO_SIGMA_RAD: Final = 0.05
"""For an orientation that comes without a covariance."""


@dataclass(frozen=True)
class PoseSample:
    """A pose that a bag holds.

    Attributes:
        stamp_ns: nanoseconds.
        T_map_base: (4, 4).
    """

    stamp_ns: int
    T_map_base: FloatArray


Payload = ImuSample | JointSample | AttitudeSample | Cloud | PoseSample


class Decoder:
    """Turns messages into samples; what it needs to remember of a topic it keeps.

    Args:
        profile: of the bag, with its vehicle.
    """

    def __init__(self, profile: ReplayProfile) -> None:
        self._profile = profile
        self._period_ns = round(profile.orientation_period_s * 1e9)
        self._oriented_ns = -_NEVER_NS
        self._odometry: OdometryWheels | None = None
        if profile.topics.wheel_odometry:
            self._odometry = OdometryWheels(profile)

    def samples(self, kind: str, message: Any) -> list[Payload]:
        """Samples of one message; an ``Imu`` may give two.

        Args:
            kind: as ``ReplayProfile.topic_kinds`` says.
            message: decoded.

        Raises:
            InvalidCloudError: a cloud cannot be used.
            TransformError: a pose is none.
        """
        if kind == "imu":
            found: list[Payload] = [_imu(message)]
            if self._oriented(message):
                found.append(_attitude(message))
            return found
        if kind == "joints":
            return [_joints(message)]
        if kind == "attitude":
            return [_attitude(message)]
        if kind == "cloud":
            return [self._cloud(message)]
        if kind in ("pose", "truth"):
            return [PoseSample(stamp_ns(message.header), _pose(message))]
        if kind == "wheel_odometry" and self._odometry is not None:
            return [self._odometry.sample(message)]
        return []

    def _oriented(self, message: Any) -> bool:
        """Whether the IMU's orientation counts now."""
        if not self._profile.imu_orientation or message.orientation_covariance[0] < 0.0:
            return False
        now_ns = stamp_ns(message.header)
        if 0 <= now_ns - self._oriented_ns < self._period_ns:
            return False
        self._oriented_ns = now_ns
        return True

    def _cloud(self, message: Any) -> Cloud:
        fields = [PointField(f.name, f.offset, f.datatype, f.count) for f in message.fields]
        cloud = decode_cloud(
            message.data,
            message.height,
            message.width,
            fields,
            message.point_step,
            message.row_step,
            message.is_bigendian,
            stamp_ns=stamp_ns(message.header),
            frame_id=message.header.frame_id,
        )
        ours = self._profile.frames.get(cloud.frame_id)
        return replace(cloud, frame_id=f"{self._profile.robot}/{ours}") if ours else cloud


class OdometryWheels:
    """Wheel odometry of a robot without joint states, as encoders of its fixed wheels.

    What such a robot's own controller made of its encoders is taken apart again: the way and the
    turn between two messages become the way of each wheel, so that the one dead reckoning serves.

    Reference: Siegwart, Nourbakhsh, Scaramuzza 2011, section 3.2.

    Raises:
        ConfigError: the vehicle steers wheels, which odometry does not tell of.
    """

    def __init__(self, profile: ReplayProfile) -> None:
        wheels = require_rover(profile.vehicle, "wheel odometry").wheels
        if wheels.steered:
            raise ConfigError(
                f"wheel_odometry: the vehicle steers {', '.join(wheels.steered)}; their angles "
                "are not in odometry, joint states are needed"
            )
        self._names = tuple(f"{name}_wheel" for name in wheels.names)
        self._left_m = wheels.positions_xy_m[:, 1]
        self._radius_m = wheels.rolling_radius_m
        self._by_twist = profile.odometry_from == "twist"
        self._turned = np.zeros(len(self._names))
        self._last: tuple[FloatArray, float] | None = None
        self._rate: tuple[int, FloatArray] | None = None

    def sample(self, message: Any) -> JointSample:
        """Encoders at one message."""
        twist, now_ns = message.twist.twist, stamp_ns(message.header)
        speed = (twist.linear.x - twist.angular.z * self._left_m) / self._radius_m
        step = self._by_speed(now_ns, speed) if self._by_twist else self._by_pose(message)
        if np.isfinite(step).all():
            self._turned = self._turned + step
        return JointSample(now_ns, self._names, self._turned, speed)

    def _by_speed(self, now_ns: int, speed: FloatArray) -> FloatArray:
        """Turn of each wheel since the last message, by the mean of both speeds."""
        before, self._rate = self._rate, (now_ns, speed)
        if before is None or now_ns <= before[0]:
            return np.zeros_like(speed)
        turn: FloatArray = 0.5 * (speed + before[1]) * (now_ns - before[0]) * 1e-9
        return turn

    def _by_pose(self, message: Any) -> FloatArray:
        """Turn of each wheel since the last message, by both poses."""
        place, q = message.pose.pose.position, message.pose.pose.orientation
        position, yaw = np.array([place.x, place.y]), se3.yaw_of(np.array([q.w, q.x, q.y, q.z]))
        last, self._last = self._last, (position, yaw)
        if last is None:
            return np.zeros_like(self._left_m)
        turn = float((yaw - last[1] + np.pi) % (2.0 * np.pi) - np.pi)
        middle = last[1] + 0.5 * turn
        way = float((position - last[0]) @ (np.cos(middle), np.sin(middle)))
        step: FloatArray = (way - turn * self._left_m) / self._radius_m
        return step


def _imu(message: Any) -> ImuSample:
    w, a = message.angular_velocity, message.linear_acceleration
    return ImuSample(
        stamp_ns(message.header), np.array([w.x, w.y, w.z]), np.array([a.x, a.y, a.z])
    )


def _attitude(message: Any) -> AttitudeSample:
    q = message.orientation
    sigma = float(np.sqrt(max(message.orientation_covariance[0], 0.0))) or NO_SIGMA_RAD
    return AttitudeSample(stamp_ns(message.header), np.array([q.w, q.x, q.y, q.z]), sigma)


def _joints(message: Any) -> JointSample:
    position = np.asarray(message.position, dtype=np.float64)
    velocity = np.asarray(message.velocity, dtype=np.float64)
    if velocity.size != position.size:
        velocity = np.full(position.shape, np.nan)
    return JointSample(stamp_ns(message.header), tuple(message.name), position, velocity)


def _pose(message: Any) -> FloatArray:
    pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
    p, q = pose.position, pose.orientation
    return se3.make_transform(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))
