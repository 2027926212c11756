"""From a wanted force to the thrust of each engine: attitude, mass, allocation."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.hop_attitude import (
    AttitudeConfig,
    AttitudeControl,
    pointing,
    within_tilt,
)
from ilrs_robots.core.control.thruster_allocation import ThrusterAllocator
from ilrs_robots.core.localization.error_state import rotation_matrix
from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.types import FloatArray, TankSample
from ilrs_robots.robots.hop_vehicle import balance_of, dry_mass_kg, layout_of
from ilrs_robots.robots.model import HopperModel

_REBALANCE_KG = 1.0
_GAUGE_SHARE = 0.3
_LEAST_COSINE = 0.1


class HopPilot:
    """Turns the vehicle's z axis along the force and throttles its engines to it.

    Args:
        model: the vehicle.
        cfg: bandwidths and limits.

    Attributes:
        propellant_kg: by the gauge, smoothed.
        allocator: shares out force and torque.
        heard: whether the gauge has spoken.
    """

    def __init__(self, model: HopperModel, cfg: AttitudeConfig) -> None:
        self._model, self._cfg = model, cfg
        self._control = AttitudeControl(cfg)
        self._dry_kg = dry_mass_kg(model)
        layout = layout_of(model)
        self._least_n = 0.5 * float(layout.min_n[layout.main].min())
        self.propellant_kg = model.tank.propellant_kg
        self.heard = False
        self._centre_m, self._inertia = balance_of(model, self.propellant_kg)
        self._balanced_kg = self.propellant_kg
        self.allocator = ThrusterAllocator(layout, self._centre_m)

    def motion(self, state: FilterState) -> tuple[FloatArray, FloatArray]:
        """Place (3,) m and speed (3,) m/s that steering counts, map.

        They are those of the centre of mass, lowered to where base_link is when it stands
        upright. Those of base_link itself, below the centre, first move the wrong way whenever
        the vehicle leans to go somewhere.
        """
        R = rotation_matrix(state.quat_wxyz)
        spin, c = state.rate_rps, self._centre_m
        swing = np.array([
            spin[1] * c[2] - spin[2] * c[1], spin[2] * c[0] - spin[0] * c[2],
            spin[0] * c[1] - spin[1] * c[0],
        ])  # fmt: skip
        return state.position_m + R @ c - c, state.velocity_mps + R @ swing

    @property
    def mass_kg(self) -> float:
        """Of the whole vehicle, as it knows it."""
        return self._dry_kg + self.propellant_kg

    def on_tank(self, sample: TankSample) -> None:
        """What the gauge says; values that are none are left out."""
        if not (math.isfinite(sample.pressure_pa) and sample.pressure_pa > 0.0):
            return
        seen = self._model.tank.propellant_of(sample.pressure_pa)
        share = _GAUGE_SHARE if self.heard else 1.0
        self.heard = True
        self.propellant_kg += share * (seen - self.propellant_kg)
        if abs(self.propellant_kg - self._balanced_kg) > _REBALANCE_KG:
            self._balanced_kg = self.propellant_kg
            self._centre_m, self._inertia = balance_of(self._model, self.propellant_kg)
            self.allocator.move_centre(self._centre_m)

    def thrust_n(
        self, state: FilterState, force_mps2: FloatArray, yaw_rad: float, lit: bool,
        max_tilt_rad: float | None = None,
    ) -> FloatArray:  # fmt: skip
        """(T,) newtons for each thruster.

        Args:
            state: where it is and how it turns.
            force_mps2: (3,) specific force that is wanted, map, m/s2; with ``lit`` False only
                where to point.
            yaw_rad: heading to keep.
            lit: whether the main engines may burn.
            max_tilt_rad: how far it may lean; None for the configured limit.
        """
        tilt = self._cfg.max_tilt_rad if max_tilt_rad is None else max_tilt_rad
        up = within_tilt(force_mps2, tilt)
        wanted = pointing(up, yaw_rad)
        push = 0.0
        if lit:
            axis = rotation_matrix(state.quat_wxyz)[:, 2]
            along = float(force_mps2 @ axis)
            if tilt < 1.5 and up[2] > _LEAST_COSINE and axis[2] > _LEAST_COSINE:
                # what carries it must be right even while it still turns
                along = max(along, float(force_mps2[2]) / float(axis[2]) if along > 0.0 else 0.0)
            push = self.mass_kg * along
            push = push if push > self._least_n else 0.0
        torque = self._control.torque_nm(
            state.quat_wxyz, state.rate_rps, wanted, self._inertia, push > 0.0
        )
        return self.allocator.allocate(push, torque).thrust_n
