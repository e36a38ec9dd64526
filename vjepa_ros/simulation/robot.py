"""The parameters of the node ``panda_sim``: one table, as the predictor's is, and the values that it resolves to.

It knows no ROS, and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vjepa_ros.config.checks import require
from vjepa_ros.config.inputs import COMMAND_TYPES, CommandType
from vjepa_ros.config.parameter import Parameter
from vjepa_ros.config.table import check
from vjepa_ros.simulation.plan import ALWAYS_THERE_M, LARGEST_PX, LARGEST_SEED, SMALLEST_PX, VARIATIONS, World

FORMS = ("jpeg", "png")
_P = Parameter
TABLE: tuple[Parameter, ...] = (
    _P("seed", "int", World.seed, "What scenes, places, goals and pushes come from, as of vjepa_simulate; a change "
       "takes effect at ~/reset.", minimum=0, maximum=LARGEST_SEED),
    _P("episode", "int", 0, "The episode of the seed whose scene there is, and where whose arm begins; a change takes "
       "effect at ~/reset.", minimum=0, maximum=LARGEST_SEED),
    _P("variation", "str", World.variation, "Of colours, light and camera; a change takes effect at ~/reset.",
       choices=VARIATIONS),
    _P("size", "int", World.drawn, "Side of the pictures, which are square.", "px", minimum=SMALLEST_PX,
       maximum=LARGEST_PX),
    _P("drawn", "int", 0, "Side that they are drawn at before they are made smaller; 0 is 256, or size where that is "
       "more.", "px", minimum=0, maximum=LARGEST_PX),
    _P("compressed.format", "str", "jpeg", "Files on image/compressed; png keeps every pixel as it is.",
       choices=FORMS),
    _P("compressed.quality", "int", 95, "Of JPEG files.", minimum=1, maximum=100),
    _P("commands.type", "str", "JointState", "Type of the messages on joint_commands, as the predictor's actions.type.",
       choices=COMMAND_TYPES),
    _P("clock.drive", "bool", False, "Publish /clock, for others with use_sim_time: time begins at 1,700,000,000 s, as "
       "in the recordings, and passes in steps of 10 ms."),
    _P("clock.rate", "float", 1.0, "Seconds that are driven in a second, where the machine is fast enough.",
       minimum=0.01, maximum=100.0),
    _P("clock.wait_s", "float", 0.0, "How long the driven time stands still, after a frame, for a command stamped "
       "within its step; 0 waits for none. In seconds of the machine.", "s", minimum=0.0, maximum=3600.0),
    _P("push.distance_m", "float", 0.15, "How far ~/push moves the tip.", "m", minimum=0.001, maximum=ALWAYS_THERE_M),
    _P("goal.least_m", "float", 0.3, "How far from the tip the goals of ~/draw_goal are at least.", "m", minimum=0.0,
       maximum=ALWAYS_THERE_M),
)  # fmt: skip
BY_NAME: dict[str, Parameter] = {row.name: row for row in TABLE}
CHANGEABLE = ("seed", "episode", "variation", "push.distance_m", "goal.least_m")
"""What can be changed while the node runs."""


@dataclass(frozen=True)
class RobotConfig:
    """What the simulated robot is like.

    Attributes:
        world: its scene and pictures.
        episode: which one of the world's seed it begins like.
        command_type: of the messages that it obeys.
        form: of the compressed pictures, one of :data:`FORMS`.
        quality: of JPEGs.
        drives_clock: whether it says what time it is, rather than asking.
        rate: simulated seconds per second, if it does.
        wait_s: how long its time waits for a command, if it does.
        push_m: how far a push goes.
        goal_m: how far goals are at least.
    """

    world: World
    episode: int
    command_type: CommandType
    form: str
    quality: int
    drives_clock: bool
    rate: float
    wait_s: float
    push_m: float
    goal_m: float


def resolve(values: Mapping[str, Any]) -> RobotConfig:
    """Parameters, validated together.

    Args:
        values: by name; the table's default where there is none.

    Raises:
        ConfigError: naming the parameter at fault.
    """
    for name, value in values.items():
        check(name, value, BY_NAME)
    given = {row.name: values.get(row.name, row.default) for row in TABLE}
    drives, rate, wait_s = given["clock.drive"], float(given["clock.rate"]), float(given["clock.wait_s"])
    require(drives or rate == 1, "clock.rate", "only a clock that is driven has a rate: set clock.drive")
    require(drives or wait_s == 0, "clock.wait_s", "only a clock that is driven can wait: set clock.drive")
    size = given["size"]
    return RobotConfig(
        world=World(given["seed"], size=size, drawn=given["drawn"] or max(World.drawn, size),
                    variation=given["variation"]),
        episode=given["episode"],
        command_type=COMMAND_TYPES[given["commands.type"]],
        form=given["compressed.format"],
        quality=given["compressed.quality"],
        drives_clock=drives,
        rate=rate,
        wait_s=wait_s,
        push_m=float(given["push.distance_m"]),
        goal_m=float(given["goal.least_m"]),
    )  # fmt: skip
