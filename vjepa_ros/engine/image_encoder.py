"""From images to latents: the part of the world model that sees. No ROS, no threads, no clock, no files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.config.model import ModelConfig
from vjepa_ros.config.view import ViewConfig
from vjepa_ros.devices import failures, to_device
from vjepa_ros.engine.arguments import Image, Values, as_frames, as_image, as_tensor, require_view
from vjepa_ros.errors import ShapeError
from vjepa_ros.images.preprocess import Preprocess
from vjepa_ros.model.blocks import layer_normalize
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.graphs import Graphs
from vjepa_ros.model.grid import Grid


class ImageEncoder:
    """Preprocessing and the encoder of one configuration, on a device; a :class:`.WorldModel` is one that predicts too.

    Args:
        config: the configuration.
        encoder: with its weights, on the device.
        device, dtype: where and in what it computes.
        graphs: run what was recorded.

    Attributes:
        grid: tokens of a whole window.
        config, encoder, device, dtype: as given.
    """

    def __init__(
        self, config: ModelConfig, encoder: Encoder, device: torch.device, dtype: torch.dtype, graphs: Graphs
    ) -> None:
        self.config = config
        self.grid = Grid.of(config)
        self.encoder = encoder
        self.device = device
        self.dtype = dtype
        self._graphs = graphs

    def preprocess(self, frames: Image | Sequence[Image], view: ViewConfig | None = None) -> Tensor:
        """(N, h, w, 3) uint8 RGB -> (1, 3, N, H, W), as the preset says, on the model's device and in its dtype.

        Args:
            frames: whole camera images, or a list of them: arrays or images of PIL, each of its own size if need be.
            view: what of them to look at and how to turn it, before the preset's preprocessing.

        Raises:
            ShapeError: for anything else, or no frame at all.
            InputError: for frames that the view's region of interest does not fit in.
        """
        require_view(view)
        images = as_frames(frames)
        preprocess = Preprocess(self.config.preprocessing, self.config.image_size, view)
        clip = np.stack([preprocess(image) for image in images], axis=1)  # (3, N, H, W)
        with failures("preprocessing"):
            return torch.from_numpy(clip)[None].to(self.device, self.dtype)

    def encode(self, clip: Values, *, normalize: bool = True) -> Tensor:
        """Encode clips.

        Args:
            clip: (B, 3, N, H, W) floats, ImageNet-normalised, torch (on any device) or numpy; N a whole number of
                tubelets (of frames, in ``frame_repeat``) up to the window's.
            normalize: layer-normalise the latents as the predictor needs them; False gives the encoder's own.

        Returns:
            (B, T'*H'*W', D) float32.

        Raises:
            ShapeError: where the clip does not fit.
            EngineError: where model or device fail.
        """
        clip = as_tensor(clip, "a clip")
        if not clip.is_floating_point():
            raise ShapeError(f"a clip must hold normalised floats, as preprocess() gives them, not {clip.dtype}")
        with torch.inference_mode(), failures("encoding"):
            latents = self._graphs.run(self.encoder, self._on_device(clip)).float()
            return layer_normalize(latents) if normalize else latents

    def encode_goal(self, image: Image, view: ViewConfig | None = None) -> Tensor:
        """The latents of one step in which nothing moves: what a goal image looks like to the predictor.

        In ``clip``, the last step of a whole window of the image; in ``tubelet``, the tubelet that repeats it; in
        ``frame_repeat``, the frame.

        Args:
            image: (h, w, 3) uint8 RGB, a whole camera image: an array, or an image of PIL.
            view: what of it to look at and how to turn it, as for :meth:`preprocess`.

        Returns:
            (1, H'*W', D) float32, layer-normalised.

        Raises:
            ShapeError: for anything else.
            InputError: for an image that the view's region of interest does not fit in.
            EngineError: where model or device fail.
        """
        return self.encode_still(self.preprocess([as_image(image, "a goal image")], view))

    def encode_still(self, frame: Tensor) -> Tensor:
        """What :meth:`encode_goal` gives, for an image that is preprocessed already.

        Args:
            frame: (1, 3, 1, H, W) floats, as :meth:`preprocess` gives them.

        Returns:
            (1, H'*W', D) float32, layer-normalised.

        Raises:
            ShapeError, EngineError: as :meth:`encode` does.
        """
        frame = as_tensor(frame, "a frame")
        if frame.ndim != 5 or frame.shape[2] != 1:
            raise ShapeError(f"a frame of shape {tuple(frame.shape)} where (1, 3, 1, H, W) is needed")
        return self.encode(frame.expand(-1, -1, self.config.frames_at_once, -1, -1))[:, -self.grid.tokens_per_step :]

    def _on_device(self, value: Tensor) -> Tensor:
        """The value on the device and in the layers' dtype."""
        return to_device(value, self.device, self.dtype)
