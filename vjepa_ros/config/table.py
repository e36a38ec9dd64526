"""The one table of parameters: names, defaults, descriptions, ranges, units.

The node declares it, the offline tools read it, the documentation is generated from it. Where the default is "the
preset's", the preset file has the value. It knows no ROS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vjepa_ros.config import stream as sc
from vjepa_ros.config.backends import BACKENDS, DEFAULT_BACKEND
from vjepa_ros.config.checks import is_finite
from vjepa_ros.config.checks import require as _require
from vjepa_ros.config.encodings import ENCODINGS
from vjepa_ros.config.families import FAMILIES, LEVELS
from vjepa_ros.config.inputs import CAMERAS, COMMAND_TYPES, STATE_TYPES
from vjepa_ros.config.model import MOST, PREPROCESSINGS
from vjepa_ros.config.parameter import Kind, Parameter, plain
from vjepa_ros.config.planner_rows import PLANNER
from vjepa_ros.config.pose import POSE_ACTIONS, POSE_SOURCES
from vjepa_ros.config.presets import preset_for
from vjepa_ros.config.reductions import REDUCTIONS
from vjepa_ros.config.view import FLIPS, ROTATIONS_DEG
from vjepa_ros.errors import brief, named, quoted

_LONGEST_S = 1e9  # some 30 years: whole nanoseconds of any two of them together fit 64 bits
_FARTHEST_S = 4e9  # a clock that counts from boot against one that counts from 1970, and the end of the stamps
_INT64 = range(-(2**63), 2**63)

_P = Parameter
TABLE: tuple[Parameter, ...] = (
    # the model
    _P("preset", "str", "tiny_random", "Name of a preset, or path of a preset file; auto where a config.json of "
       "transformers beside the checkpoint says which one it is of."),
    _P("checkpoint", "str", "", "Path of the weights, or of a folder with a model.safetensors; empty for those that "
       "come with the preset; random, or empty where none do, for seeded random ones (announced as UNTRAINED)."),
    _P("predictor_checkpoint", "str", "", "Path of a predictor in a file of its own, to be used with the encoder of "
       "checkpoint, which it must have been trained with; empty where checkpoint has both."),
    _P("random_predictor", "bool", False, "Take the encoder alone from the checkpoint, with a seeded random predictor "
       "(announced as UNTRAINED): for files without an action-conditioned one."),
    _P("override_convention", "bool", False, "Run weights whose sidecar names another convention all the same; every "
       "latent_info then carries a warning."),
    _P("device", "str", "auto", "Torch device of the model: cpu, cuda, cuda:1; auto takes CUDA where there is one. "
       "With engine.backend openvino a device of OpenVINO: cpu, gpu, npu; auto takes a GPU where it finds one."),
    _P("dtype", "str", "auto", "Arithmetic of the model; auto is float32 on a CPU and bfloat16 on a GPU.",
       choices=("auto", "float32", "bfloat16", "float16")),
    _P("seed", "int", 0, "Seed of random weights.", minimum=0),
    _P("threads", "int", 0, "Torch threads on a CPU; 0 takes all cores but one, which the callbacks need.", minimum=0,
       maximum=1024),
    _P("engine.fast", "bool", True, "Pack the layers for inference: less time, and results within rounding of those of "
       "layers that are not packed; false leaves them as they are trained."),
    _P("engine.compile", "bool", True, "On a GPU, compile the model at configure (some minutes may pass) before it is "
       "recorded as CUDA graphs; without Triton, or where that fails, it is recorded as it is."),
    _P("engine.backend", "str", DEFAULT_BACKEND, "What computes whole windows and their one-step predictions; "
       "rollouts are torch's. The others need packages of their own (docs/runtimes.md).", choices=BACKENDS),
    _P("image_size", "int[]", None, "Height and width of the encoder's input.", "px", minimum=1,
       maximum=MOST["image_size"]),
    _P("patch_size", "int", None, "Side of a patch.", "px", minimum=0, maximum=MOST["patch_size"]),
    _P("tubelet_size", "int", None, "Frames in a tubelet.", "frames", minimum=0, maximum=MOST["tubelet_size"]),
    _P("num_frames", "int", None, "Frames in a window.", "frames", minimum=0, maximum=MOST["num_frames"]),
    _P("encoder_family", "str", None, "What the encoder's layers are like: of V-JEPA 2, or of V-JEPA 2.1.",
       choices=FAMILIES, fallback="vjepa2"),
    _P("encoder_key", "str", None, "The only key of a .pt file that its encoder is taken from; where the preset does "
       "not say, the first of target_encoder, ema_encoder, encoder.",
       choices=("target_encoder", "ema_encoder", "encoder"), fallback=""),
    _P("encoder_dim", "int", None, "Width of the encoder: the channels of one level of latents.", "channels",
       minimum=0, maximum=MOST["encoder_dim"]),
    _P("encoder_depth", "int", None, "Layers of the encoder.", minimum=0, maximum=MOST["encoder_depth"]),
    _P("encoder_heads", "int", None, "Attention heads of the encoder.", minimum=0, maximum=MOST["encoder_heads"]),
    _P("mlp_ratio", "float", None, "Hidden width of the encoder's MLP over its own width.",
       maximum=MOST["mlp_ratio"]),
    _P("predictor_dim", "int", None, "Width of the predictor.", "channels", minimum=0, maximum=MOST["predictor_dim"]),
    _P("predictor_depth", "int", None, "Layers of the predictor.", minimum=0, maximum=MOST["predictor_depth"]),
    _P("predictor_heads", "int", None, "Attention heads of the predictor.", minimum=0, maximum=MOST["predictor_heads"]),
    _P("action_dim", "int", None, "Dimensions of an action: as many as joint_names.", minimum=0,
       maximum=MOST["action_dim"]),
    _P("state_dim", "int", None, "Dimensions of a state: as many as state_names.", minimum=0,
       maximum=MOST["state_dim"]),
    _P("context_steps", "int", None, "Newest steps of a window that a forecast is made from at most: as many as the "
       "predictor was trained with; all of them where the preset does not say.", "steps", minimum=0,
       maximum=MOST["context_steps"], fallback=0),
    _P("encoding", "str", None, "How a window goes through the encoder.", choices=ENCODINGS),
    _P("preprocessing", "str", None, "How a camera image becomes the encoder's input.", choices=PREPROCESSINGS),
    # frames
    _P("cameras", "str[]", [], "Names of several cameras of this node, such as left and right: each has topics of its "
       "own, left/image and ~/left/predicted_latents, and what is asked and planned is about the first. Empty for one "
       "camera, on image."),
    _P("image_transport", "str", "raw", "Whether to subscribe to image, to image/compressed (JPEG, PNG, or H.264 where "
       "PyAV is installed) or to image/ffmpeg (H.264 of ffmpeg_image_transport).", choices=CAMERAS),
    _P("view.roi", "int[]", [], "Region of interest [x, y, width, height] in the camera's image; empty for the whole.",
       "px", minimum=0, maximum=1_000_000),
    _P("view.rotation_deg", "int", 0, "Clockwise turn of what the region of interest leaves.", "degrees",
       choices=ROTATIONS_DEG),
    _P("view.flip", "str", "none", "Mirror of the turned image: horizontal swaps left and right, vertical top and "
       "bottom.", choices=FLIPS),
    _P("frame_rate", "float", None, "Sampling rate of the frames; 0 takes every frame.", "Hz", maximum=1000.0),
    _P("hop", "int", None, "Sampled frames between the starts of two consecutive windows.", "frames", minimum=0,
       maximum=1_000_000),
    _P("window.max_gap_s", "float", 0.0, "Source frames further apart restart the window; 0 is 2.5 sampling periods, "
       "or 1 s at frame_rate 0.", "s", minimum=0.0, maximum=_LONGEST_S),
    _P("time.jump_back_s", "float", 1.0, "A frame older than the newest by this much resets everything; by less, it "
       "is dropped.", "s", minimum=1e-3, maximum=_LONGEST_S),
    _P("time.offset_s.image", "float", 0.0, "Added to the stamps of the camera.", "s", minimum=-_FARTHEST_S,
       maximum=_FARTHEST_S),
    _P("time.offset_s.joint_commands", "float", 0.0, "Added to the stamps of the commands, commanded "
       "poses included.", "s", minimum=-_FARTHEST_S, maximum=_FARTHEST_S),
    _P("time.offset_s.joint_states", "float", 0.0, "Added to the stamps of the joint states, measured "
       "poses included.", "s", minimum=-_FARTHEST_S, maximum=_FARTHEST_S),
    _P("time.max_skew_s", "float", 0.5, "Warn where the clocks of camera and joints seem further apart than this, "
       "judged by how long their messages take to arrive.", "s", minimum=1e-3, maximum=_LONGEST_S),
    # what one message may cost
    _P("images.max_pixels", "int", 16_800_000, "An image of more pixels is refused before it is decoded; goal images "
       "too.", "px", minimum=1, maximum=200_000_000),
    _P("images.max_bytes", "int", 128_000_000, "A raw image of more data is refused.", "bytes", minimum=1,
       maximum=2_000_000_000),
    _P("images.max_file_bytes", "int", 32_000_000, "A compressed image of more bytes is refused.", "bytes", minimum=1,
       maximum=2_000_000_000),
    _P("images.max_scans", "int", 20, "A JPEG of more scans is refused, and one whose scans go over more than 6 times "
       "images.max_pixels; a progressive one has about ten.", minimum=1, maximum=1_000),
    _P("images.max_segments", "int", 5_000, "A JPEG of more segments, or a PNG of more chunks, is refused; bytes of "
       "filling count.", minimum=1, maximum=1_000_000),
    _P("messages.max_joints", "int", 1000, "A message of joints with more names is refused.", minimum=1,
       maximum=100_000),
    _P("messages.max_name_length", "int", 256, "A message with a longer name of a joint or a frame is refused.",
       "characters", minimum=1, maximum=100_000),
    _P("messages.max_points", "int", 5000, "A trajectory of more points is refused.", minimum=1, maximum=1_000_000),
    _P("messages.max_stream_bytes", "int", 32_000_000, "Commands or states that are kept at most, for a camera that "
       "lags or stalls; the oldest go first. 50,000 values are the other limit.", "bytes", minimum=1_000,
       maximum=2_000_000_000),
    _P("messages.max_description_length", "int", 2_000_000, "A robot description that is longer is refused.",
       "characters", minimum=1, maximum=5_000_000),
    # actions
    _P("joint_names", "str[]", None, "The commanded joints, in the order of the model's action dimensions.",
       fallback=()),
    _P("actions.type", "str", "JointState", "Type of the messages on joint_commands.", choices=COMMAND_TYPES),
    _P("actions.field", "str", "position", "Which of a joint's values is the command.", choices=sc.FIELDS),
    _P("actions.alignment", "str", None, "The command at a time: the newest before it, interpolated, or the nearest.",
       choices=sc.ALIGNMENTS, fallback="hold"),
    _P("actions.reduction", "str", None, "How the commands of a step become one action.", choices=REDUCTIONS),
    _P("actions.phase", "str", None, "The frame of a step at which its action and state are read.", choices=sc.PHASES),
    _P("actions.tail", "str", None, "What the last action is where it reaches into the future: the one before it, "
       "zero, or what the trajectory in force says.", choices=sc.TAILS, fallback="hold"),
    _P("actions.scale", "float[]", [], "Factor per joint on the commands, before the offset; empty for 1."),
    _P("actions.offset", "float[]", [], "Added to the commands, per joint; empty for 0."),
    _P("actions.mean", "float[]", None, "Subtracted from the actions before the model, per dimension; empty for 0.",
       fallback=[]),
    _P("actions.std", "float[]", None, "The actions are divided by it before the model, per dimension; empty for 1.",
       fallback=[]),
    _P("actions.max_wait_s", "float", 0.2, "A window waits for commands and states until a frame this much newer than "
       "its last step arrives; 0 where commands are sent only when they change.", "s", minimum=0.0,
       maximum=_LONGEST_S, live=True),
    _P("actions.timeout_s", "float", 1.0, "A command older than this is missing.", "s", minimum=1e-3,
       maximum=_LONGEST_S, live=True),
    _P("actions.on_missing", "str", "skip", "What a step without a command does: skip its window, hold the last one, "
       "or zero.", choices=sc.ON_MISSING),
    # states
    _P("states.source", "str", None, "Where states come from: measured, the previous step's command, or none (zeros).",
       choices=sc.STATE_SOURCES, fallback="joint_states"),
    _P("states.type", "str", "JointState", "Type of the messages on joint_states.", choices=STATE_TYPES),
    _P("state_names", "str[]", [], "The observed joints, in the order of the model's state dimensions; empty for "
       "joint_names."),
    _P("states.field", "str", "position", "Which of a joint's measured values is the state.", choices=sc.FIELDS),
    _P("states.alignment", "str", None, "The state at a time: the newest before it, interpolated, or the nearest.",
       choices=sc.ALIGNMENTS, fallback="hold"),
    _P("states.scale", "float[]", [], "Factor per joint on the states, before the offset; empty for 1."),
    _P("states.offset", "float[]", [], "Added to the states, per joint; empty for 0."),
    _P("states.mean", "float[]", None, "Subtracted from the states before the model, per dimension; empty for 0.",
       fallback=[]),
    _P("states.std", "float[]", None, "The states are divided by it before the model, per dimension; empty for 1.",
       fallback=[]),
    _P("states.timeout_s", "float", 1.0, "A state older than this is missing.", "s", minimum=1e-3, maximum=_LONGEST_S,
       live=True),
    _P("states.on_missing", "str", "skip", "What a step without a state does: skip its window, hold the last one, "
       "or zero.", choices=sc.ON_MISSING),
    # end-effector poses as actions and states
    _P("pose.source", "str", None, "Where end-effector poses come from: joint_names names their seven numbers, a "
       "PoseStamped topic, or forward kinematics of joints. With the latter two joint_names and state_names are not "
       "read.", choices=POSE_SOURCES, fallback="names"),
    _P("pose.actions", "str", None, "Whether actions are made of measured or of commanded poses; not with names.",
       choices=POSE_ACTIONS, fallback="measured"),
    _P("pose.tip_link", "str", "", "Link of the robot description whose pose it is; needed by forward kinematics."),
    _P("pose.base_link", "str", "", "Link that poses are relative to; poses of a topic in another frame are dropped. "
       "Empty: the description's root, or the frame that poses come in."),
    _P("pose.gripper_joint", "str", "", "Joint on joint_states that says how far the gripper is closed; empty: always "
       "0, as if it were open."),
    _P("pose.gripper_open", "float", 0.0, "Position of the gripper joint where it is open.", "rad or m", minimum=-1e6,
       maximum=1e6),
    _P("pose.gripper_closed", "float", 1.0, "Position of the gripper joint where it is closed.", "rad or m",
       minimum=-1e6, maximum=1e6),
    # work and output
    _P("queue", "str", "latest", "Windows waiting for the model: only the latest, or all (for replay and demos).",
       choices=("latest", "all"), live=True),
    _P("queue_size", "int", 64, "Windows that wait at most with queue all; a full queue holds up frames, commands and "
       "states, and nothing else.", "windows", minimum=1, maximum=10_000, live=True),
    _P("max_failures", "int", 3, "Times in a row that the model may fail before the node reports it as broken.",
       minimum=1, maximum=1_000_000),
    _P("latents.steps", "str", "forecast", "Publish forecasts only, or every output of the predictor: the earlier "
       "ones predict tubelets that a clip encoder has already seen.", choices=("forecast", "all"), live=True),
    _P("latents.horizon", "int", 1, "Forecasts that are published; those after the first are predicted from those "
       "before them, by what the trajectory in force means to do, else by the last command held, or for sum and "
       "pose_delta by the last motion, repeated as actions.tail made it (docs/time.md, rule 9).", "steps", minimum=1,
       maximum=1024, live=True),
    _P("latents.levels", "str", None, "Which levels of the encoder become latents: the last one, or all of V-JEPA 2.1 "
       "along the channels, which are then four times as many; a predictor is built for one of the two.",
       choices=LEVELS, fallback=LEVELS[0]),
    _P("latents.dtype", "str", "32FC1", "Image encoding of the published latents.", choices=("32FC1", "16FC1"),
       live=True),
    _P("latents.publish_context", "bool", False, "Publish the encoder's latents of the window too."),
    # the lifecycle manager
    _P("bond.heartbeat_s", "float", 0.0, "Time between heartbeats on bond while the node is active, for a lifecycle "
       "manager such as Nav2's with a bond_timeout above 0; 0 for no bond. Needs the messages of the package bond.",
       "s", minimum=0.0, maximum=60.0),
    _P("bond.timeout_s", "float", 4.0, "Without a heartbeat of the manager for so long, it is said to be gone.", "s",
       minimum=1e-3, maximum=_LONGEST_S),
    # questions about candidate actions
    _P("candidates.max_age_s", "float", 1.0, "Questions are answered for the newest window; where its newest frame is "
       "older than this by the node's clock, they are refused.", "s", minimum=1e-3, maximum=_LONGEST_S, live=True),
    _P("candidates.max_count", "int", 1024, "A question with more candidates is refused.", minimum=1,
       maximum=100_000),
    _P("candidates.max_horizon", "int", 16, "A question whose candidates have more steps is refused.", "steps",
       minimum=1, maximum=1024),
    _P("candidates.batch_size", "int", 16, "Candidates that the model rolls out at once: bounds the memory that a "
       "question takes, and how long a window waits for it.", minimum=1, maximum=100_000),
    _P("candidates.queue_size", "int", 8, "Questions that wait at most; further ones are refused.", "questions",
       minimum=1, maximum=10_000),
    *PLANNER,
)  # fmt: skip
BY_NAME: dict[str, Parameter] = {parameter.name: parameter for parameter in TABLE}

_PYTHON_TYPES: dict[Kind, tuple[type, ...]] = {
    "bool": (bool,), "int": (int,), "float": (float, int), "str": (str,), "int[]": (int,),
    "float[]": (float, int), "str[]": (str,),
}  # fmt: skip


def check(name: str, value: Any, rows: Mapping[str, Parameter] | None = None) -> None:
    """Refuse a value of the wrong type, outside its range or its choices.

    Args:
        name: of a parameter.
        value: what it is to be.
        rows: the parameters that there are, by name; those of this table where none are given.

    Raises:
        ConfigError: naming the parameter; also for a name that is not in the table.
    """
    known = BY_NAME if rows is None else rows
    _require(name in known, named(name), "there is no such parameter")
    row = known[name]
    bare = plain(value)
    fits = isinstance(bare, list) == row.kind.endswith("[]")
    items = bare if isinstance(bare, list) else [bare]
    for item in items:
        fits &= isinstance(item, _PYTHON_TYPES[row.kind]) and (row.kind == "bool" or not isinstance(item, bool))
    _require(fits, name, f"must be {row.kind}, not {brief(value)}")
    if not row.is_set(value):
        return
    choices = ", ".join(map(str, row.choices))
    _require(not row.choices or value in row.choices, name, f"{brief(value)} is not one of {choices}")
    if row.kind in ("int", "float", "int[]", "float[]"):
        _check_numbers(row, items, value)


def _check_numbers(row: Parameter, numbers: Sequence[float], value: Any) -> None:
    name, unit = row.name, f" {row.unit}" if row.unit else ""
    wanted = "finite numbers" if row.kind.endswith("[]") else "a finite number"
    _require(all(map(is_finite, numbers)), name, f"must be {wanted}, not {brief(value)}")
    for number in numbers:
        shown = brief(number)
        _require(row.minimum is None or number >= row.minimum, name, f"{shown} is less than {row.minimum}{unit}")
        _require(row.maximum is None or number <= row.maximum, name, f"{shown} is more than {row.maximum}{unit}")
        _require(int(number) in _INT64 or row.kind.startswith("float"), name, f"{shown} does not fit into 64 bits")


def effective(values: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value: the given one, else the preset's, else the table's default.

    Raises:
        ConfigError: for an unknown parameter, a bad value, or a preset that leaves one open.
    """
    for name, value in values.items():
        check(name, value)
    preset_name, preset = preset_for(str(values.get("preset") or BY_NAME["preset"].default), values.get("checkpoint"))
    if isinstance(preset.get("image_size"), int):
        preset["image_size"] = [preset["image_size"]] * 2  # presets may give a square by one number
    for name, value in preset.items():
        check(name, value)
        # Every row has a value of its own or takes the preset's: a preset's value for the others would never be read.
        _require(BY_NAME[name].from_preset, name, f"cannot be set by a preset, but stands in {quoted(preset_name)}")
    result: dict[str, Any] = {}
    for row in TABLE:
        value = values.get(row.name, row.declared_default)
        if not row.is_set(value):
            value = preset.get(row.name, row.fallback)
            _require(value is not None, row.name, f"is neither set nor in the preset {quoted(preset_name)}")
        result[row.name] = plain(value)
    result["preset"] = preset_name  # which it is, where it was to be found out
    return result
