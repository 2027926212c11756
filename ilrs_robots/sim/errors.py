"""Errors of the embedded simulator."""

from __future__ import annotations

from ilrs_robots.core.errors import IlrsError


class SimulationError(IlrsError):
    """The physics cannot go on; the message says when, for which vehicle and why."""
