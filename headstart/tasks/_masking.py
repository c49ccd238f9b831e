"""Masked words: what masked language models and BERT's pre-training share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from headstart.contract import Tokenizer
from headstart.errors import Exit, UserError
from headstart.text.masking import masked, words

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hidden(ids: Sequence[int], offsets: Sequence[tuple[int, int]], text: str, tokenizer: Tokenizer, draw: Random, share: float,
           whole_words: bool) -> tuple[list[int], list[int], list[int]]:
    """Ids with some hidden, the hidden places, and what stood there."""
    mask = tokenizer.mask_id
    if mask is None:
        raise UserError("This model's tokenizer has no mask token.", fix="Choose a masked language model, such as "
                        "distilbert-base-cased.", exit=Exit.USAGE)
    groups = words(offsets, text) if whole_words else [[place] for place in range(len(ids))]
    made, places = masked(ids, groups, draw, share=share, mask_id=mask, any_piece=tokenizer.any_piece)
    return made, places, [ids[place] for place in places]


def reduced(logits: NDArray[Any], info: Mapping[str, Any], gold: Sequence[int] | None, count: int) -> dict[str, Any]:
    """For each asked place (A, V): the likeliest pieces; with gold, the sum of surprises, hits and number."""
    import numpy as np

    if not len(logits):
        return {"fills": [], "loss": 0.0, "hits": 0, "count": 0}
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    found: dict[str, Any] = {"fills": [], "loss": 0.0, "hits": 0, "count": 0}
    if gold is not None:
        taken = np.asarray(gold)
        found |= {"loss": float(-logs[np.arange(len(taken)), taken].sum()), "hits": int((logs.argmax(axis=1) == taken).sum()),
                  "count": len(taken)}
        return found
    for row in logs:
        best = np.argpartition(row, -count)[-count:]
        best = best[np.lexsort((best, -row[best]))]
        pieces = info["pieces"](best.tolist())
        found["fills"].append([{"token": piece, "probability": float(np.exp(row[place]))}
                               for piece, place in zip(pieces, best.tolist(), strict=True)])
    return found
