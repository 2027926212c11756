"""Recorded drives: reading and writing bags, evaluating a run. No ROS needed."""
