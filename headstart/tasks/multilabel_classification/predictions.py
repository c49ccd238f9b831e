"""What multilabel classification predicts, draws, and is compared with.

C labels, M examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Figure, Json, Prediction

if TYPE_CHECKING:
    from headstart.contract import Floats

DRAWN = 40  # labels of the bar chart, the most frequent ones
WORST = 20  # texts with wrong labels
JUDGED = 20_000  # training rows that the thresholds of a rival are chosen on at most, and a fifth of them judges


def as_prediction(row: int, labels: Sequence[str], shares: Sequence[float], thresholds: Sequence[float]) -> Prediction:
    """Probabilities (C,) in the user's terms."""
    chosen = [(label, share) for label, share, least in zip(labels, shares, thresholds, strict=True) if share >= least]
    return Prediction(row, {"prediction": [label for label, _ in chosen], "probability": [share for _, share in chosen],
                            "probabilities": dict(zip(labels, shares, strict=True))})


def figures(examples: Sequence[Any], predictions: Sequence[Prediction], tables: Mapping[str, Json]) -> list[Figure]:
    """Per-label table, what the thresholds bring, and the texts with most wrong labels."""
    held: dict[str, Any] = tables["per_label"]
    columns = {"rows": "support", "predicted": "predicted", "precision": "precision", "recall": "recall", "F1": "f1",
               "threshold": "threshold", "F1 at 0.5": "f1_at_half"}
    rows = [[label, *(one[name] for name in columns.values())] for label, one in held.items()]
    frequent = sorted(held, key=lambda label: -held[label]["support"])[:DRAWN]
    series = {"F1 at its threshold": [held[label]["f1"] for label in frequent],
              "F1 at 0.5": [held[label]["f1_at_half"] for label in frequent],
              "threshold": [held[label]["threshold"] for label in frequent]}
    wrong = [set(one.labels or ()) ^ set(other.values["prediction"]) for one, other in zip(examples, predictions, strict=True)]
    order = sorted((at for at in range(len(wrong)) if wrong[at]), key=lambda at: -len(wrong[at]))
    items = [{"text": examples[at].both[:2000], "title": f"row {examples[at].row}",
              "fields": {"in the file": ", ".join(examples[at].labels or ()) or "(none)",
                         "prediction": ", ".join(predictions[at].values["prediction"]) or "(none)"}} for at in order[:WORST]]
    return [Figure("per_label", "Each label", "table", {"columns": ["label", *columns], "rows": rows},
                   "A label is given where its probability reaches its threshold."),
            Figure("thresholds", "What the thresholds bring", "bars", {"labels": frequent, "series": series, "unit": "share"},
                   "A threshold tuned on dev may raise F1 on dev by luck; what it brings on test is real."),
            Figure("errors", "Most wrong labels", "texts", {"items": items},
                   f"{len(order):,} of {len(wrong):,} texts have a label too many or too few; those with most.")]


@dataclass(frozen=True)
class Fitted:
    """A fitted rival: `shares(examples, states)` gives (M, C)."""

    labels: tuple[str, ...]
    shares: Callable[[Sequence[Any], Floats | None], Floats]
    thresholds: Sequence[float]
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction an example."""
        return [as_prediction(example.row, self.labels, row.tolist(), self.thresholds)
                for example, row in zip(examples, self.shares(examples, states), strict=True)]


def one_by_one(matrix: Any, gold: Any, seed: int) -> tuple[Callable[[Any], Any], int]:
    """A logistic regression for each label: what gives the shares (M, C) of other rows, and its bytes."""
    import numpy as np

    from headstart.baselines.linear import fit_logistic

    models = [fit_logistic(matrix, gold[:, place], 2, seed) for place in range(gold.shape[1])]
    return (lambda rows: np.stack([model.probabilities(rows)[:, 1] for model in models], axis=1)), 8 * sum(one.size for one in models)


def tuned(matrix: Any, gold: Any, seed: int) -> list[float]:
    """The threshold of each label with the best F1 on a seeded fifth of the training rows, so that rivals are not held back."""
    import numpy as np

    from headstart.metrics.multilabel import best_threshold

    order = np.random.default_rng([seed, 23]).permutation(len(gold))[:JUDGED]
    judge, learn = order[:len(order) // 5], order[len(order) // 5:]
    if not len(judge):
        return [0.5] * gold.shape[1]
    answer, _ = one_by_one(matrix[learn], gold[learn], seed)
    shares = answer(matrix[judge])
    return [best_threshold(gold[judge, place] == 1, shares[:, place]) for place in range(gold.shape[1])]


def baselines(labels: tuple[str, ...], tune: bool) -> tuple[Baseline, ...]:
    """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, each label by itself.

    With `tune` the latter two have a threshold for each label, chosen on a part of the training rows.
    """
    def gold(examples: Sequence[Any]) -> Any:
        import numpy as np

        return np.asarray([[label in (example.labels or ()) for label in labels] for example in examples], dtype=np.int64)

    def shares(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        import numpy as np

        means = gold(examples).mean(axis=0)
        return Fitted(labels, lambda rows, _: np.tile(means, (len(rows), 1)), [0.5] * len(labels), means.nbytes)

    def fitted(matrix: Any, examples: Sequence[Any], seed: int, turned: Callable[[Any, Any], Any], more: int) -> Fitted:
        held = gold(examples)
        thresholds = tuned(matrix, held, seed) if tune else [0.5] * len(labels)
        answer, size = one_by_one(matrix, held, seed)
        return Fitted(labels, lambda rows, states: answer(turned(rows, states)), thresholds, size + more)

    def tfidf(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000, token_pattern=r"(?u)\b\w+\b|\S")
        matrix = vectorizer.fit_transform([example.both for example in examples])
        words = sum(len(word) + 8 for word in vectorizer.vocabulary_)
        return fitted(matrix, examples, seed, lambda rows, _: vectorizer.transform([row.both for row in rows]), words)

    def frozen(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        return fitted(states, examples, seed, lambda _, held: held, 0)

    return (Baseline("label shares", shares), Baseline("tf-idf + logistic regression", tfidf),
            Baseline("frozen encoder + logistic regression", frozen, needs_states=True))
