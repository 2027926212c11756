"""Parts that every vehicle has: body, footprint, limits of the ground, looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class BodyConfig:
    """The solid that carries everything."""

    mass_kg: float = param(doc="mass without wheels and suspension", unit="kg", low=1.0, high=1e5)
    size_m: tuple[float, float, float] = param(
        doc="x, y, z of the box around it", unit="m", low=0.05, high=20.0
    )
    centre_m: tuple[float, float, float] = param(doc="centre in base_link, also of mass", unit="m")
    clearance_m: float = param(doc="ground clearance on flat ground", unit="m", low=0.0, high=3.0)
    shape: str = param(
        "box", doc="box, or upright cylinder with x = y", choices=("box", "cylinder")
    )

    def __post_init__(self) -> None:
        """Check ranges, that a cylinder is round and that the clearance lies below the top."""
        config.check(self)
        if self.shape == "cylinder" and self.size_m[0] != self.size_m[1]:
            raise ConfigError(
                f"size_m = {list(self.size_m)} m: x and y of a cylinder must be equal"
            )


@dataclass(frozen=True)
class FootprintConfig:
    """Rectangle around base_link that the vehicle covers."""

    length_m: float = param(doc="along x", unit="m", low=0.05, high=30.0)
    width_m: float = param(doc="along y", unit="m", low=0.05, high=30.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class TerrainLimitsConfig:
    """Ground that the vehicle may stand on, and how far it may tilt."""

    max_slope_deg: float = param(doc="terrain slope", unit="deg", low=0.0, high=60.0)
    max_step_m: float = param(doc="step height", unit="m", low=0.0, high=3.0)
    max_roughness_m: float = param(doc="residual to the local plane", unit="m", low=0.0, high=3.0)
    max_roll_deg: float = param(doc="body roll", unit="deg", low=0.0, high=90.0)
    max_pitch_deg: float = param(doc="body pitch", unit="deg", low=0.0, high=90.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class VisualPart:
    """Something to see; it has no mass of its own and nothing collides with it."""

    shape: str = param(doc="what it looks like", choices=("box", "cylinder", "sphere"))
    size_m: tuple[float, float, float] = param(
        doc="box around it in its own axes; a cylinder stands along its z",
        unit="m", low=1e-4, high=20.0,
    )  # fmt: skip
    position_m: tuple[float, float, float] = param(doc="centre in base_link", unit="m")
    colour: str = param(doc="name of a colour")
    rpy_deg: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), doc="roll, pitch, yaw in base_link", unit="deg"
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)

    @property
    def rpy_rad(self) -> tuple[float, float, float]:
        """Roll, pitch, yaw in radians."""
        r, p, y = (math.radians(v) for v in self.rpy_deg)
        return r, p, y


@dataclass(frozen=True)
class VisualConfig:
    """Colours, and what makes a person recognise the vehicle."""

    colours: dict[str, tuple[float, float, float, float]] = param(
        doc="red, green, blue, opacity by name", low=0.0, high=1.0
    )
    body: str = param(doc="colour of the body")
    structure: str = param(doc="colour of suspension or legs")
    tyre: str = param(doc="colour of what touches the ground")
    parts: tuple[VisualPart, ...] = param((), doc="what is added to body and wheels or legs")

    def __post_init__(self) -> None:
        """Check ranges and that every colour is known."""
        config.check(self)
        used = (self.body, self.structure, self.tyre, *(part.colour for part in self.parts))
        for name in used:
            if name not in self.colours:
                raise ConfigError(
                    f"colour {name!r} is not one of {', '.join(self.colours) or 'none'}"
                )
