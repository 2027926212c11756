"""What is added to a DEM: parameters of the random background, and features at given places."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class SurfaceConfig:
    """Random background below the posting of a DEM."""

    roughness_m: float = param(
        0.025, doc="RMS height difference between points 1 m apart", unit="m", low=0.0, high=1.0
    )
    hurst: float = param(0.8, doc="growth of roughness with distance", low=0.5, high=0.95)
    crater_density_m2: float = param(
        0.03, doc="craters per square metre with a diameter above 1 m", unit="1/m2", low=0.0,
        high=0.1,
    )  # fmt: skip
    crater_exponent: float = param(2.0, doc="N(> D) ~ D^-exponent", low=1.5, high=4.0)
    crater_min_m: float = param(0.5, doc="smallest crater", unit="m", low=0.2, high=5.0)
    crater_max_m: float = param(12.0, doc="largest crater", unit="m", low=0.5, high=60.0)
    depth_fresh: float = param(0.2, doc="depth / diameter of a new crater", low=0.01, high=0.3)
    depth_old: float = param(0.03, doc="depth / diameter of the oldest", low=0.005, high=0.3)
    age_bias: float = param(
        0.55, doc="1: depths spread evenly in log; below: more old craters", low=0.1, high=5.0
    )
    rock_k: float = param(
        0.005, doc="share of the area covered by background rocks of any size", low=0.0, high=0.2
    )
    rock_min_m: float = param(0.1, doc="smallest rock", unit="m", low=0.02, high=1.0)
    rock_max_m: float = param(2.5, doc="largest rock", unit="m", low=0.1, high=5.0)
    ejecta_k: float = param(
        0.04, doc="rock cover at the rim of a new background crater over 5 m", low=0.0, high=0.2
    )

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        for low, high in (
            ("crater_min_m", "crater_max_m"),
            ("depth_old", "depth_fresh"),
            ("rock_min_m", "rock_max_m"),
        ):
            if getattr(self, low) >= getattr(self, high):
                raise ConfigError(
                    f"{low} = {getattr(self, low)}: must be below {high} = {getattr(self, high)}"
                )


@dataclass(frozen=True)
class Crater:
    """A crater at a given place, added to the ground.

    Attributes:
        x_m: centre, metres.
        y_m: centre, metres.
        diameter_m: rim to rim.
        depth_m: from the rim's crest to the floor; the rim rises 0.18 of it.
        irregularity: relative departure of the rim from a circle, 0..0.1.
    """

    x_m: float = param(doc="centre x", unit="m")
    y_m: float = param(doc="centre y", unit="m")
    diameter_m: float = param(doc="rim to rim", unit="m", low=0.2, high=5000.0)
    depth_m: float = param(doc="rim crest to floor", unit="m", low=0.0, high=1000.0)
    irregularity: float = param(0.0, doc="departure from a circle", low=0.0, high=0.1)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class BlockField:
    """Rocks around a place, thinning out towards the radius.

    Attributes:
        x_m: centre, metres.
        y_m: centre, metres.
        radius_m: beyond it no rock of this field has its centre.
        k: share of the area covered by rocks of any size at the centre.
        hole_radius_m: inside it there are none (a crater's bowl).
        min_diameter_m: smaller rocks are left out.
    """

    x_m: float = param(doc="centre x", unit="m")
    y_m: float = param(doc="centre y", unit="m")
    radius_m: float = param(doc="outer radius", unit="m", low=0.1, high=500.0)
    k: float = param(0.1, doc="rock cover at the centre", low=0.0, high=0.4)
    hole_radius_m: float = param(0.0, doc="free of rocks inside", unit="m", low=0.0, high=500.0)
    min_diameter_m: float = param(0.1, doc="smallest rock", unit="m", low=0.02, high=2.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class Features:
    """Features that a scenario adds on top of the random background."""

    craters: tuple[Crater, ...] = ()
    block_fields: tuple[BlockField, ...] = ()
