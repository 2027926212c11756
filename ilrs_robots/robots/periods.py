"""How often a vehicle decides: the same in its nodes and in lock-step."""

from __future__ import annotations

from typing import Final

CONTROL_PERIOD_NS: Final = 100_000_000
"""Between two steps of the navigator."""

GATE_PERIOD_NS: Final = 50_000_000
"""Between two outputs of the command gate."""
