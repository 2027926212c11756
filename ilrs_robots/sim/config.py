"""Parameters of the embedded simulator; dimensions and masses stand in ``config/robots``."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.sim.soft_ground import SoftSpot

LATTICE_M = 0.1
"""Spacing of the heightfield near a vehicle; also the finest lidar triangles."""

SNAP_M = 0.4
"""Patch centres are multiples of this, so that the lattices of every ring fall together."""


@dataclass(frozen=True)
class ContactConfig:
    """Wheel on regolith: a soft contact whose shear gives slip in proportion to the roll speed.

    How much slip a wheel's traction costs is no parameter: it follows from the regolith and the
    wheel (``core.energy.drive``).

    Reference: Janosi and Hanamoto 1961; for small slip s the mean shear over a contact of
    length l gives T / N = mu l s / (2 K), hence s = (2 K / (mu l)) T / N.
    """

    slip_compliance: float = param(
        0.4,
        doc="slip ratio per traction over load of a foot; that of a wheel follows from its soil",
        low=0.0,
        high=5.0,
    )
    soil_softness: float = param(
        1.0, doc="factor on a wheel's slip, for soil softer than that of the file", low=0.0,
        high=10.0,
    )  # fmt: skip
    soil_drag: float = param(
        0.0, doc="resistance of soil that wheels sink into, share of the weight", low=0.0,
        high=1.0,
    )  # fmt: skip
    parked_speed_mps: float = param(
        0.001,
        doc="roll speed that a parked wheel's shear stands for",
        unit="m/s",
        low=1e-6,
        high=0.1,
    )
    stiffness_per_s2: float = param(
        2500.0, doc="normal spring per unit of mass", unit="1/s2", low=100.0, high=1e6
    )
    damping_per_s: float = param(
        100.0, doc="normal damper per unit of mass", unit="1/s", low=10.0, high=1e4
    )
    shear_damping_per_s: float = param(
        50.0,
        doc="rate at which the shear follows a change of traction",
        unit="1/s",
        low=5.0,
        high=1e3,
    )
    shear_softness: float = param(
        14.0, doc="compliance of the shear over that of the normal", low=1.0, high=1e3
    )
    rock_friction: float = param(0.7, doc="friction of rocks", low=0.01, high=2.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class SimConfig:
    """Steps, patch and lidar mesh of the embedded world."""

    exchange_s: float = param(
        0.02, doc="period between exchanges with the core", unit="s", low=0.001, high=0.1
    )
    physics_step_s: float = param(
        0.005, doc="largest physics step", unit="s", low=0.0005, high=0.01
    )
    settle_s: float = param(
        6.0, doc="time that vehicles get to settle before zero", unit="s", low=0.0, high=60.0
    )
    patch_half_m: float = param(
        12.0, doc="half side of the heightfield patch", unit="m", low=6.0, high=40.0
    )
    patch_move_m: float = param(
        5.0, doc="distance from the centre that moves the patch", unit="m", low=0.5, high=20.0
    )
    patch_relief_m: float = param(
        60.0, doc="height span that a patch can hold", unit="m", low=1.0, high=500.0
    )
    rock_pool: int = param(48, doc="rocks near a vehicle that physics knows", low=0, high=1000)
    lidar: bool = param(True, doc="whether lidars run")
    contact: ContactConfig = ContactConfig()
    soft_spots: tuple[SoftSpot, ...] = ()

    def __post_init__(self) -> None:
        """Check ranges and that the patch moves before its edge is reached."""
        config.check(self)
        if self.patch_move_m + 4.0 > self.patch_half_m:
            raise ConfigError(
                f"patch_move_m = {self.patch_move_m} m: must stay 4 m below patch_half_m = "
                f"{self.patch_half_m} m"
            )
