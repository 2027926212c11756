"""The mission's executive: order, conditions, what is done about failures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.robots.mission import (
    Charge,
    GoTo,
    HopAndMeasure,
    Mission,
    SortieAndReturn,
    StartConditions,
    Tour,
    Wait,
    full_name,
)
from ilrs_robots.robots.mission_executive import MissionExecutive
from ilrs_robots.robots.mission_types import (
    Answer,
    MissionConfig,
    Order,
    TaskState,
    VehicleReport,
)

HOMES = {"a": (0.0, 0.0), "b": (5.0, 5.0)}
CHARGERS = {"socket": (9.0, 9.0)}
STEP_S = 5.0


@dataclass
class Field:
    """Vehicles that answer as they are told, after so many seconds; None: never."""

    mission: Mission
    answers: list = field(default_factory=list)
    settings: MissionConfig = field(default_factory=MissionConfig)
    charge: float = 0.8
    charging: float = 0.001
    takes_s: float = 20.0
    singly: frozenset = frozenset()

    def __post_init__(self) -> None:
        self.executive = self.fresh()
        self.now_s, self.orders, self.events = 0.0, [], []
        self.heard = set(self.mission.vehicles)
        self.under_way: dict[str, tuple[float, Order]] = {}

    def fresh(self) -> MissionExecutive:
        return MissionExecutive(self.mission, HOMES, CHARGERS, self.singly, self.settings)

    def reports(self) -> dict[str, VehicleReport]:
        self.last = getattr(self, "last", {})
        for v in self.heard:
            self.last[v] = VehicleReport(self.now_s, HOMES[v], self.charge)
        return dict(self.last)

    def tick(self) -> None:
        self.now_s += STEP_S
        self.charge = min(1.0, self.charge + self.charging * STEP_S)
        for order in self.executive.update(self.now_s, self.reports()):
            if order.places:
                self.orders.append(order)
                self.under_way[order.vehicle] = (self.now_s + self.takes_s, order)
            else:
                self.under_way.pop(order.vehicle, None)
        for vehicle, (due_s, order) in list(self.under_way.items()):
            if vehicle not in self.heard or self.now_s < due_s:
                continue
            del self.under_way[vehicle]
            told = self.answers.pop(0) if self.answers else "ok"
            if told == "silent":
                continue
            answer = Answer(order.id, told == "ok", told == "taken", "" if told == "ok" else told)
            self.executive.answered(self.now_s, answer)
        self.events += self.executive.take_events()

    def run(self, until_s: float = 5000.0) -> dict[str, str]:
        while not self.executive.over and self.now_s < until_s:
            self.tick()
        return {f"{r.vehicle}.{r.task}": r.state.value for r in self.executive.rows()}

    def said(self) -> str:
        return "\n".join(f"{e.vehicle}.{e.task}: {e.sentence}" for e in self.events)


def mission(**vehicles) -> Mission:
    return Mission("m", "site", {v: tuple(tasks) for v, tasks in vehicles.items()})


GO = GoTo(name="go", to=(3.0, 0.0))
SORTIE = SortieAndReturn(name="out", to=((10.0, 0.0), (20.0, 0.0)), stay_s=50.0, tries=1)


def test_tasks_run_in_order_and_wait_for_their_conditions() -> None:
    field = Field(
        mission(
            a=[Tour(name="tour", to=((1.0, 0.0), (2.0, 0.0)))],
            b=[
                Wait(name="rest", for_s=30.0, start=StartConditions(at_s=100.0)),
                replace(GO, start=StartConditions(after=("a.tour", "rest"))),
                Charge(name="eat", charger="socket", until=0.95),
            ],
        )
    )
    assert set(field.run().values()) == {"done"}
    assert [order.places for order in field.orders] == [
        ((1.0, 0.0), (2.0, 0.0)), ((3.0, 0.0),), ((9.0, 9.0),),
    ]  # fmt: skip
    began = {r.task: r.began_s for r in field.executive.rows()}
    assert began["rest"] == 100.0
    assert began["go"] >= 130.0
    assert field.charge >= 0.95
    assert field.executive.succeeded


def test_a_vehicle_that_takes_one_place_at_a_time_gets_them_one_by_one() -> None:
    tasks = [Tour(name="tour", to=((1.0, 0.0), (2.0, 0.0))),
             HopAndMeasure(name="hop", to=(4.0, 0.0), yaw_deg=90.0, measure_s=60.0)]  # fmt: skip
    field = Field(mission(a=tasks), singly=frozenset({"a"}))
    assert set(field.run().values()) == {"done"}
    assert [len(order.places) for order in field.orders] == [1, 1, 1]
    assert field.orders[-1].yaw_rad == pytest.approx(0.5 * math.pi)
    hop = field.executive.rows()[-1]
    assert hop.ended_s - hop.began_s >= 60.0


def test_a_step_is_tried_again_and_then_the_rest_is_dropped_as_the_task_says() -> None:
    tasks = [GO, replace(GO, name="more")]
    field = Field(mission(a=tasks, b=[Wait(name="w", for_s=1.0,
                                          start=StartConditions(after=("a.more",)))]),
                  answers=["no way", "no way either"])  # fmt: skip
    assert field.run() == {"a.go": "failed", "a.more": "dropped", "b.w": "dropped"}
    assert len({order.id for order in field.orders}) == len(field.orders) == 2
    assert "no way: try 2 of 2 in 30 s" in field.said()
    assert "no way either: 1 further tasks are dropped" in field.said()
    assert "it waits for a.more, which dropped" in field.said()

    tasks[0] = replace(GO, on_failure="skip")
    field = Field(mission(a=tasks), answers=["no way", "no way either"])
    assert field.run() == {"a.go": "failed", "a.more": "done"}


def test_a_task_may_follow_one_that_failed_where_it_says_so() -> None:
    waits = StartConditions(after=("a.go",), even_if_failed=True)
    field = Field(mission(a=[GO], b=[replace(GO, start=waits)]), answers=["no", "no"])
    assert field.run() == {"a.go": "failed", "b.go": "done"}


def test_a_crew_is_brought_home_whatever_fails_on_the_way_out() -> None:
    field = Field(mission(a=[SORTIE, GO]), answers=["a crater", "ok"])
    assert field.run() == {"a.out": "failed", "a.go": "dropped"}
    assert [order.places for order in field.orders] == [((10.0, 0.0), (20.0, 0.0)), (HOMES["a"],)]
    assert "a crater: the crew is brought home" in field.said()
    assert "a crater; the crew is home" in field.said()


def test_too_long_a_sortie_is_cut_short_by_the_way_home() -> None:
    field = Field(mission(a=[replace(SORTIE, timeout_s=100.0)]), takes_s=90.0)
    assert field.run() == {"a.out": "failed"}
    assert field.orders[-1].places == (HOMES["a"],)
    assert "not done within 100 s" in field.said()


def test_somebody_who_takes_over_is_not_fought() -> None:
    field = Field(mission(a=[replace(SORTIE, tries=3), GO]), answers=["taken"])
    assert field.run() == {"a.out": "failed", "a.go": "dropped"}
    assert len(field.orders) == 1
    assert "somebody else took over" in field.said()


def test_an_order_that_is_lost_is_sent_again_but_not_for_ever() -> None:
    field = Field(mission(a=[replace(GO, tries=1)]), answers=["silent", "silent"])
    assert field.run() == {"a.go": "done"}
    assert len({order.id for order in field.orders}) == 1
    assert len(field.orders) == 3
    field = Field(mission(a=[replace(GO, tries=1)]), answers=["silent"] * 99)
    assert field.run() == {"a.go": "failed"}
    assert len(field.orders) == 1 + MissionConfig().resends


def test_an_order_that_lives_is_not_sent_again() -> None:
    field = Field(mission(a=[GO]), takes_s=500.0)
    while not field.executive.over:
        field.tick()
        for order in field.orders:
            field.executive.alive(order.id)
    assert len(field.orders) == 1


def test_a_vehicle_that_dies_is_given_up_and_the_others_go_on() -> None:
    field = Field(mission(a=[GO, replace(GO, name="more")], b=[Wait(name="w", for_s=400.0)]))
    field.tick()
    field.heard.discard("a")
    assert field.run() == {"a.go": "failed", "a.more": "dropped", "b.w": "done"}
    assert "nothing was heard of a for 180 s" in field.said()


def test_conditions_that_never_hold_fail_after_their_time() -> None:
    full = StartConditions(charge=0.99, within_s=60.0)
    field = Field(mission(a=[replace(GO, start=full)]), charging=0.0)
    assert field.run() == {"a.go": "failed"}
    assert "not started within 60 s: it waits for a charge of 99 %" in field.said()


def test_missed_places_are_told_and_the_task_goes_on() -> None:
    field = Field(mission(a=[Tour(name="tour", to=((1.0, 0.0), (2.0, 0.0)))]))
    field.tick()
    field.executive.answered(9.0, Answer(field.orders[0].id, True, False, "a rock", (2,)))
    assert field.executive.rows()[0].sentence == "done (missed place 2: a rock)"


ANSWERS = st.lists(st.sampled_from(["ok", "ok", "no way", "silent", "taken"]), max_size=30)


@st.composite
def missions(draw: st.DrawFn) -> Mission:
    """Two vehicles with up to four tasks each; b may wait for a, never the other way round."""

    def tasks(vehicle: str, others: list[str]) -> list:
        made = []
        for n in range(draw(st.integers(1, 4))):
            after = tuple(draw(st.sets(st.sampled_from(others), max_size=2))) if others else ()
            start = StartConditions(
                at_s=draw(st.sampled_from([0.0, 40.0])), after=after,
                even_if_failed=draw(st.booleans()), charge=draw(st.sampled_from([0.0, 0.85])),
            )  # fmt: skip
            more = {"name": f"t{n}", "start": start, "tries": draw(st.integers(1, 3)),
                    "on_failure": draw(st.sampled_from(["stop", "skip"]))}  # fmt: skip
            made.append(draw(st.sampled_from([
                GoTo(to=(1.0, 1.0), **more), Wait(for_s=20.0, **more),
                SortieAndReturn(to=((1.0, 1.0),), stay_s=10.0, **more),
                Charge(charger="socket", until=0.9, **more),
            ])))  # fmt: skip
        return made

    a = tasks("a", [])
    return mission(a=a, b=tasks("b", [full_name("a", t.name) for t in a]))


@settings(max_examples=25, deadline=None)
@given(missions(), ANSWERS, st.integers(0, 60))
def test_every_mission_ends_in_order_whatever_the_vehicles_answer(
    made: Mission, answers: list[str], restart_at: int
) -> None:
    """And is the same for the same answers."""
    first, again = (Field(made, list(answers)) for _ in range(2))
    states = first.run(50_000.0)
    assert first.executive.over
    assert again.run(50_000.0) == states
    assert again.said() == first.said()
    assert [o.id for o in again.orders] == [o.id for o in first.orders]
    rows = {f"{r.vehicle}.{r.task}": r for r in first.executive.rows()}
    for vehicle, task in made:
        row = rows[full_name(vehicle, task.name)]
        assert (row.state is TaskState.DROPPED) == math.isnan(row.began_s) or row.state.ended
        if math.isnan(row.began_s):
            continue
        assert row.began_s >= task.start.at_s
        for name in made.waits_for(vehicle, task):
            assert rows[name].ended_s <= row.began_s
        for name in (full_name(vehicle, n) for n in task.start.after):
            assert rows[name].state is TaskState.DONE or task.start.even_if_failed
    brought_home(made, first)
    survives_a_restart(made, answers, restart_at)


def brought_home(made: Mission, field: Field) -> None:
    """A crew that was sent out was sent home, unless somebody else took over."""
    for vehicle, task in made:
        if not isinstance(task, SortieAndReturn):
            continue
        own = [o for o in field.orders if o.id.startswith(f"{full_name(vehicle, task.name)}/")]
        said = [e.sentence for e in field.events if (e.vehicle, e.task) == (vehicle, task.name)]
        if own and not any("took over" in sentence for sentence in said):
            assert own[-1].places == (HOMES[vehicle],)


def survives_a_restart(made: Mission, answers: list[str], restart_at: int) -> None:
    """An executive that is made anew goes on, and ends nothing twice."""
    field = Field(made, list(answers))
    for _ in range(restart_at):
        field.tick()
    before = {f"{r.vehicle}.{r.task}": r.state for r in field.executive.rows()}
    kept = json.loads(json.dumps(field.executive.state()))
    field.executive = field.fresh()
    assert field.executive.restore(kept)
    ended = {name for name, state in before.items() if state.ended}
    states = field.run(50_000.0)
    assert field.executive.over
    assert all(states[name] == before[name].value for name in ended)


def test_another_missions_books_are_not_taken() -> None:
    kept = Field(mission(a=[GO])).executive.state()
    other = Field(mission(b=[GO])).executive
    assert not other.restore(kept)
    assert not other.restore({**kept, "mission": "n"})
