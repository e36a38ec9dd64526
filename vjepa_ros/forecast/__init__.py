"""What is said about a window: its forecasts, what goes with them, and how wrong the last ones were. No ROS."""
