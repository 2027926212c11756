"""The demonstration of a whole site: a mission over DDS, its progress, its report."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml

from ilrs_robots.cli.mission import run_mission, show_mission, site_of_mission
from ilrs_robots.cli.mission_screen import mission_screen
from ilrs_robots.cli.run import SimRequest, bag_parts
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.config import load_yaml
from ilrs_robots.core.environment import ephemeris
from ilrs_robots.core.environment.sight import sun_share
from ilrs_robots.core.errors import ConfigError, IlrsError
from ilrs_robots.core.paths import beside, config_file
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hillshade import shadowed
from ilrs_robots.core.types import BoolArray, GridSpec
from ilrs_robots.replay.metrics import grid_around
from ilrs_robots.replay.site_evaluation import (
    SiteEvaluation,
    VehiclePlan,
    evaluate_site,
    write_summary,
)
from ilrs_robots.robots.hop_flight_types import HopFlightConfig
from ilrs_robots.robots.mission import Charge, Mission, SortieAndReturn, Task
from ilrs_robots.robots.mission_checks import load_mission
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.site import SiteConfig, SiteTerrain
from ilrs_robots.robots.site_light import SiteLight

if TYPE_CHECKING:
    from ilrs_robots.nodes.mission_client import MissionProgress
    from ilrs_robots.view.site_pictures import SiteGround

TOLERANCE_M: Final = 2.0
"""How far from its last place a rover may truly stand: its own tolerance and its pose error."""
PICTURE_CELL_M: Final = 0.5
PICTURE_CELLS: Final = 600_000
SHADOW_CELL_M: Final = 2.0
"""Cell in which the shadow of far ground is looked for."""
PANEL_M: Final = 1.0
"""Height of what looks for the Sun: about that of the vehicles' cells."""
MAP_PERIOD_S: Final = 5.0


@dataclass
class SiteDemo:
    """One demonstration.

    Attributes:
        mission: name or file.
        site: name or file, empty for the mission's own.
        seed: of terrain and sensors, None for the site's own.
        rtf: upper bound of the real-time factor, 0 for none.
        duration_s: simulated seconds at most.
        lidar_columns: of every lidar, 0 for its own.
        view: whether the browser shows it.
        folder: where everything goes; exists and is empty.
    """

    mission: str
    site: str
    seed: int | None
    rtf: float
    duration_s: float
    lidar_columns: int
    view: bool
    folder: Path

    def run(self) -> int:
        """Run and report; exit code 0 when everything is done."""
        began_s = time.monotonic()
        name = self.site or site_of_mission(self.mission)
        thinned = thinned_site(name, self.lidar_columns, self.folder)
        request = SimRequest(
            thinned, "", self.seed, None, self.duration_s, self.rtf, self.folder / "bag",
            record_profile="report", mission=self.mission,
            view=self.view and can_show(),
            vehicle_parameters={"layers": "elevation", "map_period_s": MAP_PERIOD_S},
        )  # fmt: skip
        site, terrain = request.load()
        mission = load_mission(self.mission, site, terrain.prior)
        vehicles = ", ".join(mission.vehicles)
        console.print(f"{mission.name} at {site.name} with {vehicles}: {mission.description}")
        with mission_screen() as show:
            progress = run_mission(request, self.folder / "log.txt", show)
        if progress is None:
            raise IlrsError(f"nothing was heard of the mission: see {self.folder / 'log.txt'}")
        show_mission(progress)
        ran_s = time.monotonic() - began_s
        found = self._conclude(site, terrain, mission, progress)
        _show_figures(found)
        console.print(f"report: {self.folder / 'report.html'}")
        console.print(f"{ran_s:.0f} s to run, {time.monotonic() - began_s:.0f} s with the report")
        return 0 if found.succeeded and progress.succeeded else 1

    def _conclude(
        self, site: SiteConfig, terrain: SiteTerrain, mission: Mission, progress: MissionProgress
    ) -> SiteEvaluation:
        """Evaluate the bag against the truth; summary and report."""
        from ilrs_robots.view.site_report import write_site_report

        *cut_short, bag = bag_parts(self.folder / "bag")
        surface = terrain.surface
        with console.status("evaluating the bag against the truth"):
            found = evaluate_site(
                bag, mission.name, site.name, plans_of(mission, site), surface.top_grid,
                surface.grid,
            )  # fmt: skip
            found.notes = self._notes(site, len(cut_short)) | {"mission_says": progress.summary}
            write_summary(found, self.folder / "summary.json")
            ground = ground_of(found, site, terrain)
            write_site_report(self.folder, found, ground, mission.description)
        return found

    def _notes(self, site: SiteConfig, cut_short: int) -> dict[str, Any]:
        notes: dict[str, Any] = {"epoch_utc": site.epoch_utc, "seed": site.terrain.seed}
        if self.lidar_columns:
            own = [p.load_model().lidar for p in site.robots]
            notes["lidar_columns"] = self.lidar_columns
            rays = ", ".join(f"{lidar.channels} x {lidar.columns}" for lidar in own)
            notes["lidar"] = f"thinned out to {rays} rays a scan, to save time"
        if cut_short:
            notes["bags_cut_short"] = cut_short
        return notes


def can_show() -> bool:
    """Whether the browser's view is installed; a sentence where it is not."""
    if find_spec("viser") is not None:
        return True
    console.print(
        "[yellow]ilrs:[/yellow] no view: it needs viser (pip install 'ilrs_robots\\[view]'); "
        "the mission runs without",
        soft_wrap=True,
    )
    return False


