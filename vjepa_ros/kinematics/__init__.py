"""Where the links of a robot are, and what brings them somewhere: its description, forward and inverse kinematics.

No messages, no time.
"""
