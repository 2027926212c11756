"""Mission files: what is read, and what is refused with file, line, value and limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots.mission import Charge, HopAndMeasure, SortieAndReturn, Tour
from ilrs_robots.robots.mission_assembly import mission_robots
from ilrs_robots.robots.mission_checks import load_mission
from ilrs_robots.robots.mission_file import read_mission
from ilrs_robots.robots.site import load_prior

SHIPPED = sorted(path.stem for path in (share_dir() / "config" / "missions").glob("*.yaml"))
HEAD = "name: m\nsite: shackleton\nvehicles:\n"


@pytest.fixture(scope="module")
def place():
    return load_prior("shackleton")


@pytest.fixture
def refused(tmp_path: Path, place) -> Callable[[str], str]:
    """The sentence with which a mission is refused; its file's first three lines stand above."""

    def say(vehicles: str, head: str = HEAD) -> str:
        path = tmp_path / "m.yaml"
        path.write_text(head + vehicles)
        with pytest.raises(ConfigError) as caught:
            load_mission(str(path), *place)
        return str(caught.value).replace(str(tmp_path) + "/", "")

    return say


@pytest.mark.parametrize("name", SHIPPED)
def test_the_missions_that_are_shipped_can_be_done_at_their_sites(name: str, place) -> None:
    at = read_mission(name).mission.site
    site, prior = place if at == place[0].name else load_prior(at)
    mission = load_mission(name, site, prior)
    assert len(list(mission)) >= 2
    assert all(task.name for _, task in mission)


def test_a_mission_holds_what_its_file_says() -> None:
    mission = read_mission("three_vehicles").mission
    around, supper = mission.vehicles["long_range"]
    assert isinstance(around, Tour)
    assert around.to == ((20.0, 0.0), (34.0, 10.0), (20.0, 16.0))
    assert isinstance(supper, Charge)
    assert (supper.charger, supper.until) == ("charger_1", 0.92)
    sortie = mission.vehicles["crewed_rover"][0]
    assert isinstance(sortie, SortieAndReturn)
    assert sortie.start.charge == 0.4
    hop = mission.vehicles["hopper"][0]
    assert isinstance(hop, HopAndMeasure)
    assert mission.waits_for("hopper", hop) == ("long_range.around",)
    assert mission.waits_for("long_range", supper) == ("long_range.around",)


GO = "{task: go_to, to: [5.0, 0.0]"


