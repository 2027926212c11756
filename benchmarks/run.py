"""Runs every benchmark beside its peers and writes results.json and docs/performance.md.

With ``--quick`` they are tried with fewer repetitions, and nothing is written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ilrs_robots.nodes.runtime import keep_freed_memory

HERE = Path(__file__).resolve().parent
MODULES = (
    "cloud_and_map",
    "registration",
    "layers",
    "messages",
    "planning",
    "routes",
    "local_planning",
    "state_filter",
    "environment",
    "terrain",
    "replay",
    "sim_speed",
    "hopper",
    "fleet",
    "dds_latency",
    "recording",
    "small_computer",
)
TABLE = HERE.parent / "docs" / "performance.md"
INTRODUCTION = """# Performance

Written by `./run bench`. Each figure is the median of repeated warm runs; a peer gets the same
arrays, one thread where ours has one, and its documented best settings, in the same run. The
machines are shared and noisy, so ratios say more than single times.
"""


def machine() -> dict[str, Any]:
    """Facts of the machine that the figures depend on."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "date_utc": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def table(results: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [INTRODUCTION, f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}.\n"]
    for result in results:
        rows = result["rows"]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines += [f"## {result['name']}", ""]
        lines.append("| " + " | ".join(c.replace("_", " ") for c in columns) + " |")
        lines.append("|" + "---|" * len(columns))
        lines += ["| " + " | ".join(text(row.get(c)) for c in columns) + " |" for row in rows]
        if result.get("note"):
            lines += ["", result["note"]]
        lines.append("")
    return "\n".join(lines)


def text(value: object) -> str:
    """A table cell."""
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; writes nothing")
    parser.add_argument("modules", nargs="*", default=[], help=f"of {', '.join(MODULES)}")
    arguments = parser.parse_args()
    chosen = arguments.modules or list(MODULES)
    unknown = [name for name in chosen if name not in MODULES]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]}; known: {', '.join(MODULES)}")
    sys.path.insert(0, str(HERE))
    path = HERE / "results.json"
    keep_freed_memory()  # as every program of the package does; peers in this process gain as well
    keeps = path.exists() and not arguments.quick
    held = json.loads(path.read_text())["results"] if keeps else {}
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("benchmarks", total=len(chosen))
        for name in chosen:
            progress.update(task, description=name)
            held[name] = importlib.import_module(name).run(quick=arguments.quick)
            progress.advance(task)
    facts = machine()
    ordered = {name: held[name] for name in MODULES if name in held}
    written = table(list(ordered.values()), facts)
    if not arguments.quick:
        path.write_text(json.dumps({"machine": facts, "results": ordered}, indent=1) + "\n")
        TABLE.write_text(written)
    console.print(written, markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
