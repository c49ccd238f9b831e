"""A loaded model: batches in, outputs for each feature out, whatever the family, padded or packed.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, A asked tokens, W width, C classes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, HeadSpec, Kind, Layout
from headstart.errors import Exit, UserError
from headstart.models.family import inner, unread_mask
from headstart.models.heads.pooling import folded, last_linear, mask, mean
from headstart.models.loading import sentence_transformers_files
from headstart.models.loading.model_info import Facts
from headstart.models.loading.weights import quiet, tied
from headstart.models.packing.attention import Packing, packing
from headstart.models.tokenizers.tokenizer import FamilyTokenizer

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

ASKED = 512  # asked tokens whose scores of the whole vocabulary are held at once


@dataclass
class Model:
    """A transformers model with its tokenizer; heads work on token states by segment."""

    module: Any
    tokenizer: FamilyTokenizer
    facts: Facts
    head: str
    drawn: tuple[str, ...] = ()  # weights that no file gave: a fresh head
    draws_order: bool = False  # whether it is trained on tokens in drawn orders
    language: int | None = None  # of every text, for a model that tells languages apart
    carries: bool = False  # whether each batch goes on where the one before it ended, row by row
    memory: Any = None  # what a model that remembers kept of the batch before
    writing: Any = None  # how it writes (settings.Generation), where that was chosen for this object
    adapter: Any = None  # peft's own wrapper, while one is trained
    base: str = ""  # the checksum of what stays as it is beside an adapter

    @property
    def kind(self) -> Kind:
        """encoder, decoder or encoder-decoder."""
        if self.facts.row.heads[self.head].continues and self.facts.row.kinds[0] == "encoder":
            return "decoder"
        return self.facts.row.kinds[0]

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        found: torch.device = next(self.module.parameters()).device
        return found

    @property
    def can_pack(self) -> bool:
        """Whether several examples can share a row."""
        if self.facts.row.packed_pairs:
            from headstart.models.packing.encoder_decoder import exact

            return exact(self.module)
        return self.facts.row.packs

    def layout(self, *, packed: bool) -> Layout:
        """How batches for this model are laid out."""
        return Layout(packed=packed, pad_id=self.tokenizer.pad_id)

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Token states of the features one after the other, and where each feature begins and ends: (T, W), (N, 2)."""
        import numpy as np
        import torch

        pack = packing(batch.segments, self.device) if self.packs(batch) else None
        states = self.backbone(batch, pack)
        states = states.reshape(-1, states.shape[-1])
        if pack is None:  # leave the padding out
            width = batch.ids.shape[1]
            places = [np.arange(begin, end) + row * width for row, begin, end in batch.segments.tolist()]
            states = states.index_select(0, torch.from_numpy(np.concatenate(places)).to(self.device))
        ends = torch.from_numpy(np.cumsum(batch.lengths)).to(self.device)
        return states, torch.stack([ends - torch.from_numpy(batch.lengths).to(self.device), ends], dim=1)

    def first_states(self, batch: Batch) -> Tensor:
        """The state of each feature's first token, (N, W)."""
        if self.packs(batch) and self.facts.row.first_only:
            found: Tensor = self.backbone(batch, packing(batch.segments, self.device, first_only=True))[0]
            return found
        states, borders = self.states(batch)
        return states.index_select(0, borders[:, 0])

    def packs(self, batch: Batch) -> bool:
        """Whether a batch is one row of segments without padding between them."""
        return self.can_pack and len(batch.ids) == 1 and batch.tokens == batch.ids.shape[1]

    def backbone(self, batch: Batch, pack: Packing | None) -> Tensor:
        """The backbone's last states, (B, S, W)."""
        import torch

        row = self.facts.row
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(self.device), **row.inputs}
        if row.numbered:
            inputs["position_ids"] = self.positions(batch).to(self.device)
        if row.has_types:
            known = getattr(self.module.config, "type_vocab_size", None)  # XLNet only asks whether two are the same
            types = torch.from_numpy(batch.types)
            inputs["token_type_ids"] = (types if known is None else types.clamp(max=max(0, known - 1))).to(self.device)
        if pack is not None:
            inputs |= {"packing": pack, "attention_mask": unread_mask() if self.kind == "decoder" else row.packed_mask()}
        else:
            assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
            inputs["attention_mask"] = mask(batch).to(self.device)
        if self.language is not None:
            inputs["langs"] = torch.full_like(inputs["input_ids"], self.language)
        inputs = row.heads[self.head].prepare(inputs, self.draws_order and self.module.training)
        if self.carries and self.memory is not None:
            inputs[row.memory] = self.memory
        output = self.module.base_model(**inputs)
        self.memory = output[row.memory] if self.carries else None
        states: Tensor = output[0]
        return states

    def positions(self, batch: Batch) -> Tensor:
        """Position numbers (B, S): each segment counts from the family's first; padding has the last before it."""
        import numpy as np
        import torch

        offset = self.facts.row.position_offset(self.module.config)
        numbers = np.full(batch.ids.shape, max(0, offset - 1), dtype=np.int64)
        for row, begin, end in batch.segments.tolist():
            numbers[row, begin:end] = np.arange(offset, offset + end - begin)
        return torch.from_numpy(numbers)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs in the order of the features: {"logits": (N, C), (T, C) or (A, V)}."""
        head = self.facts.row.heads[self.head]
        if head.beams is not None:
            from headstart.models.heads.beam_span import search

            return search(self, batch)
        outputs = head.outputs
        return {name: outputs[name].apply(self.module, held) for name, held in self.read_states(batch).items()}

    def own_losses(self, batch: Batch, spec: HeadSpec, choose: Any) -> Tensor:
        """The loss of each feature, (N,), where it is not one of outputs alone: answers with beams, choices with their words."""
        from headstart.models.heads import beam_span, double_heads

        return beam_span.losses(self, batch) if spec.loss == "beam-span" else double_heads.losses(self, batch, spec.words, choose)

    def surprises(self, batch: Batch) -> dict[str, Tensor]:
        """-log p of each asked target, and whether it was likeliest, worked out some at a time: (A,), (A,)."""
        import torch

        states, targets = self.read_states(batch)["logits"], torch.from_numpy(batch.targets["label"]).to(self.device)
        losses, hits = [], []
        for begin in range(0, len(states), ASKED):
            if (scorer := self.scorer) is not None:
                part, gold = states[begin:begin + ASKED], targets[begin:begin + ASKED]
                losses.append(scorer.losses(part, gold))
                hits.append(scorer.likeliest(part) == gold)
                continue
            logits, gold = self.apply_head(states[begin:begin + ASKED]).float(), targets[begin:begin + ASKED]
            losses.append(torch.nn.functional.cross_entropy(logits, gold, reduction="none"))
            hits.append(logits.argmax(dim=1) == gold)
        none = states.new_zeros(0)
        return {"surprise": torch.cat([none, *losses]), "hit": torch.cat([none.bool(), *hits])}

    def apply_head(self, states: Tensor) -> Tensor:
        """The head's own layers on states of asked tokens: (A, W) -> (A, V)."""
        return self.facts.row.heads[self.head].outputs["logits"].apply(self.module, states)

    @property
    def scorer(self) -> Any:
        """The part of the head that has losses of its own, cluster by cluster; None where one layer scores all pieces."""
        path = self.facts.row.heads[self.head].scorer
        return inner(self.module, path) if path else None

    def head_parameters(self) -> list[Tensor]:
        """The weights that the head's layers use, the embeddings where they are turned round."""
        if self.scorer is not None:
            return list(self.scorer.parameters())
        if self.facts.row.rewrite is not None:
            from headstart.models.encoder_decoder import head_weights

            return head_weights(self.module)
        turned = self.module.get_output_embeddings()
        prefix = f"{self.module.base_model_prefix}."
        own = [weight for name, weight in self.module.named_parameters() if not name.startswith(prefix)]
        return own + [weight for weight in turned.parameters() if not any(weight is one for one in own)] if turned is not None else own

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that each output of the head reads: (N, W), (T, W) or (A, W)."""
        import torch

        if self.facts.row.rewrite is not None:
            from headstart.models.encoder_decoder import states as rewritten

            return {"logits": rewritten(self, batch)}
        outputs = self.facts.row.heads[self.head].outputs
        how = self.facts.row.pooling(self.module.config)
        if how == "first" and all(one.reads == "pooled" for one in outputs.values()):
            first = self.first_states(batch)
            return dict.fromkeys(outputs, first)
        states, borders = self.states(batch)
        found = {}
        for name, one in outputs.items():
            held = states
            if one.reads == "pooled":
                held = mean(states, borders) if how == "mean" else states.index_select(0, self.read_places(batch, how))
            elif one.reads == "mean":
                held = mean(states, borders)
            elif one.reads == "asked":
                held = states.index_select(0, torch.from_numpy(batch.asks).to(self.device))
            found[name] = held
        return found

    def read_places(self, batch: Batch, how: str) -> Tensor:
        """The place in T of the token that stands for each feature, (N,): the first, or the last that is no padding.

        The last is found as transformers finds it, by the padding id, so that plain loading gives the same answers.
        """
        import numpy as np
        import torch

        begins = np.cumsum(batch.lengths) - batch.lengths
        if how == "last":
            # Of a published model it may be unknown: its last then.
            pad = None if self.facts.row.heads[self.head].at_end else getattr(self.module.config, "pad_token_id", None)
            real = [batch.ids[row, begin:end] != pad for row, begin, end in batch.segments.tolist()]
            begins = begins + np.asarray([held.nonzero()[0][-1] if held.any() else 0 for held in real])
        return torch.from_numpy(begins).to(self.device)

    def parted(self, batch: Batch, outputs: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
        """A batch's outputs for each of its features."""
        import numpy as np

        made: list[dict[str, NDArray[Any]]] = [{} for _ in batch.segments]
        for name, one in self.facts.row.heads[self.head].outputs.items():
            sizes = batch.lengths if one.reads == "tokens" else batch.asked
            for given in [name] if name in outputs else ["surprise", "hit"]:
                whole = outputs[given]
                parts = list(whole) if one.reads in ("pooled", "mean") else np.split(whole, np.cumsum(sizes)[:-1])
                for held, part in zip(made, parts, strict=True):
                    held[given] = part
        return made

    def pooled(self, batch: Batch) -> Tensor:
        """The mean token state of each feature, (N, W)."""
        return mean(*self.states(batch))

    def fixed_parameters(self) -> set[str]:
        """Names of the weights that an adapter leaves as they are; none without one."""
        if self.adapter is None:
            return set()
        return {name for name, _ in self.module.named_parameters() if ".lora_" not in name and ".modules_to_save." not in name}

    @property
    def only_here(self) -> list[str]:
        """What plain transformers does not do with this model's folder, in sentences."""
        import transformers

        found, cls = [], type(self.module).__name__
        if self.head == "embedding":
            found.append("sentence-transformers reads this folder as it is; AutoModel gives the states that it takes the mean of.")
        elif not hasattr(transformers, cls):
            found.append(f"transformers has no class {cls}: headstart.load reads this folder; so does plain transformers after "
                         "`import headstart.models.register`.")
        if self.tokenizer.closes_unsaid:
            found.append("Two texts are parted by a token that the tokenizer's own files cannot tell; headstart adds it.")
        return found

    @property
    def can_fold(self) -> bool:
        """Whether a scale and a shift can go into the last layer: it has a bias."""
        return last_linear(self.module).bias is not None

    def shipped(self, fold: tuple[float, float] | None) -> contextlib.AbstractContextManager[None]:
        """For a while, the module as it is saved: with scale and shift in its last layer, where it can hold them."""
        return folded(self.module, fold if self.can_fold else None)

    def save(self, folder: Path, fold: tuple[float, float] | None = None) -> None:
        """Write config, weights (safetensors) and tokenizer as an ordinary transformers folder.

        With `fold` = (scale, shift) the saved model gives scale · output + shift.
        """
        with quiet(), folded(self.module, fold):
            self.module.save_pretrained(folder)
            self.tokenizer.held.save_pretrained(folder)
        if self.head == "embedding":
            sentence_transformers_files.write(folder, width=self.facts.width, longest=self.tokenizer.longest)

    def checkpoint_gradients(self) -> None:
        """Keep no states of layers for the backward pass but work them out again; raises UserError (2)."""
        if not getattr(self.module, "supports_gradient_checkpointing", False):
            raise UserError(f"{self.facts.family} cannot work its states out again (gradient_checkpointing).",
                            fix="Leave training.gradient_checkpointing out; a smaller training.micro_batch takes less memory.")
        # the new name since transformers 5.2x, the old one before
        enable = getattr(self.module, "activation_checkpointing_enable", None) or self.module.gradient_checkpointing_enable
        enable({"use_reentrant": False})

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, each layer (ALBERT has one for all), head."""
        if self.facts.row.rewrite is not None:
            from headstart.models.encoder_decoder import groups_by_depth

            return groups_by_depth(self)
        prefix = self.module.base_model_prefix
        paths = [f"{prefix}.{path}" for path in self.facts.row.layer_paths]
        count = len(inner(self.module, paths[0]))
        groups: dict[str, list[str]] = {"embeddings": [], **{f"layer {n}": [] for n in range(1, count + 1)}, "head": []}
        for held, _ in self.module.named_parameters():
            name = tied(self.module).get(held, held)
            path = next((path for path in paths if name.startswith(f"{path}.")), None)
            if path is not None:
                groups[f"layer {int(name[len(path) + 1:].split('.')[0]) + 1}"].append(held)
            elif name.startswith(f"{prefix}.") and ".pooler." not in name and "final_norm" not in name:
                groups["embeddings"].append(held)
            else:
                groups["head"].append(held)
        return list(groups.items())

    def check_vocabulary(self) -> None:
        """Refuse a tokenizer that has more pieces than the model has embeddings."""
        table = getattr(self.module.get_input_embeddings(), "weight", None)  # a Transformer-XL has one for each cluster
        rows = self.module.config.vocab_size if table is None else len(table)
        words = len(self.tokenizer.held)
        if words > rows:
            raise UserError(f"The tokenizer of {self.facts.reference} has {words:,} pieces, the model {rows:,} embeddings.",
                            fix="Tokenizer and model are not of one folder; copy it again.", exit=Exit.UNAVAILABLE)
