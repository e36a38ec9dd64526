"""The rows of the table of parameters that the planner has; what they are resolved to is :mod:`.planner`'s."""

from __future__ import annotations

from vjepa_ros.config.parameter import Parameter

_SOLVERS = "vjepa_ros.planning.solvers"
SOLVERS: dict[str, str] = {
    "cem": f"{_SOLVERS}.cross_entropy:CrossEntropy",
    "icem": f"{_SOLVERS}.icem:ImprovedCrossEntropy",
    "mppi": f"{_SOLVERS}.mppi:PathIntegral",
}
"""``module:class`` of every solver, by the value of ``planner.solver``: what adds one is a row."""
COSTS = ("last", "sum", "min")
SPACES = ("actions", "tip")
COMMAND_TYPES = ("JointTrajectory", "JointState", "PoseStamped", "TwistStamped")

_P = Parameter
PLANNER: tuple[Parameter, ...] = (
    _P("planner.enabled", "bool", False, "Plan from every new window towards a goal (docs/planners.md)."),
    _P("planner.solver", "str", "cem", "How candidates are drawn: the cross-entropy method, iCEM, or MPPI.",
       choices=SOLVERS),
    _P("planner.samples", "int", 64, "Candidates of the first iteration.", minimum=1, maximum=100_000),
    _P("planner.samples_decay", "float", 1.0, "By what factor each iteration has fewer candidates than the one before, "
       "but not fewer than twice planner.elites; 1: all have as many.", minimum=1.0, maximum=1000.0),
    _P("planner.elites", "int", 8, "The best of them, which the next iteration is drawn around.", minimum=1,
       maximum=100_000),
    _P("planner.iterations", "int", 4, "How often candidates are drawn.", minimum=1, maximum=1000),
    _P("planner.horizon", "int", 4, "Steps of a plan, those that are decided already included.", "steps", minimum=1,
       maximum=1024),
    _P("planner.decided_steps", "int", 0, "How many of a plan's first actions are taken for decided: 1 where a step's "
       "command is to be there before the step begins; 0: those that begin before the plan is there, by how long the "
       "last ones took.", "steps", minimum=0, maximum=1023),
    _P("planner.std", "float[]", [0.05], "Standard deviation of the first candidates, one number for all dimensions of "
       "planner.sample_space or one for each; 0 keeps a dimension as it is.", minimum=0.0, maximum=1e6),
    _P("planner.momentum_mean", "float[]", [0.0], "Share of the old mean that stays after an iteration, one number for "
       "all dimensions or one for each.", minimum=0.0, maximum=0.999),
    _P("planner.momentum_std", "float[]", [0.0], "Share of the old standard deviation that stays after an iteration, "
       "likewise.", minimum=0.0, maximum=0.999),
    _P("planner.action_repeat", "int", 1, "For how many steps of a plan what is drawn for one of them is kept up: it "
       "looks far ahead with few numbers to find.", "steps", minimum=1, maximum=1024),
    _P("planner.adapt", "bool", False, "As a goal comes nearer, draw more narrowly than planner.std, and look fewer "
       "steps ahead than planner.horizon (docs/planners.md): plans take less time, and meet it more exactly."),
    _P("planner.max_action", "float[]", [], "The most that a candidate moves in a step, in the unit of "
       "planner.sample_space, one number for all dimensions or one for each; empty for no bound.", minimum=0.0,
       maximum=1e6),
    _P("planner.cost", "str", "last", "What of a candidate's energies is made small: that of its last step, the sum "
       "over all steps, or that of the step that comes nearest, the sooner the better (min).", choices=COSTS),
    _P("planner.sample_space", "str", "actions", "What candidates are drawn in: the actions, or motions of the tip in "
       "m, made joint actions by inverse kinematics.", choices=SPACES),
    _P("planner.yaw", "bool", False, "With sample_space tip: turns about the base's z axis are drawn too, in rad."),
    _P("planner.gripper", "str", "", "With sample_space tip: the joint, of joint_names, that is drawn too; empty for "
       "none."),
    _P("planner.rest", "float[]", [], "With sample_space tip: the posture of joint_names that joints stay near as far "
       "as the tip leaves it open, and whose orientation the tip keeps; empty: those where the robot is.", "rad or m",
       minimum=-1e6, maximum=1e6),
    _P("planner.time_limit_s", "float", 0.5, "After this time a plan is the best that was found so far.", "s",
       minimum=1e-3, maximum=1e6),
    _P("planner.max_age_s", "float", 1.0, "No plan is begun or published from a window whose newest frame is older "
       "than this by the node's clock; what is measured must be as new to be executed on.", "s", minimum=1e-3,
       maximum=1e9),
    _P("planner.patience", "int", 8, "Execution ends where the energy is not lower than at its start after so many "
       "plans.", "plans", minimum=1, maximum=1_000_000),
    _P("planner.goals", "str", "", "Folder of goal images (PNG, JPEG), sub-goals in the order of their names, a folder "
       "in it for several images of one; empty: a goal comes on ~/goal_image."),
    _P("planner.goal_energy", "float[]", [0.0], "A goal is reached once the energy is below this; 0: no energy ends "
       "one. One number for all, or one for each sub-goal of planner.goals; ~/goal_image has that of the last one.",
       minimum=0.0, maximum=1e6),
    _P("planner.goal_plans", "int[]", [1], "In so many plans in a row the energy must be below planner.goal_energy. "
       "One number for all, or one for each.", "plans", minimum=1, maximum=1_000_000),
    _P("planner.goal_steps", "int[]", [0], "A sub-goal that is not the last is left after so many executed steps, "
       "reached or not; 0: never. One number for all, or one for each.", "steps", minimum=0, maximum=1_000_000),
    _P("planner.goal_mask", "float[]", [], "What of a picture counts in energies, [left, top, right, bottom] as "
       "fractions of what the model sees of it, after view and preprocessing: the patches whose centres lie in there; "
       "empty: all.", minimum=0.0, maximum=1.0),
    _P("planner.max_prediction_error", "float", 0.0, "Execution ends where a prediction error is above this; 0 is "
       "refused with planner.execute.", minimum=0.0, maximum=1e6),
    _P("planner.max_limit_hits", "int", 5, "Execution ends once a limit or the box has cut or kept back so many "
       "commands.", minimum=1, maximum=1_000_000),
    _P("planner.box_m", "float[]", [], "The box that the tip stays in, in the base's frame: x, y, z of its lowest and "
       "of its highest corner. Needed by planner.execute.", "m", minimum=-1e6, maximum=1e6),
    _P("planner.min_position", "float[]", [], "Tightens the lower limits of robot_description, one number for each of "
       "the joints; empty: as they are.", "rad or m", minimum=-1e6, maximum=1e6),
    _P("planner.max_position", "float[]", [], "Tightens the upper limits of robot_description likewise.", "rad or m",
       minimum=-1e6, maximum=1e6),
    _P("planner.max_velocity", "float[]", [], "Tightens the velocity limits of robot_description, one number for all "
       "joints or one for each.", "rad/s or m/s", minimum=1e-6, maximum=1e6),
    _P("planner.max_step", "float[]", [], "The furthest that a command is from where a joint is, one number for all "
       "joints or one for each; empty: what its velocity limit allows in a step.", "rad or m", minimum=1e-6,
       maximum=1e6),
    _P("planner.command_type", "str", "JointTrajectory", "Type of the messages on ~/command.", choices=COMMAND_TYPES),
    _P("planner.execute", "bool", False, "Allow ~/execute to switch execution on: the first step of each plan is then "
       "sent on ~/command (docs/safety.md)."),
    _P("planner.execute_steps", "int", 0, "Execution ends by itself after so many commands; 0: never.", "steps",
       minimum=0, maximum=1_000_000),
    _P("planner.seed", "int", 0, "Seed of the candidates.", minimum=0, maximum=1_000_000_000),
)  # fmt: skip
"""The rows, in the order in which they are read."""
