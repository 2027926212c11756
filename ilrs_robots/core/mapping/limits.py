"""What ground a vehicle can cross."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param


@dataclass(frozen=True)
class VehicleLimits:
    """Limits of the ground under a vehicle, and the rectangle that it covers."""

    max_slope_rad: float = param(doc="steepest slope", unit="rad", low=0.01, high=1.4)
    max_step_m: float = param(doc="highest step", unit="m", low=0.01, high=3.0)
    max_roughness_m: float = param(
        doc="largest residual to the local plane, root mean square", unit="m", low=0.001, high=3.0
    )
    footprint_length_m: float = param(doc="along x", unit="m", low=0.05, high=30.0)
    footprint_width_m: float = param(doc="along y", unit="m", low=0.05, high=30.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
