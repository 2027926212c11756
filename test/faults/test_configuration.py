"""Files that people edit, with one thing wrong: they load, or one clear error says why not."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import read_site

CONFIG = share_dir() / "config"
WRONG = st.one_of(
    st.sampled_from(
        [
            None,
            "",
            [],
            {},
            "nan",
            ".inf",
            -1,
            0,
            1e308,
            math.nan,
            math.inf,
            True,
            "../x",
            [[]],
            "?",
        ]
    ),
    st.floats(),
    st.integers(),
    st.text(max_size=8),
)
FILES = {"long_range": "robots", "hopper": "robots", "shackleton": "sites"}


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every key and every entry."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree) if _is_list(tree) else 0)
    found = [here] if here else []
    for key in keys:
        found += places(tree[key], (*here, key))
    return found


def _is_list(tree: Any) -> bool:
    return isinstance(tree, list)


def load(kind: str, path: Path) -> None:
    if kind == "robots":
        load_robot(str(path))
    else:
        read_site(str(path))


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", FILES)
def test_a_file_with_one_thing_wrong_loads_or_says_why_not(
    name: str, count: int, tmp_path: Path
) -> None:
    kind = FILES[name]
    whole = yaml.safe_load((CONFIG / kind / f"{name}.yaml").read_text(encoding="utf-8"))
    ways, file = places(whole), tmp_path / f"{name}.yaml"
    outcomes: set[str] = set()
    said: list[str] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=count < 100,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(ways), WRONG, st.sampled_from(["replace", "remove", "add"]))
    def run(way: tuple[Any, ...], value: Any, what: str) -> None:
        tree = copy.deepcopy(whole)
        parent = tree
        for key in way[:-1]:
            parent = parent[key]
        if what == "replace":
            parent[way[-1]] = value
        elif what == "remove":
            del parent[way[-1]]
        elif isinstance(parent, dict):
            parent[f"{way[-1]}_"] = value
        else:
            parent.append(value)
        file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        try:
            load(kind, file)
            outcomes.add("loaded")
        except IlrsError as error:
            outcomes.add("refused")
            said.append(str(error).strip())

    run()
    assert "refused" in outcomes
    assert [sentence for sentence in said if not sentence or "\n" in sentence] == []
