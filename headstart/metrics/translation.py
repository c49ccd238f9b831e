"""BLEU and chrF of a whole corpus, as weighted sums of what each example adds; the values are sacrebleu's (by test).

Papineni et al. 2002; Popović 2015; Post 2018, A Call for Clarity in Reporting BLEU Scores. M examples, R weightings.
BLEU adds 10 numbers an example: length, length of the nearest reference, n-grams that match, n-grams, n from 1 to 4.
chrF adds 18: for n from 1 to 6 the n-grams of letters of the text, of its best reference, and those that both have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from types import ModuleType

Floats = NDArray[np.float64]
Tokenization = Literal["13a", "intl", "zh", "char", "none"]
BLEU_ORDER, CHRF_ORDER = 4, 6
BETA = 2  # recall weighs BETA times as much as precision
NAMES = ("bleu", "chrf")
DEFINITIONS = {
    "bleu": "100 · brevity penalty · geometric mean of the precisions of 1- to 4-grams, smoothed by exp (Papineni et "
            "al. 2002)",
    "chrf": "100 · F2 of mean precision and mean recall of 1- to 6-grams of letters without space (Popović 2015)",
}


def load_sacrebleu() -> ModuleType:
    """sacrebleu; raises UserError (69) where it is missing."""
    try:
        import sacrebleu
    except ImportError:
        raise UserError("BLEU and chrF need sacrebleu.", fix="pip install 'headstart[translation]'",
                        exit=Exit.UNAVAILABLE) from None
    module: ModuleType = sacrebleu
    return module


def measures(predicted: str, references: Sequence[str], *, tokenization: Tokenization = "13a") -> dict[str, Any]:
    """What one example adds: bleu (10,), chrf (18,), known 1 where there are references.

    `tokenization` says how texts are split into words, by sacrebleu's names: 13a for most languages, zh for Chinese.
    """
    # used for counts only, which the order does not change
    metric = load_sacrebleu().BLEU(tokenize=tokenization, effective_order=True)
    return {"bleu": np.array(bleu_counts(predicted, references, metric), dtype=np.float64),
            "chrf": np.array(chrf_counts(predicted, references), dtype=np.float64), "known": float(bool(references))}


def per_example(predictions: Sequence[str], references: Sequence[Sequence[str]], *,
                tokenization: Tokenization = "13a") -> dict[str, Floats]:
    """What each example adds: bleu (M, 10), chrf (M, 18), known (M,); they are measures for `scores`."""
    rows = [measures(text, golds, tokenization=tokenization)
            for text, golds in zip(predictions, references, strict=True)]
    widths = {"bleu": (2 + 2 * BLEU_ORDER,), "chrf": (3 * CHRF_ORDER,), "known": ()}
    return {name: np.array([row[name] for row in rows], dtype=np.float64).reshape(len(rows), *width)
            for name, width in widths.items()}


def bleu_counts(predicted: str, references: Sequence[str], metric: Any) -> list[float]:
    """Length, nearest reference's length, matches and totals of 1- to 4-grams; `metric` is sacrebleu's BLEU."""
    if not references:
        return [0.0] * (2 + 2 * BLEU_ORDER)
    counted = metric.sentence_score(predicted, list(references))
    return [counted.sys_len, counted.ref_len, *counted.counts, *counted.totals]


def chrf_counts(predicted: str, references: Sequence[str]) -> list[float]:
    """n-grams of letters of the text, of its best reference, and of both, for n from 1 to 6; the first of equally good
    ones.
    """
    best_counts, best_score = [0.0] * (3 * CHRF_ORDER), -1.0
    predicted_ngrams = character_ngrams(predicted)
    for gold in references:
        counts: list[float] = []
        for text_ngrams, gold_ngrams in zip(predicted_ngrams, character_ngrams(gold), strict=True):
            # A text's n-grams do not count against it where the reference is too short to have any.
            counts += [text_ngrams.total() if gold_ngrams else 0, gold_ngrams.total(),
                       (text_ngrams & gold_ngrams).total()]
        score = float(chrf(np.array([counts]))[0])
        if score > best_score:
            best_counts, best_score = counts, score
    return best_counts


def character_ngrams(text: str) -> list[Counter[str]]:
    """The runs of 1 to 6 letters, space left out."""
    characters = "".join(text.split())
    return [Counter(characters[start:start + size] for start in range(len(characters) - size + 1))
            for size in range(1, CHRF_ORDER + 1)]


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """bleu and chrf, 0 to 100, (R,) each; NaN where no example has a reference."""
    defined = weights @ measures["known"] > 0
    return {"bleu": np.where(defined, bleu(weights @ measures["bleu"]), np.nan),
            "chrf": np.where(defined, chrf(weights @ measures["chrf"]), np.nan)}


def bleu(sums: Floats) -> Floats:
    """BLEU of summed counts, (R, 10) -> (R,): the k-th n-gram size in a row without a match counts as 1/2^k match."""
    length, reference_length = sums[:, 0], sums[:, 1]
    matches, totals = sums[:, 2:2 + BLEU_ORDER], sums[:, 2 + BLEU_ORDER:]
    smoothed_matches = 0.5 ** np.cumsum(matches == 0, axis=1)
    safe_totals = np.where(totals > 0, totals, 1)
    precision = np.where(matches > 0, matches, smoothed_matches) / safe_totals
    brevity = np.exp(np.minimum(0, 1 - reference_length / np.where(length > 0, length, 1)))
    defined = (totals > 0).all(axis=1) & (matches > 0).any(axis=1)
    values: Floats = np.where(defined, 100 * brevity * np.exp(np.log(precision).mean(axis=1)), 0.0)
    return values


def chrf(sums: Floats) -> Floats:
    """chrF of summed counts, (R, 18) -> (R,): sizes that both sides have take part."""
    counts = sums.reshape(len(sums), CHRF_ORDER, 3)
    predicted, reference, shared = counts[..., 0], counts[..., 1], counts[..., 2]
    defined = (predicted > 0) & (reference > 0)
    order_counts = np.maximum(1, defined.sum(axis=1))
    precision = (np.where(defined, shared, 0) / np.where(defined, predicted, 1)).sum(axis=1) / order_counts
    recall = (np.where(defined, shared, 0) / np.where(defined, reference, 1)).sum(axis=1) / order_counts
    denominator = BETA**2 * precision + recall
    values: Floats = 100 * (1 + BETA**2) * precision * recall / np.where(denominator > 0, denominator, 1)
    return values


def signature(name: str, references: Sequence[Sequence[str]], *, tokenization: Tokenization = "13a") -> str:
    """sacrebleu's own signature of a score, by which values of different papers are compared."""
    sacrebleu = load_sacrebleu()
    metric = sacrebleu.BLEU(tokenize=tokenization) if name == "bleu" else sacrebleu.CHRF()
    sizes = sorted({len(golds) for golds in references if golds}) or [1]
    # The library learns how many references there are from a call for a score.
    metric.corpus_score(["a"] * len(sizes), [["a" if index < size else None for size in sizes]
                                             for index in range(sizes[-1])])
    return str(metric.get_signature())
