"""Embedded worlds that feed the core: MuJoCo physics, ray-cast lidar, sensors. No ROS here."""
