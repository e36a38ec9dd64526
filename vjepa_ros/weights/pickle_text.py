"""A pickle read through before anybody makes anything of it: what would take for ever, or all memory, is found here.

torch's own reader makes harmless objects only, and of them as many as it is told to. It knows instructions, no objects.
"""

from __future__ import annotations

import pickletools

MOST_INSTRUCTIONS = 2_000_000  # a training checkpoint of the largest model has some 100,000
MOST_IN_A_TUPLE = 1_000_000
"""Values inside of a tuple, counted as often as they are named: to find one in a dictionary, each is looked at."""

_GREEDY = ("__builtin__ bytearray", "builtins bytearray")  # by a number alone it takes as much memory as that says
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_MARK = -1


def trouble(content: bytes) -> str:
    """Why a pickle must not be read, as the end of a sentence; empty where nothing speaks against it.

    Raises:
        Exception: of many kinds, where it is damaged.
    """
    stack: list[int] = []  # how many values each is, if it is a tuple; else 1
    remembered: dict[int, int] = {}
    for count, (code, argument, _) in enumerate(pickletools.genops(content)):
        if count >= MOST_INSTRUCTIONS:
            return f"has more than {MOST_INSTRUCTIONS:,} instructions beside its tensors"
        name, number = code.name, argument if isinstance(argument, int) else 0
        if name == "GLOBAL" and argument in _GREEDY:
            return "wants to make a bytearray of any size when it is read"
        if name == "MARK":
            stack.append(_MARK)
        elif name in _PUTS:
            remembered[len(remembered) if name == "MEMOIZE" else number] = stack[-1]
        elif name in _GETS:
            stack.append(remembered[number])
        else:
            size = 1 + sum(_taken(stack, code))
            if "TUPLE" not in name:
                stack += [1] * len(code.stack_after)
            elif size > MOST_IN_A_TUPLE:
                return f"has tuples in tuples that stand for more than {MOST_IN_A_TUPLE:,} values"
            else:
                stack.append(size)
    return ""


def _taken(stack: list[int], code: pickletools.OpcodeInfo) -> list[int]:
    """What an instruction takes from the stack."""
    wanted = [kind.name for kind in code.stack_before]
    taken = []
    if "mark" in wanted:
        while (size := stack.pop()) != _MARK:
            taken.append(size)
        wanted = wanted[: wanted.index("mark")]
    for _ in wanted:
        if stack[-1] == _MARK:
            raise IndexError
        taken.append(stack.pop())
    return taken
