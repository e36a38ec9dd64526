"""Presets: named sets of parameters, as flat YAML files in ``config/presets``.

A preset holds the model's parameters and those of the streams (frame rate, hop, how actions are read) that the model
was made for; :func:`model_config` takes the model's out of it. It knows no weights, no torch and no ROS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import vjepa_ros
from vjepa_ros.config import yaml_text
from vjepa_ros.config.folder import FolderConfig, config_path, weights_file
from vjepa_ros.config.model import PARAMETER_OF, ModelConfig
from vjepa_ros.documents import Unreadable, read_text
from vjepa_ros.errors import CheckpointError, ConfigError, brief, named, place, quoted

MODEL_PARAMETERS: tuple[str, ...] = tuple(field.name for field in fields(ModelConfig) if field.name != "preset")
"""Everything that describes the model; any of them may be overridden."""


AUTO = "auto"
"""Stands for the preset that weights are of, where a ``config.json`` beside them says it."""
LIKE = ("vitl", "vith", "vitg")
"""Presets of the encoders that are published with such a file."""


def config_folder() -> Path:
    """The package's ``config`` folder: in a checkout, or in whichever install prefix the package lives under.

    Raises:
        ConfigError: where there is none.
    """
    package = Path(vjepa_ros.__file__).resolve().parent
    if (package.parent / "package.xml").is_file():
        return package.parent / "config"
    # <prefix>/lib/python3.x/{site,dist}-packages/vjepa_ros and <prefix>/share/vjepa_ros belong together, whether the
    # prefix is a colcon install folder, a virtual environment, ~/.local, /usr/local or /opt/ros/<distribution>.
    for ancestor in package.parents:
        folder = ancestor / "share" / "vjepa_ros" / "config"
        if folder.is_dir():
            return folder
    raise ConfigError("preset", f"no share/vjepa_ros/config in any folder above {package}: is it fully installed?")


def preset_names() -> list[str]:
    """The presets that come with the package, sorted.

    >>> import vjepa_ros
    >>> "tiny_random" in vjepa_ros.preset_names()
    True

    Raises:
        ConfigError: where the package is not fully installed.
    """
    return sorted(path.stem for path in (config_folder() / "presets").glob("*.yaml"))


def _is_missing(path: Path) -> bool:
    """Whether nothing lies there; where one may not look, something may."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no name of a file
        return True
    except OSError:
        return False
    return False


def load_preset(name: str | Path) -> dict[str, Any]:
    """All parameters of a preset.

    Args:
        name: of a preset that comes with the package, or the path of a ``.yaml`` file.

    Raises:
        ConfigError: where there is no such preset (it lists them) or the file is not a flat list of parameters.
    """
    if not isinstance(name, (str, Path)):
        raise ConfigError("preset", f"must be a name or a path, not {brief(name)}")
    name = str(name)
    if name.endswith((".yaml", ".yml")):
        path = Path(os.path.expanduser(name))
        if _is_missing(path):
            raise ConfigError("preset", f"there is no file {place(path)}")
    elif name in preset_names():
        path = config_folder() / "presets" / f"{name}.yaml"
    else:
        known = ", ".join(preset_names())
        raise ConfigError("preset", f"{quoted(name)} is not one of {known}, nor the path of a .yaml file")
    try:
        values = yaml_text.load(read_text(path))
    except Unreadable as error:
        raise ConfigError("preset", f"{place(path)} cannot be read: {error}") from error
    if not isinstance(values, dict) or any(isinstance(value, dict) for value in values.values()):
        raise ConfigError("preset", f"{place(path)} is not a flat list of 'parameter: value'")
    return {str(key): value for key, value in values.items()}


def preset_for(name: str | Path, checkpoint: str | Path | None) -> tuple[str, dict[str, Any]]:
    """The name and all parameters of a preset, which may be :data:`AUTO`.

    Then it is the one whose encoder is that of the ``config.json`` beside the weights, whose sizes replace its own:
    that of the images too, which its published weights were trained with. Of an encoder that no preset has, the first
    one's in :data:`LIKE` is taken with these sizes.

    Args:
        name: as for :func:`load_preset`, or :data:`AUTO`.
        checkpoint: path of the weights, or None or empty for none.

    Raises:
        ConfigError: as :func:`load_preset`; where ``auto`` has nothing to go by, or that makes no sense.
    """
    if str(name) != AUTO:
        return str(name), load_preset(name)
    path = config_path(weights_file(checkpoint)) if checkpoint else None
    if path is None or _is_missing(path):
        needs = "a `checkpoint` with the config.json of transformers beside it"
        raise ConfigError("preset", f"{AUTO} needs {needs}" + (f"; there is no {place(path)}" if path else ""))
    try:
        found = FolderConfig.read(path)
    except CheckpointError as error:
        raise ConfigError("preset", f"{AUTO} cannot be told: {error}") from error
    presets = {candidate: load_preset(candidate) for candidate in LIKE}
    chosen = next((candidate for candidate in LIKE if found.is_of(presets[candidate])), LIKE[0])
    return chosen, {**presets[chosen], **found.sizes, "image_size": [found.crop_px, found.crop_px]}


def spelled_out(values: Mapping[str, Any], checkpoint: str | Path | None) -> dict[str, Any]:
    """Parameters without :data:`AUTO`: the preset that it stands for, and the sizes that are not that one's own.

    Args:
        values: parameters by name; they win over what the weights say.
        checkpoint: path of the weights.

    Raises:
        ConfigError: as :func:`preset_for`.
    """
    if str(values.get("preset", "")) != AUTO:
        return dict(values)
    name, told = preset_for(AUTO, checkpoint)
    own = load_preset(name)
    return {**{size: value for size, value in told.items() if value != own.get(size)}, **values, "preset": name}


def model_config(name: str, **overrides: Any) -> ModelConfig:
    """The model of a preset, with some parameters replaced.

    Args:
        name: as for :func:`load_preset`.
        overrides: model parameters by name; ``image_size`` in px, one number for a square or (height, width).

    Raises:
        ConfigError: for an unknown preset or override (it lists the known ones), a preset without one of the model's
            parameters, or values that make no sense.
    """
    for key in overrides:
        if key not in MODEL_PARAMETERS:
            known = ", ".join(MODEL_PARAMETERS)
            raise ConfigError(named(key), f"is not a parameter of the model; these are: {known}")
    return model_of(name, {**load_preset(name), **overrides})


def model_of(preset: str, values: Mapping[str, Any]) -> ModelConfig:
    """The model that these values describe; nothing is read.

    Args:
        preset: name of the preset that they came from.
        values: parameters by name, those of the streams and others among them.

    Raises:
        ConfigError: where one of the model's is missing, or makes no sense.
    """
    for field in fields(ModelConfig):
        if field.name != "preset" and field.default is MISSING and field.name not in values:
            raise ConfigError(field.name, f"is missing in preset {named(preset)}")
    found = {
        name: values[key] for name in MODEL_PARAMETERS for key in (PARAMETER_OF.get(name, name), name) if key in values
    }
    return ModelConfig(preset=preset, **{**found, "image_size": _image_size(values["image_size"])})


def _image_size(value: Any) -> tuple[int, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return value[0], value[1]
    raise ConfigError("image_size", f"must be one number or [height, width] in px, not {brief(value)}")
