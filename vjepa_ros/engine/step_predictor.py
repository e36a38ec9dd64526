"""Predicts: each step's successor, and rollouts of many steps for many candidates.

Actions and states are taken in the units in which they are read; what the model wants done to them is done here, and
nowhere else. No weights, no ROS, no threads, no clock, no files.
"""

from __future__ import annotations

import logging
from contextlib import suppress

import torch
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
from vjepa_ros.model.rollout import Observed, check_future, check_observed, predict, record_rollout, roll_out
from vjepa_ros.model.state_model import StateModel

_LOG = logging.getLogger(__name__)


class StepPredictor(ImageEncoder):
    """An encoder and an action-conditioned predictor, on a device.

    Args:
        config, encoder, device, dtype, graphs: as for :class:`.ImageEncoder`.
        predictor: what computes, packed or not.
        kernels: in words, what packed modules compute with; empty where they are not packed.
        normalization: what is done to actions and states before the layers see them.
        state_model: how actions advance states; or why that is not known.

    Attributes:
        predictor, kernels, normalization: as given.
    """

    def __init__(
        self, config: ModelConfig, encoder: Encoder, predictor: Predictor, device: torch.device, dtype: torch.dtype,
        graphs: Graphs, kernels: str, normalization: Normalizations, state_model: StateModel | ConfigError,
    ) -> None:  # fmt: skip
        super().__init__(config, encoder, device, dtype, graphs)
        self.predictor = predictor
        self.kernels = kernels
        self.normalization = normalization
        self._reach = self.grid.with_steps(config.most_context)
        self._state_model = state_model
        self._actions = Normalizing("actions", normalization.actions, device)
        self._states = Normalizing("states", normalization.states, device)

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
