"""Static transforms of a robot's sensors, where no ``robot_state_publisher`` does it."""

from __future__ import annotations

from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.convert import transform_message
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.robots.site import load_placement
from ilrs_robots.robots.steps import base_frame, sensor_mounts


class StatePublisherNode(ManagedNode):
    """Publishes ``<robot>/base_link -> sensors`` once, for whoever comes late as well."""

    def __init__(self) -> None:
        super().__init__("state_publisher")

    def setup(self) -> None:
        """Publish the mounts of the robot's model."""
        model = load_placement(self.site_name, self.robot).load_model()
        publisher = self.publisher(TFMessage, "/tf_static", qos.TF_STATIC)
        parent = base_frame(self.robot)
        publisher.publish(
            TFMessage(
                transforms=[
                    transform_message(parent, frame, 0, *se3.split_transform(T))
                    for frame, T in sensor_mounts(model, self.robot).items()
                ]
            )
        )
