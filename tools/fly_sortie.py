"""Fly out of the light into the shadow and back; write the log and a picture of it.

python tools/fly_sortie.py --out runs/sortie.csv --picture docs/images/sortie.png
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from pathlib import Path

from rich.console import Console

from ilrs_robots.core import warm
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.model import require_hopper
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.sortie import SortieRow, SortieRun
from ilrs_robots.view.sortie_picture import draw_sortie


def main() -> None:
    """Fly, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="dark_crater")
    parser.add_argument("--robot", default="hopper")
    parser.add_argument("--seed", type=int, default=1, help="of sensors and engines")
    parser.add_argument("--stay", type=float, default=1800.0, help="seconds of measurement")
    parser.add_argument("--columns", type=int, default=0, help="of the lidar; 0: its own")
    parser.add_argument("--out", type=Path, default=Path("runs/sortie.csv"))
    parser.add_argument("--picture", type=Path, default=Path("runs/sortie.png"))
    asked = parser.parse_args()
    console = Console()
    site, terrain = load_site(asked.site)
    if site.goal_m is None:
        raise ConfigError(f"site {site.name!r} has no goal_m: a sortie needs one")
    warm.hopping()
    warm.power()
    model = require_hopper(site.robot(asked.robot).load_model(), "a sortie")
    if asked.columns:
        lidar = dataclasses.replace(model.lidar, columns=asked.columns)
        model = dataclasses.replace(model, lidar=lidar)
    run = SortieRun(site, terrain, asked.robot, asked.seed, model=model)
    phase = ""

    def tell(row: SortieRow) -> None:
        nonlocal phase
        if row.phase != phase:
            phase = row.phase
            console.print(f"{row.time_s:7.1f} s {phase}: {row.propellant_kg:.2f} kg, "
                          f"{100.0 * row.charge:.1f} %, {row.box_k:.1f} K, "
                          f"Sun {100.0 * row.sun_share:.0f} %")  # fmt: skip

    sortie = run.fly(site.goal_m, asked.stay, tell)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    names = [f.name for f in dataclasses.fields(SortieRow)]
    with asked.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in sortie.rows)
    draw_sortie(sortie, terrain.prior, asked.picture)
    for hop in sortie.hops:
        console.print(
            f"hop: {hop.time_s:.0f} s, {hop.miss_m:.2f} m from its place, "
            f"{hop.goal_miss_m:.2f} m from the goal, {hop.down_mps:.2f} m/s down, "
            f"{hop.side_mps:.2f} m/s sideways, {hop.propellant_kg:.2f} kg, "
            f"{hop.status.diverts} diverts {hop.status.notes}"
        )
    console.print(
        f"{sortie.depth_m:.0f} m below the start; science {sortie.science_wh:.1f} Wh, from the "
        f"battery {sortie.dark_wh:.1f} Wh"
    )


if __name__ == "__main__":
    main()
