"""Declares the parameter table on a node and reads it back. What the parameters mean is decided elsewhere."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from vjepa_ros.config.table import BY_NAME, TABLE, UNSET, Parameter
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
_INT_MAX = 2**63 - 1
_FLOAT_MAX = 1e308


def descriptor(row: Parameter) -> ParameterDescriptor:
    """What ``ros2 param describe`` shows: description, unit, choices, range."""
    text = row.description
    if row.unit:
        text += f" Unit: {row.unit}."
    if row.from_preset:
        text += f" {UNSET[row.kind]!r}: the preset's."
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


def declare(node: Node) -> dict[str, str]:
    """Declare the whole table.

    Returns:
        What is wrong with the values that the node was started with, by parameter. Such a parameter has its default
        for now: a node that dies while it starts could not say what is wrong with it.
    """
    problems = {}
    for row in TABLE:
        # An empty list does not tell its type: declare the type, then set the value.
        value = _TYPES[row.kind] if row.kind.endswith("[]") else row.declared_default
        try:
            node.declare_parameter(row.name, value, descriptor(row))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            problems[row.name] = str(error)
            node.declare_parameter(row.name, value, descriptor(row), ignore_override=True)
        if row.kind.endswith("[]") and node.get_parameter_or(row.name).type_ == RosParameter.Type.NOT_SET:
            node.set_parameters([RosParameter(row.name, _TYPES[row.kind], row.declared_default)])
    return problems


def read(node: Node, problems: dict[str, str]) -> dict[str, Any]:
    """The values of the whole table.

    Raises:
        ConfigError: for the first parameter that was started with a value that cannot be.
    """
    for name, problem in problems.items():
        raise ConfigError(name, problem)
    values: dict[str, Any] = {}
    for row in TABLE:
        value = node.get_parameter(row.name).value
        if row.kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        values[row.name] = list(value) if row.kind.endswith("[]") else value
    return values


def is_ours(name: str) -> bool:
    """Whether a parameter is in the table, rather than one of rclpy's own."""
    return name in BY_NAME
