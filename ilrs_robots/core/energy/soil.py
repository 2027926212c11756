"""Soil under a wheel and the wheel itself, as terramechanics describes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class SoilConfig:
    """Regolith: how it bears and how it shears.

    Bearing, cohesion and friction are what a rover's wheels showed on the Moon; the shear modulus
    is the classic one. Where the contact ends behind the axle is known for no regolith: 0 is
    Bekker's wheel, whose whole rut stays, about 1 are simulants on the Earth. 0.3 lies between:
    the Apollo rover then sinks in by 1.7 cm (1.25 cm on average were seen).

    Reference: Nature Communications 15, 2024, s41467-024-46233-8 (bearing, cohesion, friction);
    Carrier, Olhoeft and Mendell 1991, Lunar Sourcebook, chapter 9.1 (K = 1.8 cm); Wong and Reece
    1967, J. Terramechanics 4(1), 81 (angle of the largest stress).
    """

    cohesion_pa: float = param(520.0, doc="cohesion", unit="Pa", low=0.0, high=1e5)
    friction_deg: float = param(42.0, doc="friction angle", unit="deg", low=5.0, high=60.0)
    k_c: float = param(0.0, doc="cohesive modulus", unit="N/m^(n+1)", low=0.0, high=1e7)
    k_phi: float = param(820e3, doc="frictional modulus", unit="N/m^(n+2)", low=1e3, high=1e9)
    exponent: float = param(1.0, doc="of sinkage, n", low=0.3, high=2.0)
    shear_m: float = param(0.018, doc="shear deformation modulus K", unit="m", low=1e-4, high=0.5)
    peak_0: float = param(
        0.4, doc="angle of the largest stress over the entry angle", low=0.0, high=0.9
    )
    peak_1: float = param(0.15, doc="its growth with slip", low=0.0, high=0.9)
    exit_ratio: float = param(
        0.3, doc="height of the ground behind the wheel over sinkage", low=0.0, high=1.5
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    def array(self) -> FloatArray:
        """(9,) the numbers in the order of the fields, the friction angle as its tangent."""
        return np.array([
            self.cohesion_pa, math.tan(math.radians(self.friction_deg)), self.k_c, self.k_phi,
            self.exponent, self.shear_m, self.peak_0, self.peak_1, self.exit_ratio,
        ])  # fmt: skip


@dataclass(frozen=True)
class WheelShape:
    """A rigid wheel: what of it meets the soil."""

    radius_m: float = param(doc="radius", unit="m", low=0.02, high=3.0)
    width_m: float = param(doc="width", unit="m", low=0.01, high=3.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


MOON_SOIL: Final = SoilConfig()
"""The regolith of every site."""

SOURCEBOOK_SOIL: Final = SoilConfig(
    cohesion_pa=170.0, friction_deg=35.0, k_c=1.4e3, k_phi=8.2e5, exit_ratio=0.0
)
"""The classic set: softer, for what must hold on any ground.

Reference: Carrier, Olhoeft and Mendell 1991, Lunar Sourcebook, chapter 9.1, table 9.14."""

ISHIGAMI_SIMULANT: Final = SoilConfig(
    cohesion_pa=800.0, friction_deg=37.2, k_c=1.37e3, k_phi=8.14e5, exponent=1.0, shear_m=0.036,
    peak_0=0.4, peak_1=0.15, exit_ratio=1.0,
)  # fmt: skip
"""Lunar regolith simulant of a single-wheel test bed; the shear modulus is that of straight
driving, the exit ratio the middle of the range given (0.9 to 1.1).

Reference: Ishigami, Miwa, Nagatani and Yoshida 2007, J. Field Robotics 24(3), 233, tables 1, 2."""

ISHIGAMI_WHEEL: Final = WheelShape(0.092, 0.107)
"""Reference: the same, table 2; its load is 6.6 kg on the Earth, 64.68 N."""
