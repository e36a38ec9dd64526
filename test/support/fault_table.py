"""The table of faults: which there are, and what became of each. It knows neither pytest nor ROS."""

from __future__ import annotations

from dataclasses import dataclass, field

# What must be tried. A fault without a row fails the run.
FAULTS = (
    "camera stall and return",
    "15 % of frames dropped",
    "jitter",
    "duplicates",
    "reordering within 100 ms",
    "zero stamps",
    "resolution and encoding change midway",
    "corrupt and truncated JPEG",
    "JPEG header that claims 20000x20000",
    "NaN and infinite commands",
    "wrong number of joints",
    "arm, gripper and another arm in messages of their own",
    "a joint that never comes",
    "commands stop for a second",
    "QoS mismatch",
    "model raises once",
    "model raises always",
    "out of device memory",
    "non-finite outputs",
    "model slower than the camera",
    "deactivate and activate 100 times",
    "1,000 random transitions from 4 threads",
    "SIGINT in the middle of an inference",
    "SIGTERM in the middle of an inference",
    "no subscriber",
    "a slow subscriber",
    "two nodes of one name",
    "images that end or hold up decoders",
    "messages too large or wrongly stamped",
    "bytes that are no message",
    "parameters of no type, and times before 1970",
    "mistakes in callbacks",
    "SIGHUP, and a closed terminal",
    "a second SIGINT within half a second",
    "signals while a model is loaded",
    "two senders on one topic",
    "another type on an input",
    "frames stamped in whole seconds",
    "use_sim_time without /clock",
    "recordings that are strange or damaged",
    "weights, presets and files that cannot be used",
    "weights that change while they are read",
    "somebody's things where outputs would be",
)


@dataclass
class Row:
    """What was done, and what it cost.

    Attributes:
        fault: one of FAULTS.
        injected: how much of it, in words.
        survived: whether everything after it was as it should be; True only once the test has ended well.
        lost: what did not come out because of it, in words.
        file: of the test.
    """

    fault: str
    injected: str = "?"
    survived: bool = False
    lost: str = "?"
    file: str = ""


@dataclass
class Table:
    """All rows so far."""

    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, fault: str) -> Row:
        """A new row."""
        if fault not in FAULTS:
            raise KeyError(f"{fault!r} is not in FAULTS")
        if fault in self.rows:
            raise KeyError(f"{fault!r} has a row already")
        self.rows[fault] = Row(fault)
        return self.rows[fault]

    def ended_badly(self, file: str) -> None:
        """What the tests of a file share was not as it should be in the end: none of its faults was survived."""
        for row in self.rows.values():
            if row.file == file:
                row.survived = False

    @property
    def missing(self) -> list[str]:
        """Faults without a row."""
        return [fault for fault in FAULTS if fault not in self.rows]

    def lines(self) -> list[str]:
        """The table as Markdown, in the order of FAULTS."""
        cells = [("fault", "injected", "survived", "lost")]
        for fault in FAULTS:
            if fault in self.rows:
                row = self.rows[fault]
                cells.append((fault, row.injected, "yes" if row.survived else "NO", row.lost))
        widths = [max(len(line[column]) for line in cells) for column in range(4)]
        cells.insert(1, tuple("-" * width for width in widths))  # type: ignore[arg-type]
        return [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in cells
        ]
