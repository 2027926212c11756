"""Program ``command_gate``: the gate, alone in its process."""

from __future__ import annotations

import sys

from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.dds_segment import WORDS_BYTES
from ilrs_robots.nodes.runtime import run


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(lambda: [CommandGateNode()], args, segment_bytes=WORDS_BYTES)


if __name__ == "__main__":
    sys.exit(main())
