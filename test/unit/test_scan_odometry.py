"""Motion from scans: what is seen is found, what is not seen is left alone and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lidar_scenes import Box, Plane
from registration_scenes import error_of, lunar_ground, scan, standing_on

from ilrs_robots.core.cloud.voxel_sample import voxel_sample
from ilrs_robots.core.errors import InvalidCloudError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.plane_registration import (
    UNSEEN_SIGMA_M,
    PlaneRegistrationConfig,
    register,
)
from ilrs_robots.core.localization.scan_odometry import (
    ScanMotion,
    ScanOdometry,
    ScanOdometryConfig,
)
from ilrs_robots.core.localization.voxel_planes import VoxelPlanes

LIDAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "lidar"
YARD = [
    Plane(),
    Box((5, 2, 0), (6, 4, 2)),
    Box((-4, -6, 0), (-3, -5, 1.5)),
    Box((8, -3, 0), (9, -2, 1)),
    Box((-7, 3, 0), (-6, 5, 2)),
]
CORRIDOR = [Plane(), Box((-100, 2, -1), (100, 3, 4)), Box((-100, -3, -1), (100, -2, 4))]


def drive(
    scene: list[object], poses: list[np.ndarray], predict, seed: int = 0, **how: int
) -> tuple[ScanOdometry, list[ScanMotion]]:
    """Scans along a way; ``predict`` turns a true motion into a predicted one."""
    odometry, rng, found = ScanOdometry(ScanOdometryConfig()), np.random.default_rng(seed), []
    for k, pose in enumerate(poses):
        moved = np.eye(4) if k == 0 else predict(rng, se3.invert(poses[k - 1]) @ pose)
        motion = odometry.update(k * 10**8, scan(scene, pose, 1000 * seed + k, **how), moved)
        assert (motion is None) == (k == 0)
        if motion is not None:
            found.append(motion)
    return odometry, found


def slipping(rng: np.random.Generator, moved: np.ndarray) -> np.ndarray:
    """Wheels that slip by 10 to 30 %, with a gyro's noise."""
    back = -rng.uniform(0.1, 0.3) * moved[:3, 3] + rng.normal(0.0, 0.003, 3)
    return moved @ se3.from_rpy(back, rng.normal(0.0, 0.0005, 3))


def standing(_: np.random.Generator, moved: np.ndarray) -> np.ndarray:
    return np.eye(4)


def straight(count: int, step_m: float, yaw_rad: float = 0.0) -> list[np.ndarray]:
    return [se3.from_rpy((k * step_m, 0.0, 1.5), (0, 0, k * yaw_rad)) for k in range(count)]


