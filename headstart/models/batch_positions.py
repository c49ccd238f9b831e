"""Where tokens stand in a batch: position ids, tokens without padding, the token that stands for a text.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, A label positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Batch
from headstart.models.loading.device import copy_to

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.contract import Ints
    from headstart.models.family import Family


def position_ids(batch: Batch, offset: int) -> Ints:
    """Position ids (B, S): each segment counts from the family's offset; padding has the id before it."""
    ids = np.full(batch.ids.shape, max(0, offset - 1), dtype=np.int64)
    for row, start, end in batch.segments.tolist():
        ids[row, start:end] = np.arange(offset, offset + end - start)
    return ids


def embedding_inputs(batch: Batch, family: Family, config: Any, device: torch.device) -> dict[str, Tensor]:
    """What a family's embeddings read: token ids, positions and token types where it has them, (B, S) each."""
    inputs = {"input_ids": copy_to(batch.ids, device)}
    if family.position_ids:
        inputs["position_ids"] = copy_to(position_ids(batch, family.position_offset(config)), device)
    if family.has_token_types:
        type_count = getattr(config, "type_vocab_size", None)  # XLNet only compares them
        types = batch.types if type_count is None else batch.types.clip(max=max(0, type_count - 1))
        inputs["token_type_ids"] = copy_to(types, device)
    return inputs


def token_positions(batch: Batch) -> Ints:
    """The place of each token among the B·S of a padded batch, feature after feature: (T,)."""
    width = batch.ids.shape[1]
    return np.concatenate([np.arange(start, end) + row * width for row, start, end in batch.segments.tolist()])


def pooling_positions(batch: Batch, pooling: str, pad_id: int | None) -> Ints:
    """The position in T of the token that stands for each feature, (N,): the first, or the last that is no padding.

    The last is found as transformers finds it, by the padding id, so that plain loading gives the same outputs.
    """
    positions: Ints = np.cumsum(batch.lengths) - batch.lengths
    if pooling != "last":
        return positions
    real_tokens = [(batch.ids[row, start:end] != pad_id).nonzero()[0] for row, start, end in batch.segments.tolist()]
    positions += np.asarray([indices[-1] if len(indices) else 0 for indices in real_tokens])
    return positions


def split_by_feature(batch: Batch, outputs: Mapping[str, NDArray[Any]],
                     reads: Mapping[str, str]) -> list[dict[str, NDArray[Any]]]:
    """A batch's outputs split by feature; `reads` says for each which states it reads ("pooled", "tokens" …)."""
    outputs_by_feature: list[dict[str, NDArray[Any]]] = [{} for _ in batch.segments]
    for name, values in outputs.items():
        sizes = batch.lengths if reads[name] == "tokens" else batch.label_counts
        values_by_feature = list(values) if reads[name] in ("pooled", "mean") else np.split(
            values, np.cumsum(sizes)[:-1])
        for feature_outputs, feature_values in zip(outputs_by_feature, values_by_feature, strict=True):
            feature_outputs[name] = feature_values
    return outputs_by_feature
