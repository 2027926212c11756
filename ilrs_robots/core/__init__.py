"""Arrays in, arrays out: no ROS, no simulator, files only in core.io."""
