"""One recording on its way through the node's own stream and engine: message -> windows -> latents -> files.

The model computes in a thread of its own while the next messages are read and decoded. It knows neither where a
recording comes from nor when its files are whole (:mod:`vjepa_ros.replay.replaying` does), and no clock but for
timings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vjepa_ros import files
from vjepa_ros.attempt import attempt
from vjepa_ros.documents import to_json
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.forecast import info
from vjepa_ros.forecast.forecaster import Forecaster, WindowForecast, load_model, notices
from vjepa_ros.forecast.outcome import Outcomes
from vjepa_ros.latents import window_values
from vjepa_ros.recordings import feed
from vjepa_ros.recordings.bag import Recorded
from vjepa_ros.recordings.latent_bag import LatentBag
from vjepa_ros.replay.digest import Digest
from vjepa_ros.replay.written import Watcher, Written
from vjepa_ros.stream.pictures import Decode
from vjepa_ros.stream.window import Window
from vjepa_ros.units import S_TO_NS

_MS_PER_S = 1e3
_OF_MODEL = ("info_id", "encoder_hash", "predictor_hash")  # what the report has of latent_info
_DUMPED = ("epoch", "frame_stamps", "step_stamps", "actions", "states")
_DUMPED_AHEAD = ("future_actions", "future_step_stamps", "future_sources")  # where the horizon is more than 1


@dataclass(frozen=True)
class _Pending:
    """A window on its way through the model, and what is to be written of it."""

    window: Window
    received_ns: int
    result: Future[tuple[WindowForecast, float] | None] | None


class _Dump:
    """Writes a line of JSON per window; its OSErrors name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")

    def add(self, values: Mapping[str, Any]) -> None:
        ahead = _DUMPED_AHEAD if values["future_actions"] else ()
        line = {name: values[name] for name in (*_DUMPED, *ahead)}
        with files.naming(self._path):
            self._file.write(to_json(line) + "\n")

    def close(self) -> None:
        with files.naming(self._path):
            self._file.close()


