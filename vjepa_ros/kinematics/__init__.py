"""Where the links of a robot are: its description (URDF) and forward kinematics. No messages, no time."""
