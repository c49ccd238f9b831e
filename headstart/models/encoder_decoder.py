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
from headstart.models.heads.pooling import mask

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.loading.model_info import Facts
    from headstart.models.model import Model
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer

LAYER = r"(?:model\.|led\.)?(encoder|decoder)\.(?:\w+\.)*?(?:block|layers|layer)\.(\d+)\."
SIDE = r"(?:model\.|led\.)?(encoder|decoder|enc_to_dec_proj)\."


def start_id(model: Model) -> int:
    """What the decoder begins with; raises UserError (69) for a folder that does not say it."""
    found = getattr(model.module.config, "decoder_start_token_id", None)
    if found is None:
        raise UserError(f"{model.facts.reference} does not say what its decoder begins with (decoder_start_token_id).",
                        fix="Add it to config.json, as the family's published checkpoints have it.", exit=Exit.UNAVAILABLE)
    return int(found)


def written_positions(config: Any) -> int | None:
    """The most tokens of a text that the model writes; None where it knows no limit (T5)."""
    decoder = getattr(config, "decoder", None)
    if decoder is not None:  # a pair of models
        offset = decoder.pad_token_id + 1 if decoder.model_type in ("roberta", "xlm-roberta") else 0
        return int(decoder.max_position_embeddings) - offset
    found = next((value for name in ("max_decoder_position_embeddings", "max_position_embeddings")
                  if (value := getattr(config, name, None))), None)
    return None if found is None else int(found)


def head_weights(module: Any) -> list[Tensor]:
    """The weights that give scores to pieces, the output's own first: of a pair, the whole head of its decoder."""
    turned = list(module.get_output_embeddings().parameters())
    if getattr(module.config, "decoder", None) is None:
        return turned
    prefix = f"{module.decoder.base_model_prefix}."
    own = [weight for name, weight in module.decoder.named_parameters() if not name.startswith(prefix)]
    return turned + [weight for weight in own if not any(weight is one for one in turned)]


def settle(module: Any, tokenizer: FamilyTokenizer, known: Facts) -> None:
    """Say what a text begins and ends with where the folder does not: T5's class has no field for it, pairs are often saved without."""
    config, said = module.config, module.generation_config
    if getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = known.config.get("decoder_start_token_id", said.decoder_start_token_id)
    if getattr(config, "decoder", None) is None:
        return
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = tokenizer.start_id
    for name, value in (("pad_token_id", tokenizer.pad_id), ("eos_token_id", tokenizer.end_id)):
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        if getattr(said, name, None) is None:
            setattr(said, name, getattr(config, name))


def states(model: Model, batch: Batch) -> Tensor:
    """The decoder's states from which each target token is scored, feature after feature: (A, W)."""
    rewrite = model.facts.row.rewrite
    assert rewrite is not None, "only encoder-decoders are asked"
    if model.packs(batch) and model.facts.row.packed_pairs:
        return packed_states(model, batch)
    assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
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


def packed_states(model: Model, batch: Batch) -> Tensor:
    """The same of a batch in one row, (A, W)."""
    from headstart.models.packing import encoder_decoder

    assert int(batch.asked.min()) > 0, "an empty text to write is refused when it is read"
    written = np.roll(batch.targets["label"], 1)
    written[np.cumsum(batch.asked) - batch.asked] = start_id(model)
    ways = {"t5": encoder_decoder.t5, "bart": encoder_decoder.bart}
    return ways[model.facts.row.packed_pairs](model.module, encoder_decoder.pairs(
        batch.ids[0], written, batch.lengths, batch.asked, model.device))


def groups_by_depth(model: Model) -> list[tuple[str, list[str]]]:
    """Parameter names from the bottom up: embeddings, the encoder's layers, the decoder's, head."""
    found: dict[str, list[str]] = {"embeddings": []}
    seen = {name: re.match(LAYER, name) for name, _ in model.module.named_parameters()}
    last = {side: max((int(one[2]) for one in seen.values() if one and one[1] == side), default=-1) for side in ("encoder", "decoder")}
    found |= {f"{side} layer {number + 1}": [] for side in last for number in range(last[side] + 1)}
    found["head"] = []
    shared = {id(weight) for weight in model.module.get_input_embeddings().parameters()}
    own = {id(weight) for weight in head_weights(model.module)} - shared
    for name, weight in model.module.named_parameters():
        layer, side = seen[name], re.match(SIDE, name)
        if layer:
            found[f"{layer[1]} layer {int(layer[2]) + 1}"].append(name)
        elif "embed" in name or id(weight) in shared:
            found["embeddings"].append(name)
        elif id(weight) in own or not side:
            found["head"].append(name)
        else:  # the norm above the last layer, a bridge between unlike widths
            found[f"{side[1]} layer {last[side[1]] + 1}" if side[1] in last else f"encoder layer {last['encoder'] + 1}"].append(name)
    return list(found.items())
