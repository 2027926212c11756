"""The only importers of rclpy and of message packages."""
