"""A whole vehicle without DDS: it arrives, and equal seeds give equal bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.lockstep import Lockstep


def short_drive(seed: int) -> Lockstep:
    site, terrain = load_site("shackleton")
    return Lockstep(site, terrain, "long_range", seed)


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not() -> None:
    digests = [short_drive(seed).drive((6.0, 0.0), 6.0).digest for seed in (5, 5, 6)]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.timeout(700)
@pytest.mark.soak
def test_it_reaches_a_goal_behind_obstacles() -> None:
    site, terrain = load_site("demo")
    assert site.goal_m is not None
    result = Lockstep(site, terrain, "long_range", 1).drive(site.goal_m, 400.0)
    assert result.outcome == "reached", result.reason
    assert result.goal_error_m < 2.0
    assert result.driven_m > 60.0
    assert np.degrees(result.worst_roll_rad) < 28.0
    assert np.degrees(result.worst_pitch_rad) < 28.0
    assert result.pose_error_m < 0.03 * result.driven_m


def test_a_goal_that_is_no_place_is_refused() -> None:
    run = short_drive(1)
    with pytest.raises(PlanningError, match="nan"):
        run.drive((float("nan"), 0.0), 5.0)
    with pytest.raises(PlanningError):
        run.drive((1e7, 0.0), 5.0)


def test_the_map_is_true_near_the_path() -> None:
    run = short_drive(3)
    run.drive((8.0, 2.0), 25.0)
    mapped = run.pipeline.mapping.map
    spec, elevation = mapped.spec, mapped.layer("elevation")
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    T_map_odom = run.pipeline.localization.T_map_odom
    T_map_base = run.pipeline.T_map_base()
    near = np.hypot(
        x - (T_map_base[0, 3] - T_map_odom[0, 3]), y - T_map_base[1, 3] + T_map_odom[1, 3]
    )
    known = (near < 8.0) & np.isfinite(elevation)
    points = np.stack((x[known] + T_map_odom[0, 3], y[known] + T_map_odom[1, 3]), axis=1)
    truth = run.world.truth("long_range").position_m
    drift = T_map_base[:3, 3] - truth
    surface = load_site("shackleton")[1].surface
    height = surface.height(points - drift[:2]) + drift[2] - T_map_odom[2, 3]
    error = elevation[known] - height
    assert known.sum() > 2000
    assert abs(np.median(error)) < 0.02
    assert np.percentile(np.abs(error), 80) < 0.05


def test_it_drives_on_real_ground(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "lola_shoemaker_5m_256.tif"
    if not source.exists():
        pytest.skip("the LOLA tile is not there")
    site_file = tmp_path / "real.yaml"
    site_file.write_text(
        yaml.safe_dump(
            {
                "name": "shoemaker",
                "latitude_deg": -87.1835,
                "longitude_deg": 62.835,
                "epoch_utc": "2035-01-15T00:00:00Z",
                "terrain": {"kind": "geotiff", "seed": 2, "geotiff": str(source)},
                "robots": [{"name": "long_range", "model": "long_range", "x_m": 40.0}],
            }
        )
    )
    site, terrain = load_site(str(site_file))
    run = Lockstep(site, terrain, "long_range", 2)
    start = run.world.truth("long_range").position_m
    assert 460.0 < start[2] < 600.0
    result = run.drive((52.0, 3.0), 90.0)
    assert result.outcome == "reached", result.reason
    assert result.goal_error_m < 1.0


def test_commands_run_out_by_themselves() -> None:
    run = short_drive(1)
    for _ in range(100):
        run.world.command("long_range", VelocityCommand(run.world.time_ns, 0.4, 0.0))
        run.world.step()
    assert run.world.truth("long_range").linear_mps[0] > 0.2
    for _ in range(100):
        run.world.step()
    assert abs(run.world.truth("long_range").linear_mps[0]) < 0.02
