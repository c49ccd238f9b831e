"""A loaded model: batches in, outputs for each feature out, whatever the family, padded or packed.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, A label positions, W width, C classes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch, Kind, Layout
from headstart.errors import Exit, UserError
from headstart.files import announce
from headstart.models import batch_positions
from headstart.models.exits import exit_heads
from headstart.models.family import placeholder_mask, submodule
from headstart.models.heads import beam_span
from headstart.models.heads.mean_layer import can_have_mean_layer
from headstart.models.heads.pooling import attention_mask, folded, last_linear, mean_states
from headstart.models.loading import sentence_transformers_files, weights
from headstart.models.loading.device import copy_to
from headstart.models.loading.model_info import ModelInfo
from headstart.models.loading.quiet import quiet
from headstart.models.packing.packed_row import Packing, pack_segments
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.settings import EarlyExit

if TYPE_CHECKING:
    from numpy.typing import NDArray

POSITIONS_AT_ONCE = 512  # label positions whose logits over the whole vocabulary are in memory at once


@dataclass
class Model:
    """A transformers model with its tokenizer; heads work on token states by segment."""

    generates_from_source: ClassVar[bool] = False  # whether it writes a target for a source, instead of going on

    module: Any
    tokenizer: FamilyTokenizer
    info: ModelInfo
    head: str
    fresh_weights: tuple[str, ...] = ()  # names of randomly initialised weights: a fresh head
    random_order: bool = False  # whether it is trained on tokens in permuted orders
    language: int | None = None  # language id of every text, for a model with language embeddings
    early_exit: EarlyExit | None = None  # when a text is answered early, by a model with heads after earlier layers
    calls_layers: bool = False  # whether layers may only be called as wholes
    carries_memory: bool = False  # whether each batch continues the one before it, row by row
    memory: Any = None  # states of the batch before, for a model with memory
    adapter: Any = None  # peft's own wrapper, while one is trained
    base_checksum: str = ""  # the checksum of the frozen weights beside an adapter
    sentence_vectors: bool = False  # whether its head reads a sentence's vector, so that its folder also embeds texts

    @property
    def kind(self) -> Kind:
        """encoder, decoder or encoder-decoder."""
        if self.info.family.heads[self.head].causal and self.info.family.kinds[0] == "encoder":
            return "decoder"
        return self.info.family.kinds[0]

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def can_pack(self) -> bool:
        """Whether several examples can share a row."""
        return self.info.family.packs

    def can_pack_in_training(self, *, calls_layers: bool) -> bool:
        """The same while it is trained, perhaps with layers that may only be called as wholes."""
        return self.can_pack

    def layout(self, *, packed: bool) -> Layout:
        """The layout of batches for this model."""
        return Layout(packed=packed, pad_id=self.tokenizer.pad_id)

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Token states of the features one after the other, and start and end of each feature: (T, W), (N, 2)."""
        pack = pack_segments(batch.segments, self.device) if self.packs(batch) else None
        states = self.backbone(batch, pack)
        states = states.reshape(-1, states.shape[-1])
        if pack is None:  # leave the padding out
            states = states.index_select(0, copy_to(batch_positions.token_positions(batch), self.device))
        ends = np.cumsum(batch.lengths)
        return states, copy_to(np.stack([ends - batch.lengths, ends], axis=1), self.device)

    def first_states(self, batch: Batch) -> Tensor:
        """The state of each feature's first token, (N, W)."""
        if self.packs(batch) and self.info.family.first_token_layer:
            pack = pack_segments(batch.segments, self.device, first_tokens_only=True)
            first_states: Tensor = self.backbone(batch, pack)[0]
            return first_states
        states, borders = self.states(batch)
        return states.index_select(0, borders[:, 0])

    def packs(self, batch: Batch) -> bool:
        """Whether a batch is one row of segments without padding between them."""
        return self.can_pack and len(batch.ids) == 1 and batch.tokens == batch.ids.shape[1]

    def backbone(self, batch: Batch, pack: Packing | None) -> Tensor:
        """The backbone's last states, (B, S, W)."""
        family = self.info.family
        inputs: dict[str, Any] = self.embedding_inputs(batch) | family.forward_inputs
        if pack is not None:
            inputs |= {"packing": pack, "attention_mask": placeholder_mask() if self.kind == "decoder"
                       else family.packed_mask()}
        else:
            assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
            inputs["attention_mask"] = copy_to(attention_mask(batch), self.device)
        if self.language is not None:
            inputs["langs"] = torch.full_like(inputs["input_ids"], self.language)
        inputs = family.heads[self.head].prepare_inputs(inputs, self.random_order and self.module.training)
        if self.carries_memory and self.memory is not None:
            inputs[family.memory_name] = self.memory
        output = self.module.base_model(**inputs)
        if self.carries_memory:  # else nothing is set, as several threads may predict
            self.memory = output[family.memory_name]
        states: Tensor = output[0]
        return states

    def embedding_inputs(self, batch: Batch) -> dict[str, Tensor]:
        """What the embeddings read: token ids, and positions and token types where the family has them, (B, S) each."""
        return batch_positions.embedding_inputs(batch, self.info.family, self.module.config, self.device)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs in the order of the features: {"logits": (N, C), (T, C) or (A, V)}."""
        head = self.info.family.heads[self.head]
        if head.beam_module is not None:
            return beam_span.search(self.span_head_inputs(batch))
        outputs = head.outputs
        return {name: outputs[name].apply(self.module, states) for name, states in self.read_states(batch).items()}

    def span_head_inputs(self, batch: Batch) -> beam_span.SpanHeadInputs:
        """What an answer head that searches ends for likely starts reads."""
        beam_module, config = self.info.family.heads[self.head].beam_module, self.module.config
        assert beam_module is not None, "only a beam span head has these inputs"
        return beam_span.SpanHeadInputs(beam_module(self.module), config, *self.states(batch), batch,
                                        reads_last=self.info.family.pooling(config) == "last")

    def surprisals(self, batch: Batch) -> dict[str, Tensor]:
        """-log p of the target at each label position, and whether it was likeliest, some at a time: (A,), (A,)."""
        states, targets = self.read_states(batch)["logits"], copy_to(batch.targets["label"], self.device)
        losses, hits = [], []
        for start in range(0, len(states), POSITIONS_AT_ONCE):
            chunk, gold = states[start:start + POSITIONS_AT_ONCE], targets[start:start + POSITIONS_AT_ONCE]
            if (scorer := self.scorer) is not None:
                losses.append(scorer.losses(chunk, gold))
                hits.append(scorer.likeliest(chunk) == gold)
                continue
            logits = self.apply_head(chunk).float()
            losses.append(torch.nn.functional.cross_entropy(logits, gold, reduction="none"))
            hits.append(logits.argmax(dim=1) == gold)
        empty = states.new_zeros(0)
        return {"surprise": torch.cat([empty, *losses]), "hit": torch.cat([empty.bool(), *hits])}

    def apply_head(self, states: Tensor) -> Tensor:
        """The head's layers on states of label positions: (A, W) -> (A, V)."""
        return self.info.family.heads[self.head].outputs["logits"].apply(self.module, states)

    @property
    def scorer(self) -> Any:
        """The head's module with losses of its own, cluster by cluster; None where one layer scores all pieces."""
        path = self.info.family.heads[self.head].scorer
        return submodule(self.module, path) if path else None

    def head_parameters(self) -> list[Tensor]:
        """The weights that the head's layers use, the embeddings where they are tied."""
        if self.scorer is not None:
            return list(self.scorer.parameters())
        output_embeddings = self.module.get_output_embeddings()
        prefix = f"{self.module.base_model_prefix}."
        weights = [weight for name, weight in self.module.named_parameters() if not name.startswith(prefix)]
        tied = [] if output_embeddings is None else list(output_embeddings.parameters())
        return weights + [weight for weight in tied if not any(weight is head_weight for head_weight in weights)]

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that each output of the head reads: (N, W), (T, W) or (A, W)."""
        outputs = self.info.family.heads[self.head].outputs
        pooling = self.info.family.pooling(self.module.config)
        if pooling == "first" and all(output.reads == "pooled" for output in outputs.values()):
            first_states = self.first_states(batch)
            return dict.fromkeys(outputs, first_states)
        states, borders = self.states(batch)
        states_by_output = {}
        for name, output in outputs.items():
            output_states = states
            if output.reads == "mean" or (output.reads == "pooled" and pooling == "mean"):
                output_states = mean_states(states, borders)
            elif output.reads == "pooled":
                output_states = states.index_select(0, self.pooling_positions(batch, pooling))
            elif output.reads == "positions":
                output_states = states.index_select(0, copy_to(batch.label_positions, self.device))
            states_by_output[name] = output_states
        return states_by_output

    def pooling_positions(self, batch: Batch, pooling: str) -> Tensor:
        """The position in T of the token that stands for each feature, (N,); a padding id at the end does not."""
        # A published model may have no padding id: its very last then.
        reads_very_last = self.info.family.heads[self.head].last_token
        pad_id = None if reads_very_last else getattr(self.module.config, "pad_token_id", None)
        return copy_to(batch_positions.pooling_positions(batch, pooling, pad_id), self.device)

    def split_outputs(self, batch: Batch, outputs: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
        """A batch's outputs split by feature."""
        reads = {name: output.reads for name, output in self.info.family.heads[self.head].outputs.items()}
        computed_reads = dict.fromkeys(("surprise", "hit"), "positions") | {"layers": "pooled"}
        return batch_positions.split_by_feature(batch, outputs, computed_reads | reads)

    def pooled(self, batch: Batch) -> Tensor:
        """The mean token state of each feature, (N, W)."""
        return mean_states(*self.states(batch))

    def fixed_parameters(self) -> set[str]:
        """Names of the weights that stay frozen beside an adapter; none without one."""
        names = [] if self.adapter is None else [name for name, _ in self.module.named_parameters()]
        return {name for name in names if ".lora_" not in name and ".modules_to_save." not in name}

    @property
    def transformers_gaps(self) -> list[str]:
        """What plain transformers cannot do with this model's folder, in sentences."""
        import transformers

        sentences, class_name = [], type(self.module).__name__
        if self.head == "embedding":
            sentences.append("sentence-transformers reads this folder; AutoModel gives each token's state.")
        elif not hasattr(transformers, class_name):
            sentences.append(f"transformers has no class {class_name}: headstart.load reads this folder; so does plain "
                             "transformers after `import headstart.models.register`.")
        if self.early_exit is not None:
            sentences.append(exit_heads.TRANSFORMERS_GAP)
        if self.tokenizer.adds_unsaved_token:
            sentences.append("Two texts are separated by a token that only headstart adds, not the tokenizer's files.")
        return sentences

    @property
    def can_fold(self) -> bool:
        """Whether a scale and a shift can go into the last layer: it has a bias."""
        return last_linear(self.module).bias is not None

    def folded_for_export(self, scale_and_shift: tuple[float, float] | None) -> contextlib.AbstractContextManager[None]:
        """Inside, the module as it is saved: with scale and shift folded into its last layer, where that has a bias."""
        return folded(self.module, scale_and_shift if self.can_fold else None)

    def save(self, folder: Path, fold: tuple[float, float] | None = None) -> None:
        """Write config, weights (safetensors) and tokenizer as an ordinary transformers folder.

        With `fold` = (scale, shift) the saved model gives scale · output + shift.
        """
        with quiet(), folded(self.module, fold), exit_heads.saved_apart(self.module, folder):
            announce("write", folder / "model.safetensors")
            self.module.save_pretrained(folder)
            announce("write", folder / "tokenizer.json")
            self.tokenizer.hf_tokenizer.save_pretrained(folder)
        if self.head == "embedding" or self.sentence_vectors:
            has_mean = self.head == "embedding" or can_have_mean_layer(self.info.family)
            sentence_transformers_files.write(folder, self.info.width, self.tokenizer.max_length,
                                              "mean_tokens" if has_mean else "cls_token")

    def checkpoint_gradients(self) -> None:
        """Recompute the states of layers in the backward pass instead of keeping them; raises UserError (2)."""
        if not getattr(self.module, "supports_gradient_checkpointing", False):
            raise UserError(f"{self.info.family_name} does not support gradient checkpointing.",
                            fix="Leave training.gradient_checkpointing out; a smaller training.micro_batch_size takes "
                                "less memory.")
        # the new name since transformers 5.2x, the old one before
        enable = getattr(self.module, "activation_checkpointing_enable",
                         None) or self.module.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, each layer (ALBERT has one for all), head."""
        prefix = self.module.base_model_prefix
        paths = [f"{prefix}.{path}" for path in self.info.family.layer_paths]
        layers = [f"layer {number}" for number in range(1, len(submodule(self.module, paths[0])) + 1)]
        groups: dict[str, list[str]] = {depth: [] for depth in ("embeddings", *layers, "head")}
        for parameter_name, _ in self.module.named_parameters():
            name = weights.tied_weights(self.module).get(parameter_name, parameter_name)
            path = next((path for path in paths if name.startswith(f"{path}.")), None)
            if path is not None:
                groups[f"layer {int(name[len(path) + 1:].split('.')[0]) + 1}"].append(parameter_name)
            elif name.startswith(f"{prefix}.") and ".pooler." not in name and "final_norm" not in name:
                groups["embeddings"].append(parameter_name)
            else:
                groups["head"].append(parameter_name)
        return list(groups.items())

    def encoder_parameters(self) -> set[str]:
        """Names of the weights of an encoder that a decoder reads; none in a model of one stack."""
        return set()

    @property
    def stack_paths(self) -> dict[str, str]:
        """The path of the layer list of each stack inside the backbone: {"": "encoder.layer"}."""
        return {"": self.info.family.layer_paths[0]}

    @property
    def layer_counts(self) -> dict[str, int]:
        """How many layers each stack has: {"": 6}; a layer that is repeated counts as often as it runs."""
        return {"": int(getattr(self.module.config, self.info.family.size_keys["layers"]))}

    def is_in_layer(self, name: str) -> bool:
        """Whether a module or weight of this name is part of a layer."""
        prefix = self.module.base_model_prefix
        return name.startswith(tuple(f"{prefix}.{path}." for path in self.info.family.layer_paths))

    def run_layers(self, ids: Tensor) -> None:
        """Run every layer once on token ids (B, S)."""
        self.module.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), **self.info.family.forward_inputs)

    @property
    def decoder_config(self) -> Any:
        """The config of the part that generates."""
        return self.module.config

    @property
    def cached_layers(self) -> int:
        """How many layers keep keys and values while it generates."""
        return self.info.layers

    @classmethod
    def complete_config(cls, module: Any, tokenizer: FamilyTokenizer, info: ModelInfo) -> None:
        """Set what a config leaves out and generating needs: nothing here."""

    @classmethod
    def prepare_tokenizer(cls, tokenizer: FamilyTokenizer, module: Any, info: ModelInfo, head: str,
                          limit: int) -> FamilyTokenizer:
        """The tokenizer that lays out texts as this head reads them; `limit` is the most tokens of one input."""
        return tokenizer.with_causal(info.family.heads[head].causal)

    def check_vocabulary(self) -> None:
        """Refuse a tokenizer that has more pieces than the model has embeddings."""
        table = getattr(self.module.get_input_embeddings(), "weight", None)  # a Transformer-XL has one for each cluster
        rows = self.module.config.vocab_size if table is None else len(table)
        pieces = len(self.tokenizer.hf_tokenizer)
        if pieces > rows:
            raise UserError(f"The tokenizer of {self.info.reference} has {pieces:,} pieces, the model {rows:,} "
                            "embeddings.",
                            fix="Tokenizer and model do not belong together; copy the folder again.",
                            exit=Exit.UNAVAILABLE)
