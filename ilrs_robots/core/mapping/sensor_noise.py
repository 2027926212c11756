"""How uncertain one sensor's points are; each sensor of a vehicle has its own."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param


@dataclass(frozen=True)
class SensorNoise:
    """Standard deviations of one range sensor's points.

    What they mean for the height of a cell is in ``ray_variance``. The incidence term is the
    range error of a beam of finite width on a surface that it meets at a slant: it grows with
    range and with the tangent of the angle of incidence.

    Reference: Soudarissanane, Lindenbergh, Menenti, Teunissen 2011, Scanning geometry:
    Influencing factor on the quality of terrestrial laser scanning points, ISPRS J. 66(4).
    """

    height_sigma_m: float = param(
        0.005, doc="noise of a height whatever the range", unit="m", low=1e-4, high=1.0
    )
    range_sigma_m: float = param(0.012, doc="noise along a ray", unit="m", low=0.0, high=1.0)
    angle_sigma_rad: float = param(0.0005, doc="noise across a ray", unit="rad", low=0.0, high=0.1)
    incidence_sigma_rad: float = param(
        0.0,
        doc="noise along a ray per range and tangent of incidence: a share of the beam's width",
        unit="rad",
        low=0.0,
        high=0.1,
    )
    view_top_rad: float = param(
        1.5707963267948966,
        doc="highest ray, from the sensor's own xy plane; what is above it is not seen through",
        unit="rad",
        low=-1.5707963267948966,
        high=1.5707963267948966,
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
