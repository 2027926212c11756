"""On the way down: is the place safe on its own map, is there a better one, may it still change?

The choice is made on the map of the flight's own scans, in darkness. Ground that was not seen is
not safe. What is decided stands in the ``HopStatus``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.planning.landing_choice import best_landing
from ilrs_robots.core.planning.landing_config import LandingConfig
from ilrs_robots.core.planning.landing_map import REASONS, LandingMap, landing_map
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.hop_flight_types import HopFlightConfig, HopStatus
from ilrs_robots.robots.hop_localization import HopLocalization
from ilrs_robots.robots.hop_pilot import HopPilot
from ilrs_robots.robots.hop_sensing import LandingView
from ilrs_robots.robots.model import HopperModel

_MAY_MEND = ("unseen", "rough")
"""What a nearer look may still find to be good: from afar heights are few and unsure."""
_WAIT = 2.0
"""Times the last height for a decision: above it more is still to be seen."""
_CLOSED_BY, _FAR = 5.0, 1e6
"""Neighbours of eight that must be seen for a hole to be closed; a height beyond all heights."""
_LEAST_SHARE = 0.2
"""Of the cells within reach: with less of the ground seen, a place is not yet chosen."""


def landing_config_of(model: HopperModel) -> LandingConfig:
    """What a landing place must be like for a vehicle.

    Rocks may be as high as what hangs lowest, less what the legs give way at most.
    """
    feet = np.array(list(model.legs.feet_m.values()))[:, :2]
    limits = model.limits
    return LandingConfig(
        feet_circle_m=float(np.linalg.norm(feet, axis=1).max()),
        foot_m=model.legs.foot_radius_m,
        max_slope_rad=math.radians(limits.max_slope_deg),
        max_residual_m=limits.max_roughness_m,
        max_rock_m=model.body.clearance_m - model.legs.bump_m,
    )


@dataclass(frozen=True)
class Descent:
    """How it comes down now.

    Attributes:
        down_mps: speed down.
        height_m: over the chosen place.
        spare_mps: delta-v that may go into a divert.
        lift_mps2: that the engines give at most, gravity taken off.
    """

    down_mps: float
    height_m: float
    spare_mps: float
    lift_mps2: float


def descent_of(
    model: HopperModel, cfg: HopFlightConfig, vehicle: HopVehicle, pilot: HopPilot,
    height_m: float, poses: HopLocalization,
) -> Descent:  # fmt: skip
    """How it comes down now.

    Args:
        model: the vehicle.
        cfg: of the flight: how much of the reserve a divert may take.
        vehicle: bounds of thrust.
        pilot: knows what it weighs.
        height_m: over the chosen place.
        poses: where it is.
    """
    kept = cfg.plan.reserve_share * model.tank.propellant_kg
    free_kg = min(cfg.divert_share * kept, pilot.propellant_kg)
    mass = pilot.mass_kg
    return Descent(
        -float(poses.state.velocity_mps[2]), height_m,
        vehicle.exhaust_mps * math.log(mass / (mass - free_kg)),
        vehicle.max_thrust_n / mass - vehicle.gravity_mps2,
    )  # fmt: skip


def closed(
    elevation_m: Float32Array, variance_m2: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """The map with its lone holes closed: cells that no ray met between cells that were met.

    From a height, rays lie as far apart as cells are wide. A hole takes the highest of its
    neighbours, and half of what they differ by is added to its deviation.

    Args:
        elevation_m: (rows, cols) heights, m, NaN unseen.
        variance_m2: (rows, cols) of them, m2, NaN unseen.
    """
    known = np.isfinite(elevation_m) & np.isfinite(variance_m2)
    around = cv2.boxFilter(known.astype(np.float32), -1, (3, 3), normalize=False)
    holes = ~known & (around >= _CLOSED_BY)
    if not holes.any():
        return elevation_m, variance_m2
    side = np.ones((3, 3), np.uint8)
    high = cv2.dilate(np.where(known, elevation_m, -_FAR).astype(np.float32), side)
    low = cv2.erode(np.where(known, elevation_m, _FAR).astype(np.float32), side)
    most = cv2.dilate(np.where(known, variance_m2, 0.0).astype(np.float32), side)
    spread = most + (0.5 * (high - low)) ** 2
    return (
        np.where(holes, high, elevation_m).astype(np.float32),
        np.where(holes, spread, variance_m2).astype(np.float32),
    )


class LandingDecision:
    """Judges the map of the landing area and moves the chosen place.

    Args:
        model: the vehicle.
        cfg: of the flight.

    Attributes:
        places: the last judgement; None before it.
    """

    def __init__(self, model: HopperModel, cfg: HopFlightConfig) -> None:
        self._cfg, self._settings = cfg, landing_config_of(model)
        self.places: LandingMap | None = None
        self._keep_outs: tuple[KeepOut, ...] = ()

    def begin(self, keep_outs: Sequence[KeepOut] = ()) -> None:
        """A new hop; nobody lands in the discs to keep out of."""
        self.places, self._keep_outs = None, tuple(keep_outs)

    def _kept_out(self, spec: GridSpec) -> BoolArray | None:
        """(rows, cols) cells of the map that may not be stood on."""
        if not self._keep_outs:
            return None
        x, y = np.meshgrid(spec.x_m(), spec.y_m())
        kept = np.zeros(spec.shape, dtype=np.bool_)
        for k in self._keep_outs:
            kept |= np.hypot(x - k.x_m, y - k.y_m) <= k.radius_m
        return kept

    def last_height_m(self, down_mps: float, lift_mps2: float) -> float:
        """Lowest height over the place at which a divert still ends safely.

        Until the next judgement, the lag of thrust and attitude, and the stop, it goes on sinking;
        below ``release_m`` the terminal law no longer goes anywhere but down.

        Args:
            down_mps: speed down now.
            lift_mps2: that the engines give at most, gravity taken off.
        """
        law, down = self._cfg.terminal, max(down_mps, 0.0)
        late_s = self._cfg.judge_s + law.lag_s
        share = max(law.thrust_share * lift_mps2, 0.1)
        return law.release_m + down * late_s + down * down / (2.0 * share)

    def reach_m(self, spare_mps: float) -> float:
        """How far a divert may go: it hovers meanwhile, at the terminal law's speed.

        That speed is ``place_gain`` times the way that is left, so the way shrinks
        exponentially to ``near_m``.

        Args:
            spare_mps: delta-v that it may take.
        """
        law = self._cfg.terminal
        time_s = max(spare_mps, 0.0) / MOON_GRAVITY_MPS2
        far = law.near_m * math.exp(min(law.place_gain_hz * time_s, 20.0))
        return min(far, self._cfg.divert_m) if time_s > 0.0 else 0.0

    def look(self, status: HopStatus, view: LandingView, now: Descent) -> None:
        """Judge the map; verify the chosen place or choose another within reach.

        Args:
            status: whose ``chosen_m``, ``verified``, ``safe``, ``diverts``, ``decided_m`` and
                ``last_m`` are set.
            view: the landing map.
            now: the descent.
        """
        level = view.ground_m(status.chosen_m[:2])
        if math.isfinite(level):
            status.chosen_m[2], status.verified = level, True
        status.last_m = self.last_height_m(now.down_mps, now.lift_mps2)
        if now.height_m < status.last_m:
            if math.isnan(status.decided_m):
                status.decided_m = now.height_m
            return
        found = view.layers()
        if found is None:
            return
        layers, spec = found
        heights, variance = closed(layers["elevation"], layers["variance"])
        places = landing_map(
            heights, spec, self._settings, variance_m2=variance, keep_out=self._kept_out(spec),
            two_threads=False,
        )  # fmt: skip
        self.places, was_safe = places, status.safe
        status.why = self._reason(places, status.chosen_m[:2])
        status.safe = status.why == REASONS[0]
        # while a nearer look may still find it good, the place is not given up
        waits = status.why in _MAY_MEND and now.height_m > _WAIT * status.last_m
        # one scan that contradicts the map makes its cells doubtful, the next ones settle that
        waits = waits or was_safe is True
        if not (status.safe or waits) and self._seen(places, status.chosen_m[:2]):
            self._divert(status, view, places, now)

    def _divert(
        self, status: HopStatus, view: LandingView, places: LandingMap, now: Descent
    ) -> None:
        reach = self.reach_m(now.spare_mps)
        choice = best_landing(
            places, status.chosen_m[:2], dispersion_m=self._cfg.dispersion_m, reach_m=reach,
            mps_per_m=MOON_GRAVITY_MPS2 / (self._cfg.terminal.place_gain_hz * max(reach, 1.0)),
        )  # fmt: skip
        if choice is None:
            return
        level = view.ground_m(choice.xy_m)
        if not math.isfinite(level):
            return
        x, y = (float(v) for v in choice.xy_m)
        status.notes.append(
            f"divert of {choice.divert_m:.1f} m to ({x:.1f}, {y:.1f}) m at a height of "
            f"{now.height_m:.1f} m: the place was {status.why}"
        )
        status.chosen_m = np.array([x, y, level])
        status.diverts += 1
        status.verified = status.safe = True
        status.why = REASONS[0]

    @staticmethod
    def _reason(places: LandingMap, xy_m: FloatArray) -> str:
        row, col = (int(v) for v in places.spec.cell_of(xy_m))
        if not (0 <= row < places.spec.rows and 0 <= col < places.spec.cols):
            return "unseen"
        return REASONS[int(places.reason[row, col])]

    def _seen(self, places: LandingMap, xy_m: FloatArray) -> bool:
        """Whether enough of the ground around is known to choose on."""
        spec = places.spec
        x, y = np.meshgrid(spec.x_m() - xy_m[0], spec.y_m() - xy_m[1])
        near = np.hypot(x, y) <= self._cfg.divert_m
        seen = float(np.isfinite(places.elevation_m[near]).mean())
        return seen >= _LEAST_SHARE
