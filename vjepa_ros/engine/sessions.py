"""Another runtime in the place of torch's calls and replays: its sessions, made of the very weights, and how far it is.

It knows which inputs a session takes, and hands everything else on to torch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.devices import release_memory, to_device
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.graphs import Compute, Graphs
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.runtimes.graphs import GraphOf, graphs_of, write_graph
from vjepa_ros.runtimes.runtime import BACKEND, Runtime, Session
from vjepa_ros.weights.values import Weights, norm_parameters

_FOLDER = "vjepa_ros_graphs_"


class Sessions(Graphs):
    """Runs a module's session for inputs of the shapes that it was made for, and everything else as torch does.

    Args:
        graphs: runs everything else.
        sessions: by the module whose place they take, with the graph that they compute.
    """

    def __init__(self, graphs: Graphs, sessions: Mapping[Compute, tuple[GraphOf, Session]]) -> None:
        self.records = graphs.records
        self._graphs = graphs
        self._sessions = dict(sessions)
        self._is_aside = False

    def run(self, compute: Compute, *inputs: Tensor) -> Tensor:
        """As :meth:`.Graphs.run`."""
        session = self._session(compute, inputs)
        return self._graphs.run(compute, *inputs) if session is None else session(*inputs)

    def has(self, compute: Compute, *inputs: Tensor) -> bool:
        """As :meth:`.Graphs.has`; nothing where a session computes it."""
        return self._session(compute, inputs) is None and self._graphs.has(compute, *inputs)

    def record(self, compute: Compute, *inputs: Tensor, compile_first: bool = True) -> None:
        """As :meth:`.Graphs.record`; nothing where a session computes it."""
        if self._session(compute, inputs) is None:
            self._graphs.record(compute, *inputs, compile_first=compile_first)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have torch compute everything, until the block ends."""
        self._is_aside = True
        try:
            yield
        finally:
            self._is_aside = False

    def parity(self, modules: Mapping[str, nn.Module], graphs: Mapping[str, GraphOf], runtime: Runtime) -> str:
        """How far the runtime is from torch on noise, in words.

        Args:
            modules, graphs: the parts with their weights, and their graphs, by name.
            runtime: of the sessions.

        Raises:
            ConfigError: where it is too far.
            RuntimeError: where one of the two fails.
        """
        said = []
        for part, graph in graphs.items():
            module = modules[part]
            inputs = [to_device(value, runtime.device, runtime.dtype) for value in graph.noise()]
            with torch.inference_mode():
                ours = layer_normalize(self.run(module, *inputs).float())
                with self.aside():
                    torchs = layer_normalize(self.run(module, *inputs).float())
                difference = (ours - torchs).abs().max().item()
            what = list(graph.outputs)[-1]
            if not difference <= runtime.tolerance:  # not a number is no agreement either
                raise ConfigError(
                    BACKEND,
                    f"{runtime.name} gives other {what} than torch, by up to {difference:.1e} where at most "
                    f"{runtime.tolerance:.0e} is rounding",
                )
            said.append(f"{difference:.1e} in the {part}'s {what}")
        return f"{runtime.name}; at most {' and '.join(said)} from torch"

    def _session(self, compute: Compute, inputs: tuple[Tensor, ...]) -> Session | None:
        graph, session = self._sessions.get(compute, (None, None))
        if graph is None or self._is_aside or [tuple(value.shape) for value in inputs] != list(graph.inputs.values()):
            return None
        return session


def open_sessions(
    runtime: Runtime, config: ModelConfig, weights: Weights, modules: tuple[Encoder, Predictor], graphs: Graphs
) -> Sessions:
    """The runtime's sessions of a model. Their graphs are written to a folder for temporary files, and removed.

    Args:
        runtime: computes graphs.
        config: the sizes.
        weights: theirs; they are left as they are.
        modules: the encoder and the predictor whose place the sessions take; without weights yet.
        graphs: runs everything else.

    Raises:
        RuntimeError: where torch cannot export the model, its disk is full, or the runtime refuses it.
    """
    assert runtime.graph_dtype is not None, "torch needs none"
    sessions: dict[Compute, tuple[GraphOf, Session]] = {}
    for (part, graph), module in zip(graphs_of(config).items(), modules, strict=True):
        with torch.device("meta"):
            twin = type(module)(config)
        load_for_graph(twin, getattr(weights, part), runtime.graph_dtype)
        try:
            with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:  # one by one: they may be large
                path = Path(folder) / f"{part}.onnx"
                write_graph(graph, twin, path)
                del twin
                sessions[module] = graph, runtime.open(path, graph)
        except OSError as error:
            raise RuntimeError(f"its graph cannot be written to {tempfile.gettempdir()}: {error.strerror}") from error
        release_memory()
    return Sessions(graphs, sessions)


def load_for_graph(module: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Give a module its weights on the CPU, to be exported; those of LayerNorms are float32, as in a packed one.

    Args:
        module: an encoder or a predictor, on the meta device at first.
        tensors: its parameters by name; they are left as they are.
        dtype: of its layers.
    """
    norms = norm_parameters(module)
    placed = {name: tensor.to("cpu", torch.float32 if name in norms else dtype) for name, tensor in tensors.items()}
    module.load_state_dict(placed, strict=True, assign=True)
    module.eval().requires_grad_(False)
