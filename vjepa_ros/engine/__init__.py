"""The world model: tensors in, tensors out; and how it is loaded. No ROS, no threads, no clock."""