def test_known_motion_among_boxes_is_found_though_standing_was_predicted() -> None:
    poses = straight(8, 0.2, 0.02)
    odometry, motions = drive(YARD, poses, standing)
    metres, degrees = error_of(odometry.T_local_body, se3.invert(poses[0]) @ poses[-1])
    assert metres < 0.02
    assert degrees < 0.1
    for motion in motions:
        assert motion.registration.unseen == 0
        true = se3.invert(poses[motion.from_ns // 10**8]) @ poses[motion.to_ns // 10**8]
        off = motion.T_from_to[:3, 3] - true[:3, 3]
        assert off @ np.linalg.solve(motion.covariance[:3, :3], off) < 16.3  # 99.9 %


def test_a_plain_invents_no_motion_along_what_it_does_not_show() -> None:
    """The prediction stands still while the vehicle drives, and the other way round."""
    for poses, told in (
        (straight(8, 0.2), np.eye(4)),
        (straight(8, 0.0), se3.from_rpy((0.2, 0.03, 0.0), (0, 0, 0.01))),
    ):
        _, motions = drive([Plane()], poses, lambda rng, moved, told=told: told)
        for motion in motions:
            assert motion.registration.unseen == 3
            kept = motion.T_last_to
            np.testing.assert_allclose(kept[:2, 3], told[:2, 3], atol=0.002)
            turned = se3.yaw_of(se3.split_transform(kept)[1])
            assert turned == pytest.approx(se3.yaw_of(se3.split_transform(told)[1]), abs=3e-4)
            assert np.sqrt(np.diag(motion.covariance)[:2]).min() > 0.9 * UNSEEN_SIGMA_M
            assert np.sqrt(motion.covariance[2, 2]) < 0.03


def test_a_plain_still_shows_height_and_tilt() -> None:
    told = se3.from_rpy((0.0, 0.0, 0.06), (0.01, -0.012, 0.0))
    odometry, _ = drive([Plane()], straight(2, 0.1), lambda rng, moved: told)
    assert abs(odometry.T_local_body[2, 3]) < 0.004
    assert np.abs(odometry.T_local_body[2, :2]).max() < 0.001


def test_a_slope_hides_the_way_along_itself_only() -> None:
    """On a tilted plane what is seen is the distance from it, not the height."""
    tilt = np.arctan(0.2)
    poses = [se3.from_rpy((0.2 * k, 0.0, 1.5 + 0.04 * k), (0.0, -tilt, 0.0)) for k in range(4)]
    _, motions = drive([Plane(0.0, 0.2)], poses, slipping)
    for motion in motions:
        assert motion.registration.unseen == 3
        normal = motion.covariance[:3, :3] @ (0.0, 0.0, 1.0)  # body's axes: z is the normal
        assert np.sqrt(normal[2]) < 0.05
        assert np.sqrt(motion.covariance[0, 0]) > 50.0


def test_a_corridor_hides_the_way_along_it_and_nothing_else() -> None:
    poses = straight(12, 0.05)
    _, motions = drive(
        CORRIDOR, poses, lambda rng, moved: se3.from_rpy((0.03, 0.02, 0), (0, 0, 0.005))
    )
    for motion in motions:
        assert motion.registration.unseen == 1
        assert np.sqrt(motion.covariance[0, 0]) > 50.0
        assert np.sqrt(motion.covariance[1, 1]) < 1.0
        true = se3.invert(poses[motion.from_ns // 10**8]) @ poses[motion.to_ns // 10**8]
        assert abs(motion.T_from_to[1, 3] - true[1, 3]) < 0.01
        assert motion.T_last_to[0, 3] == pytest.approx(0.03, abs=0.003)


def test_lunar_ground_corrects_slipping_wheels() -> None:
    """Over procedural ground with craters and roughness, 6 m at 20 % of slip."""
    ground, poses, at = lunar_ground(2, half_m=55.0), [], np.array([-8.0, -8.0, 0.7])
    for _ in range(24):
        poses.append(standing_on(ground, *at, 1.5))
        at += (0.25 * np.cos(at[2]), 0.25 * np.sin(at[2]), 0.01)
    odometry, motions = drive([ground], poses, slipping, seed=2, columns=240)
    metres, degrees = error_of(odometry.T_local_body, se3.invert(poses[0]) @ poses[-1])
    assert metres < 0.06  # 1 %; the wheels alone are 1.1 m short
    assert degrees < 0.2
    squares = []
    for motion in motions:
        true = se3.invert(poses[motion.from_ns // 10**8]) @ poses[motion.to_ns // 10**8]
        off = motion.T_from_to[:3, 3] - true[:3, 3]
        squares.append(off @ np.linalg.solve(motion.covariance[:3, :3], off))
    assert np.median(squares) < 7.8  # 95 % of three degrees of freedom


def test_equal_scans_give_equal_motions_to_the_bit() -> None:
    first, second = (drive(YARD, straight(4, 0.2), slipping)[1] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.T_from_to.tobytes() == other.T_from_to.tobytes()
        assert one.covariance.tobytes() == other.covariance.tobytes()


def test_the_frame_in_which_a_map_lies_does_not_matter() -> None:
    """The same cloud and map, moved together: the same error, the covariance turned."""
    points = scan(YARD, straight(1, 0.0)[0], 5).astype(np.float64)
    cfg, found = PlaneRegistrationConfig(), []
    for T in (np.eye(4), se3.from_rpy((40.0, -25.0, 3.0), (0.0, 0.0, np.pi / 2))):
        planes = VoxelPlanes(1.0, 0.012)
        planes.insert(points, T)
        off = se3.from_rpy((0.1, -0.05, 0.02), (0.003, 0.0, 0.01))
        found.append(se3.invert(T) @ register(points[::7], planes, T @ off, cfg).T_map_cloud)
    for pose in found:
        assert error_of(pose, np.eye(4))[0] < 0.01


def test_bad_input_says_why_and_changes_nothing() -> None:
    poses = straight(3, 0.2)
    odometry, _ = drive(YARD, poses[:2], slipping)
    before, count = odometry.T_local_body.copy(), odometry.planes.count
    with pytest.raises(InvalidCloudError, match="no point is between"):
        odometry.update(3, np.full((5, 3), np.nan, np.float32), np.eye(4))
    with pytest.raises(InvalidCloudError, match=r"\(N, 3\)"):
        odometry.update(3, np.zeros((5, 2), np.float32), np.eye(4))
    with pytest.raises(TransformError, match="not finite"):
        odometry.update(3, scan(YARD, poses[2], 2), np.full((4, 4), np.nan))
    np.testing.assert_array_equal(odometry.T_local_body, before)
    assert odometry.planes.count == count
    holes = scan(YARD, poses[2], 2)
    holes[::3] = np.nan
    motion = odometry.update(3, holes, se3.invert(poses[1]) @ poses[2])
    assert motion is not None
    assert error_of(motion.T_last_to, se3.invert(poses[1]) @ poses[2])[0] < 0.02


def test_scans_of_another_place_begin_a_new_map() -> None:
    """Carried away: no motion is made up, and after some scans odometry starts again."""
    odometry, _ = drive(YARD, straight(3, 0.2), slipping)
    wall = [Plane(), Box((2, -50, -1), (3, 50, 9)), Box((-50, 4, -1), (50, 5, 9))]
    elsewhere = se3.from_rpy((0.0, 0.0, 4.5), (0.0, 0.0, 0.0))
    given = odometry.config.lost_after
    for k in range(given):
        assert odometry.update(10**9 + k, scan(wall, elsewhere, k), np.eye(4)) is None
    assert odometry.restarts == 1
    motion = odometry.update(2 * 10**9, scan(wall, elsewhere, 99), np.eye(4))
    assert motion is not None
    assert error_of(motion.T_from_to, np.eye(4))[0] < 0.02


def real_scans() -> list[np.ndarray]:
    if not LIDAR.is_dir():
        pytest.skip("no real scans here: shared/data/lidar is absent")
    raws = [np.load(LIDAR / f"os1_128_scan{k}.npy") for k in (0, 1)]
    return [np.stack([raw[axis] for axis in "xyz"], axis=1).astype(np.float32) for raw in raws]


def test_a_real_scan_finds_the_one_before_as_another_library_does() -> None:
    small_gicp = pytest.importorskip("small_gicp")
    first, second = real_scans()
    odometry = ScanOdometry(ScanOdometryConfig())
    odometry.update(0, first, np.eye(4))
    motion = odometry.update(1, second, np.eye(4))
    assert motion is not None
    assert motion.registration.unseen == 0
    theirs = small_gicp.align(
        first.astype(float), second.astype(float), registration_type="PLANE_ICP",
        downsampling_resolution=0.25,
    )  # fmt: skip
    metres, degrees = error_of(motion.T_from_to, theirs.T_target_source)
    assert metres < 0.02
    assert degrees < 0.05


def test_a_real_pair_is_as_near_to_its_reference_as_was_asked() -> None:
    """From standing, 15 degrees and 0.25 m away: planes of 4, 2 and 1 m in turn."""
    if not LIDAR.is_dir():
        pytest.skip("no real pair here: shared/data/lidar is absent")
    source = np.genfromtxt(LIDAR / "car_cloud400.csv", delimiter=",", skip_header=1)[:, :3]
    target = np.loadtxt(LIDAR / "car_cloud401.csv")[:, :3]
    pose = np.eye(4)
    for voxel_m in (4.0, 2.0, 1.0):
        planes = VoxelPlanes(voxel_m, 0.02)
        planes.insert(voxel_sample(target.astype(np.float32), voxel_m / 8.0), np.eye(4))
        cfg = PlaneRegistrationConfig(
            first_reach_m=0.5 * voxel_m, last_reach_m=0.125 * voxel_m, max_iterations=40
        )
        thin = voxel_sample(source.astype(np.float32), voxel_m / 3.0).astype(np.float64)
        pose = register(thin, planes, pose, cfg).T_map_cloud
    metres, degrees = error_of(pose, np.loadtxt(LIDAR / "defaultIdentity.ref_trans"))
    assert metres < 0.10
    assert degrees < 0.6


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_forty_metres_of_lunar_ground(seed: int) -> None:
    ground, poses, at = lunar_ground(seed), [], np.array([-18.0, -18.0, 0.6])
    for _ in range(160):
        poses.append(standing_on(ground, *at, 1.5))
        at += (0.25 * np.cos(at[2]), 0.25 * np.sin(at[2]), 0.002)
    odometry, _ = drive([ground], poses, slipping, seed=seed)
    metres, degrees = error_of(odometry.T_local_body, se3.invert(poses[0]) @ poses[-1])
    assert metres < 0.2  # 0.5 %
    assert degrees < 0.3
