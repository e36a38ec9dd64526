"""Names that are nearly right: of parameters that do not exist, and of topics that nobody sends on.

It compares texts and reads the table of parameters; it knows no ROS, no files and no graph.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator
from difflib import SequenceMatcher, get_close_matches

from vjepa_ros.config.table import BY_NAME
from vjepa_ros.errors import listed, named, place, quoted

_MOST_NAMES = 10  # parameters that are spoken of one by one
_MOST_CHARACTERS = 200  # of a name that others are compared with: a comparison takes the square of it
_MOST_TOPICS = 3
_OF_LAUNCH = frozenset(
    ("ros_namespace", "ros_remaps", "global_params")
)  # what groups of launch_ros keep like arguments
_ALIKE = 0.75  # of difflib's ratio; `joint_command` and `joint_commands` have 0.96, `image` and `image_raw` 0.71
_OF_ROS = ("use_sim_time", "start_type_description_service")
QOS = "qos_overrides."
_OF_ROS_BEGINNINGS = (QOS, "ros__")


def of_ros(name: str) -> bool:
    """Whether a parameter is one of ROS's own, which every node has."""
    return name in _OF_ROS or name.startswith(_OF_ROS_BEGINNINGS)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of some names, None where none is similar."""
    found = get_close_matches(name[:_MOST_CHARACTERS], list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def unknown_parameters(names: Iterable[str]) -> Iterator[str]:
    """What is to be said of parameters that somebody has set, one sentence for each that there is not."""
    unknown = sorted(name for name in set(names) if name not in BY_NAME and not of_ros(name))
    for name in unknown[:_MOST_NAMES]:
        near = nearest(name, BY_NAME)
        meant = "" if near is None else f"; did you mean {near}?"
        yield f"there is no parameter {quoted(name)}: it is ignored{meant}"
    if len(unknown) > _MOST_NAMES:
        yield f"there are no parameters {listed(unknown[_MOST_NAMES:])}: they are ignored"


def unknown_overrides(names: Iterable[str], known: Iterable[str], remapped: Callable[[str], str]) -> Iterator[str]:
    """What is to be said of qualities of service that somebody has set for topics that there are not.

    Args:
        names: parameters that were set; of these only such as begin with ``qos_overrides.`` are spoken of.
        known: those that some topic of the node has.
        remapped: gives a topic's name after what the node renames.
    """
    every = set(known)
    unknown = sorted(name for name in set(names) - every if name.startswith(QOS))
    for name in unknown[:_MOST_NAMES]:
        topic, dot, rest = name.removeprefix(QOS).partition(".")
        renamed = f"{QOS}{remapped(topic)}{dot}{rest}"
        near = renamed if renamed in every else nearest(name, every)
        meant = "" if near is None else f"; did you mean {near}?"
        yield f"there is no topic or policy for {quoted(name, 200)}: it is ignored; topics are named as remapped{meant}"
    if len(unknown) > _MOST_NAMES:
        yield f"there are no topics or policies for {listed(unknown[_MOST_NAMES:])}: they are ignored"


def ignored(path: str | os.PathLike[str], names: Iterable[str]) -> Iterator[str]:
    """What is to be said of the parameters of a file that a tool without ROS does not read, a sentence each.

    Args:
        path: the file.
        names: those that are not in the table.
    """
    every = list(names)
    for sentence in unknown_parameters(every):
        yield f"{place(path)}: {sentence}"
    if own := [name for name in every if of_ros(name)]:
        yield f"{place(path)}: parameters of ROS itself, which mean nothing here: {listed(own, show=named)}"


def unknown_arguments(
    given: Iterable[str], declared: Iterable[str], parameters: Container[str] = BY_NAME
) -> Iterator[str]:
    """What is to be said of arguments of a launch file that it does not have, if they are meant for it.

    Args:
        given: all that there are; a file that includes it has arguments of its own, which are not spoken of.
        declared: those that it has.
        parameters: of its node.
    """
    known = list(declared)
    for name in sorted(set(given) - set(known) - _OF_LAUNCH):
        if name in parameters:
            yield f"{name} is no argument but a parameter, and is ignored: set it in the file that params_file names"
        elif near := get_close_matches(name[:_MOST_CHARACTERS], known, n=1, cutoff=_ALIKE):
            yield f"there is no argument {quoted(name)}: it is ignored; did you mean {near[0]}?"


def near_topics(wanted: str, names: Iterable[str]) -> list[str]:
    """The topics whose names are nearly that of another, the most similar first: those with the same last part in
    another namespace, with something before or behind the last part, or with a slip of the pen in it."""
    ratios = {name: _likeness(wanted, name) for name in names if name != wanted and len(name) <= _MOST_CHARACTERS}
    return sorted((name for name in ratios if ratios[name] >= _ALIKE), key=lambda name: (-ratios[name], name))[
        :_MOST_TOPICS
    ]


def _likeness(wanted: str, name: str) -> float:
    ours, theirs = wanted.rsplit("/", 1)[-1], name.rsplit("/", 1)[-1]
    if name.startswith(f"{wanted}/") or wanted.startswith(f"{name}/"):
        return 2.0  # another way of the same: `image/compressed` of `image`
    if ours == theirs:
        return 1.5
    if theirs.startswith((f"{ours}_", f"{ours}s")) or theirs.endswith(f"_{ours}"):
        return 1.2  # `image_raw`, `commanded_joint_states`
    return max(SequenceMatcher(None, a, b).ratio() for a, b in ((ours, theirs), (wanted, name)))
