"""Behaviour of CommandGate."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ilrs_robots.core.control.gate import CommandGate, GateConfig, GateDecision
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import VelocityCommand

S = 1_000_000_000
CONFIG = GateConfig()


def opened(now_ns: int = 10 * S, config: GateConfig = CONFIG) -> CommandGate:
    gate = CommandGate(config)
    gate.on_pose(now_ns)
    gate.on_map(now_ns)
    gate.output(now_ns)
    return gate


def drive(
    gate: CommandGate, start_ns: int, seconds: float, v: float, w: float = 0.0
) -> tuple[GateDecision, int]:
    now = start_ns
    decision = gate.output(now)
    for _ in range(round(seconds / 0.05)):
        now += S // 20
        gate.on_pose(now)
        gate.on_map(now)
        gate.on_command("nav", VelocityCommand(now, v, w))
        decision = gate.output(now)
    return decision, now


def test_nothing_passes_before_everything_has_come() -> None:
    gate = CommandGate(CONFIG)
    assert gate.output(0) == GateDecision(0.0, 0.0, "no command yet")
    gate.on_command("nav", VelocityCommand(0, 0.5, 0.0))
    assert gate.output(0).reason == "no pose yet"
    gate.on_pose(0)
    assert gate.output(0).reason == "no map yet"
    gate.on_map(0)
    decision = gate.output(S // 10)
    assert (decision.reason, decision.source) == ("", "nav")
    assert decision.linear_mps == pytest.approx(0.03)


def test_command_is_reached_and_held() -> None:
    decision, _ = drive(opened(), 10 * S, 5.0, 0.5, 0.1)
    assert decision == GateDecision(pytest.approx(0.5), pytest.approx(0.1), "", "nav")


@pytest.mark.parametrize(("what", "limit_s"), [("map", 1.5), ("pose", 0.5), ("nav command", 0.3)])
def test_stale_input_stops_with_value_and_limit(what: str, limit_s: float) -> None:
    gate = opened()
    now = 20 * S
    stamps = {"map": now, "pose": now, "nav command": now}
    stamps[what] = now - round((limit_s + 0.8) * S)
    gate.on_map(stamps["map"])
    gate.on_pose(stamps["pose"])
    gate.on_command("nav", VelocityCommand(stamps["nav command"], 0.5, 0.0))
    decision = gate.output(now)
    assert decision.reason == f"{what} is {limit_s + 0.8:.1f} s old, limit {limit_s} s"
    assert (decision.linear_mps, decision.source) == (0.0, "")


def test_age_just_over_the_limit_is_told_apart_from_it() -> None:
    gate = opened()
    gate.on_command("nav", VelocityCommand(11 * S, 0.5, 0.0))
    gate.on_pose(11 * S)
    gate.on_map(11 * S - round(1.52 * S))
    assert gate.output(11 * S).reason == "map is 1.52 s old, limit 1.50 s"


def test_stop_ramps_at_the_safe_deceleration() -> None:
    gate = opened()
    decision, now = drive(gate, 10 * S, 5.0, 0.7)
    speeds = [decision.linear_mps]
    for _ in range(60):
        now += S // 20
        speeds.append(gate.output(now).linear_mps)
    drops = [a - b for a, b in pairwise(speeds)]
    assert max(drops) <= CONFIG.max_decel_mps2 * 0.05 + 1e-12
    assert speeds[-1] == 0.0
    stopped = next(i for i, v in enumerate(speeds) if v == 0.0) * 0.05
    assert stopped <= CONFIG.max_nav_age_s + 0.7 / CONFIG.max_decel_mps2 + 0.1


def test_teleop_wins_while_fresh() -> None:
    gate = opened()
    _, now = drive(gate, 10 * S, 3.0, 0.5)
    gate.on_command("teleop", VelocityCommand(now, 0.0, 0.2))
    assert gate.output(now + S // 20).source == "teleop"
    _, now = drive(gate, now + S // 20, 0.3, 0.5)
    assert gate.output(now).source == "teleop"
    _, now = drive(gate, now, 0.3, 0.5)
    assert gate.output(now).source == "nav"


def test_estop_is_latched_above_every_source() -> None:
    gate = opened()
    _, now = drive(gate, 10 * S, 3.0, 0.5)
    gate.set_estop(True)
    decision, now = drive(gate, now, 1.0, 0.5)
    gate.on_command("teleop", VelocityCommand(now, 0.3, 0.0))
    assert gate.output(now) == GateDecision(0.0, 0.0, "emergency stop is set")
    gate.set_estop(False)
    assert gate.output(now).reason == "no command yet"
    decision, _ = drive(gate, now, 3.0, 0.5)
    assert decision.linear_mps == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_command_that_is_not_finite_is_refused_and_counted(bad: float) -> None:
    gate = opened()
    gate.on_command("nav", VelocityCommand(10 * S, 0.5, 0.0))
    gate.on_command("nav", VelocityCommand(10 * S, 0.5, bad))
    decision = gate.output(10 * S + S // 50)
    assert (decision.linear_mps, decision.angular_rps) == (0.0, 0.0)
    assert "not finite" in decision.reason
    assert gate.refused["nav_not_finite"] == 1
    gate.on_command("nav", VelocityCommand(10 * S, 0.5, 0.0))
    assert gate.output(10 * S + S // 25).reason == ""


def test_stamps_from_the_future_stop() -> None:
    gate = opened()
    gate.on_command("nav", VelocityCommand(13 * S, 0.5, 0.0))
    assert gate.output(10 * S).reason == "nav command is 3.0 s in the future, limit 0.1 s"
    gate.on_command("nav", VelocityCommand(10 * S, 0.5, 0.0))
    gate.on_map(12 * S)
    assert gate.output(10 * S).reason == "map is 2.0 s in the future, limit 0.1 s"


def test_time_going_back_clears_everything_but_the_estop() -> None:
    gate = opened()
    _, now = drive(gate, 10 * S, 3.0, 0.5)
    decision = gate.output(S)
    assert (decision.linear_mps, decision.angular_rps) == (0.0, 0.0)
    assert decision.reason == f"time went back by {(now - S) / S:.1f} s"
    assert gate.output(S + 1).reason == "no command yet"
    decision, _ = drive(gate, 2 * S, 3.0, 0.5)
    assert decision.linear_mps == pytest.approx(0.5)
    gate.set_estop(True)
    gate.output(0)
    assert gate.estop


def test_a_clock_slewed_back_by_little_only_stands_still() -> None:
    gate = opened()
    decision, now = drive(gate, 10 * S, 3.0, 0.5)
    for step_ms in (-20, -10, 0, 40):
        again = gate.output(now + step_ms * S // 1000)
        assert (again.reason, again.source) == ("", "nav")
        assert again.linear_mps == pytest.approx(decision.linear_mps)
    assert not gate.refused


def test_a_clock_that_stands_stops_at_once_and_what_was_held_stays() -> None:
    gate = opened()
    _, now = drive(gate, 10 * S, 3.0, 0.5)
    assert gate.stand("the clock stands") == GateDecision(0.0, 0.0, "the clock stands")
    decision = gate.output(now + S // 20)
    assert (decision.source, decision.linear_mps) == ("nav", pytest.approx(0.015))


def test_a_stamp_of_another_clock_is_said_in_one_sentence_that_names_use_sim_time() -> None:
    wall = 1_790_000_000 * S
    gate = opened(wall)
    gate.on_command("nav", VelocityCommand(12 * S, 0.5, 0.0))
    assert gate.output(wall).reason == (
        "nav command is stamped 12.0 s, this node's clock says 1790000000.0 s: the stamps are "
        "simulated, so set use_sim_time of this node to true"
    )
    gate = opened(12 * S)
    gate.on_command("nav", VelocityCommand(wall, 0.5, 0.0))
    reason = gate.output(12 * S).reason
    assert reason.endswith("not simulated, so set use_sim_time of this node to false")
    gate = opened(wall)
    gate.on_command("nav", VelocityCommand(wall - 90_000 * S, 0.5, 0.0))
    assert "where a recording is played" in gate.output(wall).reason


def test_limits_keep_the_arc() -> None:
    decision, _ = drive(opened(), 10 * S, 8.0, 1.4, 0.2)
    assert decision.linear_mps == pytest.approx(0.7)
    assert decision.angular_rps == pytest.approx(0.1)
    decision, _ = drive(opened(), 10 * S, 8.0, -1.6, 0.2)
    assert (decision.linear_mps, decision.angular_rps) == (
        pytest.approx(-0.4),
        pytest.approx(0.05),
    )


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 2 * S)),
        min_size=1,
        max_size=30,
    )
)
def test_output_never_exceeds_speed_or_acceleration(
    commands: list[tuple[float, float, int]],
) -> None:
    gate = opened(0)
    now, v, w = 0, 0.0, 0.0
    for linear, angular, step in commands:
        now += step
        gate.on_pose(now)
        gate.on_map(now)
        gate.on_command("nav", VelocityCommand(now, linear, angular))
        out = gate.output(now)
        dt = min(step / S, CONFIG.max_step_s)
        assert -CONFIG.max_reverse_mps <= out.linear_mps <= CONFIG.max_speed_mps
        assert abs(out.angular_rps) <= CONFIG.max_yaw_rate_rps
        assert abs(out.linear_mps - v) <= CONFIG.max_decel_mps2 * dt + 1e-9
        assert abs(out.linear_mps) - abs(v) <= CONFIG.max_accel_mps2 * dt + 1e-9
        assert abs(out.angular_rps) - abs(w) <= CONFIG.max_yaw_accel_rps2 * dt + 1e-9
        v, w = out.linear_mps, out.angular_rps


def test_teleop_may_be_allowed_without_a_map() -> None:
    gate = CommandGate(GateConfig(teleop_needs_map=False))
    gate.on_pose(0)
    gate.on_command("teleop", VelocityCommand(0, 0.3, 0.0))
    assert gate.output(0).source == "teleop"


def test_unknown_source_and_bad_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown source"):
        CommandGate(CONFIG).on_command("web", VelocityCommand(0, 0.0, 0.0))
    with pytest.raises(ConfigError, match="max_map_age_s"):
        GateConfig(max_map_age_s=-1.0)
