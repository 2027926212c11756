"""What a replay makes of a bag, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ilrs_robots.core.io.map_files import SavedMap
from ilrs_robots.replay.ground_judge import GroundJudge
from ilrs_robots.replay.ordered import ReadReport
from ilrs_robots.replay.pose_log import PoseLog
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.tracks import GridMapSample
from ilrs_robots.robots.map_store import snapshot
from ilrs_robots.robots.perception import Perception


@dataclass
class Segment:
    """One run of a bag: from where time began or was set back.

    Attributes:
        perception: pose and map at its end.
        poses: where the robot believed to be, ``map``.
        truth: where it was.
        judge: of the maps.
        first_ns: first sample's time.
        last_ns: last sample's time.
    """

    perception: Perception
    poses: PoseLog
    truth: PoseLog
    judge: GroundJudge
    first_ns: int
    last_ns: int


@dataclass
class Replay:
    """What came of a replay.

    Attributes:
        profile: with robot and vehicle.
        segment: the longest run of the bag, which is judged.
        report: of reading.
        flags: name -> (rise, fall) in seconds since the first message.
        recorded_map: the last GridMap that the bag holds, if any.
        saved: the map at the segment's end, None without one.
        custom: the bag's free metadata.
        changed: how many messages each fault hit.
    """

    profile: ReplayProfile
    segment: Segment | None
    report: ReadReport
    flags: dict[str, list[tuple[float, float]]]
    recorded_map: GridMapSample | None
    saved: SavedMap | None
    custom: dict[str, str] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)


def saved_map(perception: Perception) -> SavedMap | None:
    """The map as it is kept, None where it is empty."""
    mapping = perception.mapping
    if not mapping.filled:
        return None
    layers, _ = mapping.traversability()
    more = {
        "elevation": mapping.map.layer("elevation"),
        "upper_bound": mapping.map.layer("upper_bound"),
        "cost": layers.cost,
        "slope": layers.slope_rad,
        "step_height": layers.step_m,
        "roughness": layers.roughness_m,
    }
    units = {"elevation": "m", "upper_bound": "m", "slope": "rad", "step_height": "m",
             "roughness": "m"}  # fmt: skip
    return snapshot(mapping, perception.T_map_odom, more, units)
