"""Latents as colours: those of the principal components, kept from window to window, new where they show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from vjepa_ros.pictures.colours import Basis, Colours, principal_colours, side_by_side

RNG = np.random.default_rng(7)
AXES = np.linalg.qr(RNG.normal(size=(48, 4)))[0].T  # three directions and one more
SPREAD = np.array([8.0, 4.0, 2.0])


def scene(shift: float = 0.0, axes: np.ndarray = AXES[:3], count: int = 2) -> np.ndarray:
    """(count, 5, 6, 48): what varies along three directions, and noise."""
    values = RNG.normal(size=(count, 5, 6, 3)) * SPREAD + shift
    return (values @ axes + 0.01 * RNG.normal(size=(count, 5, 6, 48))).astype(np.float32)


@pytest.mark.parametrize("count", [1, 4], ids=["fewer tokens than channels", "more"])
def test_the_axes_are_those_of_a_singular_value_decomposition(count: int) -> None:
    latents = scene(count=count)
    basis = Basis.of(latents)
    tokens = latents.reshape(-1, 48).astype(np.float64)
    _, _, axes = np.linalg.svd(tokens - tokens.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs((basis.axes * axes[:3]).sum(axis=1)), 1.0, atol=1e-6)
    assert (basis.axes[np.arange(3), np.abs(basis.axes).argmax(axis=1)] > 0).all()


def test_colours_are_places_along_the_axes_between_the_ends() -> None:
    latents = scene()
    shades = principal_colours(latents)
    assert shades.shape == (2, 5, 6, 3) and shades.dtype == np.uint8
    basis = Basis.of(latents)
    for axis in range(3):
        along = (latents.astype(np.float64) @ basis.axes[axis]).ravel()
        low, high = np.percentile(along, [2, 98])
        want = np.clip((along - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(shades[..., axis].ravel(), want, atol=0.52)


def test_a_basis_is_kept_so_that_the_same_latents_have_the_same_colours_in_every_window() -> None:
    colours = Colours()
    same = scene(count=1)
    first = colours(np.concatenate([same, scene(count=1)]))[0]
    for _ in range(5):
        np.testing.assert_array_equal(colours(np.concatenate([same, scene(count=1)]))[0], first)
    alone = principal_colours(np.concatenate([same, scene(count=1)]))[0]
    assert (alone != first).any(), "a basis of each window's own would flicker"


@pytest.mark.parametrize(
    "other",
    [scene(axes=AXES[[3]] * np.ones((3, 1))), scene() + 100 * AXES[0].astype(np.float32), scene(shift=200.0)],
    ids=["in a direction without a colour", "far along one axis", "far along all"],
)
def test_another_scene_gets_another_basis(other: np.ndarray) -> None:
    colours = Colours()
    colours(scene())
    shades = colours(other)
    assert shades.reshape(-1, 3).std(axis=0).min() > 30, "everything has one colour"
    np.testing.assert_array_equal(colours(other), shades)


def test_a_new_basis_points_the_way_of_the_old_one() -> None:
    old = Basis.of(scene())
    turned = Basis(old.mean, -old.axes, -old.high, -old.low).turned_to(old)
    for name in ("mean", "axes", "low", "high"):
        np.testing.assert_array_equal(getattr(turned, name), getattr(old, name))


def test_a_dark_beginning_and_another_width_are_no_fault() -> None:
    colours = Colours()
    assert np.unique(colours(np.zeros((2, 5, 6, 48), np.float32)).reshape(-1, 3), axis=0).shape == (1, 3)
    assert colours(scene()).reshape(-1, 3).std(axis=0).min() > 30
    narrow = RNG.normal(size=(1, 2, 2, 2)).astype(np.float32)  # fewer channels than colours
    assert colours(narrow).shape == (1, 2, 2, 3)


def test_only_a_part_of_many_tokens_is_fitted_and_their_colours_are_much_the_same() -> None:
    many = scene(count=40)  # 1,200 tokens
    all_of_them, some = principal_colours(many).astype(int), Colours()(many).astype(int)
    # An axis may point the other way.
    errors = np.minimum(np.abs(all_of_them - some), np.abs(all_of_them - (255 - some)))
    assert errors.mean() < 12 and (all_of_them != some).any()


def test_steps_stand_side_by_side() -> None:
    shades = principal_colours(scene(count=3))
    picture = side_by_side(shades)
    assert picture.shape == (5 * 16, 3 * 6 * 16 + 2 * 8, 3)
    for number in range(3):
        left = number * (6 * 16 + 8)
        np.testing.assert_array_equal(picture[8::16, left + 8 : left + 96 : 16], shades[number])
    assert (picture[:, 96:104] == 255).all()
