"""A loaded model: batches in, outputs for each feature out, whatever the family, padded or packed.

Shapes: B rows, S tokens of a row, T tokens of a packed row, N features, W width, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, Kind, Layout
from headstart.errors import Exit, UserError
from headstart.models.attention import Packing, packing
from headstart.models.facts import Facts
from headstart.models.family import inner
from headstart.models.tokenizer import FamilyTokenizer
from headstart.models.weights import quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Model:
    """A transformers model with its tokenizer; heads work on token states by segment."""

    module: Any
    tokenizer: FamilyTokenizer
    facts: Facts
    head: str
    drawn: tuple[str, ...] = ()  # weights that no file gave: a fresh head

    @property
    def kind(self) -> Kind:
        """encoder, decoder or encoder-decoder."""
        return self.facts.row.kinds[0]

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        found: torch.device = next(self.module.parameters()).device
        return found

    @property
    def can_pack(self) -> bool:
        """Whether several examples can share a row."""
        return self.facts.row.packs

    def layout(self, *, packed: bool) -> Layout:
        """How batches for this model are laid out."""
        return Layout(packed=packed, pad_id=self.tokenizer.pad_id)

    def states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Token states of a batch as one row, and its segments' borders in that row: (T, W), (N, 2)."""
        import torch

        pack = packing(batch.segments, self.device) if self.packs(batch) else None
        states = self.backbone(batch, pack)
        segments = torch.from_numpy(batch.segments).to(self.device)
        borders = segments[:, 1:] + segments[:, :1] * batch.ids.shape[1]
        return states.reshape(-1, states.shape[-1]), borders

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
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(self.device),
                                  "position_ids": self.positions(batch).to(self.device)}
        if row.has_types:
            limit = getattr(self.module.config, "type_vocab_size", 1) - 1
            inputs["token_type_ids"] = torch.from_numpy(batch.types).clamp(max=limit).to(self.device)
        if pack is not None:
            inputs |= {"packing": pack, "attention_mask": row.packed_mask}
        else:
            assert len(batch.segments) == len(batch.ids), "several texts in a row need packing"
            inputs["attention_mask"] = mask(batch).to(self.device)
        states: Tensor = self.module.base_model(**inputs)[0]
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
        """The head's outputs in the order of the segments: {"logits": (N, C)}."""
        by_mean = self.facts.row.pooling(self.module.config) == "mean"
        pooled = mean(*self.states(batch)) if by_mean else self.first_states(batch)
        return {"logits": self.facts.row.classify(self.module, pooled)}

    def pooled(self, batch: Batch) -> Tensor:
        """The mean token state of each feature, (N, W)."""
        return mean(*self.states(batch))

    def save(self, folder: Path) -> None:
        """Write config, weights (safetensors) and tokenizer as an ordinary transformers folder."""
        with quiet():
            self.module.save_pretrained(folder)
            self.tokenizer.held.save_pretrained(folder)

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, each layer, head."""
        prefix = self.module.base_model_prefix
        layers = f"{prefix}.{self.facts.row.layers}."
        count = len(inner(self.module, layers.rstrip(".")))
        groups: dict[str, list[str]] = {"embeddings": [], **{f"layer {n}": [] for n in range(1, count + 1)}, "head": []}
        for name, _ in self.module.named_parameters():
            if name.startswith(layers):
                groups[f"layer {int(name[len(layers):].split('.')[0]) + 1}"].append(name)
            elif name.startswith(f"{prefix}.") and ".pooler." not in name and "final_norm" not in name:
                groups["embeddings"].append(name)
            else:
                groups["head"].append(name)
        return list(groups.items())

    def check_vocabulary(self) -> None:
        """Refuse a tokenizer that has more pieces than the model has embeddings."""
        rows = self.module.get_input_embeddings().weight.shape[0]
        words = len(self.tokenizer.held)
        if words > rows:
            raise UserError(f"The tokenizer of {self.facts.reference} has {words:,} pieces, the model {rows:,} embeddings.",
                            fix="Tokenizer and model are not of one folder; copy it again.", exit=Exit.UNAVAILABLE)


def mask(batch: Batch) -> Tensor:
    """1 for real tokens, 0 for padding: (B, S)."""
    import numpy as np
    import torch

    real = np.zeros(batch.ids.shape, dtype=np.int64)
    for row, begin, end in batch.segments.tolist():
        real[row, begin:end] = 1
    return torch.from_numpy(real)


def mean(states: Tensor, borders: Tensor) -> Tensor:
    """The mean state of each segment: (T, W), (N, 2) -> (N, W)."""
    import torch

    sizes = borders[:, 1] - borders[:, 0]
    owner = torch.repeat_interleave(torch.arange(len(sizes), device=states.device), sizes)
    places = torch.cat([torch.arange(int(begin), int(end), device=states.device) for begin, end in borders.tolist()])
    sums = torch.zeros(len(sizes), states.shape[1], dtype=states.dtype, device=states.device)
    return sums.index_add(0, owner, states.index_select(0, places)) / sizes[:, None].to(states.dtype)
