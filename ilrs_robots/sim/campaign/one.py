"""One run as a program of its own: what fails here takes nothing else with it.

``python -m ilrs_robots.sim.campaign.one SEED CONFIG.json OUT.json PARENT``; ends when the process
PARENT is gone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ilrs_robots.core.config import from_mapping
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.outcome import RunResult


def main(args: list[str]) -> int:
    """Drive one world and write its result; 0 whatever came of the drive."""
    seed, settings, out, parent = int(args[0]), Path(args[1]), Path(args[2]), int(args[3])
    config = from_mapping(CampaignConfig, json.loads(settings.read_text()), settings.name)

    def mind_parent(_time_s: float) -> None:
        if os.getppid() != parent:
            sys.exit("nobody waits for this run any more")

    from ilrs_robots.core import warm
    from ilrs_robots.sim.campaign.drive import drive_world

    try:
        warm.mapping()
        warm.navigation()
        result = drive_world(seed, config, mind_parent)
    except IlrsError as error:
        result = RunResult(seed, word.ERROR, str(error))
    fresh = out.with_suffix(".part")
    fresh.write_text(json.dumps(result.to_json()) + "\n", encoding="utf-8")
    os.replace(fresh, out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
