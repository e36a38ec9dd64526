"""The rules of time (docs/time.md) once more, on whole lists of stamped messages, in plain numpy.

It imports nothing of the package.

``windows`` gets what a recording holds, in order of arrival, and gives what must come out, whatever the interleaving.
Commands are (stamp, vector); those of a trajectory are (stamp, [(time from start in ns, vector), ...]). A vector has
NaN for the joints that its message does not name: here every joint is read by itself, always.
"""

import numpy as np


def epochs(messages, jump_back_ns):
    """Split (stamp, ...) tuples where the stamp falls back by ``jump_back_ns`` or more against the newest so far."""
    parts, newest = [[]], None
    for message in messages:
        if newest is not None and message[0] <= newest - jump_back_ns:
            parts.append([])
            newest = None
        parts[-1].append(message)
        newest = message[0] if newest is None else max(newest, message[0])
    return parts


def joints(messages, dim, jump_back_ns):
    """Per joint and epoch what names it: [[[(stamp, value, repeated), ...], ...], ...]; values are (1,) vectors.

    A message is repeated where each of its joints has had the same value with the same stamp just before.
    """
    streams, newest, said = [[[]] for _ in range(dim)], [None] * dim, {}
    for stamp, content in messages:
        of_points = isinstance(content, list)
        there = np.flatnonzero(~np.isnan(content[0][1] if of_points else content))
        parts = {j: [(t, v[j : j + 1]) for t, v in content] if of_points else content[j : j + 1] for j in there}
        for j in parts:
            if newest[j] is not None and stamp <= newest[j] - jump_back_ns:
                streams[j].append([])
                newest[j] = None
            newest[j] = stamp if newest[j] is None else max(newest[j], stamp)
        keys = {j: (j, len(streams[j]), stamp) for j in parts}
        repeated = all(keys[j] in said and said[keys[j]] == part for j, part in parts.items())
        for j, part in parts.items():
            streams[j][-1].append((stamp, part, repeated))
            said[keys[j]] = part
    return streams


def together(readers):
    """One function of what every joint's gives: a list of it."""
    return lambda *times: [reader(*times) for reader in readers]


def runs(stamps, frame_rate, max_gap_ns):
    """Lists of sampled stamps, one per restart (rules 2 and 3)."""
    newest = np.maximum.accumulate(stamps, dtype=np.int64)
    kept = [s for i, s in enumerate(stamps) if i == 0 or s > newest[i - 1]]  # out of order: dropped
    cuts = [0, *(i for i in range(1, len(kept)) if kept[i] - kept[i - 1] > max_gap_ns), len(kept)]
    for first, end in zip(cuts, cuts[1:], strict=False):
        source = np.array(kept[first:end], dtype=np.int64)
        if frame_rate == 0 or len(source) == 0:
            yield source.tolist()
            continue
        ticks = []
        while (tick := int(source[0]) + round(len(ticks) * 1e9 / frame_rate)) <= source[-1]:
            ticks.append(tick)
        yield [int(source[np.argmin(np.abs(source - tick))]) for tick in ticks]  # argmin: the earlier one on a tie


def between(before, after, alignment):
    """The value at 0 between (time <= 0, value) and (time > 0, value) or None (rule 5)."""
    if alignment == "hold" or before[0] == 0 or after is None:
        return before[1]
    if alignment == "nearest":
        return before[1] if -before[0] <= after[0] else after[1]
    return before[1] + before[0] / (before[0] - after[0]) * (after[1] - before[1])


def sampled(messages, timeout_ns, alignment):
    """A function time -> (value or None, missing) over (stamp, vector) messages."""
    messages = sorted(messages, key=lambda message: message[0])  # stable: of equal stamps the last one counts
    stamps = np.array([message[0] for message in messages], dtype=np.int64)

    def at(time):
        index = int(np.searchsorted(stamps, time, side="right")) - 1
        if index < 0:
            return None, True
        if time - stamps[index] > timeout_ns:
            return messages[index][1], True
        later = np.flatnonzero(stamps == stamps[index + 1])[-1] if index + 1 < len(stamps) else None
        after = None if later is None else (int(stamps[later]) - time, messages[later][1])
        return between((int(stamps[index]) - time, messages[index][1]), after, alignment), False

    return at


def trajectories(messages, timeout_ns, alignment, measured):
    """A function (time, ahead) -> (value or None, missing): what is in force at a time says about a later one."""
    messages = sorted(messages, key=lambda message: message[0])

    def at(time, ahead=0):
        force = [message for message in messages if message[0] <= time]
        if not force:
            return None, True
        start, points = force[-1][:2]
        times = [start + offset - time - ahead for offset, _ in points]
        if times[0] > 0:
            return measured(time)
        index = max(i for i, t in enumerate(times) if t <= 0)
        after = (times[index + 1], points[index + 1][1]) if index + 1 < len(points) else None
        return between((times[index], points[index][1]), after, alignment), -times[-1] > timeout_ns

    return at


