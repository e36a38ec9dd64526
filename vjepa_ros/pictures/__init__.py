"""Latents as colours, errors as heat, and what the pages are made with that they stand on. No ROS, no model."""
