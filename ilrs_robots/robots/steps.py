"""The steps of a rover's autonomy, ROS-free: nodes, replay and lock-step all call these.

Each step owns one part of the core and speaks plain data. Frames follow REP-105; ids carry the
robot's name (``<robot>/odom``, ``<robot>/base_link``), ``map`` is shared.
"""

from __future__ import annotations

from ilrs_robots.core.control.fleet import FleetMemory
from ilrs_robots.core.control.navigator import Navigator, NavigatorConfig, NavigatorOutput
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, GridSpec, JointSample
from ilrs_robots.robots.base_places import keep_outs_of_site
from ilrs_robots.robots.fleet import meetings_of, memory_of
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.frames import (
    MAP_FRAME,
    base_frame,
    new_tree,
    odom_frame,
    sensor_mounts,
)
from ilrs_robots.robots.localization_step import LocalizationStep
from ilrs_robots.robots.mapping_step import MappingConfig, MappingStep, MapUpdate
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.settings import (
    dead_reckoning_config_of,
    gate_config_of,
    guard_of,
    kinematics_of,
    limits_of,
    map_config_of,
    navigator_config_of,
    noises_of,
    own_boxes_of,
    traversability_config_of,
)
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.slip_step import SlipStep

__all__ = [
    "MAP_FRAME",
    "LocalizationStep",
    "MapUpdate",
    "MappingConfig",
    "MappingStep",
    "NavigationStep",
    "base_frame",
    "dead_reckoning_config_of",
    "gate_config_of",
    "guard_of",
    "kinematics_of",
    "limits_of",
    "map_config_of",
    "navigator_config_of",
    "new_tree",
    "noises_of",
    "odom_frame",
    "own_boxes_of",
    "sensor_mounts",
    "traversability_config_of",
]


class NavigationStep:
    """Goals in ``map`` to velocity commands, over the prior and what the robot has seen.

    Attributes:
        fleet: what the site's other vehicles tell; None where there is none.
    """

    def __init__(
        self, model: RobotModel, prior: Dem, cfg: NavigatorConfig, robot: str = "",
        site: SiteConfig | None = None,
    ) -> None:  # fmt: skip
        self.navigator = Navigator(cfg, limits_of(model), prior, footing_of(model))
        self.fleet: FleetMemory | None = None
        if site is not None:
            self.navigator.keep_off(keep_outs_of_site(site))
            if len(site.robots) > 1:
                self.fleet = memory_of(site, robot, cfg.fleet)
                self.navigator.join(meetings_of(model, robot, cfg, self.fleet))
        self.last_map_ns: int | None = None
        self.slip = SlipStep(model, robot) if robot else None

    def on_cloud(self, cloud: Cloud) -> None:
        """Take a scan, to see whether the vehicle moves as its wheels turn."""
        if self.slip is not None:
            self.slip.add(cloud)

    def on_joints(self, sample: JointSample) -> None:
        """Take the wheels' encoders, beside which the scans stand."""
        if self.slip is not None:
            self.slip.on_joints(sample)

    def forget(self) -> None:
        """Time was set back, or the vehicle was moved: earlier scans mean nothing."""
        if self.fleet is not None:
            self.fleet.forget()
        if self.slip is not None:
            self.slip.reset()

    def look(self, tree: TransformTree, now_ns: int) -> None:
        """Tell the navigator what the scans that came say of slip."""
        if self.slip is not None:
            for span in self.slip.process(tree, now_ns):
                self.navigator.on_motion(span)

    def on_traversability(
        self, cost: Float32Array, spec: GridSpec, T_map_odom: FloatArray, stamp_ns: int
    ) -> None:
        """Take the newest hazard grid (odom frame)."""
        self.navigator.on_traversability(cost, spec, T_map_odom, stamp_ns)
        self.last_map_ns = stamp_ns

    def step(self, now_ns: int, T_map_base: FloatArray, speed_mps: float) -> NavigatorOutput:
        """One control period; the speed is that of odometry."""
        x, y = T_map_base[:2, 3]
        yaw = se3.yaw_of(se3.split_transform(T_map_base)[1])
        return self.navigator.step(now_ns, float(x), float(y), yaw, speed_mps)