def plans(messages, timeout_ns, alignment, measured):
    """A function (now, time) -> (value or None, source): what is in force now means to do at any other time."""
    messages = sorted(messages, key=lambda message: message[0])

    def at(now, time):
        force = [message for message in messages if message[0] <= now]
        if not force or now - force[-1][0] - force[-1][1][-1][0] > timeout_ns:
            return None, "held"
        start, points = force[-1][:2]
        if time < start + points[0][0]:
            value, missing = measured(now)
            return (None, "held") if missing else (value, "measured")
        index = max(i for i, (offset, _) in enumerate(points) if start + offset <= time)
        around = [(start + offset - time, value) for offset, value in points[index : index + 2]]
        source = "trajectory" if time <= start + points[-1][0] else "held"
        return between(around[0], around[1] if len(around) == 2 else None, alignment), source

    return at


def future_of(window, times, last, plan, o):
    """Actions, times and sources of the steps after the last one, which has the action ``last``."""
    kind, period = o["reduction"], neighbours(times, o)[1] - times[-1]
    now = window[-1] if kind == "mean" else times[-1]
    actions, sources = [], []
    for step in (times[-1] + ahead * period for ahead in range(1, o["horizon"])):
        first = window[-o["stride"] :]  # the frames of the last step, moved to this one
        asked = {
            "mean": [frame + step - times[-1] for frame in first],
            "difference": [step - period, step],
            "pose_delta": [step, step + period],
        }.get(kind, [step])
        read = [plan(now, time) for time in asked]  # per time, per joint
        known = [all(value is not None for value, _ in of_joint) for of_joint in zip(*read, strict=True)]
        held = np.zeros_like(last) if kind == "difference" else last
        values = [np.array([v[0] if ok else 0.0 for (v, _), ok in zip(row, known, strict=True)]) for row in read]
        if not any(known):
            action = held
        elif kind == "pose_delta":
            action = np.where(known, pose_change(*values), held)
        else:
            action = np.where(known, values[1] - values[0] if kind == "difference" else np.mean(values, axis=0), held)
        actions.append(action)
        from_where = {source for row in read for (_, source), ok in zip(row, known, strict=True) if ok}
        sources.append(next((s for s in ("trajectory", "measured") if s in from_where), "held"))
    steps = [times[-1] + ahead * period for ahead in range(1, o["horizon"])]
    return np.array(actions).reshape(-1, len(last)), steps, sources


def turn(angles):
    """Extrinsic xyz: about x, then y, then z of the fixed frame."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def pose_change(start, end):
    """xyz, rotation R_end R_start^T as extrinsic xyz Euler angles, gripper."""
    r = turn(end[3:6]) @ turn(start[3:6]).T
    angles = [np.arctan2(r[2, 1], r[2, 2]), -np.arcsin(np.clip(r[2, 0], -1, 1)), np.arctan2(r[1, 0], r[0, 0])]
    return np.concatenate([end[:3] - start[:3], angles, end[6:] - start[6:]])


def step_values(readings, combine, dim, on_missing, *, by_joint=True):
    """One row per step out of its readings [[(value or None, missing) of each joint], ...]; None where the window must
    be skipped. Where zeros are asked for, a joint that is missing at one of the times is zero at all of them."""
    rows = []
    for step, parts in enumerate(readings):
        missing = np.array([[m for _, m in part] for part in parts]).any(axis=0)
        absent = any(value is None for part in parts for value, _ in part)
        if missing.any() and (on_missing == "skip" or (on_missing == "hold" and absent)):
            return None
        zero = missing if on_missing == "zero" else np.zeros(dim, bool)
        if zero.all():
            rows.append(np.zeros(dim))
            continue
        values = [np.array([0.0 if z else v[0] for (v, _), z in zip(part, zero, strict=True)]) for part in parts]
        row = combine(step, values)
        rows.append(np.where(zero, 0.0, row) if by_joint else row)
    return np.array(rows)


def actions_of(window, times, commands, messages, o):
    """The actions of a window (rule 6)."""
    dim, skip, stride, kind = o["dims"][0], o["on_missing"], o["stride"], o["reduction"]
    before, after = neighbours(times, o)
    if kind == "pick":
        return step_values([[commands(t)] for t in times], lambda _, v: v[0], dim, skip)
    if kind == "mean":
        parts = [[commands(t) for t in window[k * stride : (k + 1) * stride]] for k in range(len(times))]
        return step_values(parts, lambda _, v: np.mean(v, axis=0), dim, skip)
    if kind == "difference":
        pairs = zip([before, *times[:-1]], times, strict=True)
        return step_values([[commands(a), commands(b)] for a, b in pairs], lambda _, v: v[1] - v[0], dim, skip)
    if kind == "sum":

        def combine(k, _):
            return np.array([sum(v[0] for v in inside(times[k], times[k + 1], own)) for own in messages])

        rows = step_values([[commands(t)] for t in times[1:]], combine, dim, skip)
    else:
        ends = zip(times, times[1:], strict=False)
        both = [[commands(a), commands(b)] for a, b in ends]
        rows = step_values(both, lambda _, v: pose_change(*v), dim, skip, by_joint=False)
    if rows is None:
        return None
    if o["tail"] == "hold":
        return np.concatenate([rows, rows[-1:]])
    now = commands(times[-1])
    if o["tail"] == "zero":
        last = step_values([[now]], lambda _, v: np.zeros(dim), dim, skip)
    else:
        ahead = commands(times[-1], after - times[-1])
        last = step_values([[now, ahead]], lambda _, v: pose_change(*v), dim, skip, by_joint=False)
    return None if last is None else np.concatenate([rows.reshape(-1, dim), last])


def inside(after, until, messages):
    """The values stamped in (after, until] of one joint's messages, in order, without those that repeat others."""
    kept = [(stamp, value) for stamp, value, repeated in messages if after < stamp <= until and not repeated]
    return [value for _, value in sorted(kept, key=lambda message: message[0])]


