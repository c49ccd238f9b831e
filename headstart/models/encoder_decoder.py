"""Encoder-decoders: their inputs from a batch, and their decoder's states at each target token.

Shapes: N features, S tokens of the longest source, L tokens of the longest target, A target tokens of all, W width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.errors import Exit, UserError
from headstart.models.heads.pooling import attention_mask

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.loading.model_info import ModelInfo
    from headstart.models.model import Model
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer

LAYER_NAME = r"(?:model\.|led\.)?(encoder|decoder)\.(?:\w+\.)*?(?:block|layers|layer)\.(\d+)\."
STACK_NAME = r"(?:model\.|led\.)?(encoder|decoder|enc_to_dec_proj)\."


def decoder_start_id(model: Model) -> int:
    """The id of the decoder's start token; raises UserError (69) for a folder without one."""
    token_id = getattr(model.module.config, "decoder_start_token_id", None)
    if token_id is None:
        raise UserError(f"{model.info.reference} does not say what its decoder begins with (decoder_start_token_id).",
                        fix="Add it to config.json, as the family's published checkpoints have it.",
                        exit=Exit.UNAVAILABLE)
    return int(token_id)


def max_target_length(config: Any) -> int | None:
    """The most tokens of a target text; None where the model has no limit (T5)."""
    decoder = getattr(config, "decoder", None)
    if decoder is not None:  # a pair of models
        offset = decoder.pad_token_id + 1 if decoder.model_type in ("roberta", "xlm-roberta") else 0
        return int(decoder.max_position_embeddings) - offset
    positions = next((value for name in ("max_decoder_position_embeddings", "max_position_embeddings")
                      if (value := getattr(config, name, None))), None)
    return None if positions is None else int(positions)


def head_weights(module: Any) -> list[Tensor]:
    """The weights of the head over the vocabulary, the output embeddings first: of a pair, the whole head of its
    decoder.
    """
    output_weights = list(module.get_output_embeddings().parameters())
    if getattr(module.config, "decoder", None) is None:
        return output_weights
    prefix = f"{module.decoder.base_model_prefix}."
    weights = [weight for name, weight in module.decoder.named_parameters() if not name.startswith(prefix)]
    return output_weights + [weight for weight in weights
                             if not any(weight is output_weight for output_weight in output_weights)]


def set_special_ids(module: Any, tokenizer: FamilyTokenizer, info: ModelInfo) -> None:
    """Set missing ids of start, end and padding: T5's config class has no field for the start, pairs are often saved
    without.
    """
    config, generation_config = module.config, module.generation_config
    if getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = info.config.get("decoder_start_token_id",
                                                        generation_config.decoder_start_token_id)
    if getattr(config, "decoder", None) is None:
        return
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = tokenizer.start_id
    for name, value in (("pad_token_id", tokenizer.pad_id), ("eos_token_id", tokenizer.end_id)):
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
        if getattr(generation_config, name, None) is None:
            setattr(generation_config, name, getattr(config, name))


def target_states(model: Model, batch: Batch) -> Tensor:
    """The decoder's states that predict each target token, feature after feature: (A, W)."""
    seq2seq_forward = model.info.family.seq2seq_forward
    assert seq2seq_forward is not None, "only encoder-decoders have target states"
    if model.packs(batch) and model.info.family.packed_forward:
        return packed_target_states(model, batch)
    assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
    is_target = np.arange(int(batch.label_counts.max(initial=1)))[None, :] < batch.label_counts[:, None]  # (N, L)
    target_ids = np.full(is_target.shape, model.tokenizer.pad_id, dtype=np.int64)
    target_ids[is_target] = batch.targets["label"]
    decoder_input_ids = np.full_like(target_ids, decoder_start_id(model))
    decoder_input_ids[:, 1:] = target_ids[:, :-1]
    decoder_input_ids[~is_target] = model.tokenizer.pad_id
    inputs: dict[str, Any] = {
        "input_ids": torch.from_numpy(batch.ids), "attention_mask": attention_mask(batch),
        "decoder_input_ids": torch.from_numpy(decoder_input_ids),
        "decoder_attention_mask": torch.from_numpy(is_target.astype(np.int64))}
    # (N, L, W)
    decoder_states = seq2seq_forward(model.module, {name: value.to(model.device) for name, value in inputs.items()})
    return decoder_states[torch.from_numpy(is_target).to(model.device)]


def packed_target_states(model: Model, batch: Batch) -> Tensor:
    """The same of a batch in one row, (A, W)."""
    from headstart.models.packing import encoder_decoder

    assert int(batch.label_counts.min()) > 0, "an empty target is refused when it is read"
    decoder_input_ids = np.roll(batch.targets["label"], 1)
    decoder_input_ids[np.cumsum(batch.label_counts) - batch.label_counts] = decoder_start_id(model)
    forwards = {"t5": encoder_decoder.t5, "bart": encoder_decoder.bart}
    return forwards[model.info.family.packed_forward](model.module, encoder_decoder.pack_pairs(
        batch.ids[0], decoder_input_ids, batch.lengths, batch.label_counts, model.device))


def groups_by_depth(model: Model) -> list[tuple[str, list[str]]]:
    """Parameter names from the bottom up: embeddings, the encoder's layers, the decoder's, head."""
    groups: dict[str, list[str]] = {"embeddings": []}
    matches = {name: re.match(LAYER_NAME, name) for name, _ in model.module.named_parameters()}
    last_layers = {stack: max((int(match[2]) for match in matches.values() if match and match[1] == stack), default=-1)
                   for stack in ("encoder", "decoder")}
    groups |= {f"{stack} layer {index + 1}": [] for stack in last_layers for index in range(last_layers[stack] + 1)}
    groups["head"] = []
    embedding_ids = {id(weight) for weight in model.module.get_input_embeddings().parameters()}
    head_ids = {id(weight) for weight in head_weights(model.module)} - embedding_ids
    for name, weight in model.module.named_parameters():
        layer_match, stack_match = matches[name], re.match(STACK_NAME, name)
        if layer_match:
            groups[f"{layer_match[1]} layer {int(layer_match[2]) + 1}"].append(name)
        elif "embed" in name or id(weight) in embedding_ids:
            groups["embeddings"].append(name)
        elif id(weight) in head_ids or not stack_match:
            groups["head"].append(name)
        else:  # the norm above the last layer, a projection between different widths
            stack = stack_match[1] if stack_match[1] in last_layers else "encoder"
            groups[f"{stack} layer {last_layers[stack] + 1}"].append(name)
    return list(groups.items())
