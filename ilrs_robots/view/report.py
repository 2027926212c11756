"""The report of a run: one HTML page with its pictures beside it, for people to judge by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.view import report_grids, report_maps, report_plots, report_power, style
from ilrs_robots.view.report_html import Picture, page, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERO = "picture.png"


def write_report(
    out_dir: Path,
    evaluation: RunEvaluation,
    scenario: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``report.html`` and its pictures.

    Args:
        out_dir: folder, made where it does not exist.
        evaluation: what was measured.
        scenario: what the run was about; every key may be absent: ``title``, ``description``,
            ``site``, ``robot``, ``seed``, ``clearance_m``, ``slope_limit_deg``,
            ``max_roll_deg``, ``rocks_over_clearance``, ``max_slope_deg`` (of the straight
            line), ``length_m``. They may also stand in a mapping ``straight_line``.
        extra: ``rocks`` (``core.terrain.rocks.Rocks`` of the window), ``provenance`` (mapping of
            words to words: version, revision, command), ``files`` (mapping of names to relative
            paths to link to).

    Returns:
        The page's path.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    inner = scenario.get("straight_line")
    flat = {**scenario, **(inner if isinstance(inner, Mapping) else {})}
    more = dict(extra or {})
    with style.drawing():
        pictures = _pictures(out_dir, evaluation, flat, more.get("rocks"))
    text = page(evaluation, flat, more, pictures)
    target = out_dir / "report.html"
    target.write_text(text, encoding="utf-8")
    return target


def _pictures(
    out_dir: Path, run: RunEvaluation, scenario: dict[str, Any], rocks: Any
) -> list[Picture]:
    made: list[Picture] = []

    def keep(name: str, figure: Figure, title: str, caption: str, width: str = "wide") -> None:
        style.save(figure, out_dir / name)
        made.append(Picture(name, title, caption, width))

    if len(run.true_xyz_m) or run.terrain_m is not None:
        style.save(
            report_maps.hero_figure(run, scenario, rocks, title_of(run, scenario)), out_dir / HERO
        )
        keep(
            "path.png",
            report_maps.drive_figure(run, scenario, rocks),
            "The drive",
            "True terrain, lit from the upper left at 28° for legibility (not the Sun of the "
            "site), contours of the ground smoothed over 2 m. Ground steeper than the limit is "
            "tinted; outlined rocks stand higher than the vehicle can drive over.",
            _width(run),
        )
    if run.last_map is not None:
        keep(
            "elevation_map.png",
            report_grids.map_figure(run.last_map),
            "What the robot saw",
            "The last recorded elevation map, the true surface (ground and rocks) in the same "
            "window, and their difference after the pose error at that moment is taken away. "
            "Grey was not seen.",
        )
    if len(run.estimated_xyz_m):
        keep(
            "pose_error.png",
            report_plots.error_figure(run),
            "Where the robot thought it was",
            "Believed minus true pose of the body in the map frame.",
        )
    if len(run.true_xyz_m):
        keep(
            "motion.png",
            report_plots.motion_figure(run, scenario),
            "Attitude, slope, speed",
            "All from the truth. The slope is that of the plane of least squares over a square "
            "of about the vehicle's width.",
        )
    _own_view(run, keep)
    return made


def _own_view(run: RunEvaluation, keep: Callable[..., None]) -> None:
    """What the vehicle itself computed: power, links, hazards."""
    if run.power:
        keep(
            "power.png",
            report_power.power_figure(run),
            "Power and links",
            "As the vehicle itself computed them from its pose: charge of the battery, what its "
            "sources could give and its loads took, rates to the Earth and to the base.",
        )
    if run.traversability is not None:
        keep(
            "traversability.png",
            report_grids.hazard_figure(run.traversability),
            "Hazards as the robot saw them",
            "The last recorded traversability grid.",
            "narrow",
        )


def _width(run: RunEvaluation) -> str:
    """A tall picture stays narrow, so that it fits a screen."""
    spec = run.terrain_spec
    return "narrow" if spec is not None and spec.rows > 1.1 * spec.cols else "wide"
