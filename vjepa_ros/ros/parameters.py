"""Declares the parameter table on a node and reads it back. What the parameters mean is decided elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from vjepa_ros.config.parameter import UNSET, Parameter
from vjepa_ros.config.table import BY_NAME, TABLE
from vjepa_ros.errors import ConfigError

_TYPES = {
    "bool": RosParameter.Type.BOOL,
    "int": RosParameter.Type.INTEGER,
    "float": RosParameter.Type.DOUBLE,
    "str": RosParameter.Type.STRING,
    "int[]": RosParameter.Type.INTEGER_ARRAY,
    "float[]": RosParameter.Type.DOUBLE_ARRAY,
    "str[]": RosParameter.Type.STRING_ARRAY,
}
_LISTS = (*(kind for name, kind in _TYPES.items() if name.endswith("[]")), RosParameter.Type.BOOL_ARRAY,
          RosParameter.Type.BYTE_ARRAY)  # fmt: skip
_INT_MAX = 2**63 - 1
_FLOAT_MAX = 1e308


def descriptor(row: Parameter) -> ParameterDescriptor:
    """What ``ros2 param describe`` shows: description, unit, choices, range."""
    text = row.description
    if row.unit:
        text += f" Unit: {row.unit}."
    if row.from_preset:
        text += f" {UNSET[row.kind]!r}: the preset's."
    if row.live:
        text += " Can be changed while the node is configured."
    result = ParameterDescriptor(name=row.name, description=text)
    if row.choices:
        result.additional_constraints = "one of: " + ", ".join(map(str, row.choices))
    # A number such as 4 in a file is an integer there; frame_rate: 4 must not be refused for want of a decimal point.
    result.dynamic_typing = row.kind == "float"
    if row.minimum is not None or row.maximum is not None:
        unset_minimum = UNSET[row.kind] if row.from_preset else None
        minimum = unset_minimum if row.minimum is None else row.minimum
        if row.kind == "int":
            low, high = (-_INT_MAX if minimum is None else int(minimum)), int(row.maximum or _INT_MAX)
            result.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            low_f, high_f = (-_FLOAT_MAX if minimum is None else float(minimum)), float(row.maximum or _FLOAT_MAX)
            result.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]
    return result


def declare(node: Node, table: Collection[Parameter] = TABLE) -> dict[str, str]:
    """Declare the whole table, the predictor's unless another is given, which has no lists.

    Returns:
        What is wrong with the values that the node was started with, by parameter. Such a parameter has its default
        for now: a node that dies while it starts could not say what is wrong with it.
    """
    problems = {}
    for row in table:
        if row.kind.endswith("[]"):
            problem = _declare_list(node, row)
            if problem:
                problems[row.name] = problem
            continue
        try:
            node.declare_parameter(row.name, row.declared_default, descriptor(row))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            problems[row.name] = str(error)
            node.declare_parameter(row.name, row.declared_default, descriptor(row), ignore_override=True)
    return problems


def _declare_list(node: Node, row: Parameter) -> str:
    """Declare a list, and take what the node was started with for it; what is wrong with that, or nothing.

    The type must be declared first and the value set then: an empty list does not tell its type, and is no value at all
    where ROS has read it from a file or a command line.
    """
    kind = _TYPES[row.kind]
    started = as_declared(node.declare_parameter(row.name, None, ParameterDescriptor(dynamic_typing=True)))
    node.undeclare_parameter(row.name)
    node.declare_parameter(row.name, kind, descriptor(row), ignore_override=True)
    fits = started.type_ == kind
    node.set_parameters([started if fits else RosParameter(row.name, kind, row.declared_default)])
    return "" if fits or started.type_ == RosParameter.Type.NOT_SET else f"must be {row.kind}, not {started.value!r}"


def as_declared(parameter: RosParameter) -> RosParameter:
    """A list in the type of its row, where no value of it is another then.

    An empty one has whatever type the sender made up for it; whole numbers do for a list of numbers, as 4 does for one.
    """
    row = BY_NAME.get(parameter.name)
    if row is None or not row.kind.endswith("[]") or parameter.type_ == _TYPES[row.kind]:
        return parameter
    if parameter.type_ in _LISTS and len(parameter.value) == 0:
        return RosParameter(parameter.name, _TYPES[row.kind], [])
    if row.kind == "float[]" and parameter.type_ == RosParameter.Type.INTEGER_ARRAY:
        return RosParameter(parameter.name, _TYPES[row.kind], list(map(float, parameter.value)))
    return parameter


def read(node: Node, problems: dict[str, str], table: Collection[Parameter] = TABLE) -> dict[str, Any]:
    """The values of the whole table, the predictor's unless another is given.

    Raises:
        ConfigError: for the first parameter that was started with a value that cannot be.
    """
    for name, problem in problems.items():
        raise ConfigError(name, problem)
    values: dict[str, Any] = {}
    for row in table:
        value = node.get_parameter(row.name).value
        if row.kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        values[row.name] = list(value) if row.kind.endswith("[]") else value
    return values


def is_ours(name: str) -> bool:
    """Whether a parameter is in the table, rather than one of rclpy's own."""
    return name in BY_NAME
