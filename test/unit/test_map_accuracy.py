"""How good the map is on scenes whose truth is a formula, with a realistic lidar and its noise.

The limits are those of the requirements: flat ground 0.8 cm RMSE, 1.2 cm p95, bias under 0.5 cm,
90 % of the cells covered; slopes 0.8 cm and 0.02 in gradient; steps 2.5 cm.
"""

from __future__ import annotations

import numpy as np
import pytest
from lidar_scenes import RANGE_SIGMA_M, Box, Plane, scan_of

from ilrs_robots.core.errors import ConfigError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping import prior
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig
from ilrs_robots.core.mapping.sensor_noise import SensorNoise

S = 1_000_000_000
CONFIG = ElevationMapConfig(size_cells=200, range_sigma_m=RANGE_SIGMA_M)
INTO_SLOPE = np.array([0.8, 0.6])


def drive(scene, height=lambda x: 0.0, scans: int = 8, config=CONFIG, **lidar) -> ElevationMap:
    """The map after a short drive in x with a lidar 1.8 m above the ground."""
    built = ElevationMap(config)
    for k in range(scans):
        x = 0.15 * k
        position = (x, 0.0, height(x) + 1.8)
        T = se3.from_rpy(position, (0.0, 0.0, 0.0))
        built.update(scan_of(scene, position, k, low_deg=-45.0, **lidar), T, k * S // 5)
    return built


def places(built: ElevationMap) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(built.spec.x_m(), built.spec.y_m())


def errors(built: ElevationMap, truth: np.ndarray, keep: np.ndarray) -> np.ndarray:
    error = (built.layer("elevation") - truth)[keep]
    return error[np.isfinite(error)]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_flat_ground():
    built = drive([Plane()])
    x, y = places(built)
    far = np.hypot(x - 0.5, y)
    error = errors(built, np.zeros_like(x), far < 10.0)
    assert rms(error) < 0.008
    assert np.percentile(np.abs(error), 95) < 0.012
    assert abs(error.mean()) < 0.005
    ring = (far > 2.5) & (far < 6.0)
    assert np.isfinite(built.layer("elevation")[ring]).mean() > 0.9


@pytest.mark.parametrize("slope_deg", [5.0, 15.0, 25.0])
def test_slopes(slope_deg):
    gradient = np.tan(np.radians(slope_deg)) * INTO_SLOPE
    plane = Plane(gx=float(gradient[0]), gy=float(gradient[1]))
    built = drive([plane], lambda x: plane.gx * x)
    x, y = places(built)
    truth = plane.gx * x + plane.gy * y
    seen = np.isfinite(built.layer("elevation")) & (np.hypot(x, y) < 6.0)
    assert rms(errors(built, truth, seen)) < 0.008
    columns = np.stack((x[seen], y[seen], np.ones(seen.sum())), axis=1)
    fitted = np.linalg.lstsq(columns, built.layer("elevation")[seen], rcond=None)[0][:2]
    np.testing.assert_allclose(fitted, gradient, atol=0.02)


@pytest.mark.parametrize("step_m", [0.1, 0.24, 0.4])
def test_steps(step_m):
    built = drive([Plane(), Box((3.05, -4.0, 0.0), (6.0, 4.0, step_m))])
    x, y = places(built)
    inside = np.abs(y) < 2.0
    low = errors(built, np.zeros_like(x), inside & (x > 2.4) & (x < 2.95))
    high = errors(built, np.zeros_like(x), inside & (x > 3.15) & (x < 3.8))
    assert np.median(high) - np.median(low) == pytest.approx(step_m, abs=0.025)
    assert np.percentile(np.abs(low), 95) < 0.025
    assert np.percentile(np.abs(high - step_m), 95) < 0.025
    edge = inside & (np.abs(x - 3.1) < 0.06)
    upper, lower = built.layer("upper_bound")[edge], built.layer("lower_bound")[edge]
    assert np.nanmedian(upper) == pytest.approx(step_m, abs=0.05)
    assert (lower <= upper)[np.isfinite(upper)].all()


def test_what_is_hidden_stays_unknown():
    built = drive([Plane(), Box((3.0, -1.0, 0.0), (3.2, 1.0, 2.2))])
    x, y = places(built)
    behind = (x > 3.5) & (x < 8.0) & (np.abs(y) < 0.5)
    for name in ("elevation", "upper_bound", "lower_bound", "variance", "last_seen_s"):
        assert np.isnan(built.layer(name)[behind]).all()
    assert (built.layer("count")[behind] == 0).all()


def test_dropout_costs_coverage_not_accuracy():
    x, y = places(ElevationMap(CONFIG))
    near = np.hypot(x - 0.3, y) < 8.0
    full, thin = (drive([Plane()], scans=4, dropout=d) for d in (0.02, 0.7))
    assert rms(errors(thin, np.zeros_like(x), near)) < 0.008
    known = [np.isfinite(built.layer("elevation"))[near].mean() for built in (full, thin)]
    assert known[1] < known[0]


def test_both_bounds_of_an_overhang():
    built = drive([Plane(), Box((3.0, -0.5, 1.0), (3.4, 0.5, 1.3))])
    x, y = places(built)
    face = (np.abs(x - 3.0) < 0.01) & (np.abs(y) < 0.3)
    assert np.nanmedian(built.layer("upper_bound")[face]) > 1.1
    assert np.nanmedian(built.layer("lower_bound")[face]) < 0.05


def test_a_scan_repeated_for_ever_makes_no_cell_surer_than_the_floor():
    built = ElevationMap(CONFIG)
    points, T = (
        scan_of([Plane()], (0.0, 0.0, 1.8), 0, columns=256),
        se3.from_rpy((0.0, 0.0, 1.8), (0.0, 0.0, 0.0)),
    )
    for _ in range(300):
        built.update(points, T, 5 * S)
    seen = built.layer("count") > 0
    floor = np.float32(CONFIG.min_sigma_m**2)
    assert (built.layer("variance")[seen] >= floor).all()
    other = scan_of([Plane(0.3)], (0.0, 0.0, 2.1), 1, columns=256)
    for k in range(40):
        built.update(other, se3.from_rpy((0.0, 0.0, 2.1), (0.0, 0.0, 0.0)), (6 + k) * S)
    again = seen & (built.layer("last_seen_s") > 30)
    assert np.nanmedian(built.layer("elevation")[again]) == pytest.approx(0.3, abs=0.01)


def test_a_pose_that_jumps_by_20_m_takes_the_map_along_and_back():
    built = drive([Plane()], scans=2)
    room = sum(layer.nbytes for layer in built.to_arrays().values())
    for k, x in enumerate((20.0, 0.0, -20.0, 4000.0, 0.0)):
        built.recentre((x, x))
        points = scan_of([Plane()], (x, x, 1.8), k, columns=128)
        report = built.update(points, se3.from_rpy((x, x, 1.8), (0.0, 0.0, 0.0)), (5 + k) * S)
        assert report.fused > 1000
        assert abs(np.nanmedian(built.layer("elevation"))) < 0.01
    assert sum(layer.nbytes for layer in built.to_arrays().values()) == room
    with pytest.raises(ConfigError, match=r"farther than the limit 1e\+07 m"):
        built.recentre((1e12, 0.0))


def test_intensity_is_a_mean_and_unknown_where_there_is_none():
    built = ElevationMap(CONFIG)
    points, T = scan_of([Plane()], (0.0, 0.0, 1.8), 0), se3.from_rpy((0, 0, 1.8), (0, 0, 0))
    built.update(points, T, 0)
    assert np.isnan(built.layer("intensity")).all()
    rng = np.random.default_rng(0)
    for k in range(10):
        bright = np.where(points[:, 0] > 0.0, 80.0, 20.0) + rng.normal(0.0, 5.0, len(points))
        bright[::7] = np.nan
        built.update(points, T, (1 + k) * S, intensity=bright.astype(np.float32))
    x, _ = places(built)
    shown = built.layer("intensity")
    assert np.nanmean(shown[x > 0.1]) == pytest.approx(80.0, abs=0.5)
    assert np.nanmean(shown[x < -0.1]) == pytest.approx(20.0, abs=0.5)
    assert (np.isfinite(shown) <= np.isfinite(built.layer("elevation"))).all()
    with pytest.raises(InvalidCloudError, match="intensities have shape"):
        built.update(points, T, 20 * S, intensity=np.ones(3, np.float32))


def test_each_sensor_has_its_own_noise():
    points, T = scan_of([Plane()], (0.0, 0.0, 1.8), 0), se3.from_rpy((0, 0, 1.8), (0, 0, 0))
    variances = []
    for noise in (None, SensorNoise(height_sigma_m=0.05), SensorNoise(incidence_sigma_rad=0.01)):
        built = ElevationMap(CONFIG)
        built.update(points, T, 0, noise=noise)
        variances.append(np.nanmedian(built.layer("variance")))
    assert variances[1] > 5.0 * variances[0]
    assert variances[2] > 5.0 * variances[0]
    with pytest.raises(ConfigError, match="below the limit"):
        SensorNoise(height_sigma_m=0.0)


def ray_error_variance(scene: Plane, T, target, noise: SensorNoise) -> float:
    """Of a point's height above its own surface, by moving the point along and across its ray."""
    origin = T[:3, 3]
    ray = target - origin
    reach = np.linalg.norm(ray)
    ray /= reach
    side = np.cross([0.0, 0.0, 1.0], ray)
    side /= np.linalg.norm(side)
    over = np.cross(ray, side)
    normal = np.array([-scene.gx, -scene.gy, 1.0])
    slant = np.arccos(abs(normal @ ray) / np.linalg.norm(normal))
    ranging = noise.range_sigma_m**2 + (noise.incidence_sigma_rad * reach * np.tan(slant)) ** 2
    turning = (noise.angle_sigma_rad * reach) ** 2
    return ranging * (normal @ ray) ** 2 + turning * ((normal @ side) ** 2 + (normal @ over) ** 2)


@pytest.mark.parametrize("gradient", [(0.4, 0.1), (-0.3, 0.5), (0.0, 0.6), (0.7, 0.0)])
def test_what_a_slope_adds_to_the_variance_follows_from_the_ray(gradient):
    noise = SensorNoise(1e-4, 0.02, 0.002, 0.001)
    plane = Plane(gx=gradient[0], gy=gradient[1])
    built = ElevationMap(ElevationMapConfig(size_cells=60))
    T = se3.from_rpy((0.4, -0.3, 4.0), (0.0, 0.0, 0.0))
    scan = built._scan(T, 0.0, None, noise)
    x, y = places(built)
    built._layers.elevation[:] = np.roll(
        plane.gx * x + plane.gy * y, (built._row % 60, built._col % 60), (0, 1)
    ).ravel()
    built._layers.variance[:], built._layers.last_seen_s[:] = 1e-5, 0.0
    prior.prepare(built._layers, scan, built._rules, built._window(), built._scratch)
    added = built._scratch.slope_variance.reshape(60, 60)
    size = np.hypot(*gradient)
    soft = (size - prior.GENTLE) / size
    kept = Plane(gx=plane.gx * soft, gy=plane.gy * soft)
    for row, col in ((8, 12), (40, 50), (30, 5), (55, 33)):
        target = np.array([x[row, col], y[row, col], plane.gx * x[row, col]])
        target[2] += plane.gy * y[row, col]
        level = ray_error_variance(Plane(), T, target, noise)
        want = max(ray_error_variance(kept, T, target, noise) - level, 0.0)
        assert added[row, col] == pytest.approx(want, rel=0.02, abs=1e-9)


def test_take_changed_says_where():
    built = ElevationMap(CONFIG)
    assert built.take_changed() is None
    T = se3.from_rpy((0.0, 0.0, 5.0), (0.0, 0.0, 0.0))
    points = np.array([[1.0, 2.0, -5.0], [-1.5, 0.5, -5.0]], np.float32)
    built.update(points, T, 0)
    row, col = built.spec.cell_of(points[:, :2].astype(np.float64))
    assert built.take_changed() == (row.min(), row.max() + 1, col.min(), col.max() + 1)
    assert built.take_changed() is None
    built.recentre((0.3, 0.0))
    assert built.take_changed() == (0, 200, 197, 200)
    built.recentre((0.3, -0.2))
    assert built.take_changed() == (0, 2, 0, 200)
    built.update(points, T, 0)
    built.recentre((0.0, -0.2))
    row0, row1, col0, col1 = built.take_changed()
    assert (row0, row1, col0) == (0, 200, 0), "columns came in on the left"
    assert col1 > col.max()
    built.recentre((900.0, 0.0))
    assert built.take_changed() == (0, 200, 0, 200)
    built.clear()
    assert built.take_changed() == (0, 200, 0, 200)
    assert ElevationMap.from_arrays(built.to_arrays()).take_changed() == (0, 200, 0, 200)


def test_every_cell_that_changed_is_in_the_rectangle():
    rng = np.random.default_rng(1)
    built = drive([Plane()], scans=2)
    built.take_changed()
    for k in range(6):
        before, spec = built.to_arrays(), built.spec
        built.recentre(rng.uniform(-0.4, 0.4, 2))
        points = scan_of([Plane(), Box((2.0, -0.3 * k, 0.0), (2.4, 0.4, 0.8))], (0, 0, 1.8), k)
        built.update(points[points[:, 0] > 1.0], se3.from_rpy((0, 0, 1.8), (0, 0, 0)), k * S)
        row0, row1, col0, col1 = built.take_changed()
        shift = np.rint(
            (np.array([built.spec.origin_y_m, built.spec.origin_x_m])
             - (spec.origin_y_m, spec.origin_x_m)) / 0.1
        ).astype(int)  # fmt: skip
        same = np.ones((200, 200), bool)
        rows, cols = np.mgrid[:200, :200] + shift[:, None, None]
        inside = (rows >= 0) & (rows < 200) & (cols >= 0) & (cols < 200)
        for name in ("elevation", "upper_bound", "lower_bound", "count", "last_seen_s"):
            old = np.full((200, 200), 0.0 if name == "count" else np.nan, np.float32)
            old[inside] = before[name][rows[inside], cols[inside]]
            now = built.layer(name)
            same &= (now == old) | (np.isnan(now) & np.isnan(old))
        same[row0:row1, col0:col1] = True
        assert same.all()
