"""How likely measured ground is at a place of a map from orbit, under the map's own errors.

The map's errors are correlated over some postings: of two neighbouring cells one tells nearly
all. Least squares that ignore this are misled by long waves of error and believe themselves far
too much; here the differences are weighted by the inverse of their covariance,

    C = c^2 exp(-r^2 / (2 L^2)) + w^2 I,

the correlated error of the map and what is left between its samples.

Reference: Aitken 1935, Proc. R. Soc. Edinburgh 55, 42 (generalised least squares); Barker et al.
2021, Planet. Space Sci. 203, 105119 (errors of LOLA maps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import solve_triangular

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray

_STEPS: Final = 8
_SMALL_M: Final = 0.01
_WEAK_M: Final = 1000.0
_HALF_BASE_M: Final = 1.25
"""Slopes of the prior are differences over twice this."""
X, Y, YAW, Z, TILT_X, TILT_Y = range(6)


@dataclass(frozen=True)
class Place:
    """The most likely state near a start.

    Attributes:
        state: (6,) shift x, y in m, turn in rad about the vehicle, offset of the heights in m,
            tilt along x and y.
        covariance: (6, 6) of it.
        cost: squared residuals in units of their standard deviation, priors included.
        rms_m: plain residual.
        complete: whether the prior map covers all of the ground there.
    """

    state: FloatArray
    covariance: FloatArray
    cost: float
    rms_m: float
    complete: bool


class GroundLikelihood:
    """Measured cells with the covariance of their differences from the prior map.

    Args:
        xy_m: (N, 2) where they are believed to be, map frame.
        z_m: (N,) heights.
        about_m: (2,) where the vehicle is believed to be; turns are about it.
        prior: the map from orbit.
        noise: c, L and w, metres.
        sigmas: of turn (rad), offset (m) and tilt (m per m), before the comparison.
    """

    def __init__(
        self,
        xy_m: FloatArray,
        z_m: FloatArray,
        about_m: FloatArray,
        prior: Dem,
        noise: tuple[float, float, float],
        sigmas: tuple[float, float, float],
    ) -> None:
        self._xy, self._z, self._about, self._prior = xy_m, z_m, about_m, prior
        away = np.sum((xy_m[:, None] - xy_m[None]) ** 2, axis=2)
        correlated, length, white = noise
        spread = correlated**2 * np.exp(away / (-2.0 * length**2))
        spread[np.diag_indices(len(xy_m))] += white**2
        self._root: FloatArray = np.linalg.cholesky(spread)
        yaw, offset, tilt = (1.0 / sigma**2 for sigma in sigmas)
        weak = 1.0 / _WEAK_M**2  # ridges show nothing along themselves
        self._known = np.array([weak, weak, yaw, offset, tilt, tilt])

    def best_near(self, shift_m: FloatArray, *, held: bool = False) -> Place:
        """The most likely place near a shift, by Gauss and Newton.

        Args:
            shift_m: (2,) metres.
            held: whether the shift stays as it is and only the rest is found.
        """
        free = slice(YAW, None) if held else slice(None)
        state = np.array([shift_m[0], shift_m[1], 0.0, 0.0, 0.0, 0.0])
        state[Z] = -float(np.nanmean(self._residual(state)))
        for _ in range(_STEPS):
            information, pull, _, _ = self._normal_equations(state)
            step = np.zeros(6)
            step[free] = np.linalg.solve(information[free, free], pull[free])
            state = state - step
            if float(np.abs(step).max()) < _SMALL_M:
                break
        information, _, cost, complete = self._normal_equations(state)
        rms = float(np.sqrt(np.nanmean(self._residual(state) ** 2)))
        within = np.asarray(np.linalg.inv(information), dtype=np.float64)
        return Place(state, within, cost, rms, complete)

    def _turned(self, state: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Offsets from the vehicle as measured, and as turned."""
        away = self._xy - self._about
        c, s = math.cos(state[YAW]), math.sin(state[YAW])
        return away, away @ np.array(((c, s), (-s, c)))

    def _residual(self, state: FloatArray) -> FloatArray:
        away, turned = self._turned(state)
        lift = self._z + state[Z] + away @ state[TILT_X:]
        difference: FloatArray = lift - self._prior.height(self._about + state[:2] + turned)
        return difference

    def _normal_equations(self, state: FloatArray) -> tuple[FloatArray, FloatArray, float, bool]:
        """Information (6, 6), gradient (6,), cost, and whether the prior is known everywhere."""
        away, turned = self._turned(state)
        at = self._about + state[:2] + turned
        residual = self._residual(state)
        jacobian = np.empty((len(at), 6))
        for axis in range(2):
            h = np.zeros(2)
            h[axis] = _HALF_BASE_M
            rise = self._prior.height(at + h) - self._prior.height(at - h)
            jacobian[:, axis] = rise / (-2.0 * _HALF_BASE_M)
        jacobian[:, YAW] = jacobian[:, Y] * turned[:, 0] - jacobian[:, X] * turned[:, 1]
        jacobian[:, Z] = 1.0
        jacobian[:, TILT_X:] = away
        rows = np.column_stack((jacobian, residual))
        unknown = np.isnan(rows).any(axis=1)
        rows[unknown] = 0.0
        white = solve_triangular(self._root, rows, lower=True, check_finite=False)
        J, r = white[:, :6], white[:, 6]
        information = J.T @ J + np.diag(self._known)
        pull = J.T @ r + self._known * state
        cost = float(r @ r + state @ (self._known * state))
        return information, pull, cost, not unknown.any()
