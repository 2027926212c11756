"""The Moon around the robots: Sun, Earth, horizon, light, heat. No ROS, no files, no clock."""
