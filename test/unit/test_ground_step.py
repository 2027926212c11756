"""Ground seen along the way tells the filter where it is on the orbital map; odom stays smooth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from filter_drives import MODEL, NAMES, STEERED, WHEELS
from ground_swaths import Site, site

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.types import AttitudeSample, Cloud, ImuSample, JointSample
from ilrs_robots.robots.ground_step import Believed, GroundStep, tell
from ilrs_robots.robots.ground_worker import GroundWorker
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.settings import dead_reckoning_config_of

SPEED, STEP_NS, HEADING = 2.0, 200_000_000, 0.7
LEVEL = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])
WRONG = np.array([36.0, -48.0])


@dataclass
class Vehicle:
    """Drives straight and level, and looks down on the ground every four metres."""

    place: Site
    sigma_m: float
    odom: list[np.ndarray] = field(default_factory=list)
    lost: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(4)
        self.step = InertialStep(MODEL, "r", dead_reckoning_config_of(MODEL))
        self.start = np.array([-150.0, -110.0])
        T = se3.from_rpy((*(self.start + WRONG), 0.0), (0.0, 0.0, HEADING))
        self.step.start(T, 0)
        self.step.relocate(T, self.sigma_m**2 * np.eye(3))
        self.ground = GroundStep("r", prior=self.place.prior)
        self.tree = TransformTree(max_gap_s=2.0)
        self.tree.set_static("r/base_link", "r/lidar", np.eye(4))
        self.now_ns, self.turned = 0, 0.0

    @property
    def at(self) -> np.ndarray:
        c, s = np.cos(HEADING), np.sin(HEADING)
        return self.start + SPEED * self.now_ns * 1e-9 * np.array([c, s])

    @property
    def error_m(self) -> float:
        T = self.step.T_map_odom @ self.step.newest()[1]
        return float(np.hypot(*(T[:2, 3] - self.at - self.place.shift_m)))

    def drive(self, metres: float) -> None:
        while self.turned * MODEL.wheels.rolling_radius_m < metres:
            self.now_ns += STEP_NS
            self.turned += SPEED * STEP_NS * 1e-9 / MODEL.wheels.rolling_radius_m
            self.step.on_imu(ImuSample(self.now_ns, np.zeros(3), LEVEL))
            quat = np.array([np.cos(HEADING / 2), 0.0, 0.0, np.sin(HEADING / 2)])
            self.step.on_attitude(AttitudeSample(self.now_ns, quat, 3e-4))
            rate = SPEED / MODEL.wheels.rolling_radius_m
            n, m = len(WHEELS), len(STEERED)
            angles = np.r_[np.full(n, self.turned), np.zeros(m)]
            speeds = np.r_[np.full(n, rate), np.zeros(m)]
            pose = self.step.on_joints(JointSample(self.now_ns, NAMES, angles, speeds))
            if pose is None:
                continue
            self.odom.append(pose.position_m)
            self.tree.set("r/odom", "r/base_link", self.now_ns, pose.position_m, pose.quat_wxyz)
            if len(self.odom) % 10 == 0:
                self.ground.add(self.scan())
                tell(self.step, self.ground.process(
                    self.tree, self.now_ns, Believed.of(self.step)
                ))  # fmt: skip
            self.lost.append(self.step.lost)

    def scan(self) -> Cloud:
        reach = 40.0 * np.sqrt(self.rng.random(1200))
        turn = self.rng.uniform(0.0, 2.0 * np.pi, 1200)
        around = np.column_stack((reach * np.cos(turn), reach * np.sin(turn)))
        z = self.place.surface.height(self.at + around) + self.rng.normal(0.0, 0.03, 1200)
        back = se3.from_rpy(np.zeros(3), (0.0, 0.0, -HEADING))[:2, :2]
        xyz = np.column_stack((around @ back.T, z)).astype(np.float32)
        return Cloud(self.now_ns, "r/lidar", xyz, None)


def test_a_vehicle_that_starts_60_m_off_and_believes_it_not_is_lost_then_finds_itself() -> None:
    vehicle = Vehicle(site(62, 6.0, 1280.0), sigma_m=3.0)
    vehicle.drive(300.0)
    counts = vehicle.ground.values()
    assert counts["dem_lost"] == 1
    assert any(vehicle.lost)
    assert counts["dem_fix"] >= 1
    assert vehicle.error_m < 6.0
    assert not vehicle.lost[-1]
    odom = np.array(vehicle.odom)
    steps = np.linalg.norm(np.diff(odom, axis=0), axis=1)
    np.testing.assert_allclose(steps[5:], SPEED * STEP_NS * 1e-9, atol=0.01)
    # and how well the way itself is known has not changed by it
    spread = vehicle.step.odometry.filter.pose_covariance(in_odom=True)
    assert np.sqrt(np.trace(spread[:2, :2])) < 10.0


def test_a_worker_gives_what_its_step_finds_and_forgets_when_told() -> None:
    vehicle = Vehicle(site(62, 6.0, 1280.0), sigma_m=60.0)
    vehicle.drive(5.0)
    worker = GroundWorker(vehicle.ground, vehicle.tree)
    before = vehicle.ground.scans.odometry.planes.count
    assert before > 0
    worker.reset()
    worker.poll(vehicle.step, vehicle.now_ns)
    worker.close()
    assert vehicle.ground.scans.odometry.planes.count == 0
