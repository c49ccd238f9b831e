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
Words = Literal["13a", "intl", "zh", "char", "none"]
ORDERS, LETTERS = 4, 6
BETA = 2  # recall weighs BETA times as much as precision
NAMES = ("bleu", "chrf")
DEFINITIONS = {
    "bleu": "100 · brevity penalty · geometric mean of the precisions of 1- to 4-grams, smoothed by exp (Papineni et al. 2002)",
    "chrf": "100 · F2 of mean precision and mean recall of 1- to 6-grams of letters without space (Popović 2015)",
}


def library() -> ModuleType:
    """sacrebleu; raises UserError (69) where it is missing."""
    try:
        import sacrebleu
    except ImportError:
        raise UserError("BLEU and chrF need sacrebleu.", fix="pip install 'headstart[translation]'", exit=Exit.UNAVAILABLE) from None
    found: ModuleType = sacrebleu
    return found


def measures(predicted: str, references: Sequence[str], *, words: Words = "13a") -> dict[str, Any]:
    """What one example adds: bleu (10,), chrf (18,), known 1 where there are references.

    `words` says how texts are parted into words, by sacrebleu's names: 13a for most languages, zh for Chinese.
    """
    metric = library().BLEU(tokenize=words, effective_order=True)  # asked for counts only, which the order does not change
    return {"bleu": np.array(bleu_counts(predicted, references, metric), dtype=np.float64),
            "chrf": np.array(chrf_counts(predicted, references), dtype=np.float64), "known": float(bool(references))}


def per_example(predictions: Sequence[str], references: Sequence[Sequence[str]], *, words: Words = "13a") -> dict[str, Floats]:
    """What each example adds: bleu (M, 10), chrf (M, 18), known (M,); they are measures for `scores`."""
    rows = [measures(text, golds, words=words) for text, golds in zip(predictions, references, strict=True)]
    widths = {"bleu": (2 + 2 * ORDERS,), "chrf": (3 * LETTERS,), "known": ()}
    return {name: np.array([row[name] for row in rows], dtype=np.float64).reshape(len(rows), *width) for name, width in widths.items()}


def bleu_counts(predicted: str, references: Sequence[str], metric: Any) -> list[float]:
    """Length, nearest reference's length, matches and totals of 1- to 4-grams; `metric` is sacrebleu's BLEU."""
    if not references:
        return [0.0] * (2 + 2 * ORDERS)
    found = metric.sentence_score(predicted, list(references))
    return [found.sys_len, found.ref_len, *found.counts, *found.totals]


def chrf_counts(predicted: str, references: Sequence[str]) -> list[float]:
    """n-grams of letters of the text, of its best reference, and of both, for n from 1 to 6; the first of equally good ones."""
    best, top = [0.0] * (3 * LETTERS), -1.0
    ours = letters(predicted)
    for gold in references:
        made: list[float] = []
        for own, other in zip(ours, letters(gold), strict=True):
            # A text's n-grams do not count against it where the reference is too short to have any.
            made += [own.total() if other else 0, other.total(), (own & other).total()]
        value = float(chrf(np.array([made]))[0])
        if value > top:
            best, top = made, value
    return best


def letters(text: str) -> list[Counter[str]]:
    """The runs of 1 to 6 letters, space left out."""
    plain = "".join(text.split())
    return [Counter(plain[begin:begin + size] for begin in range(len(plain) - size + 1)) for size in range(1, LETTERS + 1)]


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """bleu and chrf, 0 to 100, (R,) each; NaN where no example has a reference."""
    known = weights @ measures["known"] > 0
    return {"bleu": np.where(known, bleu(weights @ measures["bleu"]), np.nan),
            "chrf": np.where(known, chrf(weights @ measures["chrf"]), np.nan)}


def bleu(sums: Floats) -> Floats:
    """BLEU of summed counts, (R, 10) -> (R,): the k-th n-gram size in a row without a match counts as 1/2^k match."""
    length, nearest = sums[:, 0], sums[:, 1]
    match, total = sums[:, 2:2 + ORDERS], sums[:, 2 + ORDERS:]
    halved = 0.5 ** np.cumsum(match == 0, axis=1)
    whole = np.where(total > 0, total, 1)
    precision = np.where(match > 0, match, halved) / whole
    brevity = np.exp(np.minimum(0, 1 - nearest / np.where(length > 0, length, 1)))
    fine = (total > 0).all(axis=1) & (match > 0).any(axis=1)
    found: Floats = np.where(fine, 100 * brevity * np.exp(np.log(precision).mean(axis=1)), 0.0)
    return found


def chrf(sums: Floats) -> Floats:
    """chrF of summed counts, (R, 18) -> (R,): sizes that both sides have take part."""
    parts = sums.reshape(len(sums), LETTERS, 3)
    ours, theirs, both = parts[..., 0], parts[..., 1], parts[..., 2]
    there = (ours > 0) & (theirs > 0)
    sizes = np.maximum(1, there.sum(axis=1))
    precision = (np.where(there, both, 0) / np.where(there, ours, 1)).sum(axis=1) / sizes
    recall = (np.where(there, both, 0) / np.where(there, theirs, 1)).sum(axis=1) / sizes
    below = BETA**2 * precision + recall
    found: Floats = 100 * (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1)
    return found


def signature(name: str, references: Sequence[Sequence[str]], *, words: Words = "13a") -> str:
    """sacrebleu's own signature of a score, by which values of different papers are compared."""
    package = library()
    metric = package.BLEU(tokenize=words) if name == "bleu" else package.CHRF()
    sizes = sorted({len(golds) for golds in references if golds}) or [1]
    # The library learns how many references there are by being asked for a score.
    metric.corpus_score(["a"] * len(sizes), [["a" if place < size else None for size in sizes] for place in range(sizes[-1])])
    return str(metric.get_signature())