class Run:
    """One recording on its way: message -> windows -> latents -> files.

    Args:
        source: the recording, and how it is read.
        node_name: full name of the node whose topics are written.
        fallback: decodes raw images of encodings that the package does not know.
        say: is told of what people should know.
        stack: closes what is opened here; on the way out of it, nothing runs or is open any more.
        watchers: are shown every window that is written.

    Attributes:
        info: ``latent_info``, once the model is loaded; None where none runs.
        model_s: how long the model has computed.
    """

    def __init__(
        self,
        source: feed.Source,
        node_name: str,
        fallback: Decode | None,
        say: Callable[[str], None],
        stack: ExitStack,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._watchers = watchers
        self._config = config = source.config
        self._node_name = node_name
        self._say = say
        self._stack = stack
        self._feed = feed.Feed(source, fallback, say)
        self._intake = self._feed.intake
        named = {**source.chosen.inputs, "none": "none"}
        self._sources = (named[config.stream.action_topic], named[config.stream.state_topic])
        self.info: dict[str, Any] | None = None
        self._forecaster: Forecaster | None = None
        self._outcomes: Outcomes | None = None
        self._bag: LatentBag | None = None
        self._exporter: Any = None
        self._dump: _Dump | None = None
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="vjepa_model")
        stack.callback(self._model_thread.shutdown, cancel_futures=True)
        self._pending: deque[_Pending] = deque()
        self._digest = Digest()
        self._first_ns: int | None = None
        self._last_ns = 0
        self.model_s = 0.0

    def open(self, bag: Path | None, export: Path | None, dump: Path | None) -> None:
        """Load the model and open the outputs, those that are wanted: without a bag, no model runs."""
        config = self._config
        if bag is not None:
            # What is exported is trained on, and that needs the context; what is published stays as it is.
            self.use(load_model(config), keeps_context=config.latents.publish_context or export is not None)
            self._bag = LatentBag(bag, self._node_name, context=config.latents.publish_context)
            self._stack.callback(self._bag.abort)  # does nothing to a bag that is finished
        if export is not None:
            from vjepa_ros.replay.export import (
                Exporter,  # here, because safetensors may be missing where nobody exports
            )

            self._exporter = Exporter(export, self.info)
        if dump is not None:
            self._dump = _Dump(dump)
            self._stack.callback(self._dump.close)
        for watcher in self._watchers:
            watcher.open()

    def use(self, model: WorldModel, *, keeps_context: bool) -> None:
        """Have a model compute the windows; :meth:`open` loads one where a bag is written.

        Args:
            model: loaded by :func:`load_model` with the same parameters.
            keeps_context: whether the encoder's latents of every window are wanted too.
        """
        for notice in notices(self._config, model):
            self._say(notice)
        self.info = info.latent_info(self._config, model)
        self._forecaster = Forecaster(model, self._config, keeps_context=keeps_context)
        self._outcomes = Outcomes(self._config, self.info, self._sources, self._feed.report)

    def take(self, recorded: Recorded) -> None:
        """Take in the next message."""
        self._last_ns = recorded.received_ns
        if self._first_ns is None:
            self._first_ns = recorded.received_ns
            if self._bag is not None:
                self._bag.info(to_json(self.info), recorded.received_ns)
        for window in self._feed.take(recorded):
            self._submit(window, recorded.received_ns)

    def finish(self) -> None:
        """Wait for the model and finish the outputs."""
        while self._pending:
            self._write(self._pending.popleft())
        self._feed.finish()
        if self._intake.counters.windows == 0:
            self._say("no window came out; the counts of the report say why")
        if self._bag is not None:
            self._bag.close()
        if self._exporter is not None:
            self._exporter.close()
        if self._dump is not None:
            self._dump.close()

    def summary(self) -> dict[str, Any]:
        """Counts and hashes for the report."""
        counters = self._intake.counters
        rejected: dict[str, dict[str, int]] = {}
        for (topic, reason), count in sorted(counters.rejected.items()):
            rejected.setdefault(topic, {})[reason] = count
        errors = None if self._outcomes is None else self._outcomes.errors.summary
        counts = {name: value for name, value in asdict(counters).items() if name != "rejected"}
        return {
            **{name: None if self.info is None else self.info[name] for name in _OF_MODEL},
            "messages": dict(sorted(self._feed.messages.items())),
            "counts": {
                **counts,
                "late": counters.late,
                "windows_unresolved": self._intake.stream.unresolved,
                "windows_not_finite": 0 if self._outcomes is None else self._outcomes.not_finite,
                "rejected": rejected,
            },
            "stamps": self._intake.watch.values,
            "prediction_error": None
            if errors is None
            else {
                "count": errors.count,
                "mean": errors.mean_error,
                "no_change_mean": errors.mean_no_change,
            },
            "sha256": self._digest.hexadecimal(latents=self._forecaster is not None),
        }

    @property
    def recorded_s(self) -> float:
        """Time from the first to the last message."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / S_TO_NS

    def _submit(self, window: Window, received_ns: int) -> None:
        """Hand a window to the model; write those that it has done, and wait where too many are on their way."""
        result = None if self._forecaster is None else self._model_thread.submit(self._compute, window)
        self._pending.append(_Pending(window, received_ns, result))
        most = self._config.worker.queue_size
        while self._pending and (len(self._pending) > most or _is_done(self._pending[0].result)):
            self._write(self._pending.popleft())

    def _compute(self, window: Window) -> tuple[WindowForecast, float] | None:
        """In the model's thread: (what it says, how long that took in ms); tried as often as the node would."""
        assert self._forecaster is not None
        return attempt(partial(self._forecaster, window), self._config.worker.max_failures)

    def _write(self, pending: _Pending) -> None:
        window = pending.window
        actions, states = window.actions.values, window.states.values
        stamps_ns = [frame.stamp_ns for frame in window.frames]
        future = window.future.values
        self._digest.add_window(window.epoch, stamps_ns, window.step_stamps_ns, actions, states, future)
        if self._dump is not None:
            self._dump.add(info.window_info("", window, 0.0, self._sources))
        forecast = outcome = error = compared = None
        if pending.result is not None:
            found = pending.result.result()
            assert found is not None and self._outcomes is not None, "nobody stops it in between"
            forecast, took_ms = found
            self.model_s += took_ms / _MS_PER_S
            outcome = self._outcomes.of(window, forecast, took_ms)
            if outcome is None:
                return
            self._digest.add_latents(forecast.predicted)
            if self._bag is not None:
                values = window_values(outcome.values())
                self._bag.window(values, outcome.predicted, outcome.context, pending.received_ns)
            error = self._outcomes.error(outcome)
            compared = self._outcomes.errors.compared
        if self._exporter is not None:
            self._exporter.add(window, forecast)
        begun_ns = pending.received_ns if self._first_ns is None else self._first_ns
        for watcher in self._watchers:
            watcher.add(Written(window, pending.received_ns, begun_ns, outcome, error, compared))


def _is_done(result: Future[Any] | None) -> bool:
    return result is None or result.done()
