"""A vehicle of the embedded simulator on the side of ROS: what it publishes, who follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import FluidPressure, Imu, JointState, PointCloud2, Range

from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    Cloud,
    ImuSample,
    JointSample,
    TankSample,
)
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.flight_output import THRUST_TOPIC
from ilrs_robots.nodes.hop_convert import altimeter_message, pressure_message
from ilrs_robots.nodes.mark_publisher import MarkPublisher
from ilrs_robots.robots.frames import base_frame
from ilrs_robots.robots.model import HopperModel, RobotModel

MAX_AHEAD_NS: Final = 100_000_000
"""The simulator waits when it is this far ahead of a vehicle's odometry."""
FLIGHT_AHEAD_NS: Final = 20_000_000
"""The same for a vehicle that flies: a late thrust is a wrong one."""
TRUTH_PERIOD_NS: Final = 100_000_000


@dataclass
class SimVehicle:
    """Publishers of one vehicle, and what was heard of it.

    Attributes:
        actuators: topic of its commands.
        ahead_ns: how far the simulator may be ahead of its odometry.
        odom: the newest that it sent.
        marks: what tells Sun and ranges.
        acknowledged_ns: its stamp.
        commanded_ns: stamp of the newest velocity that was heard.
        heard_s: when that came, steady wall clock.
        silent: whether it is no longer waited for.
    """

    name: str
    model: RobotModel
    imu: Any
    joints: Any
    attitude: Any
    points: Any
    truth: Any
    marks: MarkPublisher
    altimeter: Any = None
    tank: Any = None
    actuators: str = "cmd_vel"
    ahead_ns: int = MAX_AHEAD_NS
    odom: Odometry | None = None
    acknowledged_ns: int = 0
    commanded_ns: int = 0
    heard_s: float = 0.0
    silent: bool = False
    truth_ns: int = -TRUTH_PERIOD_NS

    @classmethod
    def on(cls, node: Node, name: str, model: RobotModel, marks: MarkPublisher) -> SimVehicle:
        """With publishers of a node."""
        made = cls(
            name,
            model,
            imu=node.create_publisher(Imu, f"/{name}/imu/data", qos.STREAM),
            joints=node.create_publisher(JointState, f"/{name}/joint_states", qos.STREAM),
            attitude=node.create_publisher(Imu, f"/{name}/star_tracker/attitude", qos.STATE),
            points=node.create_publisher(PointCloud2, f"/{name}/lidar/points", qos.SENSOR),
            truth=node.create_publisher(Odometry, f"/{name}/truth/odom", qos.STATE),
            marks=marks,
        )
        if isinstance(model, HopperModel):
            made.ahead_ns, made.actuators = FLIGHT_AHEAD_NS, THRUST_TOPIC
            made.altimeter = node.create_publisher(Range, f"/{name}/altimeter/range", qos.STREAM)
            made.tank = node.create_publisher(FluidPressure, f"/{name}/tank/pressure", qos.STATE)
        return made

    def follows(self, time_ns: int, fast_ns: int) -> bool:
        """Whether the simulator need not wait for this vehicle.

        Args:
            time_ns: of the simulator.
            fast_ns: step of fast time, in which its gate must follow as well; 0 for none.
        """
        if not fast_ns:
            return time_ns - self.acknowledged_ns < self.ahead_ns
        if not isinstance(self.model, HopperModel) and time_ns - self.commanded_ns > 2 * fast_ns:
            return False
        return time_ns - self.acknowledged_ns < fast_ns

    def publish(self, payload: object) -> None:
        """Send what a sensor says.

        Raises:
            TypeError: nobody knows such a sensor.
        """
        name, model = self.name, self.model
        if isinstance(payload, ImuSample):
            self.imu.publish(convert.imu_message(payload, f"{name}/{model.imu.frame}"))
        elif isinstance(payload, JointSample):
            self.joints.publish(convert.joint_message(payload))
        elif isinstance(payload, AttitudeSample):
            frame = f"{name}/{model.star_tracker.frame}"
            self.attitude.publish(convert.attitude_message(payload, frame))
        elif isinstance(payload, Cloud):
            self.points.publish(convert.cloud_message(payload))
        elif isinstance(payload, AltimeterSample) and isinstance(model, HopperModel):
            frame = f"{name}/{model.altimeter.frame}"
            self.altimeter.publish(altimeter_message(payload, model.altimeter, frame))
        elif isinstance(payload, TankSample):
            self.tank.publish(pressure_message(payload, base_frame(name)))
        else:
            raise TypeError(f"the simulator made a {type(payload).__name__}")
