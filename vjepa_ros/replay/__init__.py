"""Recordings replayed without a ROS graph: the command ``vjepa_replay``, and what it reads, computes and writes."""
