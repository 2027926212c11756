"""What an inspection finds: level, what is so, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

GOOD: Final = "ok"
NOTE: Final = "warning"
BAD: Final = "error"
LEVELS: Final = (GOOD, NOTE, BAD)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: short name of what was looked at.
        level: ``ok``, ``warning`` (works, not as well as it could) or ``error`` (does not work).
        what: one sentence with the value found.
        remedy: what to do about it; empty when nothing is wrong.
    """

    check: str
    level: str
    what: str
    remedy: str = ""

    def __post_init__(self) -> None:
        """Whoever finds fault says what to do."""
        if (self.level == GOOD) == bool(self.remedy):
            raise ValueError(f"{self.check}: {self.level} with remedy {self.remedy!r}")


def worst(findings: Iterable[Finding]) -> str:
    """The worst level among findings."""
    return max((f.level for f in findings), key=LEVELS.index, default=GOOD)


def exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    """0 when nothing is wrong, 1 after an error, or a warning where ``strict``."""
    bad = (NOTE, BAD) if strict else (BAD,)
    return int(worst(findings) in bad)


def as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """For machines: the worst level and every finding."""
    listed = list(findings)
    return {"level": worst(listed), "findings": [asdict(finding) for finding in listed]}
