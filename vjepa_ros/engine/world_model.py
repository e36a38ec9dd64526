"""The world model with its weights: tensors in, tensors out.

What it sees is :mod:`.image_encoder`'s, what it predicts :mod:`.step_predictor`'s. No ROS, no threads, no clock, no
files.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.devices import failures
from vjepa_ros.engine.arguments import Values, as_tensor
from vjepa_ros.engine.step_predictor import StepPredictor
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.rollout import mean_distance
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.weights.build import build
from vjepa_ros.weights.values import Weights


class WorldModel(StepPredictor):
    """Encoder and action-conditioned predictor of one configuration, with weights, on a device.

    :func:`vjepa_ros.load` makes one.

    >>> import numpy as np, vjepa_ros
    >>> wm = vjepa_ros.load("tiny_random")
    >>> frames = np.zeros((16, 120, 160, 3), np.uint8)  # RGB
    >>> context = wm.encode(wm.preprocess(frames))
    >>> actions, states = np.zeros((1, 8, 7)), np.zeros((1, 8, 7))  # in the units in which they are read
    >>> forecast = wm.grid.unflatten(wm.predict(context, actions, states))[:, -1]
    >>> forecast.shape
    torch.Size([1, 4, 4, 128])
    >>> candidates = np.zeros((5, 3, 7))  # K sequences of H actions; the first acts at the last observed step
    >>> ahead = wm.rollout(context, actions[:, :-1], states, candidates)
    >>> ahead.shape, wm.energy(ahead, wm.encode_goal(frames[0])).shape
    (torch.Size([5, 3, 16, 128]), torch.Size([5, 3]))

    Every tensor that it returns is float32 on its device; it computes in its dtype. Calls must not overlap: one thread
    at a time. Numbers may come as tensors (on any device), arrays or lists, images as arrays or images of PIL; what is
    neither is refused as a :class:`~vjepa_ros.errors.ShapeError`.

    Attributes:
        config: the configuration.
        grid: tokens of a whole window; ``grid.unflatten`` turns latents into (B, T', H', W', D).
        device, dtype: where and in what the layers run.
        normalization: what is done to actions and states before the layers see them.
        trained: whether all weights come from a checkpoint. Random ones give meaningless latents.
        notice: what users must be told about weights that are not trained, empty where all are.
        checkpoint_key: the key of the file that the encoder came from, None for random weights.
        weights_hash: 16 hex digits that stand for the weights, whatever the device and dtype.
        encoder_hash, predictor_hash: 64 hex digits each, of the parts: a predictor is paired with its encoder by them.
        notes: what users should know about where the weights came from, a sentence each.
        encoder, predictor: what computes, packed or not.
        kernels: in words, what packed modules compute with; empty where they are not packed.
        backend: in words, what computes whole windows and their one-step predictions in the place of torch, and how far
            from torch that is; empty where torch computes everything.
    """

    def __init__(
        self,
        config: ModelConfig,
        encoder: Encoder,
        predictor: Predictor,
        weights: Weights,
        device: torch.device,
        dtype: torch.dtype,
        normalization: Normalizations,
        state_model: StateModel | ConfigError,
        fast: bool,
        graphs: Graphs | None = None,
    ) -> None:
        with failures("loading the weights"):
            encoder, predictor, kernels = build(encoder, predictor, weights, device, dtype, fast)
        graphs = graphs or Graphs(device, compile_first=False)
        super().__init__(config, encoder, predictor, device, dtype, graphs, kernels, normalization, state_model)
        self.backend = ""
        self.checkpoint_key = weights.checkpoint_key
        self.trained = weights.trained
        self.notice = weights.notice
        self.notes = weights.notes
        self.weights_hash = weights.hash()
        self.encoder_hash, self.predictor_hash = (weights.hashes[part] for part in ("encoder", "predictor"))

    def energy(self, latents: Values, goal: Values, mask: Tensor | NDArray[Any] | None = None) -> Tensor:
        """How far latents are from a goal: the mean absolute difference over tokens and channels.

        Args:
            latents: (..., H'*W', D) layer-normalised latents of one step each, as :meth:`rollout` gives them.
            goal: (H'*W', D) or (1, H'*W', D), as :meth:`encode_goal` gives it.
            mask: (H'*W',) or (H', W') bool, the tokens that count; all where there is none.

        Returns:
            (...) float32; the energy that V-JEPA 2-AC's planner minimises.

        Raises:
            ShapeError: where the shapes do not fit the grid.
            EngineError: where the device fails.
        """
        with torch.inference_mode(), failures("comparing with the goal"):
            found, wanted = as_tensor(latents, "latents").to(self.device), as_tensor(goal, "a goal").to(self.device)
            counts = None if mask is None else torch.as_tensor(mask, device=self.device)
            return mean_distance(self.config, found, wanted, counts)

    def warm_up(self, windows: int = 1) -> None:
        """Run whole windows through once, so that the first real ones do not pay for what is done only once.

        Args:
            windows: how many go through at once.

        Raises:
            EngineError: where model or device fail, for example for lack of memory.
        """
        config, grid = self.config, self.grid
        # What a node asks for: in clip a whole window goes through the encoder, else one step; and all the context.
        clip = torch.zeros(windows, 3, config.frames_at_once, *config.image_size)
        steps = config.most_context
        context = torch.zeros(windows, steps * grid.tokens_per_step, config.latent_dim)
        inputs = context, torch.zeros(windows, steps, config.action_dim), torch.zeros(windows, steps, config.state_dim)
        if self.kernels:  # packed
            with torch.inference_mode(), failures("recording"):
                self._graphs.record(self.encoder, self._on_device(clip))
                self._graphs.record(self.predictor, *map(self._on_device, inputs))
        latents = self.encode(clip)
        prediction = self.predict(*inputs)
        with failures("warming up"):
            (prediction.sum() + latents.sum()).item()  # waits for the device
