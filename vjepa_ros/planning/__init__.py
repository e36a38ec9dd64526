"""Which actions lead to a goal: energies of candidates, and questions about them. No ROS."""
