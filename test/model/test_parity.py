"""The rows of docs/parity.md at less depth: ViT-L's layers as they are, and bfloat16; and that wrong ones show."""

from __future__ import annotations

import pytest
import torch
from support.parity import HEAD, PAGE, PRESETS, V21_INPUTS, compared, encoder_rows, half_row, predictor_rows
from support.reference import STACKS, encoder_pair, run, small_config, stack, transformers_encoder

from vjepa_ros.config.presets import model_config, preset_names
from vjepa_ros.model.grid import Grid
from vjepa_ros.model.rope import Rope, token_positions


def assert_all_hold(rows) -> None:
    rows = list(rows)
    print(HEAD, *rows, sep="\n")
    assert rows and all(row.holds for row in rows)


def test_layers_of_vit_l_on_its_whole_window():
    """Three of the 24 layers: all are of one kind. `make parity` runs all of them."""
    assert_all_hold(encoder_rows(model_config("vitl", encoder_depth=3)))


@pytest.mark.parametrize("given", V21_INPUTS, ids=["clip", "image"])
def test_layers_of_v_jepa_2_1_at_the_size_of_its_pictures(given):
    """Rows and columns are scaled there: at 256 px the factor is one."""
    config = model_config("vjepa2_1_vitb", encoder_depth=4, **given)
    assert config.family.scales(24, 24) == (15 / 23, 15 / 23)
    assert_all_hold(encoder_rows(config))


def test_layers_of_its_predictor_on_the_whole_window():
    assert_all_hold(predictor_rows(model_config("vitl", predictor_depth=2)))


@pytest.mark.parametrize("part, rows", [("encoder", encoder_rows), ("predictor", predictor_rows)])
@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_bfloat16_is_within_the_public_codes_own_error(part, rows, name, size):
    assert_all_hold(rows(small_config(image_size=size, **stack(part, name)), half=True))


def test_frame_repeat_in_bfloat16():
    assert_all_hold(encoder_rows(small_config(encoding="frame_repeat", **stack("encoder", "head64_depth3"))))


def test_wrong_positions_show():
    """The weights are such that attention looks at positions: rows twice as far apart are far above the limit."""
    config = small_config(**stack("encoder", "head64_depth3"))
    ours, public = encoder_pair(config)
    theirs = transformers_encoder(config, dict(ours.named_parameters()))
    clip = torch.randn(1, 3, 16, 64, 64, generator=torch.Generator().manual_seed(1))
    positions = token_positions(Grid.of(config))
    positions[:, 1] *= 2
    ours.rope = Rope(positions, 64)
    for other in (public, theirs):
        row = compared("", "", run(ours, clip), run(other, clip))
        assert not row.holds and row.mean > 0.05


def test_too_much_rounding_shows():
    exact = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))
    rounded = exact.bfloat16().float()
    assert half_row("", rounded, rounded, exact).holds
    assert not half_row("", exact + 1.25 * (rounded - exact), rounded, exact).holds


def test_the_page_has_every_preset_and_no_row_that_fails():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert set(PRESETS) == set(preset_names()) == {line.split("`")[1] for line in lines}
    assert all(line.endswith("| yes |") for line in lines)
