"""Path tracking, wheel kinematics and the command gate."""
