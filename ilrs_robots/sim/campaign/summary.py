"""What many runs come to: rates, whether they are as they should be, and a table."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.outcome import ARRIVED_SHARE, LONGER_BY, RunResult
from ilrs_robots.sim.campaign.reference import SOLVED, TIGHT, UNSOLVED

COLUMNS: Final = (
    "seed", "outcome", "faults", "reference", "ratio", "driven_m", "reference_m", "straight_m",
    "goal_error_m", "pose_error_m", "time_s", "wall_s", "recoveries", "worst_roll_deg",
    "worst_pitch_deg", "body_touches", "tallest_touched_m", "rocks_over_clearance", "side_m",
    "cover", "tilt_deg", "error_code", "reason", "reference_reason", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Rates of a campaign.

    Attributes:
        runs: how many there are.
        solved: worlds that the all-knowing planner solves.
        arrived: of those, reached by the truth.
        unsolved: worlds that it does not solve even with half the vehicle's width.
        truly_refused: of those, refused with a reason.
        beyond: of those, reached all the same.
        tight: worlds that it solves with half the vehicle's width only.
        tipped: vehicles that tipped over.
        touched: runs in which a rock over the clearance was touched.
        broken: runs that broke off.
        ratio_median: way over the all-knowing planner's, of those that arrived.
        ratio_p95: its 95th percentile.
        ratio_worst: the largest.
        within: share of those that are within the limit.
        outcomes: runs by outcome.
    """

    runs: int
    solved: int
    arrived: int
    unsolved: int
    truly_refused: int
    beyond: int
    tight: int
    tipped: int
    touched: int
    broken: int
    ratio_median: float | None
    ratio_p95: float | None
    ratio_worst: float | None
    within: float | None
    outcomes: dict[str, int]

    @classmethod
    def of(cls, runs: Sequence[RunResult]) -> Summary:
        """Count."""
        solved = [run for run in runs if run.reference == SOLVED]
        unsolved = [run for run in runs if run.reference == UNSOLVED]
        ratios = np.array([run.ratio for run in solved if run.ratio is not None])
        some = len(ratios) > 0
        return cls(
            runs=len(runs),
            solved=len(solved),
            arrived=sum(run.outcome == word.REACHED for run in solved),
            unsolved=len(unsolved),
            truly_refused=sum(run.truly_refused for run in unsolved),
            beyond=sum(run.outcome == word.REACHED for run in unsolved),
            tight=sum(run.reference == TIGHT for run in runs),
            tipped=sum(run.outcome == word.TIPPED for run in runs),
            touched=sum(run.rocks_over_clearance > 0 for run in runs),
            broken=sum(run.outcome == word.ERROR for run in runs),
            ratio_median=float(np.median(ratios)) if some else None,
            ratio_p95=float(np.percentile(ratios, 95.0)) if some else None,
            ratio_worst=float(ratios.max()) if some else None,
            within=float(np.mean(ratios <= 1.0 + LONGER_BY)) if some else None,
            outcomes=dict(Counter(run.outcome for run in runs)),
        )

    @property
    def shortfalls(self) -> tuple[str, ...]:
        """What is not as it should be, one sentence each; empty when all is."""
        found = []
        if self.arrived < ARRIVED_SHARE * self.solved:
            found.append(
                f"reached {self.arrived} of {self.solved} worlds that can be solved, at least "
                f"{100.0 * ARRIVED_SHARE:.0f} % are wanted"
            )
        if self.truly_refused + self.beyond < self.unsolved:
            found.append(
                f"refused {self.truly_refused} and reached {self.beyond} of {self.unsolved} "
                "worlds that cannot be solved, all should be one or the other"
            )
        late = self.outcomes.get(word.TIMEOUT, 0) + self.outcomes.get(word.ASTRAY, 0)
        for count, what in (
            (late, "neither arrived nor refused"),
            (self.tipped, "tipped over"),
            (self.touched, "touched a rock over the clearance"),
            (self.broken, "broke off"),
        ):
            if count:
                found.append(f"{count} of {self.runs} {what}")
        if self.ratio_median is not None and self.ratio_median > 1.0 + LONGER_BY:
            found.append(
                f"ways are {self.ratio_median:.2f} times the all-knowing planner's in the median, "
                f"limit {1.0 + LONGER_BY:.2f}"
            )
        return tuple(found)

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Figures for people: what, and how many."""
        ratio, within = "-", "-"
        if self.ratio_median is not None:
            ratio = f"{self.ratio_median:.2f}, {self.ratio_p95:.2f}, {self.ratio_worst:.2f}"
            within = f"{100.0 * (self.within or 0.0):.0f} %"
        return (
            ("worlds", f"{self.runs}"),
            ("solved by the all-knowing planner", f"{self.solved}"),
            ("  of these reached", _share(self.arrived, self.solved)),
            ("not solved by it", f"{self.unsolved}"),
            ("  of these truthfully refused", _share(self.truly_refused, self.unsolved)),
            ("  of these reached all the same", f"{self.beyond}"),
            ("solved by it with half the width only", f"{self.tight}"),
            ("tipped over", f"{self.tipped}"),
            ("touched a rock over the clearance", f"{self.touched}"),
            ("broke off", f"{self.broken}"),
            ("way over the all-knowing one's: median, p95, worst", ratio),
            (f"  at most {100.0 * LONGER_BY:.0f} % longer", within),
        )


def _share(part: int, whole: int) -> str:
    return f"{part} ({100.0 * part / whole:.0f} %)" if whole else "-"


def write_csv(path: Path, runs: Sequence[RunResult]) -> None:
    """Write one line for each run, by seed; the file appears whole or not at all."""
    fresh = path.with_suffix(".part")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for run in runs:
            writer.writerow([_cell(getattr(run, name)) for name in COLUMNS])
    os.replace(fresh, path)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return "; ".join(str(v) for v in value)
    return "" if value is None else value
