"""The ROS 2 side: parameters, messages, diagnostics and the node. Wiring only."""
