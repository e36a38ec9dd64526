"""The world model: tensors in, tensors out. What it sees is :mod:`.image_encoder`'s; here it predicts and rolls out.

Actions and states are taken in the units in which they are read; what the model wants done to them is done here, and
nowhere else. No ROS, no threads, no clock, no files.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.normalization import Normalizations
from vjepa_ros.devices import failures, release_memory
from vjepa_ros.engine.arguments import Values, as_tensor
from vjepa_ros.engine.image_encoder import ImageEncoder
from vjepa_ros.engine.normalizing import Normalizing
from vjepa_ros.errors import ConfigError, ShapeError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.rollout import (
    Observed,
    check_future,
    check_observed,
    mean_distance,
    predict,
    record_rollout,
    roll_out,
)
from vjepa_ros.model.state_model import StateModel
from vjepa_ros.weights.build import build
from vjepa_ros.weights.values import Weights

_LOG = logging.getLogger(__name__)


class WorldModel(ImageEncoder):
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
            encoder, self.predictor, self.kernels = build(encoder, predictor, weights, device, dtype, fast)
        super().__init__(config, encoder, device, dtype, graphs or Graphs(device, compile_first=False))
        self.backend = ""
        self._reach = self.grid.with_steps(config.most_context)
        self.normalization = normalization
        self._state_model = state_model
        self._actions = Normalizing("actions", normalization.actions, device)
        self._states = Normalizing("states", normalization.states, device)
        self.checkpoint_key = weights.checkpoint_key
        self.trained = weights.trained
        self.notice = weights.notice
        self.notes = weights.notes
        self.weights_hash = weights.hash()
        self.encoder_hash, self.predictor_hash = (weights.hashes[part] for part in ("encoder", "predictor"))

    def predict(self, context: Values, actions: Values, states: Values) -> Tensor:
        """Predict each step's successor.

        The output at step k is the prediction for step k+1. What is a forecast: in the encoding ``clip`` the context's
        first T'-1 successors are steps that the encoder has already seen, so only the last step's output
        (``grid.unflatten(predictions)[:, -1]``) looks ahead. In ``tubelet`` and ``frame_repeat`` every output does.

        Args:
            context: (B, T'*H'*W', D) layer-normalised latents, torch or numpy, of any number of whole steps up to the
                grid's.
            actions: (B, T', A), torch or numpy, in the units in which they are read; action[k] is in force from step k
                to k+1.
            states: (B, T', S), torch or numpy, in the units in which they are read; state[k] is the state at step k.

        Returns:
            (B, T'*H'*W', D) float32, layer-normalised.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
            EngineError: where model or device fail.
        """
        with torch.inference_mode(), failures("predicting"):
            normalized = self._actions(actions), self._states(states)
            inputs = map(self._on_device, (as_tensor(context, "context"), *normalized))
            return predict(self._graphs, self.predictor, *inputs)

    @property
    def state_model(self) -> StateModel:
        """How actions advance states, as preset and weights say, or a node's parameters.

        Raises:
            ConfigError: where they do not say it, or where it makes no sense.
        """
        if isinstance(self._state_model, ConfigError):
            raise ConfigError(self._state_model.parameter, self._state_model.reason)
        return self._state_model

    def rollout(
        self,
        context: Values,
        actions: Values,
        states: Values,
        future_actions: Values,
        *,
        state_model: StateModel | None = None,
    ) -> Tensor:
        """Forecast H steps for each of K action sequences, each step from all before it.

        ``action[k]`` is in force from step k to k+1. So the first future action acts at the last observed step, and t
        observed steps come with t-1 actions of the past: none for a single one. Each forecast is layer-normalised
        before it is used again; its state is the last one, advanced by the state model.

        Each forecast is made from the newest ``config.most_context`` steps: whatever comes on top pushes out the oldest
        ones. A shorter context leaves room for a rollout that loses nothing: t + H - 1 steps are no more than these.

        Args:
            context: (B, t*H'*W', D) layer-normalised latents, torch or numpy, of any number t of whole steps up to
                the grid's.
            actions: (B, t-1, A), torch or numpy, as they are read; those that led from each observed step to the next.
            states: (B, t, S), torch or numpy, as they are read; at the observed steps.
            future_actions: (B, K, H, A), or (K, H, A) where B is 1, torch or numpy, as they are read; the first is in
                force from the last observed step on.
            state_model: how actions advance states; :attr:`state_model` where none is given. One step ahead none is
                needed.

        Returns:
            (B, K, H, H'*W', D), or without B where the future actions have none, float32: forecast h is of the step
            h+1 after the last observed one.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
            ConfigError: where there is no state model, or one of other dimensions than the model's.
            EngineError: where model or device fail.
        """
        return self.rollout_from(self.observe(context, actions, states), future_actions, state_model=state_model)

    def observe(self, context: Values, actions: Values, states: Values) -> Observed:
        """What all rollouts from the same observed steps share, computed once: for planners that ask again and again.

        Args:
            context, actions, states: as for :meth:`rollout`.

        Raises:
            ShapeError: where an input does not fit; it names both shapes.
            EngineError: where model or device fail.
        """
        with torch.inference_mode(), failures("predicting a rollout"):
            past, read = as_tensor(actions, "actions").cpu().double(), as_tensor(states, "states").cpu().double()
            context = as_tensor(context, "context")
            check_observed(self.config, context, past, read)
            most = self.config.most_context  # older steps are never looked at
            latents = context[:, -most * self.grid.tokens_per_step :].to(self.device).float()
            past, read = past[:, max(0, past.shape[1] - most + 1) :], read[:, -most:]
            past, observed = self._actions(past), self._states(read)
            history = self.predictor.observe(*map(self._on_device, (latents, past, observed[:, :-1])))
            return Observed(latents, past, observed, read[:, -1], history)

    def newest(self, observed: Observed, steps: int) -> Observed:
        """The newest of what :meth:`observe` has prepared, as if no more had been observed.

        A rollout from t steps that goes H steps ahead stays fast as long as t + H - 1 is no more than
        ``config.most_context``: nothing is pushed out.

        Args:
            observed: t steps.
            steps: how many of them, at least 1.

        Raises:
            ShapeError: for less than one step.
            EngineError: where model or device fail.
        """
        if steps < 1:
            raise ShapeError(f"{steps} observed steps where at least 1 is needed")
        if steps >= observed.steps:
            return observed
        with torch.inference_mode(), failures("predicting a rollout"):
            latents = observed.context[:, -steps * self.grid.tokens_per_step :]
            past, states = observed.actions[:, observed.actions.shape[1] - steps + 1 :], observed.states[:, -steps:]
            history = self.predictor.observe(*map(self._on_device, (latents, past, states[:, :-1])))
            return Observed(latents, past, states, observed.newest_state, history)

    def rollout_from(
        self, observed: Observed, future_actions: Values, *, state_model: StateModel | None = None
    ) -> Tensor:
        """:meth:`rollout` from steps that :meth:`observe` has prepared; they can be used any number of times."""
        if state_model is not None and not isinstance(state_model, StateModel):
            raise ConfigError("state_model", f"must be a StateModel or None, not a {type(state_model).__name__}")
        with torch.inference_mode(), failures("predicting a rollout"):
            future = as_tensor(future_actions, "future_actions").cpu().double()
            check_future(self.config, observed.windows, future)
            all_future = future if future.ndim == 4 else future[None]  # (B, K, H, A)
            now = observed.newest_state[:, None].expand(-1, all_future.shape[1], -1)  # (B, K, S)
            states = now[:, :, None]
            if all_future.shape[2] > 1:  # one step ahead no state is needed but the observed ones
                advance = state_model or self.state_model
                advance.require_dims(self.config.action_dim, self.config.state_dim)
                # No state depends on a latent: all of them are known before the first forecast.
                ahead = torch.from_numpy(advance.unroll(now.numpy(), all_future[:, :, :-1].numpy()))
                states = torch.cat([states, ahead], dim=2)  # (B, K, H, S)
            normalized = self._actions(all_future), self._states(states)
            forecasts = roll_out(self._graphs, self.predictor, self._reach, observed, *normalized)
            return forecasts if future.ndim == 4 else forecasts[0]

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

    def record_rollout(self, steps: int, candidates: int, horizon: int) -> None:
        """On a GPU, have rollouts of these sizes replayed from now on; nothing elsewhere. Where memory is missing for
        that, they go on being called.

        Args:
            steps: t, how many are observed.
            candidates: K, in one call.
            horizon: H, steps ahead.

        Raises:
            EngineError: where model or device fail.
        """
        if not self._graphs.records or not self.kernels:  # not packed
            return
        config = self.config
        context = torch.zeros(1, steps * self.grid.tokens_per_step, config.latent_dim)
        past, states = torch.zeros(1, steps - 1, config.action_dim), torch.zeros(1, steps, config.state_dim)
        observed, shape = self.observe(context, past, states), (1, candidates, horizon)
        at_rest = torch.zeros(*shape, config.action_dim), torch.zeros(*shape, config.state_dim)
        with torch.inference_mode(), failures("recording a rollout"):
            is_recorded = False
            with suppress(torch.cuda.OutOfMemoryError):
                record_rollout(self._graphs, self.predictor, self._reach, observed, *at_rest)
                is_recorded = True
        if not is_recorded:
            release_memory()
            _LOG.warning(
                "rollouts of %d steps for %d candidates are called, not replayed: there is no memory to record them; "
                "fewer at once need less (candidates.batch_size)", horizon, candidates,
            )  # fmt: skip

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
