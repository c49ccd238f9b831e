"""Texts as vectors: the states of the backbone, pooled.

M texts, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headstart.contract import Feature
from headstart.data.features.batches import collate, length_batches
from headstart.prediction.predictor import PREDICTION_CHUNK

if TYPE_CHECKING:
    from headstart.models.model import Model

Pool = Literal["mean", "first", "max"]


def embed(model: Model, texts: Sequence[str], *, pool: Pool = "mean", normalise: bool = False,
          batch_tokens: int = 4096) -> Iterator[Any]:
    """Vectors of texts in order, (n, W) float32 a chunk; a text longer than the model's input is read in windows.

    mean: over all tokens, special ones included, as sentence encoders are trained; first: the first token; max: the
    largest of each number over the tokens. `normalise` makes every vector 1 long.
    """
    for chunk in text_chunks(texts):
        yield embed_chunk(model, chunk, pool=pool, normalise=normalise, batch_tokens=batch_tokens)


def text_chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in the parts that are embedded together."""
    for start in range(0, len(texts), PREDICTION_CHUNK):
        yield [texts[index] for index in range(start, min(len(texts), start + PREDICTION_CHUNK))]


def embed_chunk(model: Model, chunk: Sequence[str], *, pool: Pool, normalise: bool, batch_tokens: int) -> Any:
    """The vectors of the texts of one part, (n, W) float32."""
    import numpy as np

    features, text_indices = text_windows(model, chunk)
    table = np.zeros((len(chunk), model.info.width))
    counts, has_vector = np.zeros(len(chunk)), np.zeros(len(chunk), dtype=bool)
    for batch in length_batches(features, batch_tokens):
        vectors_of_batch = pooled_vectors(model, [features[position] for position in batch], pool)
        for position, (vector, size) in zip(batch, vectors_of_batch, strict=True):
            row = text_indices[position]
            if pool == "mean":
                table[row] += vector * size
                counts[row] += size
            elif pool == "max" or position == text_indices.index(row):
                table[row] = np.maximum(table[row], vector) if pool == "max" and has_vector[row] else vector
            has_vector[row] = True
    vectors = table / counts[:, None] if pool == "mean" else table
    if normalise:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors.astype(np.float32)


def text_windows(model: Model, texts: Sequence[str]) -> tuple[list[Feature], list[int]]:
    """The features of texts, and the text that each is of."""
    features, text_indices = [], []
    max_tokens = model.tokenizer.max_content_length(1)
    for row, text in enumerate(texts):
        ids = model.tokenizer.tokenize(text).ids
        for start in range(0, max(1, len(ids)), max_tokens):
            features.append(Feature(*model.tokenizer.with_special_tokens(ids[start:start + max_tokens])))
            text_indices.append(row)
    return features, text_indices


def pooled_vectors(model: Model, features: Sequence[Feature], pool: Pool) -> list[tuple[Any, int]]:
    """One vector a feature, and its number of tokens."""
    import torch

    model.module.eval()
    with torch.inference_mode():
        states, borders = model.states(collate(features, model.layout(packed=model.can_pack)))
    table = states.float().cpu().numpy().astype("float64")
    states_by_feature = [table[start:end] for start, end in borders.tolist()]
    if pool == "first":
        return [(token_states[0], len(token_states)) for token_states in states_by_feature]
    return [(token_states.mean(axis=0) if pool == "mean" else token_states.max(axis=0), len(token_states))
            for token_states in states_by_feature]
