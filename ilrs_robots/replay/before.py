"""What a replay looks up in the bag before it begins: the true ground, and where to start."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.decode import Decoder, PoseSample
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.tracks import GridMapSample, grid_map_sample


def true_ground(bag: Bag, profile: ReplayProfile) -> GridMapSample | None:
    """The true ground, None where the bag has none."""
    name = profile.topics.true_ground
    message = _first(bag, profile.full(name)) if name else None
    return None if message is None else grid_map_sample(message)


def start_pose(bag: Bag, profile: ReplayProfile, decoder: Decoder) -> FloatArray:
    """(4, 4) T_map_base where the vehicle starts, as the profile asks."""
    start, topics = profile.start, profile.topics
    given = se3.from_rpy(
        (start.x_m, start.y_m, start.z_m), (0.0, 0.0, float(np.radians(start.yaw_deg)))
    )
    if start.kind == "truth" and topics.truth:
        first = _first(bag, profile.full(topics.truth))
        if first is not None:
            sample = decoder.samples("truth", first)[0]
            assert isinstance(sample, PoseSample)
            return sample.T_map_base
    source = topics.imu if profile.imu_orientation else topics.attitude
    first = _first(bag, profile.full(source)) if start.kind == "attitude" and source else None
    if first is None:
        return given
    q, cfg = first.orientation, profile.reckoning
    R_map_sensor = se3.make_transform(np.zeros(3), (q.w, q.x, q.y, q.z))
    mount = se3.from_rpy(np.zeros(3), cfg.star_tracker_rpy_rad)
    yaw = se3.yaw_of(se3.split_transform(R_map_sensor @ se3.invert(mount))[1])
    return se3.from_rpy(given[:3, 3], (0.0, 0.0, yaw))


def _first(bag: Bag, topic: str) -> Any:
    """The first message of a topic, None where there is none that can be read."""
    try:
        return next((item.msg for item in bag.messages(topic)), None)
    except BagError:
        return None
