"""Numbers of the Moon and of physics, each with its source; nothing else repeats them."""

from __future__ import annotations

from typing import Final

MOON_RADIUS_M: Final = 1_737_400.0
"""Reference sphere of the LOLA products, MOON_ME frame (PGDA-78 and PGDA-90 labels)."""

MOON_GRAVITY_MPS2: Final = 1.62
"""Surface gravity, downwards (NASA Moon fact sheet)."""

STEFAN_BOLTZMANN_WPM2K4: Final = 5.670374419e-8
"""CODATA 2018."""

STANDARD_GRAVITY_MPS2: Final = 9.80665
"""Turns a specific impulse in seconds into an exhaust velocity (3rd CGPM 1901)."""
