"""Entrapment: when slip and sinkage say so, and what a trapped vehicle then does."""

from __future__ import annotations

import math

import pytest

from ilrs_robots.core.control.entrapment import (
    EntrapmentConfig,
    MotionEvidence,
    SlipWindow,
    trapped,
)
from ilrs_robots.core.control.extrication import Answer, Extrication
from ilrs_robots.core.control.progress import DrivenTrack
from ilrs_robots.core.control.tracker import TrackerConfig

S = 1_000_000_000
CONFIG = EntrapmentConfig()


def spans(
    window: SlipWindow | Extrication, slip: float, way_m: float, *, sunk_per_m: float = 0.0,
    sign: float = 1.0, from_s: float = 0.0, step_m: float = 0.1, moved: float | None = None,
) -> None:  # fmt: skip
    take = window.add if isinstance(window, SlipWindow) else window.on_motion
    for k in range(round(way_m / step_m)):
        at_ns = round((from_s + 0.2 * k) * S)
        gone = sign * step_m * (1.0 - slip) if moved is None else moved
        take(MotionEvidence(at_ns, at_ns + S // 5, sign * step_m, gone, sunk_per_m * step_m))


@pytest.mark.parametrize(
    ("slip", "way_m", "sunk_per_m", "said"),
    [
        (0.95, 2.0, 0.0, "lost 95 %"),
        (0.95, 2.0, 0.1, "lost 95 % of the last 0.8 m and it sank by 8 cm"),
        (0.6, 2.0, 0.12, "sank by 10 cm while the wheels lost 60 %"),
        (0.6, 2.0, 0.0, ""),  # a steep slope of firm ground
        (0.3, 2.0, 0.12, ""),  # driving down into a hollow
        (1.0, 0.5, 0.2, ""),  # a start on loose ground
        (-0.2, 5.0, 0.0, ""),
    ],
)
def test_slip_and_sinkage_over_the_wheels_way_tell(
    slip: float, way_m: float, sunk_per_m: float, said: str
) -> None:
    window = SlipWindow(CONFIG.way_m)
    spans(window, slip, way_m, sunk_per_m=sunk_per_m)
    found = trapped(window, CONFIG)
    assert (said in found) if said else (found == "")


def test_what_went_before_is_forgotten_after_the_way_of_the_window() -> None:
    window = SlipWindow(CONFIG.way_m)
    spans(window, 0.0, 10.0)
    spans(window, 1.0, CONFIG.way_m, from_s=100.0)
    assert window.slip == pytest.approx(1.0)
    assert trapped(window, CONFIG)


def test_nothing_unknown_late_or_turned_round_counts() -> None:
    window = SlipWindow(CONFIG.way_m)
    spans(window, 0.0, 2.0, moved=math.nan)
    assert (window.wheel_m, window.slip) == (0.0, 0.0)
    spans(window, 1.0, 0.7)
    spans(window, 1.0, 0.7)  # the same stamps again
    assert window.wheel_m == pytest.approx(0.7)
    spans(window, 0.0, 0.2, sign=-1.0, from_s=50.0)
    assert window.wheel_m == pytest.approx(0.2)
    assert window.slip == pytest.approx(0.0)
    window.restart()
    spans(window, 1.0, 0.3)
    assert window.wheel_m == pytest.approx(0.3), "a simulation was reset"


class Trap:
    """A vehicle whose reckoned pose goes on while it really stays."""

    def __init__(self, slip_back: float | None, settings: EntrapmentConfig = CONFIG) -> None:
        self.out = Extrication(settings, TrackerConfig())
        self.track, self.x, self.now_ns = DrivenTrack(), 0.0, 0
        self.slip_back, self.fastest, self.answers = slip_back, 0.0, list[Answer]()
        self.lets_m, self.stutters = math.inf, False
        for k in range(60):
            self.track.add(0.1 * k, 0.0)
            self.x = 0.1 * k
        spans(self.out, 1.0, 1.0)
        self.now_ns = 10 * S

    def run(self, seconds: float = 200.0) -> Answer | None:
        for tick in range(round(5 * seconds)):
            refuses = self.x <= 5.9 - self.lets_m
            self.out.on_gate(refuses_ground=refuses and not (self.stutters and tick % 3 == 0))
            answer = self.out.step(self.now_ns, (self.x, 0.0, 0.0, 0.0), self.track)
            if answer is None:
                return None
            self.answers.append(answer)
            if answer.free or answer.lost:
                return answer
            self.fastest = max(self.fastest, abs(answer.v))
            way = 0.0 if refuses else answer.v * 0.2
            self.x += way
            gone = math.nan if self.slip_back is None else way * (1.0 - self.slip_back)
            self.now_ns += S // 5
            self.out.on_motion(MotionEvidence(self.now_ns - S // 5, self.now_ns, way, gone))
        return answer


def test_it_stops_first_and_backs_out_slowly_until_it_has_really_moved() -> None:
    trap = Trap(0.4)
    end = trap.run()
    assert trap.answers[0].begun
    assert trap.answers[0].v == 0.0
    resting = [a for a in trap.answers if a.v == 0.0]
    assert len(resting) >= 5 * CONFIG.rest_s
    assert 0.0 < trap.fastest <= CONFIG.back_mps + 1e-9
    assert all(a.v <= 0.0 for a in trap.answers), "it never digs on"
    assert end is not None
    assert end.free
    rolled = 5.9 - trap.x
    assert rolled * 0.6 == pytest.approx(CONFIG.back_m, abs=0.05)
    assert end.bad_xy_m is not None
    assert end.bad_xy_m[0] > trap.x + CONFIG.back_m, "what held it lies ahead"
    assert trap.out.step(trap.now_ns, (trap.x, 0.0, 0.0, 0.0), trap.track) is None


@pytest.mark.parametrize("slip_back", [1.0, None])
def test_it_asks_for_help_after_a_few_tries_that_dig_little(slip_back: float | None) -> None:
    trap = Trap(slip_back)
    end = trap.run()
    assert end is not None
    assert end.lost
    assert end.reason.endswith("3 tries to back out; help is needed")
    assert "lost 100 %" in end.reason
    per_try = CONFIG.way_m + 0.2 if slip_back == 1.0 else 3.0 * CONFIG.back_m + 0.1
    assert 5.9 - trap.x <= CONFIG.tries * per_try


@pytest.mark.parametrize("stutters", [False, True])
@pytest.mark.parametrize("lets_m", [0.0, 0.1, 0.7])
def test_a_gate_that_closes_the_way_back_is_not_waited_for(lets_m: float, stutters: bool) -> None:
    """It stood before ground that the gate had closed behind it until its time was up."""
    trap = Trap(0.0)
    trap.lets_m, trap.stutters = lets_m, stutters
    end = trap.run()
    assert end is not None
    assert trap.now_ns < (10 + 45) * S
    assert end.free == (lets_m > 0.3)
    if end.lost:
        assert end.reason.count("the gate does not let it back out") == 1
        assert end.reason.endswith("3 tries to back out; help is needed")


def test_without_a_driven_track_it_does_not_move_at_all() -> None:
    trap = Trap(0.0)
    trap.track.clear()
    end = trap.run()
    assert end is not None
    assert end.lost
    assert "no driven track" in end.reason
    assert trap.fastest == 0.0


def test_a_vehicle_that_is_trapped_again_and_again_gives_up() -> None:
    trap = Trap(0.0)
    for number in range(CONFIG.times + 1):
        spans(trap.out, 1.0, 1.0, from_s=trap.now_ns / S)
        trap.now_ns += 10 * S
        end = trap.run()
        assert end is not None
        assert end.free == (number < CONFIG.times)
        trap.x = 5.9
    assert end.lost
    trap.out.reset()
    assert trap.out.count == 0
