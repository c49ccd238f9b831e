"""A loaded encoder-decoder: it reads a source and generates a target for it.

Shapes: N features, S tokens of the longest source, L tokens of the longest target, A target tokens of all, W width.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.errors import Exit, UserError
from headstart.models.family import submodule
from headstart.models.heads.pooling import attention_mask
from headstart.models.loading.model_info import ModelInfo
from headstart.models.model import Model
from headstart.models.packing import encoder_decoder as packed_rows
from headstart.models.tokenizers.tokenizer import FamilyTokenizer

LAYER = r"(encoder|decoder)\.(?:\w+\.)*?(?:block|layers|layer)\.(\d+)\."
STACK = r"(encoder|decoder|enc_to_dec_proj)\."
DECODER_LAYER_KEYS = ("decoder_layers", "num_decoder_layers", "num_hidden_layers")


class EncoderDecoderModel(Model):
    """An encoder-decoder with its tokenizers; its head reads the decoder's states of target tokens."""

    generates_from_source: ClassVar[bool] = True

    @property
    def can_pack(self) -> bool:
        """Whether several examples can share a row."""
        return (bool(self.info.family.packed_forward) and not self.calls_layers
                and packed_rows.has_plain_layers(self.module))

    def can_pack_in_training(self, *, calls_layers: bool) -> bool:
        """The same while it is trained: packed rows go through parts of its layers one by one."""
        return self.can_pack and not calls_layers

    @property
    def start_id(self) -> int:
        """The id of the decoder's start token; raises UserError (69) for a folder without one."""
        token_id = getattr(self.module.config, "decoder_start_token_id", None)
        if token_id is None:
            raise UserError(f"{self.info.reference} does not say what its decoder begins with "
                            "(decoder_start_token_id).",
                            fix="Add it to config.json, as the family's published checkpoints have it.",
                            exit=Exit.UNAVAILABLE)
        return int(token_id)

    @property
    def max_target_length(self) -> int | None:
        """The most tokens of a target text; None where the model has no limit (T5)."""
        return self.info.family.max_target_length(self.module.config)

    @property
    def decoder_config(self) -> Any:
        """The decoder's config: of a pair of models, its own."""
        path = self.info.family.decoder_path
        return getattr(self.module.config, path) if path else self.module.config

    @property
    def cached_layers(self) -> int:
        """The decoder's layers, which keep keys and values while it generates."""
        counts = (getattr(self.decoder_config, name, None) for name in DECODER_LAYER_KEYS)
        return next((count for count in counts if count), self.info.layers)

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The decoder's states that predict each target token, feature after feature: (A, W)."""
        packed = self.packs(batch) and bool(self.info.family.packed_forward)
        return {"logits": self.packed_target_states(batch) if packed else self.target_states(batch)}

    def target_states(self, batch: Batch) -> Tensor:
        """These states of a batch with one text a row, (A, W)."""
        assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
        is_target = np.arange(int(batch.label_counts.max(initial=1)))[None, :] < batch.label_counts[:, None]  # (N, L)
        target_ids = np.full(is_target.shape, self.tokenizer.pad_id, dtype=np.int64)
        target_ids[is_target] = batch.targets["label"]
        decoder_input_ids = np.full_like(target_ids, self.start_id)
        decoder_input_ids[:, 1:] = target_ids[:, :-1]
        decoder_input_ids[~is_target] = self.tokenizer.pad_id
        decoder_states = self.decoder_states({
            "input_ids": torch.from_numpy(batch.ids), "attention_mask": attention_mask(batch),
            "decoder_input_ids": torch.from_numpy(decoder_input_ids),
            "decoder_attention_mask": torch.from_numpy(is_target.astype(np.int64))})
        return decoder_states[torch.from_numpy(is_target).to(self.device)]

    def decoder_states(self, inputs: dict[str, Tensor]) -> Tensor:
        """The decoder's last states, (N, L, W), for sources and target tokens under their masks."""
        seq2seq_forward = self.info.family.seq2seq_forward
        assert seq2seq_forward is not None, "only families of encoder-decoders load as this class"
        return seq2seq_forward(self.module, {name: value.to(self.device) for name, value in inputs.items()})

    def packed_target_states(self, batch: Batch) -> Tensor:
        """These states of a batch in one row, (A, W)."""
        assert int(batch.label_counts.min()) > 0, "an empty target is refused when it is read"
        decoder_input_ids = np.roll(batch.targets["label"], 1)
        decoder_input_ids[np.cumsum(batch.label_counts) - batch.label_counts] = self.start_id
        pairs = packed_rows.pack_pairs(batch.ids[0], decoder_input_ids, batch.lengths, batch.label_counts, self.device)
        states: Tensor = getattr(packed_rows, self.info.family.packed_forward)(self.module, pairs)
        return states

    def head_parameters(self) -> list[Tensor]:
        """The weights of the head over the vocabulary, the output embeddings first: of a pair, the whole head of its
        decoder.
        """
        output_weights: list[Tensor] = list(self.module.get_output_embeddings().parameters())
        if not self.info.family.decoder_path:
            return output_weights
        decoder = submodule(self.module, self.info.family.decoder_path)
        weights = [weight for name, weight in decoder.named_parameters()
                   if not name.startswith(f"{decoder.base_model_prefix}.")]
        return output_weights + [weight for weight in weights
                                 if not any(weight is output_weight for output_weight in output_weights)]

    def match(self, pattern: str, name: str) -> re.Match[str] | None:
        """The match of a pattern at the beginning of a weight's name, inside the backbone."""
        return re.match(rf"(?:{re.escape(self.module.base_model_prefix)}\.)?{pattern}", name)

    def is_in_layer(self, name: str) -> bool:
        """Whether a module or weight of this name is part of a layer of either stack."""
        return self.match(LAYER, name) is not None

    def encoder_parameters(self) -> set[str]:
        """Names of the encoder's weights, with its positions, norms and the projection to the decoder's width."""
        names = [name for name, _ in self.module.named_parameters()]
        return {name for name in names if (stack := self.match(STACK, name)) and stack[1] != "decoder"}

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, the encoder's layers, the decoder's, head."""
        groups: dict[str, list[str]] = {"embeddings": []}
        matches = {name: self.match(LAYER, name) for name, _ in self.module.named_parameters()}
        last_layers = {stack: max((int(match[2]) for match in matches.values() if match and match[1] == stack),
                                  default=-1) for stack in ("encoder", "decoder")}
        groups |= {f"{stack} layer {index + 1}": [] for stack in last_layers for index in range(last_layers[stack] + 1)}
        groups["head"] = []
        embedding_ids = {id(weight) for weight in self.module.get_input_embeddings().parameters()}
        head_ids = {id(weight) for weight in self.head_parameters()} - embedding_ids
        for name, weight in self.module.named_parameters():
            layer_match, stack_match = matches[name], self.match(STACK, name)
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

    @property
    def stack_paths(self) -> dict[str, str]:
        """The path of the layer list of each stack: {"encoder": "encoder.block", "decoder": "decoder.block"}."""
        return {path.split(".")[0]: path for path in self.info.family.layer_paths}

    @property
    def layer_counts(self) -> dict[str, int]:
        """How many layers each stack has: {"encoder": 6, "decoder": 6}."""
        return {stack: len(submodule(self.module.base_model, path)) for stack, path in self.stack_paths.items()}

    def run_layers(self, ids: Tensor) -> None:
        """Run every layer once, with token ids (B, S) as sources and as targets."""
        mask = torch.ones_like(ids)
        self.decoder_states({"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids,
                             "decoder_attention_mask": mask})

    @classmethod
    def complete_config(cls, module: Any, tokenizer: FamilyTokenizer, info: ModelInfo) -> None:
        """Set missing ids of start, end and padding: T5's config class has no field for the start, pairs are often
        saved without.
        """
        config, generation_config = module.config, module.generation_config
        if getattr(config, "decoder_start_token_id", None) is None:
            config.decoder_start_token_id = info.config.get("decoder_start_token_id",
                                                            generation_config.decoder_start_token_id)
        if not info.family.decoder_path:
            return
        if config.decoder_start_token_id is None:
            config.decoder_start_token_id = tokenizer.start_id
        for name, value in (("pad_token_id", tokenizer.pad_id), ("eos_token_id", tokenizer.end_id)):
            if getattr(config, name, None) is None:
                setattr(config, name, value)
        for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id"):
            if getattr(generation_config, name, None) is None:
                setattr(generation_config, name, getattr(config, name))

    @classmethod
    def prepare_tokenizer(cls, tokenizer: FamilyTokenizer, module: Any, info: ModelInfo, head: str,
                          limit: int) -> FamilyTokenizer:
        """The tokenizer of sources, with one of targets beside it; `limit` is the most tokens of a source."""
        max_target_length = info.family.max_target_length(module.config) or max(limit, info.family.max_length)
        return tokenizer.with_causal(False).with_target_tokenizer(max_target_length)
