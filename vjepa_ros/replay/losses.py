"""What the counts of a replay's report mean, in words for people."""

from __future__ import annotations

KEPT = {
    "frames": "frames taken in",
    "frames_sampled": "frames given to windows",
    "commands": "commands taken in",
    "states": "states taken in",
    "windows": "windows given out",
}
"""Of the counts, what went well."""

LOSSES = {
    "frames_out_of_order": ("frames out of order", "stamped at or before the newest one: dropped"),
    "frames_repeated": ("frames repeated", "of these, with the newest one's very stamp: a driver that stands still"),
    "frames_reused": ("frames used twice", "the camera was slower than frame_rate, and one frame stood in for two"),
    "gaps": ("gaps", "frames too far apart: the window began anew"),
    "resets": ("resets", "time jumped back, or an episode ended: everything began anew"),
    "late_commands": ("commands late", "came after the window that wanted them had been resolved"),
    "late_states": ("states late", "the same of states"),
    "missing_commands": ("steps without a command", "none had come in time, or it was too old"),
    "missing_states": ("steps without a state", "the same of states"),
    "windows_skipped": ("windows skipped", "a command or a state was missing"),
    "windows_reset": ("windows lost to a reset", "time jumped back before their commands and states had come"),
    "windows_unresolved": ("windows unresolved", "the recording ended before their commands and states had come"),
    "windows_not_finite": ("windows not finite", "the model gave values that are no numbers: nothing was published"),
    "duplicates": ("commands and states repeated", "already there: left out"),
    "foreign": ("commands and states of other joints", "of another part of the robot: no loss"),
    "zero_stamps": ("messages without a stamp", "took the time of recording for it"),
}
"""Of the counts, what was lost or stood in for something: what it is, and why."""

SUMS = {"late"}
"""Of the counts, those that are sums of others."""
