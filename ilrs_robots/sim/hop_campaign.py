"""Many hops by seed: sensors, engines and the map err in each as they may.

Every hop is flown in full physics by the executive with its own sensors. The ground undulates;
what is known of it from orbit is off by a shift and by rough noise. Without the lidar there is no
landing map: then the place is where the plan says, and its height is the altimeter's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from ilrs_robots.core.planning.hop_types import HopRefusedError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.robots.hop_flight_types import HopFlightConfig, HopOutcome
from ilrs_robots.robots.model import RobotModel, require_hopper
from ilrs_robots.sim.analytic import AnalyticTerrain
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.hop_lockstep import HopLockstep
from ilrs_robots.sim.world import SimRobot

_POSTING_M = 5.0
_MARGIN_M = 120.0
_LONGEST_S = 400.0


@dataclass(frozen=True)
class HopDraw:
    """What is drawn for one hop.

    Attributes:
        seed: of everything.
        length_m: of the hop.
        azimuth_rad: its direction.
        propellant_kg: held at the launch.
        shift_m: error of the heights from orbit that is common to all.
        rough_m: deviation of their own errors, over 20 m.
        waves_m: amplitudes of the ground's two waves.
    """

    seed: int
    length_m: float
    azimuth_rad: float
    propellant_kg: float
    shift_m: float
    rough_m: float
    waves_m: tuple[float, float]


@dataclass(frozen=True)
class HopScore:
    """How one hop went; speeds and distances are true ones."""

    seed: int
    length_m: float
    outcome: str
    reason: str
    miss_m: float
    goal_miss_m: float
    pose_error_m: float
    down_mps: float
    side_mps: float
    lean_deg: float
    tipped: bool
    body_touches: int
    propellant_kg: float
    planned_kg: float
    time_s: float
    diverts: int

    @property
    def good(self) -> bool:
        """Whether it landed as it is asked to: near its place, softly, upright."""
        landed = self.outcome == HopOutcome.LANDED.value and not self.tipped
        return landed and self.miss_m < 2.0 and self.down_mps < 1.5 and self.side_mps < 0.5

    def row(self) -> dict[str, object]:
        """By column."""
        return asdict(self)


def draw(seed: int, shortest_m: float = 50.0, longest_m: float = 1000.0) -> HopDraw:
    """One hop's draw; lengths are even in their logarithm.

    Args:
        seed: of the hop.
        shortest_m: of hops.
        longest_m: of hops.
    """
    rng = np.random.default_rng([seed, 10])
    length = math.exp(rng.uniform(math.log(shortest_m), math.log(longest_m)))
    return HopDraw(
        seed, length, float(rng.uniform(-math.pi, math.pi)), float(rng.uniform(20.0, 50.0)),
        float(rng.normal(0.0, 1.0)), float(abs(rng.normal(0.0, 0.5))),
        (float(rng.uniform(0.0, 1.5)), float(rng.uniform(0.0, 0.4))),
    )  # fmt: skip


def ground_of(drawn: HopDraw) -> tuple[AnalyticTerrain, Dem]:
    """True ground, and what is known of it: waves of 150 and 40 m, slopes of some degrees."""
    long, short = drawn.waves_m
    half = drawn.length_m + _MARGIN_M

    def height(x: FloatArray, y: FloatArray) -> FloatArray:
        wave: FloatArray = long * np.sin(x / 24.0) * np.cos(y / 24.0)
        return wave + short * np.sin(x / 6.4 + 1.0) * np.sin(y / 6.4)

    ground = AnalyticTerrain(height, half_m=half)
    count = 2 * math.ceil(half / _POSTING_M) + 1
    corner = -0.5 * _POSTING_M * (count - 1)
    spec = GridSpec(corner, corner, _POSTING_M, count, count)
    noise = np.random.default_rng([drawn.seed, 11]).standard_normal(spec.shape).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0)
    error = drawn.shift_m + drawn.rough_m * blurred / max(float(blurred.std()), 1e-6)
    return ground, Dem((ground.grid(spec) + error).astype(np.float32), spec)


def fly(
    drawn: HopDraw, model: RobotModel, *, lidar: bool = False, cfg: HopFlightConfig | None = None
) -> HopScore:
    """Fly one hop.

    Args:
        drawn: what errs, and how.
        model: a hopper.
        lidar: whether scans build the landing map, at a several times higher price.
        cfg: of the executive.

    Raises:
        ConfigError: the model is no hopper.
    """
    hopper = require_hopper(model, "a campaign of hops")
    ground, prior = ground_of(drawn)
    lockstep = HopLockstep(
        ground, prior, SimRobot("hopper", hopper), drawn.seed, cfg=cfg,
        config=SimConfig(lidar=lidar),
    )  # fmt: skip
    try:
        lockstep.world.hopper("hopper").engines.fill(drawn.propellant_kg)
        for _ in range(round(2.0 / lockstep.world.config.exchange_s)):
            lockstep.step()
        goal = drawn.length_m * np.array(
            [math.cos(drawn.azimuth_rad), math.sin(drawn.azimuth_rad)]
        )
        try:
            result = lockstep.hop((float(goal[0]), float(goal[1])), _LONGEST_S)
        except HopRefusedError as error:
            return _refused(drawn, str(error))
        profile, status = lockstep.flight.profile, result.status
        return HopScore(
            drawn.seed, drawn.length_m,
            "no end" if status.outcome is None else status.outcome.value, status.reason,
            result.miss_m, result.goal_miss_m, result.pose_error_m, result.down_mps,
            result.side_mps, math.degrees(result.lean_rad), result.tipped, result.body_touches,
            result.propellant_kg, math.nan if profile is None else profile.propellant_kg,
            result.time_s, status.diverts,
        )  # fmt: skip
    finally:
        lockstep.world.close()


def fly_all(seeds: Iterable[int], model: RobotModel, *, lidar: bool = False) -> Iterator[HopScore]:
    """One after the other.

    Args:
        seeds: of the hops.
        model: a hopper.
        lidar: see ``fly``.
    """
    for seed in seeds:
        yield fly(draw(seed), model, lidar=lidar)


def summary(scores: list[HopScore]) -> dict[str, float]:
    """Numbers of a campaign: counts, medians and the worst; refusals fly nowhere.

    Args:
        scores: of the hops.
    """
    flown = [s for s in scores if s.outcome != HopOutcome.REFUSED.value]
    found: dict[str, float] = {
        "hops": len(scores), "refused": len(scores) - len(flown),
        "good": sum(s.good for s in flown), "tipped": sum(s.tipped for s in flown),
        "within_2_m": sum(s.miss_m < 2.0 for s in flown),
        "under_1.5_mps_down": sum(s.down_mps < 1.5 for s in flown),
        "under_0.5_mps_side": sum(s.side_mps < 0.5 for s in flown),
    }  # fmt: skip
    for name in ("miss_m", "goal_miss_m", "down_mps", "side_mps", "lean_deg", "propellant_kg"):
        values = np.array([getattr(s, name) for s in flown])
        if len(values):
            found[f"{name}.median"], found[f"{name}.worst"] = (
                float(np.median(values)), float(values.max()),
            )  # fmt: skip
    return found


def _refused(drawn: HopDraw, why: str) -> HopScore:
    nan = math.nan
    return HopScore(
        drawn.seed, drawn.length_m, HopOutcome.REFUSED.value, why, nan, nan, nan, nan, nan, nan,
        False, 0, 0.0, nan, 0.0, 0,
    )  # fmt: skip
