"""Bags in and out: topics, cut and compressed files, and the windows that they give. No ROS graph."""
