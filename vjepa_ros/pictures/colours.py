"""Latents as colours: what lies far apart in them gets colours that lie far apart. Numbers in, pixels out.

The colours are the first three principal components of the latents, as red, green and blue. It knows no windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_ENDS = (2, 98)  # percentiles of each component that get its darkest and its brightest
_MOST_TOKENS = 256  # that a basis is made of: more say little more about three directions, and time is short
_LEAST_CONTRAST = 0.1  # a colour's deviation from its mean, over its span; of the basis's own latents, 0.2 and more
_SIDE_PX = 16  # of a token
_GAP_PX = 8


@dataclass(frozen=True)
class Basis:
    """Which colour is which direction of the latents.

    Attributes:
        mean: (D,) of the latents that it was made of.
        axes: (3, D), of length 1, the one with the largest variance first; zeros where there are fewer directions.
        low, high: (3,) of the components: what becomes 0 and 255.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float32]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, latents: NDArray[Any]) -> Basis:
        """That of the first three principal components over all tokens.

        Args:
            latents: (..., D) floats.
        """
        tokens = latents.reshape(-1, latents.shape[-1]).astype(np.float64)
        mean = tokens.mean(axis=0)
        centred = tokens - mean
        axes = _principal_axes(centred)
        components = centred @ axes.T  # (tokens, 3)
        low, high = np.percentile(components, _ENDS, axis=0)
        return cls(mean, axes.astype(np.float32), low, high)

    def __call__(self, latents: NDArray[Any]) -> Picture:
        """(..., 3) uint8 of latents (..., D)."""
        components = self._components(latents)
        shades = np.clip((components - self.low) / np.maximum(self.high - self.low, 1e-12), 0, 1)
        return np.asarray((shades * 255).round(), np.uint8)

    def _components(self, latents: NDArray[Any]) -> NDArray[np.float64]:
        """(..., 3) of latents (..., D): between two windows there is no time for more than float32."""
        return latents.astype(np.float32) @ self.axes.T - self.axes.astype(np.float64) @ self.mean

    def shows(self, latents: NDArray[Any]) -> bool:
        """Whether there is something to be seen of other latents: none of the three colours is far beyond its darkest
        or brightest for most of them, and they are not all of much the same colour."""
        components = self._components(latents.reshape(-1, latents.shape[-1]))
        span = np.maximum(self.high - self.low, 1e-12)
        beyond = (components < self.low - span / 2) | (components > self.high + span / 2)
        return bool(beyond.mean(axis=0).max() <= 0.5 and (components.std(axis=0) / span).max() > _LEAST_CONTRAST)

    def turned_to(self, other: Basis) -> Basis:
        """The same with each axis pointing the way that another one's does: bright stays bright as far as it can."""
        turned = np.where((self.axes * other.axes).sum(axis=1) < 0, -1.0, 1.0).astype(np.float32)
        ends = np.sort(np.stack([self.low * turned, self.high * turned]), axis=0)
        return Basis(self.mean, self.axes * turned[:, None], ends[0], ends[1])


class Colours:
    """Colours that mean the same from window to window, so that nothing flickers.

    The basis is that of the first latents. It is kept until nothing is to be seen by it of what comes: of another
    scene, or of one that was dark at the beginning.
    """

    def __init__(self) -> None:
        self._basis: Basis | None = None

    def __call__(self, steps: NDArray[Any]) -> Picture:
        """(..., 3) uint8 of latents (..., D), which are finite."""
        some = evenly(steps, _MOST_TOKENS)
        basis = self._basis
        if basis is None or len(basis.mean) != steps.shape[-1]:
            basis = Basis.of(some)
        elif not basis.shows(some):
            basis = Basis.of(some).turned_to(basis)
        self._basis = basis
        return basis(steps)


def principal_colours(latents: NDArray[Any]) -> Picture:
    """(..., 3) uint8: latents (..., D) in the colours of their own first three principal components."""
    return Basis.of(latents)(latents)


def evenly(latents: NDArray[Any], most: int) -> NDArray[Any]:
    """(n, D): so many tokens of (..., D) at most, evenly spread."""
    tokens = latents.reshape(-1, latents.shape[-1])
    return tokens[:: -(-len(tokens) // most)]


def side_by_side(pictures: Sequence[Picture] | Picture) -> Picture:
    """Steps of H' x W' tokens, large enough to be looked at, the first on the left.

    Args:
        pictures: (H', W', 3) each.

    Returns:
        (height, width, 3) uint8; 16 px a token, 8 px of white between two steps.
    """
    tiles = [picture.repeat(_SIDE_PX, axis=0).repeat(_SIDE_PX, axis=1) for picture in pictures]
    gap = np.full((tiles[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)


def _principal_axes(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, D) of (n, D), by the products of tokens or of channels with each other, of whichever there are fewer.

    An axis may point either way: its largest number is positive here, so that the same latents have the same colours.
    """
    by_tokens = len(centred) <= centred.shape[1]
    powers, vectors = np.linalg.eigh(centred @ centred.T if by_tokens else centred.T @ centred)
    largest = vectors[:, :-4:-1].T  # (3 or fewer, n or D)
    found = largest @ centred if by_tokens else largest
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    # Beside the first ones, directions without any variance are rounding alone.
    is_real = powers[:-4:-1, None] > 1e-12 * max(float(powers[-1]), 1e-300)
    found = np.where(is_real, found / np.maximum(lengths, 1e-300), 0.0)
    ways = np.sign(np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1))
    axes = np.zeros((3, centred.shape[1]))
    axes[: len(found)] = found * ways
    return axes
