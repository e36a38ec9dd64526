"""From stamped messages to windows of frames, actions and states. No ROS, no torch, no clock, no threads."""
