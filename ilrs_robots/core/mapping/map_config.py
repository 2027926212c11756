"""Parameters of the elevation map, and what it reports of a scan."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.mapping.sensor_noise import SensorNoise


@dataclass(frozen=True)
class ElevationMapConfig:
    """Size of the map, noise of the sensor, rules of the filter."""

    resolution_m: float = param(0.1, doc="cell size", unit="m", low=0.01, high=100.0)
    size_cells: int = param(400, doc="cells along each side", unit="cells", low=8, high=2000)
    range_min_m: float = param(0.6, doc="points nearer are dropped", unit="m", low=0.0, high=1e3)
    range_max_m: float = param(45.0, doc="points farther are dropped", unit="m", low=0.1, high=1e3)
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
    gate_sigma: float = param(3.0, doc="Mahalanobis distance of the gate", low=1.0, high=10.0)
    growth_m2_per_s: float = param(
        2e-7, doc="growth of the variance while a cell is not seen", unit="m2/s", low=0.0, high=1.0
    )
    outlier_sigma_m: float = param(
        0.1, doc="doubt added by a scan that a cell contradicts", unit="m", low=0.0, high=10.0
    )
    min_sigma_m: float = param(
        0.004, doc="a cell is never surer than this", unit="m", low=1e-4, high=1.0
    )
    max_sigma_m: float = param(
        1.0, doc="a seen cell is never less sure than this", unit="m", low=0.01, high=100.0
    )
    upper_relaxation: float = param(
        0.05, doc="share of its excess that a bound loses per scan", low=0.0, high=1.0
    )
    visibility: bool = param(True, doc="whether what a scan sees through is taken out of the map")
    visibility_clearance_m: float = param(
        0.05,
        doc="how far below a height a ray must pass to contradict it",
        unit="m",
        low=0.0,
        high=10.0,
    )
    drift_compensation: bool = param(
        True, doc="whether a scan's height is shifted onto the flat ground of the map"
    )
    drift_deadband_m: float = param(
        0.01, doc="offset of a scan that is left as it is", unit="m", low=0.0, high=1.0
    )
    drift_limit_m: float = param(
        0.3, doc="offset of a scan beyond which it is no drift", unit="m", low=0.0, high=10.0
    )
    drift_sigma_m: float = param(
        0.03, doc="cells less sure than this say nothing of drift", unit="m", low=1e-4, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        for low, high in (("range_min_m", "range_max_m"), ("min_sigma_m", "max_sigma_m")):
            if getattr(self, low) >= getattr(self, high):
                raise ConfigError(
                    f"{low} = {getattr(self, low)} m: must be below {high} = "
                    f"{getattr(self, high)} m"
                )

    @property
    def noise(self) -> SensorNoise:
        """Noise of a sensor that brings none of its own."""
        return SensorNoise(
            self.height_sigma_m,
            self.range_sigma_m,
            self.angle_sigma_rad,
            self.incidence_sigma_rad,
        )


@dataclass(frozen=True)
class UpdateReport:
    """What became of a scan's points.

    Attributes:
        points: points given.
        dropped: points by reason: ``non_finite``, ``range``, ``outside`` the window, ``gated``
            (contradicts the cell; it still counts for the upper bound and raises the variance).
        cells_touched: cells that had at least one point.
        cells_seen_through: cells that lost a height, or the top of it, because rays passed there.
        drift_m: how much higher than the map the scan's flat ground is, None where too little of
            it is known.
        shift_m: what was added to the scan's heights for that.
    """

    points: int
    dropped: dict[str, int]
    cells_touched: int
    cells_seen_through: int = 0
    drift_m: float | None = None
    shift_m: float = 0.0

    @property
    def fused(self) -> int:
        """Points that entered a cell's mean."""
        return self.points - sum(self.dropped.values())
