"""Texts as vectors: the states of the bare model, pooled.

M texts, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Feature
from headstart.data.features.batches import collate
from headstart.prediction.predict import CHUNK, by_length

if TYPE_CHECKING:
    from headstart.models.model import Model

Pool = Literal["mean", "first", "max"]


def embed(model: Model, texts: Sequence[str], *, pool: Pool = "mean", normalise: bool = False, batch_tokens: int = 4096) -> Iterator[Any]:
    """Vectors of texts in order, (n, W) float32 a chunk; a text longer than the model's input is read in windows.

    mean: over all tokens, special ones included, as sentence encoders are trained; first: the first token; max: the
    largest of each number over the tokens. `normalise` makes every vector 1 long.
    """
    import numpy as np

    for begin in range(0, len(texts), CHUNK):
        part = [texts[place] for place in range(begin, min(len(texts), begin + CHUNK))]
        features, owner = windows_of(model, part)
        table = np.zeros((len(part), model.facts.width))
        counts, seen = np.zeros(len(part)), np.zeros(len(part), dtype=bool)
        for batch in by_length(features, batch_tokens):
            for place, (vector, size) in zip(batch, pooled(model, [features[place] for place in batch], pool), strict=True):
                row = owner[place]
                if pool == "mean":
                    table[row] += vector * size
                    counts[row] += size
                elif pool == "max" or place == owner.index(row):
                    table[row] = np.maximum(table[row], vector) if pool == "max" and seen[row] else vector
                seen[row] = True
        found = table / counts[:, None] if pool == "mean" else table
        if normalise:
            found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        yield found.astype(np.float32)


def windows_of(model: Model, texts: Sequence[str]) -> tuple[list[Feature], list[int]]:
    """The features of texts, and whose each is."""
    features, owner = [], []
    room = model.tokenizer.room(1)
    for row, text in enumerate(texts):
        ids = model.tokenizer.tokenize(text).ids
        for begin in range(0, max(1, len(ids)), room):
            features.append(Feature(*model.tokenizer.lay_out(ids[begin:begin + room])))
            owner.append(row)
    return features, owner


def pooled(model: Model, features: Sequence[Feature], pool: Pool) -> list[tuple[Any, int]]:
    """One vector a feature, and its number of tokens."""
    import torch

    model.module.eval()
    with torch.inference_mode():
        states, borders = model.states(collate(features, model.layout(packed=model.can_pack)))
    table = states.float().cpu().numpy().astype("float64")
    parts = [table[begin:end] for begin, end in borders.tolist()]
    if pool == "first":
        return [(one[0], len(one)) for one in parts]
    return [(one.mean(axis=0) if pool == "mean" else one.max(axis=0), len(one)) for one in parts]
