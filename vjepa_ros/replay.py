"""A recording through the node's own stream and engine, without a ROS graph: windows, latents, a report.

Messages go in by their time of recording, which stands for the time at which a node would have received them. The model
computes in a thread of its own while the next messages are read and decoded. It knows no command line
(:mod:`vjepa_ros.replay_cli` does) and no clock but for its timings.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import vjepa_ros
from vjepa_ros import engine, info, outputs, topics
from vjepa_ros.bag import LatentBag, Recorded, Recording
from vjepa_ros.config import S_TO_NS
from vjepa_ros.digest import Digest
from vjepa_ros.errors import BagError, EngineError, InputError
from vjepa_ros.forecast import Imagination, Imagined, load_model
from vjepa_ros.latents import Latents, window_values
from vjepa_ros.node_config import NodeConfig, resolve
from vjepa_ros.parameters import effective
from vjepa_ros.stream.intake import Decode, Intake
from vjepa_ros.stream.preprocess import Preprocess
from vjepa_ros.stream.window import Window

REPORT = "report.json"
_PROGRESS_MESSAGES = 50
_MS_PER_S = 1e3

Progress = Callable[[int, int], None]
"""Called with (messages read, messages to read)."""


@dataclass(frozen=True)
class Plan:
    """What to replay, and where to.

    Attributes:
        bags: together one recording.
        values: the node's parameters, by name.
        out: folder for the bag of latents and the report; with ``windows_only`` for the report alone.
        topics: of ``image``, ``joint_commands`` and ``joint_states``, where they are not to be found by name and type.
        node_name: full name of the node whose topics are written.
        windows_only: leave the model out.
        dump: file for a line of JSON per window.
        export: folder for safetensors shards, see :mod:`vjepa_ros.export`.
        force: replace outputs that are there already.
        fallback: decodes raw images of encodings that the package does not know.
    """

    bags: Sequence[Path]
    values: Mapping[str, Any]
    out: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    node_name: str = "/vjepa_predictor"
    windows_only: bool = False
    dump: Path | None = None
    export: Path | None = None
    force: bool = False
    fallback: Decode | None = None


def replay(
    plan: Plan,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Replay a recording.

    Args:
        plan: what and where to.
        progress: is told how far it has come.
        say: is told, once each, of what was found on the way and people should know.

    Returns:
        The report, as it was written.

    Raises:
        BagError: for a recording that cannot be used, or an output that must not be written.
        ConfigError: naming a parameter that makes no sense.
        EngineError: where the model fails.
        OSError: where the disk is full or fails. Whatever is raised, no output is left or changed.
    """
    started_s = time.monotonic()
    places = [place.absolute() for place in (plan.out, plan.dump, plan.export) if place is not None]
    if len(set(places)) < len(places):
        raise BagError("the outputs must be different files and folders")
    with ExitStack() as stack:
        recording = stack.enter_context(Recording(plan.bags))
        chosen = topics.choose(recording.topics, resolve(plan.values).stream, plan.topics)
        values = {**plan.values, "image_transport": chosen.transport}
        config = resolve(values)
        total = recording.count(chosen.all)
        for note in (*recording.notes, f"reads {', '.join(chosen.all)}: {total:,} messages"):
            say(note)
        # In this order: they are moved to their places from the last to the first, so `out` is the last to appear.
        out = stack.enter_context(outputs.whole(plan.out, force=plan.force))
        export = None if plan.export is None else stack.enter_context(outputs.whole(plan.export, force=plan.force))
        dump = None if plan.dump is None else stack.enter_context(outputs.whole(plan.dump, force=plan.force))
        run = _Run(plan, config, chosen, say, stack)
        run.open(out, export, dump)
        loaded_s = time.monotonic()
        for done, recorded in enumerate(recording.messages(chosen.all), start=1):
            run.take(recorded)
            if done % _PROGRESS_MESSAGES == 0:
                progress(done, total)
        run.finish()
        progress(total, total)
        ended_s = time.monotonic()
        report = {
            "vjepa_ros": vjepa_ros.__version__,
            "bags": [str(path) for path in plan.bags],
            "topics": asdict(chosen),
            "notes": recording.notes,
            "windows_only": plan.windows_only,
            "parameters": effective(values),
            **run.summary(),
            "timings": {
                "load_s": round(loaded_s - started_s, 3),
                "replay_s": round(ended_s - loaded_s, 3),
                "model_s": round(run.model_s, 3),
                "recorded_s": round(run.recorded_s, 3),
            },
        }
        if plan.windows_only:
            out.mkdir()
        (out / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


@dataclass(frozen=True)
class _Pending:
    """A window on its way through the model, and what is to be written of it."""

    window: Window
    values: dict[str, Any]
    received_ns: int
    result: Future[tuple[Imagined, float]] | None


class _Run:
    """One recording on its way: message -> windows -> latents -> files.

    Args:
        plan, config: what to do.
        chosen: the topics.
        say: is told of what people should know.
        stack: closes what is opened here; on the way out of it, nothing runs or is open any more.
    """

    def __init__(
        self, plan: Plan, config: NodeConfig, chosen: topics.Topics, say: Callable[[str], None], stack: ExitStack
    ) -> None:
        self._plan = plan
        self._config = config
        self._say = say
        self._stack = stack
        preprocess = Preprocess(config.model.preprocessing, config.model.image_size, config.view)
        self._intake = Intake(
            config.stream, preprocess, self._report, config.offsets_s, config.max_skew_s, plan.fallback
        )
        is_raw = chosen.transport == "raw"
        self._take = {
            chosen.image: self._intake.image if is_raw else self._intake.compressed_image,
            chosen.joint_commands: self._intake.joint_command,
        }
        if chosen.joint_states is not None:
            self._take[chosen.joint_states] = self._intake.joint_state
        by_source = {"joint_states": chosen.joint_states or "", "commands": chosen.joint_commands, "none": "none"}
        self._sources = (chosen.joint_commands, by_source[config.stream.state_source])
        self._told: set[tuple[str, str]] = set()
        self._info: dict[str, Any] | None = None
        self._imagination: Imagination | None = None
        self._bag: LatentBag | None = None
        self._exporter: Any = None
        self._dump: TextIO | None = None
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="vjepa_model")
        self._pending: deque[_Pending] = deque()
        self._digest = Digest()
        self._messages: Counter[str] = Counter()
        self._not_finite = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self.model_s = 0.0

    def open(self, out: Path, export: Path | None, dump: Path | None) -> None:
        """Load the model and open the outputs."""
        config, plan = self._config, self._plan
        if not plan.windows_only:
            engine.use_threads(config.threads)
            for warning in config.convention_warnings:
                self._say(f"override_convention: {warning}")
            model = load_model(config)
            if not model.trained:
                self._say(model.notice)
            self._info = info.latent_info(config, model)
            # What is exported is trained on, and that needs the context; what is published stays as it is.
            self._imagination = Imagination(
                model, replace(config, publish_context=config.publish_context or bool(export))
            )
            self._bag = LatentBag(out, plan.node_name, context=config.publish_context)
            self._stack.callback(self._bag.abort)  # does nothing to a bag that is finished
        if export is not None:
            from vjepa_ros.export import Exporter  # here, because safetensors may be missing where nobody exports

            self._exporter = Exporter(export, self._info)
        if dump is not None:
            self._dump = self._stack.enter_context(dump.open("w", encoding="utf-8"))
        self._stack.callback(self._model_thread.shutdown, cancel_futures=True)

    def take(self, recorded: Recorded) -> None:
        """Take in the next message."""
        self._messages[recorded.topic] += 1
        self._last_ns = recorded.received_ns
        if self._first_ns is None:
            self._first_ns = recorded.received_ns
            if self._bag is not None:
                self._bag.info(json.dumps(self._info), recorded.received_ns)
        try:
            message = recorded.message()
        except InputError as error:
            self._intake.counters.rejected[recorded.topic, error.reason] += 1
            self._report(recorded.topic, error.reason, error.detail)
            return
        for window in self._take[recorded.topic](recorded.topic, message, recorded.received_ns):
            self._imagine(window, recorded.received_ns)

    def finish(self) -> None:
        """Wait for the model and finish the outputs."""
        while self._pending:
            self._write(self._pending.popleft())
        if self._intake.counters.windows == 0:
            self._say("no window came out; the counts of the report say why")
        if self._bag is not None:
            self._bag.close()
        if self._exporter is not None:
            self._exporter.close()

    def summary(self) -> dict[str, Any]:
        """Counts and hashes for the report."""
        counters = self._intake.counters
        rejected: dict[str, dict[str, int]] = {}
        for (topic, reason), count in sorted(counters.rejected.items()):
            rejected.setdefault(topic, {})[reason] = count
        counts = {name: value for name, value in asdict(counters).items() if name != "rejected"}
        return {
            "info_id": self._info["info_id"] if self._info is not None else None,
            "messages": dict(sorted(self._messages.items())),
            "counts": {
                **counts,
                "late": counters.late,
                "windows_unresolved": self._intake.stream.unresolved,
                "windows_not_finite": self._not_finite,
                "rejected": rejected,
            },
            "sha256": self._digest.hexadecimal(latents=not self._plan.windows_only),
        }

    @property
    def recorded_s(self) -> float:
        """Time from the first to the last message."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / S_TO_NS

    def _imagine(self, window: Window, received_ns: int) -> None:
        """Hand a window to the model; write those that it has done, and wait where too many are on their way."""
        values = info.window_info(
            self._info["info_id"] if self._info is not None else "", window, self._intake.counters, 0.0, self._sources
        )
        result = None if self._imagination is None else self._model_thread.submit(self._compute, window)
        self._pending.append(_Pending(window, values, received_ns, result))
        while self._pending and (len(self._pending) > self._config.queue_size or _is_done(self._pending[0].result)):
            self._write(self._pending.popleft())

    def _compute(self, window: Window) -> tuple[Imagined, float]:
        """In the model's thread: (what it says, how long that took in s); tried as often as the node would."""
        assert self._imagination is not None
        for attempt in range(1, self._config.max_failures + 1):
            started_s = time.monotonic()
            try:
                return self._imagination(window), time.monotonic() - started_s
            except EngineError:
                if attempt == self._config.max_failures:
                    raise
        raise AssertionError("max_failures is at least 1")

    def _write(self, pending: _Pending) -> None:
        window, values = pending.window, pending.values
        actions, states = window.actions.values, window.states.values
        stamps_ns = [frame.stamp_ns for frame in window.frames]
        self._digest.add_window(window.epoch, stamps_ns, window.step_stamps_ns, actions, states)
        if self._dump is not None:
            line = {name: values[name] for name in ("epoch", "frame_stamps", "step_stamps", "actions", "states")}
            self._dump.write(json.dumps(line) + "\n")
        imagined = None
        if pending.result is not None:
            imagined, took_s = pending.result.result()
            self.model_s += took_s
            if not imagined.finite:
                self._not_finite += 1
                self._report("model", "not_finite", f"window {window.number} gave values that are not finite: left out")
                return
            self._digest.add_latents(imagined.predicted)
            values["compute_ms"] = round(took_s * _MS_PER_S, 3)
            self._publish(window, values, imagined, pending.received_ns)
        if self._exporter is not None:
            self._exporter.add(window, imagined)

    def _publish(self, window: Window, values: dict[str, Any], imagined: Imagined, at_ns: int) -> None:
        assert self._bag is not None
        frame_id = window.frames[-1].frame_id
        predicted = Latents(imagined.predicted, window.stamp_ns, frame_id)
        context = None if imagined.context is None else Latents(imagined.context, window.stamp_ns, frame_id)
        self._bag.window(window_values(values), predicted, context, at_ns)

    def _report(self, topic: str, reason: str, detail: str) -> None:
        """Say what happened to a message, once for each topic and reason: the report counts the rest."""
        if (topic, reason) not in self._told:
            self._told.add((topic, reason))
            self._say(f"{topic}: {reason}: {detail}")


def _is_done(result: Future[tuple[Imagined, float]] | None) -> bool:
    return result is None or result.done()
