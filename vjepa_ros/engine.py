"""The world model: tensors in, tensors out. Load, warm up, preprocess, encode, predict.

No ROS, no threads, no clock, no files but the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vjepa_ros.config import ModelConfig, ViewConfig
from vjepa_ros.errors import ConfigError, EngineError, ShapeError
from vjepa_ros.model.checkpoint import read_checkpoint
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import model_config
from vjepa_ros.model.weights import Weights, random_weights
from vjepa_ros.stream.preprocess import Preprocess

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    preset: str = "tiny",
    *,
    checkpoint: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    seed: int = 0,
    random_predictor: bool = False,
    **overrides: Any,
) -> WorldModel:
    """Build a world model.

    Args:
        preset: name of a preset that comes with the package, or the path of a ``.yaml`` file.
        checkpoint: path of a ``.pt`` or ``.safetensors`` file; without one (None or "") the weights are random.
        device: as torch names it: ``cpu``, ``cuda``, ``cuda:1``; ``auto`` takes CUDA where there is one.
        dtype: of weights and layers: ``float32``, ``bfloat16`` or ``float16``; ``auto`` is float32 on a CPU and
            bfloat16 elsewhere.
        seed: of the random weights; the same seed gives the same ones.
        random_predictor: take the encoder alone from the checkpoint, for files without an action-conditioned predictor;
            what is then predicted means nothing.
        overrides: model parameters that replace the preset's, see :func:`vjepa_ros.model.presets.model_config`.

    Raises:
        ConfigError: for a parameter that makes no sense, or a device that is not there; it names the parameter.
        CheckpointError: for a file that is missing, broken or made for another model.
    """
    config = model_config(preset, **overrides)
    torch_device = _device(device)
    torch_dtype = _dtype(dtype, torch_device)
    # Built without memory: the weights come as they are, nothing is drawn twice, torch's random state is left alone.
    with torch.device("meta"):
        encoder, predictor = Encoder(config), Predictor(config)
    if checkpoint:
        predictor_seed = seed if random_predictor else None
        with failures("loading the weights"):
            weights = read_checkpoint(
                checkpoint, encoder, predictor, device=torch_device, dtype=torch_dtype, predictor_seed=predictor_seed
            )
    else:
        weights = random_weights(encoder, predictor, seed)
    return WorldModel(config, encoder, predictor, weights, torch_device, torch_dtype)


class WorldModel:
    """Encoder and action-conditioned predictor of one configuration, with weights, on a device.

    Every tensor that it returns is float32 on its device; it computes in its dtype. Calls must not overlap: one thread
    at a time.

    Attributes:
        config: the configuration.
        grid: tokens of a whole window; ``grid.unflatten`` turns latents into (B, T', H', W', D).
        device, dtype: where and in what the layers run.
        trained: whether all weights come from a checkpoint. Random ones give meaningless latents.
        notice: what users must be told about weights that are not trained, empty where all are.
        checkpoint_key: the key of the file that the encoder came from, None for random weights.
        weights_hash: 16 hex digits that stand for the weights, whatever the device and dtype.
        encoder, predictor: the modules.
    """

    def __init__(
        self,
        config: ModelConfig,
        encoder: Encoder,
        predictor: Predictor,
        weights: Weights,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.config = config
        self.grid = Grid.of(config)
        self.device = device
        self.dtype = dtype
        self.checkpoint_key = weights.checkpoint_key
        self.trained = weights.trained
        self.notice = _notice(weights)
        self.weights_hash = weights.hash()
        self.encoder = encoder
        self.predictor = predictor
        with failures("loading the weights"):
            _place(encoder, weights.encoder, device, dtype)
            _place(predictor, weights.predictor, device, dtype)
            encoder.patch_embed.fold()

    def preprocess(self, frames: NDArray[np.uint8], view: ViewConfig | None = None) -> Tensor:
        """(N, h, w, 3) uint8 RGB -> (1, 3, N, H, W), as the preset says, on the model's device and in its dtype.

        Args:
            frames: whole camera images.
            view: what of them to look at and how to turn it, before the preset's preprocessing.

        Raises:
            ShapeError: for anything else, or no frame at all.
            InputError: for frames that the view's region of interest does not fit in.
        """
        if frames.ndim != 4 or len(frames) == 0:
            raise ShapeError(f"frames must be (N, h, w, 3) uint8 with N of at least 1, not {frames.shape}")
        preprocess = Preprocess(self.config.preprocessing, self.config.image_size, view)
        clip = np.stack([preprocess(frame) for frame in frames], axis=1)  # (3, N, H, W)
        with failures("preprocessing"):
            return torch.from_numpy(clip)[None].to(self.device, self.dtype)

    def encode(self, clip: Tensor, *, normalize: bool = True) -> Tensor:
        """Encode clips.

        Args:
            clip: (B, 3, N, H, W) floats, ImageNet-normalised, on any device; N a whole number of tubelets (of frames,
                in ``frame_repeat``) up to the window's.
            normalize: layer-normalise the latents as the predictor needs them; False gives the encoder's own.

        Returns:
            (B, T'*H'*W', D) float32.

        Raises:
            ShapeError: where the clip does not fit.
            EngineError: where model or device fail.
        """
        if not clip.is_floating_point():
            raise ShapeError(f"a clip must hold normalised floats, as preprocess() gives them, not {clip.dtype}")
        with torch.inference_mode(), failures("encoding"):
            latents = self.encoder(clip.to(self.device, self.dtype)).float()
            return layer_normalize(latents) if normalize else latents

    def predict(
        self, context: Tensor, actions: Tensor | NDArray[np.floating], states: Tensor | NDArray[np.floating]
    ) -> Tensor:
        """Predict each step's successor.

        The output at step k is the prediction for step k+1. What is a forecast: in the encoding ``clip`` the context's
        first T'-1 successors are steps that the encoder has already seen, so only the last step's output
        (``grid.unflatten(predictions)[:, -1]``) looks ahead. In ``tubelet`` and ``frame_repeat`` every output does.

        Args:
            context: (B, T'*H'*W', D) layer-normalised latents of any number of whole steps up to the grid's.
            actions: (B, T', A), torch or numpy; action[k] is in force from step k to k+1.
            states: (B, T', S), torch or numpy; state[k] is the state at step k.

        Returns:
            (B, T'*H'*W', D) float32, layer-normalised.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
            EngineError: where model or device fail.
        """
        with torch.inference_mode(), failures("predicting"):
            inputs = (_tensor(value).to(self.device, self.dtype) for value in (context, actions, states))
            return layer_normalize(self.predictor(*inputs).float())

    def warm_up(self) -> None:
        """Run a whole window through once, so that the first real one does not pay for what is done only once.

        Raises:
            EngineError: where model or device fail, for example for lack of memory.
        """
        config = self.config
        context = self.encode(torch.zeros(1, 3, config.num_frames, *config.image_size))
        steps = self.grid.steps
        prediction = self.predict(
            context, torch.zeros(1, steps, config.action_dim), torch.zeros(1, steps, config.state_dim)
        )
        with failures("warming up"):
            prediction.sum().item()  # waits for the device


def use_threads(count: int) -> None:
    """Let torch compute with so many threads on a CPU; 0 takes all cores but one.

    With every core busy in the model, whoever receives messages beside it starves, and messages get lost.
    """
    torch.set_num_threads(count or max(1, len(os.sched_getaffinity(0)) - 1))


def release_memory() -> None:
    """Give the GPU memory of models that are gone back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def layer_normalize(latents: Tensor) -> Tensor:
    """Layer norm over the last axis without affine parameters, eps 1e-5; what stands before and after the predictor."""
    return F.layer_norm(latents, latents.shape[-1:], eps=1e-5)


def _tensor(value: Tensor | NDArray[np.floating]) -> Tensor:
    """The value as a tensor; numpy arrays are copied, since they may be read-only views of a message."""
    return value if isinstance(value, Tensor) else torch.tensor(value)


def _notice(weights: Weights) -> str:
    if weights.trained:
        return ""
    which = "seeded random weights" if weights.checkpoint_key is None else "the predictor has seeded random weights"
    return f"UNTRAINED: {which}"


def _place(module: nn.Module, tensors: dict[str, Tensor], device: torch.device, dtype: torch.dtype) -> None:
    """Give the module its weights. Only they get the dtype: RoPE's tables stay float32."""
    placed = {name: tensor.to(device, dtype) for name, tensor in tensors.items()}
    module.load_state_dict(placed, strict=True, assign=True)
    module.to(device).eval().requires_grad_(False)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the name alone does not say that the device is there and works
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        raise ConfigError("device", f"{name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        name = "float32" if device.type == "cpu" else "bfloat16"
    if name not in DTYPES:
        raise ConfigError("dtype", f"{name!r} is not one of {', '.join(DTYPES)}")
    return DTYPES[name]


@contextmanager
def failures(doing: str) -> Iterator[None]:
    """Turn what torch raises (out of memory included) into an EngineError.

    A GPU computes behind the caller's back: its failures show where a result is copied to the host, so who copies one
    does it inside of this.
    """
    try:
        yield
    except RuntimeError as error:
        raise EngineError(f"{doing} failed: {error}") from error
