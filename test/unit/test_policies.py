"""Least privilege: who drives may not be anybody, and drivers and operators may nothing else."""

from __future__ import annotations

import pytest

from ilrs_robots.robots.security import Endpoints, drivers, operator, policy_xml, read_policy

OF_ALL = {"/rosout", "/parameter_events"}
SENSORS = {"imu/data", "joint_states", "star_tracker/attitude", "lidar/points"}
ACTUATORS = {True: "cmd_vel", False: "thrusters/command"}
ASKED = {True: {"estop", "terrain/clear", "terrain/save", "terrain/load"}, False: {"estop"}}


def within(names: set[str]) -> set[str]:
    return {f"/r/{name}" for name in names}


def read(enclave: str, *, drives: bool) -> Endpoints:
    """As it stands in the policy file, the only profile of the enclave."""
    made = {"operator": operator, "drivers": drivers}[enclave]("r", drives=drives)
    (found,) = read_policy(policy_xml({f"/{enclave}": made}))[f"/{enclave}"].items()
    assert found[0] == ("/r", enclave)
    return found[1]


@pytest.mark.parametrize("drives", [True, False])
def test_drivers_send_what_sensors_measure_and_take_the_command(drives: bool) -> None:
    found = read("drivers", drives=drives)
    hopper = set() if drives else {"altimeter/range", "tank/pressure"}
    assert found.publish == OF_ALL | {"/diagnostics"} | within(SENSORS | hopper)
    # a hopper's actuator end lands by odom when nobody commands it
    assert found.subscribe == within({ACTUATORS[drives]} | (set() if drives else {"odom"}))
    assert not (found.request | found.execute | found.call)
    (simulated,) = drivers("r", drives=drives, simulated=True).values()
    assert simulated.publish == found.publish | {"/clock"}


@pytest.mark.parametrize("drives", [True, False])
def test_an_operator_asks_and_never_moves_the_vehicle_past_its_gate(drives: bool) -> None:
    found = read("operator", drives=drives)
    sent = {"goal_pose", "initialpose"} | ({"cmd_vel_teleop"} if drives else set())
    assert found.publish == OF_ALL | within(sent)
    for name in ("cmd_vel", "cmd_vel_nav", "thrusters/command", "odom", "traversability"):
        assert f"/r/{name}" not in found.publish
    assert not {"/tf", "/clock", "/diagnostics", "/fleet/poses"} & found.publish
    assert found.request == within(ASKED[drives])
    assert found.call == within({"navigate_to_pose", "follow_waypoints"})
    assert not found.execute
    assert not within(SENSORS) & found.subscribe
