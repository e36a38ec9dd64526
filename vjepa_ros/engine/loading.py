"""From a preset, or from what parameters were resolved to, to a world model on its device.

Each file is read once: the preset, the weights, their sidecar. It knows no ROS, no threads and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from vjepa_ros.config.backends import DEFAULT_BACKEND
from vjepa_ros.config.checks import require
from vjepa_ros.config.model import ModelConfig, Preprocessing
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.config.own_weights import checkpoint_of, require_own_sizes
from vjepa_ros.config.parts import EngineConfig, WeightsConfig
from vjepa_ros.config.presets import MODEL_PARAMETERS, model_of, preset_for
from vjepa_ros.config.sidecar import Sidecar, trained_with
from vjepa_ros.config.state_change import change_of_convention
from vjepa_ros.config.table import check
from vjepa_ros.devices import failures
from vjepa_ros.engine.sessions import open_sessions
from vjepa_ros.engine.world_model import WorldModel
from vjepa_ros.errors import ConfigError, brief
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.runtimes.graphs import graphs_of
from vjepa_ros.runtimes.runtime import BACKEND, find_runtime
from vjepa_ros.weights.checkpoint import read_checkpoint
from vjepa_ros.weights.values import random_weights

_MOST_SAID = 300  # characters of what a runtime says


def load(
    preset: str | Path = "tiny_random",
    *,
    checkpoint: str | Path | None = None,
    predictor_checkpoint: str | Path | None = None,
    random_predictor: bool = False,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "auto",
    fast: bool = True,
    compile_graphs: bool = False,
    backend: str = DEFAULT_BACKEND,
    normalization: Normalizations | None = None,
    encoder_key: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    patch_size: int | None = None,
    tubelet_size: int | None = None,
    num_frames: int | None = None,
    encoder_dim: int | None = None,
    encoder_depth: int | None = None,
    encoder_heads: int | None = None,
    mlp_ratio: float | None = None,
    predictor_dim: int | None = None,
    predictor_depth: int | None = None,
    predictor_heads: int | None = None,
    action_dim: int | None = None,
    state_dim: int | None = None,
    context_steps: int | None = None,
    encoding: str | None = None,
    preprocessing: Preprocessing | None = None,
    encoder_family: str | None = None,
    latent_levels: str | None = None,
    override_convention: bool = False,
) -> WorldModel:
    """Load a world model: encoder and action-conditioned predictor with their weights.

    >>> import vjepa_ros
    >>> wm = vjepa_ros.load("tiny_random", seed=0)
    >>> wm.grid.shape, wm.config.encoder_dim, wm.trained
    ((8, 4, 4), 128, False)

    Args:
        preset: name of a preset that comes with the package, or the path of a ``.yaml`` file; ``auto`` for weights that
            a ``config.json`` of transformers lies beside.
        checkpoint: path of a ``.pt`` or ``.safetensors`` file, or of a folder as Hugging Face has them; without one
            (None or "") the weights are those that come with the preset, and random where none do; ``random`` for
            random ones in any case.
        predictor_checkpoint: path of a file with a predictor that was trained with the encoder in ``checkpoint``, whose
            own is then not used. Its sidecar says with which one that was, and what it expects.
        random_predictor: take the encoder alone from the checkpoint, for files without an action-conditioned predictor;
            what is then predicted means nothing.
        seed: of random weights; the same seed gives the same ones.
        device: as torch names it: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` takes CUDA where there is one. With the
            backend ``openvino`` as that names it: ``cpu``, ``gpu``, ``npu``.
        dtype: of weights and layers: ``float32``, ``bfloat16`` or ``float16``; ``auto`` is float32 on a CPU and
            bfloat16 elsewhere.
        fast: pack the layers for inference, which takes less time; False leaves them as they are trained.
        compile_graphs: on a GPU, let ``torch.compile`` work on what :meth:`WorldModel.warm_up` records.
        backend: what computes whole windows and their one-step predictions: ``torch``, ``onnxruntime`` or ``openvino``,
            each with a package of its own; :attr:`WorldModel.backend` then says how far it is from torch.
        normalization: of actions and states; without one the weights' own (of the preset, or of the sidecar).
        encoder_key: the only key of a ``.pt`` that its encoder is taken from. It and what follows are the preset's
            where they are None.
        image_size: height and width of the encoder's input in px, or one number for a square.
        patch_size: side of a patch, in px.
        tubelet_size: frames in a tubelet.
        num_frames: N, the frames of a window.
        encoder_dim, encoder_depth, encoder_heads, mlp_ratio: the encoder's width, layers, heads, MLP ratio.
        predictor_dim, predictor_depth, predictor_heads: the predictor's width, layers, heads.
        action_dim, state_dim: A and S.
        context_steps: the newest steps that a forecast is made from at most; 0 for all.
        encoding: how a window goes through the encoder: ``clip``, ``tubelet``, ``frame_repeat``, or
            ``frame`` for V-JEPA 2.1.
        preprocessing: how an image becomes the encoder's input: ``square``, ``droid`` or ``eval``.
        encoder_family: what the encoder's layers are like: ``vjepa2`` or ``vjepa2_1``.
        latent_levels: which levels of a V-JEPA 2.1 encoder become latents: ``last``, or ``all`` along the channels.
        override_convention: take weights whose sidecar says that they were trained with another ``context_steps``,
            ``encoding`` or ``preprocessing`` all the same; without it they are refused, as by the node.

    Raises:
        ConfigError: for a parameter that makes no sense, or a device that is not there; it names the parameter.
        CheckpointError: for a file that is missing, broken or made for another model.
    """
    arguments = locals()
    given = {name: arguments[name] for name in MODEL_PARAMETERS if arguments[name] is not None}
    for name in ("random_predictor", "seed"):
        check(name, arguments[name])
    if encoder_key is not None:
        check("encoder_key", encoder_key)
    for name in ("fast", "compile_graphs", "override_convention"):
        require(isinstance(arguments[name], bool), name, f"must be true or false, not {brief(arguments[name])}")
    for name in ("checkpoint", "predictor_checkpoint"):
        path = arguments[name]
        fits = path is None or isinstance(path, (str, Path))
        require(fits, name, f"must be the path of a file, not {brief(path)}")
    fits = normalization is None or isinstance(normalization, Normalizations)
    require(fits, "normalization", f"must be Normalizations, not {brief(normalization)}")
    name_of_preset, values = preset_for(preset, checkpoint)
    for name, value in values.items():
        if name != "image_size":  # which may be one number in a preset
            check(name, value)
    config = model_of(name_of_preset, {**values, **given})
    path = checkpoint_of(name_of_preset, checkpoint)
    weights_from = WeightsConfig(
        path,
        random_predictor,
        seed,
        Sidecar.of_checkpoint(path),
        str(predictor_checkpoint or ""),
        Sidecar.of_checkpoint(predictor_checkpoint),
        encoder_key or values.get("encoder_key", ""),
    )
    require_own_sizes(checkpoint, path, weights_from.sidecar, config)
    if weights_from.deciding is not None:
        # Of the convention, what is the model's own: whoever has no streams says nothing about those.
        convention = weights_from.deciding.convention
        own = {name: getattr(config, name) for name in MODEL_PARAMETERS if name in convention}
        weights_from.deciding.require_convention({**convention, **own}, override_convention)
    trained = trained_with(values, weights_from.deciding)
    state_model: StateModel | ConfigError
    try:
        state_model = StateModel(change_of_convention(trained), config.action_dim, config.state_dim)
    except ConfigError as error:
        state_model = error
    return build_world_model(
        config,
        weights_from,
        EngineConfig(device, dtype, 0, fast, compile_graphs, backend),
        normalization or Normalizations.of(trained, config.action_dim, config.state_dim),
        state_model,
    )


def build_world_model(
    config: ModelConfig,
    weights_from: WeightsConfig,
    engine: EngineConfig,
    normalization: Normalizations,
    state_model: StateModel | ConfigError,
    on_bytes: Callable[[int, int], None] | None = None,
) -> WorldModel:
    """A world model of values that are resolved already.

    Args:
        config: the sizes.
        weights_from: where the weights come from.
        engine: where and how it computes; the number of threads is the process's, and left as it is.
        normalization: of actions and states.
        state_model: how actions advance states, or why nobody knows.
        on_bytes: called now and then with (bytes read, bytes to read) of the weights.

    Raises:
        ConfigError: for a backend, device or dtype that is not there, or a backend that does not agree with torch.
        CheckpointError: for a file that is missing, broken or made for another model.
    """
    runtime = find_runtime(engine.backend, engine.device, engine.dtype)
    device, dtype = runtime.device, runtime.dtype
    # Built without memory: the weights come as they are, nothing is drawn twice, torch's random state is left alone.
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    if weights_from.checkpoint:
        with failures("loading the weights"):
            weights = read_checkpoint(
                weights_from.checkpoint,
                encoder,
                predictor,
                sidecar=weights_from.sidecar,
                predictor_path=weights_from.predictor_checkpoint or None,
                predictor_sidecar=weights_from.predictor_sidecar,
                encoder_key=weights_from.encoder_key,
                device=device,
                dtype=dtype,
                norm_dtype=torch.float32 if engine.fast else None,
                predictor_seed=weights_from.seed if weights_from.random_predictor else None,
                on_bytes=on_bytes,
            )
    else:
        weights = random_weights(encoder, predictor, weights_from.seed)
    graphs = Graphs(device, engine.compile)
    build = partial(WorldModel, config, encoder, predictor, weights, device, dtype, normalization, state_model)
    if runtime.graph_dtype is None:
        return build(engine.fast, graphs)
    try:
        sessions = open_sessions(runtime, config, weights, (encoder, predictor), graphs)
        model = build(engine.fast, sessions)
        model.backend = sessions.parity({"encoder": encoder, "predictor": predictor}, graphs_of(config), runtime)
    except RuntimeError as error:
        said = (str(error).splitlines() or [repr(error)])[0]
        raise ConfigError(BACKEND, f"{runtime.name} cannot take this model: {said[:_MOST_SAID]}") from error
    return model
