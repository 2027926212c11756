"""What a bag's topics are and whose they are: the topic mapping of ``ilrs replay``.

A profile is a YAML file. What it leaves out is as our own robots have it, so that their bags need
none. Names of topics that do not begin with a slash lie in the robot's namespace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.paths import config_file, share_dir, shown
from ilrs_robots.robots.inertial_step import METHODS
from ilrs_robots.robots.model import MODELS, RobotModel, RoverModel, load_robot
from ilrs_robots.robots.settings import dead_reckoning_config_of, filter_config_of

_OWN_TOPICS: Final = ("/imu/data", "/joint_states", "/lidar/points")


@dataclass(frozen=True)
class TopicsConfig:
    """Topics by what they are; an empty name means that there is none."""

    imu: str = param("imu/data", doc="sensor_msgs/Imu")
    joints: str = param("joint_states", doc="sensor_msgs/JointState of wheels and steering")
    attitude: str = param("star_tracker/attitude", doc="sensor_msgs/Imu whose orientation counts")
    clouds: tuple[str, ...] = param(("lidar/points",), doc="sensor_msgs/PointCloud2")
    wheel_odometry: str = param("", doc="nav_msgs/Odometry of wheels, in place of joint states")
    pose: str = param("", doc="nav_msgs/Odometry that is believed, in place of reckoning")
    truth: str = param("truth/odom", doc="nav_msgs/Odometry of the true pose in map")
    true_ground: str = param("truth/ground", doc="grid_map_msgs/GridMap of the true ground")
    recorded_map: str = param("elevation_map", doc="grid_map_msgs/GridMap that was recorded")


@dataclass(frozen=True)
class StartConfig:
    """Where the vehicle starts in ``map``."""

    kind: str = param(
        "truth",
        doc="first true pose (else given), given, or given with the first measured attitude",
        choices=("truth", "given", "attitude"),
    )
    x_m: float = param(0.0, doc="start x", unit="m")
    y_m: float = param(0.0, doc="start y", unit="m")
    z_m: float = param(0.0, doc="start z", unit="m")
    yaw_deg: float = param(0.0, doc="start heading", unit="deg", low=-360.0, high=360.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class ReplayProfile:
    """How a bag is read.

    Attributes:
        model: the vehicle; None until ``for_bag``.
    """

    robot: str = param("", doc="the robot's name; empty for the one in the bag")
    topics: TopicsConfig = param(TopicsConfig(), doc="topics")
    start: StartConfig = param(StartConfig(), doc="start")
    imu_orientation: bool = param(False, doc="whether the IMU's orientation is an attitude")
    orientation_period_s: float = param(
        0.0, doc="of the IMU's orientations at most one in this time counts", unit="s", low=0.0
    )
    odometry_from: str = param(
        "pose",
        doc="what of wheel_odometry counts: poses (lost messages cost nothing) or twists",
        choices=("pose", "twist"),
    )
    frames: dict[str, str] = param({}, doc="the bag's frame ids -> frames of the robot's file")
    dead_reckoning: dict[str, float] = param({}, doc="parameters besides those of the vehicle")
    localization: str = param("dead_reckoning", doc="how the pose is reckoned", choices=METHODS)
    filter: dict[str, float] = param({}, doc="the filter's parameters besides the vehicle's")
    reorder_s: float = param(
        0.5, doc="messages are sorted by header stamp within this time", unit="s", low=0.0,
        high=10.0,
    )  # fmt: skip
    model: RobotModel | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @property
    def vehicle(self) -> RobotModel:
        """The vehicle of a profile that ``for_bag`` gave."""
        assert self.model is not None
        return self.model

    @property
    def reckoning(self) -> Any:
        """Dead reckoning's parameters for the vehicle."""
        own = dead_reckoning_config_of(self.vehicle)
        return config.replaced(own, self.dead_reckoning) if self.dead_reckoning else own

    @property
    def filter_config(self) -> FilterConfig:
        """The error-state filter's parameters for the vehicle."""
        own = filter_config_of(self.vehicle)
        return config.replaced(own, self.filter) if self.filter else own

    def topic_kinds(self) -> dict[str, str]:
        """Full topic name -> what it is, a field of ``TopicsConfig`` (``cloud`` for clouds)."""
        kinds: dict[str, str] = {}
        for leaf in ("imu", "joints", "attitude", "wheel_odometry", "pose", "truth",
                     "recorded_map"):  # fmt: skip
            name = getattr(self.topics, leaf)
            if name:
                kinds[self.full(name)] = leaf
        kinds |= {self.full(name): "cloud" for name in self.topics.clouds if name}
        return kinds

    def full(self, topic: str) -> str:
        """A topic's full name."""
        return topic if topic.startswith("/") else f"/{self.robot}/{topic}"

    def for_bag(self, topics: dict[str, str], custom: dict[str, str]) -> ReplayProfile:
        """The profile with robot and vehicle filled in from the bag.

        A vehicle without wheels reckons no pose yet: the true one stands in for it.

        Args:
            topics: the bag's topics.
            custom: its free metadata.

        Raises:
            ConfigError: the bag does not say whose it is, or there is no such vehicle.
        """
        robot = self.robot or custom.get("ilrs_robot", "") or _only_robot(topics)
        model = self.model or load_robot(custom.get("ilrs_model", robot))
        topics = self.topics
        if not isinstance(model, RoverModel) and not topics.pose:
            topics = replace(topics, pose=topics.truth, truth="")
        return replace(self, robot=robot, model=model, topics=topics)


def _only_robot(topics: dict[str, str]) -> str:
    found = {
        name[1 : -len(end)] for name in topics for end in _OWN_TOPICS
        if name.endswith(end) and name.count("/") == end.count("/") + 1
    }  # fmt: skip
    if len(found) == 1:
        return found.pop()
    if found:
        raise ConfigError(f"the bag holds {', '.join(sorted(found))}: choose one by --robot")
    raise ConfigError(
        f"no topic ends in {', '.join(_OWN_TOPICS)}: the bag is of a robot that is not ours, "
        f"give a profile by --profile; the bag's topics: {', '.join(sorted(topics)) or 'none'}"
    )


def load_profile(name: str | Path) -> ReplayProfile:
    """Read ``config/replay/<name>.yaml`` or the YAML file at that path.

    ``model`` is the name of a robot, the path of its file, or the whole file's content.

    Raises:
        ConfigError: with file, key, value, limit and unit.
    """
    path = _file(str(name))
    content, where = config.load_yaml(path), shown(path)
    model = content.pop("model", None)
    profile = config.from_mapping(ReplayProfile, content, where)
    if model is None:
        return profile
    return replace(profile, model=_model(model, where))


def _file(name: str) -> Path:
    if not name.endswith((".yaml", ".yml")):
        folder = share_dir() / "config" / "replay"
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        if name not in known:
            raise ConfigError(f"unknown replay profile {name!r}; known: {', '.join(known)}")
        return folder / f"{name}.yaml"
    return config_file("replay", name)


def _model(given: Any, where: str) -> RobotModel:
    if isinstance(given, str):
        return load_robot(given)
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in MODELS:
        raise ConfigError(f"{where}: model.type = {kind!r}: must be one of {', '.join(MODELS)}")
    return config.from_mapping(MODELS[kind], given, f"{where}: model")