def thinned_site(name: str, columns: int, folder: Path) -> str:
    """A copy of a site's file whose vehicles' lidars have so many columns; its path.

    Args:
        name: of the site, or its file.
        columns: 0 leaves the site as it is.
        folder: where the copy goes, as ``site.yaml``.
    """
    if not columns:
        return name
    path = config_file("sites", name)
    content = load_yaml(path)
    for robot in content["robots"]:
        robot["lidar_columns"] = columns
    terrain = content["terrain"]
    if terrain.get("geotiff"):
        terrain["geotiff"] = str(beside(path, terrain["geotiff"]).absolute())
    copy = folder / "site.yaml"
    copy.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(copy)


def plans_of(mission: Mission, site: SiteConfig) -> tuple[VehiclePlan, ...]:
    """Where every vehicle begins and is to end."""
    plans = []
    for name, tasks in mission.vehicles.items():
        placed = site.robot(name)
        hops = isinstance(placed.load_model(), HopperModel)
        start = (placed.x_m, placed.y_m)
        end, allowed = start, TOLERANCE_M
        for task in tasks:
            end, allowed = _end_of(task, site, end, allowed)
        if hops:
            allowed = HopFlightConfig().divert_m + TOLERANCE_M
        plans.append(VehiclePlan(name, hops, start, end, allowed))
    return tuple(plans)


def _end_of(
    task: Task, site: SiteConfig, at: tuple[float, float], allowed_m: float
) -> tuple[tuple[float, float], float]:
    """Where a task that began at a place ends, and how far off it may be."""
    if isinstance(task, Charge):
        charger = next(c for c in site.base.chargers if c.name == task.charger)
        return (charger.x_m, charger.y_m), charger.reach_m
    if isinstance(task, SortieAndReturn):
        return (at if task.home is None else task.home), TOLERANCE_M
    return (task.places[-1], TOLERANCE_M) if task.places else (at, allowed_m)


def ground_of(found: SiteEvaluation, site: SiteConfig, terrain: SiteTerrain) -> SiteGround:
    """The true ground around all ways, and what the Sun does not reach of it.

    Raises:
        ConfigError: no vehicle has moved anywhere.
    """
    from ilrs_robots.view.site_pictures import MARGIN_M, SiteGround

    ways = [v.run.true_xyz_m[:, :2] for v in found.vehicles if len(v.run.true_xyz_m)]
    if not ways:
        raise ConfigError("the bag holds no true way of any vehicle")
    spec = grid_around(
        np.concatenate(ways), MARGIN_M, PICTURE_CELL_M, PICTURE_CELLS, min_aspect=0.6
    )
    middle = np.array([0.5 * sum(spec.bounds_m[0::2]), 0.5 * sum(spec.bounds_m[1::2]), 0.0])
    light = SiteLight(site, terrain.prior)
    toward = light.at(0.0, middle, PANEL_M).toward
    lat, lon = (float(v) for v in light.frame.place_of(*middle[:2]))
    radius = float(ephemeris.sun(light.epoch_s, lat, lon, 0.0).radius_rad)
    yaw, up = math.atan2(toward[1], toward[0]), math.asin(float(toward[2]))
    heights = np.asarray(terrain.surface.top_grid(spec), dtype=np.float64)
    dark = shadowed(heights, spec.resolution_m, yaw, up, PANEL_M)
    dark |= far_shadow(terrain.surface.dem, spec, (yaw, up, radius))
    places = [(s.kind, s.x_m, s.y_m) for s in site.structures]
    places += [("charger", c.x_m, c.y_m) for c in site.base.chargers]
    return SiteGround(spec, heights, dark, yaw, up, tuple(places))


def far_shadow(dem: Dem, spec: GridSpec, sun: tuple[float, float, float]) -> BoolArray:
    """(rows, cols) cells of a grid from which all the terrain hides the whole Sun.

    Args:
        dem: all the terrain.
        spec: the grid.
        sun: yaw, elevation and radius of its disc, rad.
    """
    step = max(1, round(SHADOW_CELL_M / spec.resolution_m))
    rows, cols = np.arange(0, spec.rows, step), np.arange(0, spec.cols, step)
    coarse = np.zeros((len(rows), len(cols)), dtype=np.bool_)
    for i, y in enumerate(spec.y_m()[rows]):
        xy = np.column_stack((spec.x_m()[cols], np.full(len(cols), y)))
        for j, (at, z) in enumerate(zip(xy, dem.height(xy), strict=True)):
            eye = (at[0], at[1], float(z) + PANEL_M)
            coarse[i, j] = sun_share(dem, eye, *sun) <= 0.0
    fine = np.repeat(np.repeat(coarse, step, axis=0), step, axis=1)
    return np.asarray(fine[: spec.rows, : spec.cols], dtype=np.bool_)


def _show_figures(found: SiteEvaluation) -> None:
    from rich.table import Table

    from ilrs_robots.view.site_report import rows_of

    table = Table(box=None)
    table.add_column("figure")
    for vehicle in found.vehicles:
        table.add_column(vehicle.name, justify="right")
    table.add_column("")
    for rows in zip(*(rows_of(vehicle) for vehicle in found.vehicles), strict=True):
        table.add_row(rows[0].label, *(row.value for row in rows), rows[0].unit)
    console.print(table)
