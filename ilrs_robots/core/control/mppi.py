"""Sampling control: many motions are predicted, the good ones are averaged (MPPI).

Each cycle starts from the last cycle's answer, shifted by the time that went by, and tries it with
noise that was drawn once: same calls, same answers. Beside it a stop, the last answer itself and
whatever the caller proposes are tried as they are. The average of safe motions need not be safe,
so it is predicted as well, and gives way to the best single motion where it is not.

Reference: Williams et al. 2018, Information-theoretic model predictive control (the weighted
average); smooth noise between few knots and the checked average are our own choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.control import mppi_kernels
from ilrs_robots.core.control.mppi_config import DrivingLimits, MppiConfig, MppiTable
from ilrs_robots.core.control.mppi_kernels import HIT, PathTable
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.planning.local_terrain import Discs, LocalTerrain
from ilrs_robots.core.types import FloatArray, GridSpec

_LEAST_TAN = 1e-3


@dataclass(frozen=True)
class Motion:
    """What a cycle chose.

    Attributes:
        v: speed of the wheels to command, m/s.
        w: yaw rate to command, rad/s.
        safe: False where every motion but a stop ends in closed ground or tips.
        cost: of the chosen motion.
        states: (T, 7) x, y, yaw in the frame of the terrain's cost, speed, slopes across and
            along, and clearance of the underside, as predicted.
        share_safe: share of all motions that were safe.
    """

    v: float
    w: float
    safe: bool
    cost: float
    states: FloatArray
    share_safe: float


def path_table(xy_m: FloatArray, speed_mps: FloatArray) -> PathTable:
    """A path with the wanted speed at each point.

    Args:
        xy_m: (N, 2) metres, no two neighbours alike, N >= 2.
        speed_mps: (N,) m/s.

    Raises:
        PlanningError: another shape, or not finite.
    """
    xy = np.ascontiguousarray(xy_m, dtype=np.float64)
    speed = np.ascontiguousarray(speed_mps, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1:] != (2,) or len(xy) < 2 or speed.shape != xy.shape[:1]:
        raise PlanningError(f"path {xy.shape} with speeds {speed.shape}: needs (N, 2) and (N,)")
    if not (np.isfinite(xy).all() and np.isfinite(speed).all()):
        raise PlanningError("path or speeds are not finite")
    legs = np.diff(xy, axis=0)
    size = np.maximum(np.hypot(legs[:, 0], legs[:, 1]), 1e-9)
    tangent = legs / size[:, np.newaxis]
    return PathTable(
        xy,
        np.concatenate(([0.0], np.cumsum(size))),
        np.concatenate((tangent, tangent[-1:])),
        speed,
    )


class SamplingController:
    """MPPI for a vehicle that follows speed and curvature, over predicted pose and attitude."""

    def __init__(
        self, config: MppiConfig, limits: DrivingLimits, discs: Discs, footing: Footing
    ) -> None:
        """Draw the noise.

        Args:
            config: see MppiConfig.
            limits: of the vehicle.
            discs: that cover its footprint.
            footing: how it stands.
        """
        self.config, self.limits = config, limits
        self._discs, self._footing = discs, footing.table
        self._noise = _noise_of(config, limits)
        self._table = _table_of(config, limits)
        self._costs = np.empty(config.rollouts)
        self._controls = np.empty((config.rollouts, config.steps, 2))
        self._nominal = np.zeros((config.steps, 2))

    def reset(self) -> None:
        """Forget the last answer."""
        self._nominal[:] = 0.0

    def step(
        self,
        state: tuple[float, float, float, float, float],
        path: PathTable,
        terrain: LocalTerrain,
        proposals: FloatArray | None = None,
        elapsed_s: float | None = None,
    ) -> Motion:
        """Choose what to do until the next cycle.

        Args:
            state: x, y (m), yaw (rad), speed of the wheels (m/s) and curvature (rad/m) now.
            path: to follow, in the frame of the terrain's cost.
            terrain: the ground.
            proposals: (P, 2) speeds (m/s) and curvatures (rad/m) that are tried as they are,
                held over the whole horizon.
            elapsed_s: since the last cycle; None for one step.
        """
        start = np.array(state, dtype=np.float64)
        table, ground = self._table, terrain.table
        self._shift(elapsed_s)
        fixed = self._fixed(proposals)
        rest = (table, self._discs, self._footing, ground, path)
        mppi_kernels.sample(
            start, self._nominal, self._noise, fixed, *rest, self._costs, self._controls
        )
        best = int(np.argmin(self._costs))
        chosen = self._controls[best].copy()
        if self._costs[best] < HIT:
            mean = np.empty_like(chosen)
            mppi_kernels.blend(self._costs, self._controls, self.config.temperature, mean)
            if self._predict(start, mean, rest)[0] < HIT:
                chosen = mean
        cost, states = self._predict(start, chosen, rest)
        self._nominal = chosen
        safe = cost < HIT
        if not safe:
            self.reset()
        share = float(np.mean(self._costs < HIT))
        v, k = (float(chosen[0, 0]), float(chosen[0, 1])) if safe else (0.0, 0.0)
        v = min(v, self.limits.max_yaw_rate_rps / max(abs(k), 1e-6))
        return Motion(v, v * k, safe, cost, states, share)

    def _predict(
        self, start: FloatArray, controls: FloatArray, rest: tuple[object, ...]
    ) -> tuple[float, FloatArray]:
        """Cost and predicted states of one motion."""
        table, discs, footing, ground, path = rest
        held = mppi_kernels.held_at_start(start, table, discs, footing, ground)
        xy = path.xy  # type: ignore[attr-defined]
        first = int(np.argmin((xy[:, 0] - start[0]) ** 2 + (xy[:, 1] - start[1]) ** 2))
        states = np.full((self.config.steps, 7), np.nan)
        cost = mppi_kernels.rollout(
            start, controls, table, discs, footing, ground, path, first, held, states
        )
        return float(cost), states

    def _shift(self, elapsed_s: float | None) -> None:
        """Move the last answer on by the time that went by; its end is held."""
        steps = 1.0 if elapsed_s is None else elapsed_s / self.config.step_s
        count = self.config.steps
        at = np.minimum(np.arange(count) + max(steps, 0.0), count - 1.0)
        whole = np.arange(count)
        self._nominal = np.column_stack(
            [np.interp(at, whole, self._nominal[:, n]) for n in range(2)]
        )

    def _fixed(self, proposals: FloatArray | None) -> FloatArray:
        """(F, T, 2) motions without noise: stop, the last answer, proposals."""
        held = np.zeros((0, 2)) if proposals is None else np.asarray(proposals, dtype=np.float64)
        fixed = np.zeros((2 + len(held), self.config.steps, 2))
        fixed[0, :, 1] = self._nominal[:, 1]
        fixed[1] = self._nominal
        fixed[2:] = held[:, np.newaxis]
        return fixed


def _noise_of(config: MppiConfig, limits: DrivingLimits) -> FloatArray:
    """(K, T, 2) float64 noise that is linear between its knots, a half of it three times wider."""
    rng = np.random.default_rng(config.seed)
    knots = rng.standard_normal((config.rollouts, config.knots, 2))
    knots[1::2] *= 3.0
    knots *= (config.speed_sigma * limits.max_speed_mps, config.curvature_sigma_rpm)
    at = np.linspace(0.0, config.knots - 1.0, config.steps)
    low = np.minimum(at.astype(np.int64), config.knots - 2)
    share = (at - low)[np.newaxis, :, np.newaxis]
    return np.ascontiguousarray((1.0 - share) * knots[:, low] + share * knots[:, low + 1])


def _table_of(config: MppiConfig, limits: DrivingLimits) -> MppiTable:
    roll = math.tan(limits.max_roll_rad - config.tilt_margin_rad)
    pitch = math.tan(limits.max_pitch_rad - config.tilt_margin_rad)
    return MppiTable(
        step_s=config.step_s,
        max_v=limits.max_speed_mps,
        max_w=limits.max_yaw_rate_rps,
        max_k=config.max_curvature_rpm,
        accel=limits.max_accel_mps2,
        decel=limits.max_decel_mps2,
        k_rate=limits.steer_rate_rps / limits.steer_arm_m,
        steer_arm=limits.steer_arm_m,
        slip=limits.slip_per_slope,
        tan_roll=max(roll, _LEAST_TAN),
        tan_pitch=max(pitch, _LEAST_TAN),
        belly_margin=config.belly_margin_m,
        near=config.near_m,
        w_lateral=config.w_lateral,
        w_heading=config.w_heading,
        w_speed=config.w_speed,
        w_fast=config.w_fast,
        w_ground=config.w_ground,
        w_near=config.w_near,
        w_attitude=config.w_attitude,
        w_effort=config.w_effort,
        w_end=config.w_end,
    )


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    wheels = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]])
    weights = np.array([[0.25] * 4, [0.5, 0.5, -0.5, -0.5], [0.5, -0.5, 0.5, -0.5]])
    controller = SamplingController(
        MppiConfig(rollouts=16, steps=8),
        DrivingLimits(),
        Discs(np.zeros(1), 0.5),
        Footing(wheels, weights, 0.3, 0.4, 0.3),
    )
    spec = GridSpec(-2.0, -2.0, 0.5, 9, 9)
    level = np.zeros(spec.shape, np.float32)
    path = path_table(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.5, 0.5]))
    controller.step((0.0, 0.0, 0.0, 0.0, 0.0), path, LocalTerrain(spec, level, level + 5.0))
