"""A Franka Panda on a table, as kinematics and pictures: data to train on, and a loop to close, without a robot.

No physics engine and no renderer: the arm follows its commands with a lag and a limited speed, and is drawn as the
points of its surface. Everything comes from seeds: the same seed gives the same bytes, whatever is simulated beside it.
:mod:`.panda` is the robot, :mod:`.arms` how it moves, :mod:`.scenes` what the camera sees, :mod:`.surface` and
:mod:`.drawing` the pictures, :mod:`.motions` what is commanded, :mod:`.episodes` all of it together, :mod:`.live` one
that goes on for as long as others command it; :mod:`.recording` alone knows bags.
"""
