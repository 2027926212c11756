"""What driving costs: slip, energy per metre and the steepest slope of a vehicle on soft soil.

Every wheel carries the same share of the weight. On a slope the wheels must pull the weight's
component along it; the slip at which they do so sets sinkage, torque and energy. This one model
also gives the simulator's wheels their slip (``slip_compliance``).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.energy.soil import MOON_SOIL, SoilConfig, WheelShape
from ilrs_robots.core.energy.terramechanics import loaded_wheel, wheel_forces
from ilrs_robots.core.types import FloatArray

MOST_SLIP: Final = 0.6
"""Beyond it a wheel digs itself in rather than climbs."""
_TABLE_DEG: Final = 40.0
_TABLE_STEP_DEG: Final = 1.0
_LINEAR_TO_RAD: Final = math.radians(15.0)
_ITERATIONS: Final = 60


@dataclass(frozen=True)
class DriveConfig:
    """Between battery and wheel."""

    efficiency: float = param(0.6, doc="of motor, gear and electronics", low=0.01, high=1.0)
    regeneration: float = param(
        0.0, doc="share of braking power that comes back", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class DriveState:
    """Steady driving; arrays of the shape of the slopes, NaN where the vehicle cannot.

    Attributes:
        slip: slip ratio of the wheels.
        sinkage_m: of the wheels.
        torque_nm: of one wheel.
        energy_jpm: from the battery, per metre of ground; negative where braking gives back.
    """

    slip: FloatArray
    sinkage_m: FloatArray
    torque_nm: FloatArray
    energy_jpm: FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def _slip_for(soil: np.ndarray, radius: float, width: float, load: float, wanted: float) -> float:
    """Slip at which a wheel pulls the wanted force; NaN beyond what it can."""
    low, high = -MOST_SLIP, MOST_SLIP
    below = loaded_wheel(soil, radius, width, low, load)[1] - wanted
    above = loaded_wheel(soil, radius, width, high, load)[1] - wanted
    if not (below <= 0.0 <= above):
        return np.nan
    slip = 0.0
    for _ in range(_ITERATIONS):
        slip = (low * above - high * below) / (above - below)
        wrong = loaded_wheel(soil, radius, width, slip, load)[1] - wanted
        if abs(wrong) <= 1e-8 * load or high - low < 1e-10:
            break
        if wrong < 0.0:
            low, below, above = slip, wrong, 0.5 * above
        else:
            high, above, below = slip, wrong, 0.5 * below
    return slip


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(
    soil: np.ndarray, radius: float, width: float, weight: float, slope: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Slip, sinkage and torque of one wheel on each slope, into (3, N)."""
    for n in range(slope.size):
        load = weight * math.cos(slope[n])
        slip = _slip_for(soil, radius, width, load, weight * math.sin(slope[n]))
        out[0, n] = slip
        out[1:, n] = np.nan
        if not math.isnan(slip):
            out[1, n], _, out[2, n] = loaded_wheel(soil, radius, width, slip, load)


class DriveModel:
    """Energy and limits of one vehicle on one soil.

    Args:
        wheel: all wheels are alike.
        wheels: how many.
        mass_kg: of the vehicle with what it carries.
        settings: of the drive.
        soil: under it.
        max_torque_nm: of one wheel.
        gravity_mps2: of the place.
    """

    def __init__(
        self, wheel: WheelShape, wheels: int, mass_kg: float, settings: DriveConfig | None = None,
        soil: SoilConfig = MOON_SOIL, max_torque_nm: float = math.inf,
        gravity_mps2: float = MOON_GRAVITY_MPS2,
    ) -> None:  # fmt: skip
        self.wheel, self.wheels, self.soil = wheel, wheels, soil
        self.settings = settings or DriveConfig()
        self.max_torque_nm = max_torque_nm
        self.load_n = mass_kg * gravity_mps2 / wheels

    def state(self, slope_rad: ArrayLike) -> DriveState:
        """Steady driving straight up (positive) or down slopes of (...) radians."""
        slope = np.atleast_1d(np.asarray(slope_rad, dtype=np.float64))
        out = np.empty((3, slope.size))
        shape = self.wheel
        _climb(self.soil.array(), shape.radius_m, shape.width_m, self.load_n, slope.ravel(), out)
        slip, sinkage, torque = out.reshape(3, *slope.shape)
        turn_per_m = np.where(slip >= 0.0, 1.0 / (1.0 - slip), 1.0 + slip) / shape.radius_m
        work = self.wheels * torque * turn_per_m
        drive = self.settings
        energy = np.where(work >= 0.0, work / drive.efficiency, work * drive.regeneration)
        can = np.abs(torque) <= self.max_torque_nm
        parts = (np.where(can, v, np.nan) for v in (slip, sinkage, torque, energy))
        return DriveState(*parts)

    @functools.cached_property
    def table(self) -> tuple[FloatArray, FloatArray]:
        """Slopes (N,) in radians and energy per metre (N,) in J/m, NaN where it cannot."""
        slopes = np.radians(np.arange(-_TABLE_DEG, _TABLE_DEG + 1e-9, _TABLE_STEP_DEG))
        return slopes, self.state(slopes).energy_jpm

    def energy_jpm(self, slope_rad: ArrayLike) -> FloatArray:
        """Energy per metre on slopes of (...) radians from the table, J/m; NaN where it cannot.

        Linear between degrees; beside a slope that it cannot take the answer is NaN too.
        """
        slopes, energy = self.table
        found: FloatArray = np.interp(
            np.asarray(slope_rad), slopes, energy, left=np.nan, right=np.nan
        )
        return found

    @functools.cached_property
    def steepest_rad(self) -> float:
        """Steepest slope that it climbs with at most ``MOST_SLIP`` and its wheels' torque."""
        low, high = 0.0, math.radians(60.0)
        if math.isnan(float(self.state(low).energy_jpm[0])):
            return math.nan
        for _ in range(24):
            middle = 0.5 * (low + high)
            if math.isnan(float(self.state(middle).energy_jpm[0])):
                high = middle
            else:
                low = middle
        return low

    @functools.cached_property
    def slip_compliance(self) -> float:
        """Slip per pull over load, from no pull to that of 15 degrees of slope.

        The simulator's contact law is linear; this is the secant of the curve over the slopes
        that vehicles are sent up.
        """
        return slip_compliance(self.soil, self.wheel, self.load_n)


def slip_compliance(soil: SoilConfig, wheel: WheelShape, load_n: float) -> float:
    """Slip per pull over load of one wheel; see ``DriveModel.slip_compliance``."""
    out = np.empty((3, 2))
    _climb(
        soil.array(), wheel.radius_m, wheel.width_m, load_n, np.array([0.0, _LINEAR_TO_RAD]), out
    )
    return float((out[0, 1] - out[0, 0]) / math.tan(_LINEAR_TO_RAD))


def best_pull(soil: SoilConfig, wheel: WheelShape, load_n: float) -> float:
    """Largest drawbar pull over load up to ``MOST_SLIP``."""
    pull = wheel_forces(soil, wheel, np.linspace(0.0, MOST_SLIP, 61), load_n).pull_n
    return float(np.max(pull)) / load_n


def warm_up() -> None:
    """Compile the kernels."""
    DriveModel(WheelShape(0.3, 0.2), 4, 100.0).state(0.0)
