"""What came of one run, and whether it is as it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from ilrs_robots.sim.campaign.reference import SOLVED, UNSOLVED

REACHED: Final = "reached"
REFUSED: Final = "refused"
ASTRAY: Final = "astray"
TIMEOUT: Final = "timeout"
TIPPED: Final = "tipped"
ERROR: Final = "error"
"""Outcomes by the truth: ``astray`` is a vehicle that says it has arrived but has not, ``error`` a
run that broke off without an outcome of the vehicle's."""

ARRIVED_SHARE: Final = 0.97
LONGER_BY: Final = 0.2


@dataclass(frozen=True)
class RunResult:
    """One run of a campaign; plain numbers and words, as they stand in its JSON file.

    Attributes:
        seed: of the world.
        outcome: one of the words above.
        reason: the vehicle's own sentence, or what broke off.
        error_code: the navigator's, 0 for none.
        reference: ``solved``, ``tight`` or ``unsolved``, by the all-knowing planner.
        reference_m: length of its path.
        reference_reason: why it has none.
        side_m: of the world.
        cover: by rocks.
        tilt_deg: steepest of the world's ground at 5 m.
        straight_m: from start to goal.
        driven_m: true length of the way, seen from above.
        goal_error_m: true distance to the goal at the end.
        pose_error_m: largest of the vehicle's own pose, horizontally.
        time_s: simulated.
        wall_s: real.
        recoveries: that the vehicle made.
        worst_roll_deg: true.
        worst_pitch_deg: true.
        body_touches: of the body on ground or rock.
        tallest_touched_m: height of the tallest rock that wheel or body touched.
        rocks_over_clearance: how many rocks taller than the clearance were touched.
        digest: of world, map and pose at the end.
        start_xy_m: map.
        goal_xy_m: map.
        track_xy_m: true way, thinned.
        reference_xy_m: path of the all-knowing planner, thinned.
    """

    seed: int
    outcome: str
    reason: str = ""
    error_code: int = 0
    reference: str = ""
    reference_m: float = 0.0
    reference_reason: str = ""
    side_m: float = 0.0
    cover: float = 0.0
    tilt_deg: float = 0.0
    straight_m: float = 0.0
    driven_m: float = 0.0
    goal_error_m: float = 0.0
    pose_error_m: float = 0.0
    time_s: float = 0.0
    wall_s: float = 0.0
    recoveries: int = 0
    worst_roll_deg: float = 0.0
    worst_pitch_deg: float = 0.0
    body_touches: int = 0
    tallest_touched_m: float = 0.0
    rocks_over_clearance: int = 0
    digest: str = ""
    start_xy_m: list[float] = field(default_factory=list)
    goal_xy_m: list[float] = field(default_factory=list)
    track_xy_m: list[list[float]] = field(default_factory=list)
    reference_xy_m: list[list[float]] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> RunResult:
        """From what ``to_json`` gave; unknown keys are left out.

        Raises:
            TypeError: seed or outcome is missing.
        """
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def ratio(self) -> float | None:
        """Way driven over the all-knowing planner's; None where there is nothing to compare."""
        if self.outcome != REACHED or self.reference != SOLVED or self.reference_m < 1.0:
            return None
        return self.driven_m / self.reference_m

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the run, one phrase each; empty when it is as it should be."""
        found = []
        if self.outcome in (ASTRAY, TIMEOUT, TIPPED, ERROR):
            found.append(self.outcome)
        elif self.reference == SOLVED and self.outcome != REACHED:
            found.append("refused what can be reached")
        if self.rocks_over_clearance:
            found.append("touched a rock over the clearance")
        if self.ratio is not None and self.ratio > 1.0 + LONGER_BY:
            found.append(f"{100.0 * (self.ratio - 1.0):.0f} % longer than need be")
        return tuple(found)

    @property
    def truly_refused(self) -> bool:
        """The world cannot be solved, and the vehicle said so with a reason."""
        return self.reference == UNSOLVED and self.outcome == REFUSED and bool(self.reason)
