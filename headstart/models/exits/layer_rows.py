"""An encoder layer by layer, on texts that may be dropped between two layers.

Shapes: N texts, T tokens of all of them, B rows, S tokens of a row, W width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from headstart.models import batch_positions
from headstart.models.family import submodule
from headstart.models.heads.pooling import attention_mask, mean_states
from headstart.models.packing.packed_row import Packing, pack_segments, segments_of

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model


class LayerRows(Protocol):
    """Texts on their way through the layers."""

    def run(self, number: int) -> None:
        """Move all texts through layer `number`, from 1."""

    def first_states(self) -> Tensor:
        """The state of each text's first token, (N, W)."""

    def mean_states(self) -> Tensor:
        """The mean of each text's token states, (N, W)."""

    def keep(self, indices: Tensor) -> None:
        """Drop all texts but these; the others do not see that."""


class PackedRows:
    """Texts end to end in one row, as the layers of BERT and its kin take them, whatever the layout of the batch."""

    def __init__(self, model: Model, batch: Batch) -> None:
        self.model, self.lengths = model, batch.lengths
        self.states = embeddings(model, packed(batch))  # (1, T, W)
        self.packing: Packing | None = None

    def run(self, number: int) -> None:
        """Through layer `number`; through the last, first tokens alone where the family knows how."""
        if self.packing is None:
            self.packing = pack_segments(segments_of(self.lengths), self.states.device)
        is_last = number == self.model.info.layers
        packing = dataclasses.replace(self.packing, first_tokens_only=True) if is_last and \
            self.model.info.family.first_token_layer else self.packing
        self.states = layer_of(self.model, number)(self.states, None, packing=packing)

    def first_states(self) -> Tensor:
        """(N, W)."""
        if self.states.shape[1] == len(self.lengths):  # of first tokens alone, or texts of one token
            return self.states[0]
        return self.states[0].index_select(0, self.borders()[:, 0])

    def mean_states(self) -> Tensor:
        """(N, W)."""
        return mean_states(self.states[0], self.borders())

    def borders(self) -> Tensor:
        """Start and end of each text, (N, 2)."""
        return torch.from_numpy(segments_of(self.lengths)[:, 1:]).to(self.states.device)

    def keep(self, indices: Tensor) -> None:
        """The tokens of these texts alone, end to end."""
        kept_texts = np.zeros(len(self.lengths), dtype=bool)
        kept_texts[indices.cpu().numpy()] = True
        kept_tokens = torch.from_numpy(np.repeat(kept_texts, self.lengths).nonzero()[0])
        self.states = self.states.index_select(1, kept_tokens.to(self.states.device))
        self.lengths, self.packing = self.lengths[kept_texts], None


class MPNetRows:
    """One text a row with padding, and MPNet's bias by distance on the scores of every layer."""

    def __init__(self, model: Model, batch: Batch) -> None:
        from transformers.masking_utils import create_bidirectional_mask

        self.model = model
        self.states = embeddings(model, batch)  # (B, S, W)
        self.is_token = attention_mask(batch).to(model.device)
        self.mask = create_bidirectional_mask(config=model.module.config, inputs_embeds=self.states,
                                              attention_mask=self.is_token)
        self.bias = model.module.base_model.encoder.compute_position_bias(self.states)  # (B, heads, S, S)

    def run(self, number: int) -> None:
        """Through layer `number`."""
        self.states = layer_of(self.model, number)(self.states, self.mask, self.bias)[0]

    def first_states(self) -> Tensor:
        """(B, W)."""
        return self.states[:, 0]

    def mean_states(self) -> Tensor:
        """(B, W)."""
        weights = self.is_token[..., None].to(self.states.dtype)
        return (self.states * weights).sum(dim=1) / weights.sum(dim=1)

    def keep(self, indices: Tensor) -> None:
        """These rows alone."""
        self.states, self.bias, self.is_token = (rows.index_select(0, indices)
                                                 for rows in (self.states, self.bias, self.is_token))
        self.mask = None if self.mask is None else self.mask.index_select(0, indices)


ROWS: Mapping[str, Callable[[Model, Batch], LayerRows]] = {"packed": PackedRows, "padded": MPNetRows}


def layer_rows(model: Model, batch: Batch) -> LayerRows:
    """A batch before the first layer."""
    return ROWS[model.info.family.layer_rows](model, batch)


def states_for_head(model: Model, rows: LayerRows, number: int) -> Tensor:
    """What the head after layer `number` reads, (N, W): the last the first token, earlier ones what they were trained
    on.
    """
    assert model.early_exit is not None, "only a model with heads after earlier layers is read layer by layer"
    is_mean = number < model.info.layers and model.early_exit.pooling == "mean"
    return rows.mean_states() if is_mean else rows.first_states()


def embeddings(model: Model, batch: Batch) -> Tensor:
    """What the first layer reads, (B, S, W)."""
    return model.info.family.embed(model.module.base_model, model.embedding_inputs(batch))


def layer_of(model: Model, number: int) -> Any:
    """Layer `number`, from 1; ALBERT repeats one, or a few one after the other."""
    modules = submodule(model.module.base_model, model.info.family.layer_path)
    return modules[(number - 1) * len(modules) // model.info.layers]


def packed(batch: Batch) -> Batch:
    """A batch without padding: its texts end to end in one row."""
    if len(batch.ids) == 1 and batch.tokens == batch.ids.shape[1]:
        return batch
    positions = batch_positions.token_positions(batch)
    return dataclasses.replace(batch, ids=batch.ids.reshape(1, -1)[:, positions],
                               types=batch.types.reshape(1, -1)[:, positions], segments=segments_of(batch.lengths))