def neighbours(times, o):
    """Where the step before the first and the one after the last would be."""
    if len(times) > 1:
        return 2 * times[0] - times[1], 2 * times[-1] - times[-2]
    period = round(o["stride"] * 1e9 / o["frame_rate"]) if o["frame_rate"] else 0
    return times[0] - period, times[0] + period


DEFAULTS = {
    "alignment": "hold", "state_alignment": "hold", "reduction": "pick", "tail": "hold", "trajectory": False,
    "state_source": "joint_states", "dims": (7, 7), "horizon": 1,
}  # fmt: skip


def windows(frames, commands, states, measured=(), **options):
    """All windows, in order: dicts with epoch, frame_stamps, step_stamps, actions, states and, for a horizon above 1,
    future_actions, future_step_stamps, future_sources.

    ``frames`` are (stamp,) tuples; ``measured`` are (stamp, vector) of the commanded joints, for trajectories. After a
    jump back of time the n-th stretch of each joint belongs to the n-th of the frames.
    """
    o = {**DEFAULTS, **options}
    o = {"state_timeout_ns": o["timeout_ns"], "state_on_missing": o["on_missing"], **o}
    out, back = [], o["jump_back_ns"]
    actions_dim, states_dim = o["dims"]
    dims = (actions_dim, states_dim, actions_dim)
    streams = [joints(list(m), dim, back) for m, dim in zip((commands, states, measured), dims, strict=True)]
    for epoch, stretch in enumerate(epochs(frames, back)):
        cmds, sts, meas = ([own[epoch] if epoch < len(own) else [] for own in stream] for stream in streams)
        state_at = together([sampled(own, o["state_timeout_ns"], o["state_alignment"]) for own in sts])
        if o["trajectory"]:
            measured_at = [sampled(own, o["state_timeout_ns"], o["state_alignment"]) for own in meas]
            how = [(own, o["timeout_ns"], o["alignment"], at) for own, at in zip(cmds, measured_at, strict=True)]
            command_at = together([trajectories(*each) for each in how])
            plan = together([plans(*each) for each in how])
        else:
            command_at = together([sampled(own, o["timeout_ns"], o["alignment"]) for own in cmds])
            plan = together([lambda now, time: (None, "held")] * actions_dim)
        stamps = [message[0] for message in stretch]
        for run in runs(stamps, o["frame_rate"], o["max_gap_ns"]):
            for end in range(o["num_frames"], len(run) + 1, o["hop"]):
                window = run[end - o["num_frames"] : end]
                times = window[o["phase"] :: o["stride"]]  # e(k) = k * stride + phase (rule 6)
                last = window[-1] if o["reduction"] == "mean" else times[-1]
                needs = [(own, last) for own in cmds]
                needs += [(own, times[-1]) for own in sts] if o["state_source"] == "joint_states" else []
                needs += [(own, last) for own in meas] if o["trajectory"] else []
                delivered = all(max((m[0] for m in messages), default=-1) >= t for messages, t in needs)
                if not delivered and max(stamps) < max(t for _, t in needs) + o["max_wait_ns"]:
                    continue  # never resolved (rule 4)
                actions = actions_of(window, times, command_at, cmds, o)
                if o["state_source"] == "none":
                    observed = np.zeros((len(times), o["dims"][1]))
                else:
                    at, asked, missing = state_at, times, o["state_on_missing"]
                    if o["state_source"] == "commands":
                        at, asked, missing = command_at, [neighbours(times, o)[0], *times[:-1]], o["on_missing"]
                    observed = step_values([[at(t)] for t in asked], lambda _, v: v[0], o["dims"][1], missing)
                if actions is not None and observed is not None:
                    row = {"epoch": epoch, "frame_stamps": window, "step_stamps": times}
                    row |= {"actions": actions, "states": observed}
                    if o["horizon"] > 1:
                        ahead = future_of(window, times, actions[-1], plan, o)
                        row |= zip(("future_actions", "future_step_stamps", "future_sources"), ahead, strict=True)
                    out.append(row)
    return out
