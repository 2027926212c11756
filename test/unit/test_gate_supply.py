"""Power and link at the gate: who may still drive, and what the navigator says to the user."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ilrs_robots.core.control.gate import CommandGate, GateConfig
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import gate_config_of

S = 1_000_000_000
CONFIG = GateConfig(min_charge_nav=0.15, min_charge_teleop=0.05)


def decided(gate: CommandGate, now_ns: int, source: str = "nav"):
    gate.on_pose(now_ns)
    gate.on_map(now_ns)
    gate.on_command(source, VelocityCommand(now_ns, 0.3, 0.0))
    return gate.output(now_ns)


def test_a_low_battery_leaves_driving_to_an_operator_and_an_empty_one_to_nobody():
    gate = CommandGate(CONFIG)
    assert decided(gate, S).source == "nav"
    gate.supply.on_battery(S, 0.12)
    refused = decided(gate, 2 * S)
    assert refused.kind == "power"
    assert refused.reason == "battery is at 12 %, limit 15 %: only an operator drives"
    assert decided(gate, 3 * S, "teleop").source == "teleop"
    gate.supply.on_battery(3 * S, 0.04)
    refused = decided(gate, 4 * S, "teleop")
    assert refused.reason == "battery is at 4 %, limit 5 %: nobody drives"
    gate.supply.on_battery(4 * S, 0.5)
    assert decided(gate, 5 * S, "teleop").source == "teleop"


def test_a_low_charge_holds_until_a_higher_one_is_heard_and_no_number_says_nothing():
    gate = CommandGate(CONFIG)
    gate.supply.on_battery(S, 0.01)
    gate.supply.on_battery(S, math.nan)
    for later_s in (1, 31, 4000):
        assert decided(gate, (1 + later_s) * S).reason.startswith("battery is at 1 %")
    gate.supply.on_battery(4100 * S, 0.5)
    assert decided(gate, 4101 * S).source == "nav"


def test_a_charge_that_was_heard_and_comes_no_more_stops_nav_and_not_an_operator():
    gate = CommandGate(CONFIG)
    gate.supply.on_battery(S, 0.8)
    assert decided(gate, 30 * S).source == "nav"
    refused = decided(gate, 33 * S)
    assert (refused.kind, refused.reason) == (
        "power", "the battery's charge is 32 s old, limit 30 s"
    )  # fmt: skip
    assert decided(gate, 34 * S, "teleop").source == "teleop"


@pytest.mark.parametrize("policy", ["continue", "stop"])
def test_a_lost_link_stops_what_the_policy_says(policy):
    gate = CommandGate(replace(CONFIG, link_loss=policy, max_link_loss_s=20.0))
    for k in range(30):
        gate.supply.on_link((1 + k) * S, False)
        decision = decided(gate, (1 + k) * S)
        assert (decision.kind == "link") == (policy == "stop" and k > 20)
    if policy == "stop":
        assert decision.reason == "nobody can be reached for 29 s, limit 20 s"
    gate.supply.on_link(31 * S, True)
    assert decided(gate, 31 * S).source == "nav"


def test_time_going_back_forgets_power_and_link():
    gate = CommandGate(CONFIG)
    gate.supply.on_battery(10 * S, 0.01)
    assert decided(gate, 10 * S).kind == "power"
    gate.output(S)
    assert decided(gate, 2 * S).source == "nav"


def test_limits_come_from_the_vehicle_and_wrong_ones_are_refused():
    model = load_robot("crewed_rover")
    made = gate_config_of(model)
    assert made.assist
    assert made.min_charge_nav == model.power.battery.reserve
    assert math.degrees(made.guard.max_roll_rad) == pytest.approx(model.limits.max_roll_deg)
    assert not gate_config_of(load_robot("long_range")).assist
    with pytest.raises(ConfigError, match="link_loss"):
        GateConfig(link_loss="panic")
