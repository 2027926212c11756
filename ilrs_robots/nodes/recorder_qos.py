"""Qualities of service between what publishers offer, a subscription and a bag."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)


def compatible_qos(publishers: list[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The strictest profile that every publisher can serve."""
    profiles = [publisher.qos_profile for publisher in publishers]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def bag_qos(profile: QoSProfile) -> Qos:
    """A publisher's profile in the form that the bag's metadata holds."""

    def split(nanoseconds: int) -> QosTime:
        return QosTime(*divmod(nanoseconds, 1_000_000_000))

    return Qos(
        QosHistory(int(profile.history)),
        profile.depth,
        QosReliability(int(profile.reliability)),
        QosDurability(int(profile.durability)),
        split(profile.deadline.nanoseconds),
        split(profile.lifespan.nanoseconds),
        QosLiveliness(int(profile.liveliness)),
        split(profile.liveliness_lease_duration.nanoseconds),
        avoid_ros_namespace_conventions=False,
    )
