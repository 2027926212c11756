"""Messages and files to arrays and back, without ROS."""
