"""Fly many hops by seed, write a CSV, say how they went. A file that exists is gone on with.

python tools/hop_campaign.py --count 300 --out runs/hops.csv
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ilrs_robots.core import warm
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.hop_campaign import HopScore, fly_all, summary


def read(path: Path) -> list[HopScore]:
    """What is there already."""
    kinds: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": "True".__eq__}
    fields = {f.name: kinds[str(f.type)] for f in dataclasses.fields(HopScore)}
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [HopScore(**{name: of(row[name]) for name, of in fields.items()}) for row in rows]


def main() -> None:
    """Fly, write, say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="hops")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--robot", default="hopper", help="a file of config/robots")
    parser.add_argument("--lidar", action="store_true", help="with scans and their landing map")
    parser.add_argument("--out", type=Path, default=Path("runs/hops.csv"))
    asked = parser.parse_args()
    console = Console()
    scores = read(asked.out)
    done = {score.seed for score in scores}
    seeds = [s for s in range(asked.first, asked.first + asked.count) if s not in done]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    warm.hopping()
    names = [f.name for f in dataclasses.fields(HopScore)]
    with asked.out.open("a", newline="", encoding="utf-8") as file, Progress() as progress:
        writer = csv.DictWriter(file, names)
        if not scores:
            writer.writeheader()
        bar = progress.add_task("hops", total=len(seeds))
        for score in fly_all(seeds, load_robot(asked.robot), lidar=asked.lidar):
            writer.writerow(score.row())
            file.flush()
            scores.append(score)
            progress.advance(bar)
    for key, value in summary(scores).items():
        console.print(f"{key} {value:.3g}")
    for score in scores:
        if not score.good:
            console.print(f"seed {score.seed}: {score.outcome} {score.reason}".rstrip())


if __name__ == "__main__":
    main()
