"""Numbers of the Moon, each with its source. Nothing else in the package repeats them."""

from __future__ import annotations

from typing import Final

MOON_RADIUS_M: Final = 1_737_400.0
"""Reference sphere of the LOLA products, MOON_ME frame (PGDA-78 and PGDA-90 labels)."""

MOON_GRAVITY_MPS2: Final = 1.62
"""Surface gravity, downwards (NASA Moon fact sheet)."""
