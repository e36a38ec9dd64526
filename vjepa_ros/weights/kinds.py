"""What a weights file is that this package does not read: told by its names, with what can be done about it.

Most files that people try first are good ones of another kind. Facts about their names, no tensors and no files.
"""

from __future__ import annotations

import re
from collections.abc import Collection

RELEASED = "take the .pt file of V-JEPA 2 or V-JEPA 2-AC as it was released"
AS_PARTS = 'save it as {"encoder": ..., "predictor": ...}, each a state_dict()'

# The names that show a kind, anywhere in a file; and what it is. The first that fits counts: wrappers before models.
_BY_NAMES: tuple[tuple[str, str], ...] = (
    (r"_fsdp_wrapped_module\.|(^|\.)_?flat_param", "this is a model as FSDP wraps it: save its full state dict, and "
     "take `_fsdp_wrapped_module.` out of the names"),
    (r"_orig_mod\.", "parts of this model are as torch.compile wraps them: take `_orig_mod.` "
     "out of the names, or save the state_dict() of its `_orig_mod`"),
    (r"\.lora_[AB]|\.lora_(up|down)\.", "these are LoRA adapters, not a model: merge them into theirs first"),
    (r"(^|\.)norms_block\.|(^|\.)patch_embed_img\.|(^|\.)(video|img)_mod_embed", "this is a V-JEPA 2.1 encoder: take a "
     "preset that begins with vjepa2_1, of its size"),
    (r"(^|\.)pooler\.|(^|\.)classifiers?\.", "this is a probe or a classifier on top of an encoder, not a world model: "
     f"{RELEASED}"),
    (r"(^|\.)layer\.\d+\.attention\.|embeddings\.patch_embeddings\.", "this is a model under the names of Hugging "
     "Face's transformers: name its folder, or the model.safetensors in it, beside which its config.json lies"),
    (r"(^|\.)proprio_encoder\.|(^|\.)action_encoder\.(patch_embed|net)", "this is a world model of jepa-wms, whose "
     f"predictor is another one: {RELEASED}"),
    (r"(^|\.)(cls_token|register_tokens|storage_tokens)$|\.ls[12]\.gamma|(^|\.)(dino_head|ibot_head)\.", "this is an "
     f"image encoder of the DINO or timm kind, not one of V-JEPA: {RELEASED}"),
)  # fmt: skip
_BARE = re.compile(r"(^|\.)(patch_embed\.proj|predictor_embed)\.weight$")  # what an encoder or predictor begins with
_WRAPPERS = ("model", "state_dict", "module", "teacher", "student", "ema", "weights")


def advice(keys: Collection[str], names: Collection[str]) -> str:
    """What a file is and what to do, to be put behind what is wrong with it; empty where nothing is known.

    Args:
        keys: of its outermost level; nothing where that is as it should be.
        names: of its tensors, as far as they are looked at.
    """
    found = _kind(set(keys), names)
    return f"; {found}" if found else ""


def _kind(keys: set[str], names: Collection[str]) -> str:
    for pattern, kind in _BY_NAMES:
        search = re.compile(pattern).search
        if any(search(name) for name in names):
            return kind
    if {"action_encoder", "proprio_encoder"} & keys:
        return f"this is a world model of jepa-wms, whose predictor is another one: {RELEASED}"
    if {"state", "param_groups"} <= keys:
        return "this is the state of an optimizer: take the file that has the model's weights"
    if {"opt", "optimizer", "optimizer_states"} & keys and not names:
        return "this is the state of a training run without its model: take the file that has the model's weights"
    if {"ds_version", "ds_config"} & keys:
        return f"this is a checkpoint of DeepSpeed: gather it by its zero_to_fp32.py, and {AS_PARTS}"
    wrapper = next((key for key in _WRAPPERS if key in keys), None)
    if wrapper is not None:
        return f"its weights stand under `{wrapper}`: {AS_PARTS}"
    if any(_BARE.search(key) for key in keys):
        return f"this is a bare state dict: {AS_PARTS}"
    return ""
