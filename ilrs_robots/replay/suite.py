"""Cases of a suite: a bag, how it is read, what is put into it and what must come of it.

A case is a YAML file; its paths are relative to it. A suite is a folder of cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import beside, shown
from ilrs_robots.replay.faults import Fault, parse_fault
from ilrs_robots.replay.flags import Expectation
from ilrs_robots.replay.profile import ReplayProfile, load_profile
from ilrs_robots.replay.reference import Comparison


@dataclass(frozen=True)
class CaseConfig:
    """A case as its file says."""

    bag: str = param(doc="the bag, relative to the case's file")
    profile: str = param("", doc="profile's name or file; empty for our own robots")
    robot: str = param("", doc="which robot of the bag; empty where there is one")
    reference: str = param("", doc="reference file; empty for none")
    faults: tuple[str, ...] = param((), doc="as --fault takes them")
    seed: int = param(0, doc="of the faults", low=0)
    expect: tuple[Expectation, ...] = param((), doc="flags")


@dataclass(frozen=True)
class Case:
    """One replay to be judged.

    Attributes:
        name: for reports.
        bag: its file or folder.
        profile: how it is read.
        reference: what it is compared with, or None.
        faults: put into it.
        seed: of the faults.
        expect: flags that must, or must not, rise.
    """

    name: str
    bag: Path
    profile: ReplayProfile
    reference: Path | None = None
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    expect: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        name: of the case.
        code: 0 within, 1 outside, 2 could not run.
        failures: sentences.
        rows: comparison with the reference.
        metrics: numbers.
        wall_s: how long it took.
    """

    name: str
    code: int
    failures: tuple[str, ...] = ()
    rows: tuple[Comparison, ...] = ()
    metrics: dict[str, float] | None = None
    wall_s: float = 0.0


def load_case(path: Path) -> Case:
    """Read a case.

    Raises:
        ConfigError: with file, key, value and limit.
    """
    found = config.load_yaml(path)
    where = shown(path)
    flags = found.pop("expect", None) or []
    if not isinstance(flags, list):
        raise ConfigError(f"{where}: expect = {flags!r}: expected a list")
    expect = tuple(config.from_mapping(Expectation, item, f"{where}: expect") for item in flags)
    cfg = config.from_mapping(CaseConfig, found, where)
    profile = ReplayProfile()
    if cfg.profile:
        named = cfg.profile.endswith((".yaml", ".yml"))
        profile = load_profile(beside(path, cfg.profile) if named else cfg.profile)
    if cfg.robot:
        profile = replace(profile, robot=cfg.robot)
    try:
        faults = tuple(parse_fault(text) for text in cfg.faults)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    reference = beside(path, cfg.reference) if cfg.reference else None
    bag = beside(path, cfg.bag)
    return Case(path.stem, bag, profile, reference, faults, cfg.seed, expect)


def cases_of(folder: Path) -> list[Path]:
    """The case files of a suite, by name.

    Raises:
        ConfigError: there is none.
    """
    found = sorted(folder.glob("*.yaml"))
    if not found:
        raise ConfigError(f"{folder}: no case (*.yaml) there")
    return found


def flag_failures(
    expect: Sequence[Expectation], flags: dict[str, list[tuple[float, float]]]
) -> list[str]:
    """What was expected of flags and did not come."""
    reasons = (item.failure(flags.get(item.flag, [])) for item in expect)
    return [reason for reason in reasons if reason]


def write_junit(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write JUnit XML, which CI servers show."""
    counts = {
        "tests": len(verdicts),
        "failures": sum(v.code == 1 for v in verdicts),
        "errors": sum(v.code == 2 for v in verdicts),
    }
    root = ET.Element("testsuite", name="ilrs replay", **{k: str(n) for k, n in counts.items()})
    root.set("time", f"{sum(v.wall_s for v in verdicts):.3f}")
    for verdict in verdicts:
        case = ET.SubElement(
            root, "testcase", classname="replay", name=verdict.name, time=f"{verdict.wall_s:.3f}"
        )
        if verdict.code:
            kind = "failure" if verdict.code == 1 else "error"
            found = ET.SubElement(case, kind, message=verdict.failures[0])
            found.text = "\n".join(verdict.failures)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_jsonl(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write one JSON object for each case."""
    with path.open("w", encoding="utf-8") as file:
        for verdict in verdicts:
            row: dict[str, Any] = {
                "name": verdict.name,
                "code": verdict.code,
                "failures": list(verdict.failures),
                "metrics": verdict.metrics or {},
                "wall_s": round(verdict.wall_s, 3),
            }
            file.write(json.dumps(row, sort_keys=True) + "\n")
