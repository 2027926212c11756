"""Fast time of the embedded simulator: its clock, a battery at a charger, and what ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState, Imu, JointState
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.paths import share_dir
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.gazebo_support import refuse_fast_time
from ilrs_robots.nodes.power import PowerNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.time_warp import FACTOR, SERVICE, STEP_NS
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import load_prior

pytestmark = pytest.mark.node
S = 1_000_000_000
BEGUN_S, WARPED_S = 2.5, 40.0


def site_at_the_charger(folder: Path) -> Path:
    """The main base with the long-range vehicle at a charger and few rays."""
    content = yaml.safe_load((share_dir() / "config" / "sites" / "shackleton.yaml").read_text())
    charger = content["base"]["chargers"][0]
    robot = next(r for r in content["robots"] if r["name"] == "long_range")
    robot |= {"x_m": charger["x_m"], "y_m": charger["y_m"], "lidar_columns": 8}
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class Parked:
    """The simulator, a vehicle's power node, and a vehicle that says it stands."""

    def __init__(self, graph: Any, site: Path) -> None:
        self.graph, self.clocks, self.batteries = graph, [], []
        told = [Parameter("site", value=str(site)), Parameter("robots", value="long_range")]
        self.sim = graph.add(EmbeddedSimNode(parameter_overrides=told))
        self.truth = self.sim.world.truth("long_range")
        node = self.node = graph.add(Node("vehicle"))
        self.odom = node.create_publisher(Odometry, "/long_range/odom", qos.STREAM)
        self.tf = node.create_publisher(TFMessage, "/tf", qos.TF)
        self.gate = node.create_publisher(TwistStamped, "/long_range/cmd_vel", qos.COMMAND)
        self.stick = node.create_publisher(TwistStamped, "/long_range/cmd_vel_teleop", qos.COMMAND)
        self.goals = node.create_publisher(
            GoalStatusArray, "/long_range/navigate_to_pose/_action/status", qos.MAP
        )
        listen = node.create_subscription
        listen(Imu, "/long_range/imu/data", self._on_imu, qos.STREAM)
        listen(JointState, "/long_range/joint_states", lambda _m: None, qos.STREAM)
        listen(Clock, "/clock", lambda m: self.clocks.append(convert.to_ns(m.clock)), qos.STATE)
        listen(BatteryState, "/long_range/battery", self.batteries.append, qos.STATE)
        sim_time = Parameter("use_sim_time", value=True)
        host = graph.add(Node("host", parameter_overrides=[sim_time]))
        own = [sim_time, Parameter("site", value=str(site))]
        made = PowerNode(TransformListener(host), namespace="/long_range", parameter_overrides=own)
        self.power = graph.add(made)
        bring_up(self.power)
        self.service = node.create_client(SetBool, SERVICE)
        graph.until(self.sim.ready, "discovery")
        graph.until(lambda: self.odom.get_subscription_count() > 0, "discovery")
        graph.until(lambda: self.tf.get_subscription_count() > 0, "discovery")
        graph.until(lambda: self.service.service_is_ready(), "the service")

    def _on_imu(self, msg: Imu) -> None:
        """Localization and gate of a vehicle that stands."""
        now_ns = convert.to_ns(msg.header.stamp)
        at, quat = self.truth.position_m, self.truth.quat_wxyz
        odom = Odometry()
        odom.header.stamp = msg.header.stamp
        self.odom.publish(odom)
        one = np.array([1.0, 0.0, 0.0, 0.0])
        chain = (("map", "long_range/odom", np.zeros(3), one),
                 ("long_range/odom", "long_range/base_link", at, quat))  # fmt: skip
        self.tf.publish(TFMessage(transforms=[
            convert.transform_message(a, b, now_ns, p, q) for a, b, p, q in chain
        ]))  # fmt: skip
        self.gate.publish(self.twist(0.0))

    def twist(self, speed_mps: float) -> TwistStamped:
        msg = TwistStamped()
        msg.header.stamp = convert.to_stamp(self.sim.time_ns)
        msg.twist.linear.x = speed_mps
        return msg

    def run(self, condition: Any, what: str) -> None:
        def stepped() -> bool:
            if self.sim.delay_s() <= 0.0:
                self.sim.step()
            return bool(condition())

        self.graph.until(stepped, what)

    def ask(self, fast: bool) -> SetBool.Response:
        answer = self.service.call_async(SetBool.Request(data=fast))
        self.run(answer.done, "the answer")
        return answer.result()


@pytest.mark.timeout(300)
def test_a_parked_vehicle_charges_in_fast_time_as_it_does_in_real_time(
    graph: Any, tmp_path: Path
) -> None:
    site = site_at_the_charger(tmp_path)
    parked = Parked(graph, site)
    sim = parked.sim
    parked.run(lambda: sim.time_ns >= BEGUN_S * S and len(parked.batteries) > 1, "a begin")
    assert np.diff(parked.clocks).max() < STEP_NS
    first = parked.batteries[-1]

    assert parked.ask(True).success
    parked.run(lambda: sim.time_ns >= (BEGUN_S + WARPED_S) * S, "fast time")
    assert sim.warp.runs
    last = parked.batteries[-1]
    steps = np.diff(parked.clocks)
    assert steps.min() > 0
    assert STEP_NS <= steps.max() <= STEP_NS + S // 25
    began, ended = (convert.to_ns(m.header.stamp) for m in (first, last))
    stamps = np.array([convert.to_ns(m.header.stamp) for m in parked.batteries])
    assert np.diff(stamps).max() <= S + STEP_NS
    model = load_prior(str(site))[0].robot("long_range").load_model()
    real = PowerStep("long_range", model, *load_prior(str(site)))
    real.restart(first.percentage, first.temperature + 273.15, began * 1e-9)
    pose = se3.make_transform(parked.truth.position_m, parked.truth.quat_wxyz)
    for second in range(1, round((ended - began) / S) + 1):
        state = real.step(began * 1e-9 + second, pose, 0.0)
    gained = state.charge - first.percentage
    assert state.charger == "charger_1"
    assert gained > 1e-4
    assert last.percentage - first.percentage == pytest.approx(gained, rel=0.03)

    # a goal, and a stick that is touched, end it at once
    goal = GoalStatus(goal_info=GoalInfo(), status=GoalStatus.STATUS_EXECUTING)
    parked.goals.publish(GoalStatusArray(status_list=[goal]))
    parked.run(lambda: not sim.warp.runs, "real time for a goal")
    parked.goals.publish(GoalStatusArray())
    parked.run(lambda: sim.warp.runs, "fast time again")
    parked.stick.publish(parked.twist(0.2))
    parked.run(lambda: not sim.warp.runs, "real time for the stick")
    stopped = len(parked.clocks)
    parked.run(lambda: len(parked.clocks) > stopped + 5, "the clock")
    assert np.diff(parked.clocks[stopped + 1 :]).max() < STEP_NS
    assert parked.ask(False).success
    assert sim.time_ns * 1e-9 < BEGUN_S + WARPED_S + 10.0 * FACTOR


def test_gazebo_refuses_with_a_reason() -> None:
    answer = refuse_fast_time(SetBool.Request(data=True), SetBool.Response())
    assert not answer.success
    assert "Gazebo keeps the time" in answer.message
