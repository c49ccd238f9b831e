"""Scores of a language model from what each document adds: summed surprise and counts.

surprise is -ln p of a document's tokens, summed (nats). M documents, R weightings.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DEFINITIONS = {
    "perplexity": "exp(summed -ln p / tokens); depends on the tokenizer",
    "word_perplexity": "exp(summed -ln p / words separated by spaces): comparable over tokenizers",
    "bits_per_byte": "summed -log2 p / bytes of the text in UTF-8: comparable over tokenizers and languages",
}
COUNTS = {"perplexity": "tokens", "word_perplexity": "words", "bits_per_byte": "bytes"}
MAX_EXPONENT = math.log(np.finfo(np.float64).max)  # 709.78: exp of more is no number


def measures(surprise: float, tokens: int, text: str) -> dict[str, float]:
    """What one document adds: its surprise, and how many tokens, words and bytes it has."""
    return {"surprise": float(surprise), "tokens": float(tokens), "words": float(len(text.split())),
            "bytes": float(len(text.encode("utf-8", "surrogatepass")))}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """perplexity, word_perplexity, bits_per_byte, (R,): inf where exp overflows, NaN where there is nothing to divide
    by.

    A surprise that is no number makes every score NaN that its document counts for; it is never left out.
    """
    total = weighted_sum(measures["surprise"], weights)
    means = {name: divide_or_nan(total, weights @ np.asarray(measures[count], dtype=np.float64))
             for name, count in COUNTS.items()}
    with np.errstate(over="ignore"):
        return {"perplexity": np.exp(means["perplexity"]), "word_perplexity": np.exp(means["word_perplexity"]),
                "bits_per_byte": means["bits_per_byte"] / math.log(2)}


def weighted_sum(values: Any, weights: Floats) -> Floats:
    """Weighted sums, (R,); what weighs 0 adds nothing even when it is infinite or no number."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    sums: Floats = weights[:, finite] @ numbers[finite]
    for index in np.flatnonzero(~finite):
        sums = sums + np.where(weights[:, index] > 0, numbers[index], 0.0)
    return sums


def divide_or_nan(numerator: Floats, denominator: Floats) -> Floats:
    """numerator / denominator, NaN where the denominator is 0."""
    quotient: Floats = np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
    return quotient


def undefined_reason(name: str, measures: Any) -> str:
    """Why a score is infinite or has no value; "" when it is an ordinary number."""
    surprise = np.asarray(measures["surprise"], dtype=np.float64)
    nan_count = int(np.isnan(surprise).sum())
    if nan_count:
        return f"the model's loss is not a number in {nan_count} of {len(surprise)} documents"
    infinite_count = int(np.isinf(surprise).sum())
    if infinite_count:
        return f"{infinite_count} of {len(surprise)} documents hold a token of probability 0"
    count = float(np.asarray(measures[COUNTS[name]], dtype=np.float64).sum())
    if not count:
        return f"there are no {COUNTS[name]}"
    if name != "bits_per_byte" and surprise.sum() / count > MAX_EXPONENT:
        return (f"the mean loss is {surprise.sum() / count:.0f} nats; exp of more than {MAX_EXPONENT:.0f} is larger "
                "than any number here")
    return ""
