"""An encoder-decoder reads one text and writes another: its inputs from a batch, its states at each written token.

N features, S tokens of the longest source, L tokens of the longest text to write, A written tokens of all, W width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.errors import Exit, UserError
from headstart.models.parts import mask

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model

LAYER = r"(?:model\.|transformer\.)?(encoder|decoder)\.(?:block|layers)\.(\d+)\."


def start_id(model: Model) -> int:
    """What the decoder begins with; raises UserError (69) for a folder that does not say it."""
    found = getattr(model.module.config, "decoder_start_token_id", None)
    if found is None:
        raise UserError(f"{model.facts.reference} does not say what its decoder begins with (decoder_start_token_id).",
                        fix="Add it to config.json, as the family's published checkpoints have it.", exit=Exit.UNAVAILABLE)
    return int(found)


def states(model: Model, batch: Batch) -> Tensor:
    """The decoder's states from which each target token is scored, feature after feature: (A, W)."""
    rewrite = model.facts.row.rewrite
    assert rewrite is not None, "only encoder-decoders are asked"
    real = np.arange(int(batch.asked.max(initial=1)))[None, :] < batch.asked[:, None]  # (N, L)
    written = np.full(real.shape, model.tokenizer.pad_id, dtype=np.int64)
    written[real] = batch.targets["label"]
    shifted = np.full_like(written, start_id(model))
    shifted[:, 1:] = written[:, :-1]
    shifted[~real] = model.tokenizer.pad_id
    inputs: dict[str, Any] = {
        "input_ids": torch.from_numpy(batch.ids), "attention_mask": mask(batch), "decoder_input_ids": torch.from_numpy(shifted),
        "decoder_attention_mask": torch.from_numpy(real.astype(np.int64))}
    held = rewrite(model.module, {name: value.to(model.device) for name, value in inputs.items()})  # (N, L, W)
    return held[torch.from_numpy(real).to(model.device)]


def groups_by_depth(model: Model) -> list[tuple[str, list[str]]]:
    """Parameter names from the bottom up: embeddings, the encoder's layers, the decoder's, head."""
    found: dict[str, list[str]] = {"embeddings": []}
    held = [(name, re.match(LAYER, name)) for name, _ in model.module.named_parameters()]
    for side in ("encoder", "decoder"):
        last = max((int(seen[2]) for _, seen in held if seen and seen[1] == side), default=-1)
        found |= {f"{side} layer {number + 1}": [] for number in range(last + 1)}
        for name, seen in held:
            if seen and seen[1] == side:
                found[f"{side} layer {int(seen[2]) + 1}"].append(name)
            elif re.search(rf"(^|\.){side}\.", name) and "embed" not in name and last >= 0:
                found[f"{side} layer {last + 1}"].append(name)  # the norm above the last layer
    known = {name for names in found.values() for name in names}
    turned = {id(weight) for weight in model.module.get_output_embeddings().parameters()}
    shared = {id(weight) for weight in model.module.get_input_embeddings().parameters()}
    found["head"] = []
    for name, weight in model.module.named_parameters():
        if name not in known:
            found["head" if id(weight) in turned - shared else "embeddings"].append(name)
    return list(found.items())
