"""Encoders are trained from scratch, in every encoding: places can be read, energies grow with distance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.footage import dot_config, dots
from support.learnable import CPU_OPTIONS, as_read
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.errors import ConfigError
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.course import Progress
from vjepa_ros.training.encoder import TrainedEncoder, encoder_learning, train_encoder
from vjepa_ros.training.encoder_loss import EncoderLoss, EncoderObjective
from vjepa_ros.training.footage import PAIRS, Footage
from vjepa_ros.training.initial import fresh_encoder, fresh_predictor
from vjepa_ros.training.runs import Run

ENCODINGS = {
    "tubelet": {},
    "tubelet of one frame": {"tubelet_size": 1},
    "frame_repeat": {"encoding": "frame_repeat"},
    "clip": {"encoding": "clip"},
    "clip, one step": {"encoding": "clip", "context_steps": 1},
}


def train(
    config: ModelConfig, frames: Tensor, runs: list[Run], folder: Path, held: list[Run] | None = None, **changes: object
) -> TrainedEncoder:
    more = {name: changes.pop(name) for name in ("progress", "resume") if name in changes}
    objective = EncoderObjective(**changes.pop("objective", {}))
    learning = encoder_learning(**{"steps": 12, "batch": 4, **CPU_OPTIONS, **changes})
    kept = config.most_context if config.way.is_whole else 1
    return train_encoder(
        frames, runs, held or [], fresh_encoder(config, 0), "delta", as_read(config), objective, learning, folder,
        kept=kept, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_learns(name: str, tmp_path: Path) -> None:
    config = dot_config(**ENCODINGS[name])
    frames, runs = dots(config)
    result = train(config, frames, runs[:6], tmp_path, runs[6:], evaluate_every=6, steps=30)
    losses = [told["loss"] for told in result.history]
    assert result.steps == 30 and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert all(np.isfinite(list(told.values())).all() for told in result.history)
    assert [told["step"] for told in result.history if "held_back_loss" in told] == [6, 12, 18, 24, 30]


@pytest.mark.parametrize("levels", ["last", "all"])
@pytest.mark.parametrize("encoding", ["frame", "frame_repeat", "tubelet", "clip"])
def test_of_v_jepa_2_1_all_is_learnt_but_what_its_encoding_leaves_idle(
    encoding: str, levels: str, tmp_path: Path
) -> None:
    config = dot_config(encoder_family="vjepa2_1", encoder_depth=4, encoding=encoding, latent_levels=levels)
    frames, runs = dots(config)
    before = dict(fresh_encoder(config, 0).named_parameters())
    after = dict(train(config, frames, runs, tmp_path, steps=3, lr=0.1).encoder.named_parameters())
    tokenizer, embedding = ("patch_embed.", "video_mod") if encoding == "frame" else ("patch_embed_img.", "img_mod")
    idle = (tokenizer, embedding, *(() if levels == "all" else ("norms_block.0", "norms_block.1", "norms_block.2")))
    for name, parameter in after.items():
        assert torch.equal(parameter, before[name]) == name.startswith(idle) == (not parameter.requires_grad), name


def latents_of(encoder: Encoder, frames: Tensor) -> Tensor:
    with torch.no_grad():
        return layer_normalize(encoder(frames.float()))


def distances(encoder: Encoder, frames: Tensor, places: Tensor) -> float:
    """Correlation of energies with distances, over pairs."""
    latents = latents_of(encoder, frames)
    one, other = torch.triu_indices(len(frames), len(frames), offset=1)
    energies = (latents[one] - latents[other]).abs().mean(dim=(-2, -1))
    return float(np.corrcoef(energies, (places[one] - places[other]).norm(dim=1))[0, 1])


def test_a_trained_encoder_knows_where_things_are_and_one_of_wrong_actions_does_not(tmp_path: Path) -> None:
    config = dot_config()
    frames, runs = dots(config, recordings=40)
    places = torch.from_numpy(np.concatenate([run.states for run in runs]))
    mixed = np.random.default_rng(1)
    wrong = [replace(run, actions=mixed.permutation(run.actions)) for run in runs]
    found = {}
    for name, taught in (("right", runs), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        encoder = train(config, frames, taught[:32], tmp_path / name, steps=250, batch=16, log_every=50).encoder
        assert not encoder.training
        held = slice(32 * 12, None)
        found[name] = distances(encoder, frames[held], places[held])
    print(found)
    assert found["right"] > 0.8 and found["right"] > found["wrong"] + 0.1


def test_the_terms_are_what_they_are_said_to_be() -> None:
    """Each of them once more, in plain words, for one batch."""
    config = dot_config()
    frames, runs = dots(config)
    footage = Footage(frames, runs, config, "delta", as_read(config), 1, None, 0)
    given = footage(range(4))
    encoder, predictor = fresh_encoder(config, 0), fresh_predictor(config, 1).predictor
    objective = EncoderObjective(inverse=0.5, metric=3.0, prediction=2.0, covariance=0.1, tau=0.8)
    loss = EncoderLoss(encoder, predictor, objective)
    torch.nn.init.normal_(loss.read.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        figures = loss(*given)
        shown, motions, lengths, actions, states = given
        z = torch.stack(
            [torch.stack([layer_normalize(encoder(unit[None]))[0] for unit in episode]) for episode in shown]
        )
        inverse, metric = [], []
        for episode in range(4):
            for pair, (i, j) in enumerate(PAIRS):
                read = loss.read.weight @ (z[episode, j] - z[episode, i]).flatten()
                inverse.append((read - motions[episode, pair]).square().mean())
                energy = (z[episode, i] - z[episode, j]).abs().mean()
                metric.append((energy - 1.1 * (1 - torch.exp(-lengths[episode, pair] / 0.8))) ** 2)
        prediction = []
        for episode in (0, 2):
            for unit in range(3):
                step = slice(unit, unit + 1)
                out = predictor(z[episode, unit][None], actions[episode, step], states[episode, step])
                prediction.append((layer_normalize(out) - z[episode, unit + 1]).abs().mean())
        centred = (z - z.mean(dim=1, keepdim=True)).flatten(0, 2).double()
        covariance = centred.T @ centred / (4 * 3 * z.shape[2])
        off = covariance - torch.diag(covariance.diagonal())
    wanted = {
        "inverse": torch.stack(inverse).mean(), "metric": torch.stack(metric).mean(),
        "prediction": torch.stack(prediction).mean(), "covariance": off.square().sum() / 16,
    }  # fmt: skip
    for name, value in wanted.items():
        assert figures[name].item() == pytest.approx(value.item(), rel=1e-4), name
    total = sum(getattr(objective, name) * value.item() for name, value in wanted.items())
    assert figures["loss"].item() == pytest.approx(total, rel=1e-4)


def test_a_share_of_the_predictions_gradient_reaches_the_encoder() -> None:
    config = dot_config()
    frames, runs = dots(config)
    given = Footage(frames, runs, config, "delta", as_read(config), 1, None, 0)(range(4))
    sizes = {}
    for through in (0.0, 0.3, 1.0):
        encoder, predictor = fresh_encoder(config, 0), fresh_predictor(config, 1).predictor
        objective = EncoderObjective(inverse=0, metric=0, covariance=0, through=through)
        loss = EncoderLoss(encoder, predictor, objective)
        loss(*given)["loss"].backward()
        sizes[through] = (encoder.norm.bias.grad.norm().item(), predictor.predictor_proj.bias.grad.norm().item())
    assert sizes[0.0][0] == 0 < sizes[1.0][0]
    assert sizes[0.3][0] == pytest.approx(0.3 * sizes[1.0][0], rel=1e-3)
    assert sizes[0.3][1] == pytest.approx(sizes[1.0][1], rel=1e-5)


@pytest.mark.parametrize("name", ENCODINGS)
def test_episodes_show_what_their_motions_say(name: str) -> None:
    """The dot's place in a unit's last frame is where the step's state says, and motions lie between them."""
    config = dot_config(**ENCODINGS[name], action_dim=2)
    frames, runs = dots(config)
    kept = config.most_context if config.way.is_whole else 1
    footage = Footage(frames, runs, config, "delta", as_read(config), kept, None, 3)
    shown, motions, lengths, actions, states = footage(range(24))
    assert shown.dtype == torch.float32 and actions.shape[2] == kept
    height, width = config.image_size
    bright = shown[:, :, 0, -1].flatten(2).argmax(-1)  # (B, 4)
    seen = torch.stack([bright % width / (width - 1), bright // width / (height - 1)], dim=-1) * 2 - 1
    places = states[:, :, -1]
    assert (seen - places).abs().max() <= 1.01 / (width - 1)
    one, other = (list(side) for side in zip(*PAIRS, strict=True))
    moved = (places[:, other] - places[:, one]) / torch.from_numpy(footage.motion.unit).float()
    assert (moved - motions).abs().max() <= 1e-5
    assert (lengths - moved.square().mean(-1).sqrt()).abs().max() <= 1e-5
    follow = actions[0::2, :-1, -1]  # between units that follow each other lies one action
    assert (places[0::2, 1:] - places[0::2, :-1] - follow).abs().max() <= 1e-5
    stands = (shown == shown[:, :, :, -1:]).flatten(1).all(1)
    if config.way.is_whole:  # only frozen windows stand still
        assert not stands[0::2].any() and 1 <= stands[1::2].sum() <= 7
    again = footage(range(4, 24))
    assert all(torch.equal(first[4:], second) for first, second in zip((shown, motions, lengths), again, strict=False))


def test_targets_lead_to_where_the_next_step_is(tmp_path: Path) -> None:
    """The same world by absolute targets, of which action m is the place of step m+1, has the same motions."""
    config = dot_config()
    frames, runs = dots(config)
    targets = [replace(run, actions=np.concatenate([run.states[1:], np.zeros((1, 2))])) for run in runs]
    footage = Footage(frames, targets, config, "target", as_read(config), 1, None, 0)
    _, motions, _, _, states = footage(range(8))
    one, other = (list(side) for side in zip(*PAIRS, strict=True))
    moved = (states[:, other, -1] - states[:, one, -1]) / torch.from_numpy(footage.motion.unit).float()
    assert (moved - motions).abs().max() <= 1e-5


def test_it_goes_on_bit_by_bit(tmp_path: Path) -> None:
    config = dot_config()
    frames, runs = dots(config)

    def stop(now: Progress) -> None:
        if now.step == 9:
            raise KeyboardInterrupt

    (tmp_path / "whole").mkdir()
    whole = train(config, frames, runs[:6], tmp_path / "whole", runs[6:], save_every=5)
    with pytest.raises(KeyboardInterrupt):
        train(config, frames, runs[:6], tmp_path, runs[6:], save_every=5, progress=stop)
    again = train(config, frames, runs[:6], tmp_path, runs[6:], save_every=5, resume=True)
    assert whole.history == again.history
    for name, tensor in whole.encoder.state_dict().items():
        assert torch.equal(tensor, again.encoder.state_dict()[name]), name


def test_refusals(tmp_path: Path) -> None:
    config = dot_config()
    frames, runs = dots(config, steps=3)
    with pytest.raises(ConfigError, match="bags: have no 4 steps"):
        train(config, frames, runs, tmp_path)
    frames, runs = dots(config)
    with pytest.raises(ConfigError, match="batch: must be even, not 3"):
        train(config, frames, runs, tmp_path, batch=3)
    with pytest.raises(ConfigError, match="tau: must be positive"):
        EncoderObjective(tau=0.0)
