"""One exception root for the package, so that a caller can catch what is ours and nothing else."""

from __future__ import annotations


class IlrsError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(IlrsError):
    """A configuration value is missing, unknown, of the wrong type or out of its range."""


class InvalidCloudError(IlrsError):
    """A point cloud cannot be used; ``reason`` is a short stable word for counters.

    Attributes:
        reason: snake_case identifier, for example ``empty`` or ``all_nan``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TransformError(IlrsError):
    """A transform cannot be given."""


class MissingTransformError(TransformError):
    """A frame is unknown or no chain connects the two frames."""


class ExtrapolationError(TransformError):
    """The chain exists, but holds no data at the stamp that was asked for."""


class TerrainError(IlrsError):
    """Terrain data cannot be read or does not cover what was asked."""


class StorageError(TerrainError):
    """The disk does not take a file; what it was to replace is as it was."""


class PlanningError(IlrsError):
    """No plan can be made; the message says why in one sentence."""


class MessageLayoutError(InvalidCloudError):
    """The bytes of a message do not have the layout that its fields claim."""
