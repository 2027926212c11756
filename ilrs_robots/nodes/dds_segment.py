"""How much shared memory a process takes for what it sends: the profile's size fits a lidar.

Fast DDS touches the whole segment when the participant is made (measured: 64 MiB resident in a
process that sends a velocity twenty times a second), so each process says what it needs.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ilrs_robots.robots.assembly import PROFILE_KEYS, SHIPPED_PROFILES, dds_profile

WORDS_BYTES: Final = 4 << 20
"""For commands, states and reports."""
MAPS_BYTES: Final = 24 << 20
"""For a vehicle's maps besides: two of the largest that the vehicles publish (11 MB)."""
_SIZE: Final = re.compile(r"(<segment_size>)\s*(\d+)\s*(</segment_size>)")


@contextlib.contextmanager
def segment_of(size_bytes: int | None) -> Iterator[None]:
    """Let participants that are made inside have a segment of this size at most.

    A profile that is not the package's own stays as it is: whoever wrote it knows why. So does
    ours where no file can be written.

    Args:
        size_bytes: of the segment; None for what the profile says.
    """
    named = {key: os.environ[key] for key in PROFILE_KEYS if os.environ.get(key)}
    text = _shipped(next(iter(named.values()), ""))
    found = _SIZE.search(text)
    if size_bytes is None or found is None or int(found[2]) <= size_bytes:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".xml"))
            file.write(_SIZE.sub(rf"\g<1>{size_bytes}\g<3>", text))
            file.flush()
        except OSError:
            yield
            return
        os.environ.update(dict.fromkeys(named, file.name))
        try:
            yield
        finally:
            os.environ.update(named)


def _shipped(profile: str) -> str:
    """The profile's text where it is one that the package ships, otherwise nothing."""
    with contextlib.suppress(OSError):
        text = Path(profile).read_text(encoding="utf-8")
        if any(text == dds_profile(name).read_text("utf-8") for name in SHIPPED_PROFILES):
            return text
    return ""