@pytest.mark.parametrize(
    ("vehicles", "line", "words"),
    [
        (f"  submarine:\n    - {GO}}}\n", 4, "no robot 'submarine'; it has long_range"),
        (f"  long_range:\n    - {GO}, spede: 1}}\n", 5, "unknown key 'spede'; known keys are"),
        ("  long_range:\n    - task: go_to\n      to: [5.0]\n", 6, "expected 2 values, got 1"),
        ("  long_range:\n    - {task: go_to}\n", 5, "key 'to' is missing"),
        ("  long_range:\n    - {task: fly}\n", 5, "'fly': must be one of go_to, tour"),
        ("  long_range:\n    - {to: [1.0, 2.0]}\n", 5, "None: must be one of"),
        (f"  long_range:\n    - {GO}}}\n    - {GO},\n       tries: 0}}\n", 7,
         "tries = 0: below the limit 1"),
        ("  long_range:\n    - task: wait\n      for_s: -1.0\n", 6,
         "for_s = -1.0 s: below the limit 0.0 s"),
        ("  long_range:\n    - task: go_to\n\n      to: [.nan, 0.0]\n", 7, "is NaN (m)"),
        (f"  long_range:\n    - {GO}, start: {{charge: 1.5}}}}\n", 5,
         "start.charge = 1.5: above the limit 1.0"),
        (f"  long_range:\n    - {GO}, name: a.b}}\n", 5, "letters, digits and _ only"),
        (f"  long_range:\n    - {GO}, name: a}}\n    - {GO}, name: a}}\n", 6,
         "a task of 'long_range' in line 5 has this name"),
        ("  long_range:\n    - {task: go_to, to: [5000.0, 0.0]}\n", 5,
         "[5000, 0] m lies outside the terrain, which spans x -637.5 to 637.5 m"),
        ("  long_range:\n    - {task: tour, to: [[5.0, 0.0], [-25.0, 24.0]]}\n", 5,
         "lies 1.0 m from the middle of 'habitat': the limit is"),
        ("  long_range:\n    - {task: tour, to: []}\n", 5, "at least 1 place is needed"),
        ("  long_range:\n    - {task: hop_and_measure, to: [5.0, 0.0]}\n", 5, "does not hop"),
        ("  long_range:\n    - {task: sortie_and_return, to: [[5.0, 0.0]]}\n", 5, "has no seats"),
        ("  long_range:\n    - task: charge\n      charger: socket\n", 6,
         "'socket': site 'shackleton' has no such charger; it has charger_1, charger_2"),
        ("  long_range:\n    - task: go_to\n      to: [500.0, 0.0]\n      timeout_s: 60.0\n", 7,
         "60 s: the task takes at least"),
        ("  crewed_rover:\n    - task: sortie_and_return\n      to: [[9.0, 8.0]]\n"
         "      stay_s: 900.0\n      timeout_s: 600.0\n", 8,
         "600 s: the task takes at least 906 s"),
        (f"  long_range:\n    - {GO}, start: {{after: [lunch]}}}}\n", 5,
         "'lunch': there is no such task; there are long_range.go_to_1"),
        (f"  long_range:\n    - {GO}, name: a, start: {{after: [a]}}}}\n", 5,
         "wait for one another and none can start: long_range.a waits for long_range.a"),
        (f"  long_range:\n    - {GO}, name: a}}\n    - {GO}, name: b}}\n  crewed_rover:\n"
         f"    - {GO}, name: c, start: {{after: [long_range.b]}}}}\n", 0, ""),
        (f"  long_range:\n    - {GO}, name: a, start: {{after: [crewed_rover.c]}}}}\n"
         f"    - {GO}, name: b}}\n  crewed_rover:\n"
         f"    - {GO}, name: c, start: {{after: [long_range.b]}}}}\n", 5,
         "long_range.a waits for crewed_rover.c waits for long_range.b waits for long_range.a"),
        ("  long_range: []\n", 4, "a list of at least 1 task is needed"),
        ("  long_range:\n    - 7\n", 5, "7: keys and values are needed"),
        (f"  long_range:\n    - &x {GO}}}\n    - *x\n", 6, "no aliases in this file"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_line(
    vehicles: str, line: int, words: str, refused: Callable[[str], str], tmp_path: Path, place
) -> None:
    if not line:
        path = tmp_path / "m.yaml"
        path.write_text(HEAD + vehicles)
        load_mission(str(path), *place)
        return
    sentence = refused(vehicles)
    assert sentence.startswith(f"m.yaml:{line}: "), sentence
    assert words in sentence


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("name: m\nsite: shackleton\nspeed: 3\nvehicles:\n", "m.yaml:3: unknown key 'speed'"),
        ("name: 3\nsite: shackleton\nvehicles:\n", "m.yaml:1: name: 3: a text is needed"),
        ("name: m\nvehicles:\n", "site: '': a text is needed"),
        ("name: m\nname: n\nsite: x\nvehicles:\n", "stands twice, in lines 1 and 2"),
        ("name: m\nsite: [\nvehicles:\n", "not valid YAML"),
        ("name: !!python/object:os.system x\nsite: s\nvehicles:\n", "not valid YAML"),
    ],
)
def test_a_wrong_head_is_refused(head: str, words: str, refused: Callable[..., str]) -> None:
    assert words in refused(f"  long_range:\n    - {GO}}}\n", head)


def test_a_part_of_a_mission_must_not_wait_for_the_rest(place) -> None:
    mission = read_mission("three_vehicles").mission
    assert mission_robots(mission, place[0], ()) == ("long_range", "crewed_rover", "hopper")
    assert mission_robots(mission, place[0], ("long_range",)) == ("long_range",)
    with pytest.raises(ConfigError, match=r"waits for long_range\.around, which is left out"):
        mission_robots(mission, place[0], ("hopper", "crewed_rover"))
    with pytest.raises(ConfigError, match="submarine"):
        mission_robots(mission, place[0], ("submarine",))
    tour = read_mission("long_range_tour").mission
    with pytest.raises(ConfigError, match="has tasks for long_range, not for hopper"):
        mission_robots(tour, place[0], ("hopper",))
