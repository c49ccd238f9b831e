"""Predictions, figures and baselines of multilabel classification.

C labels, M examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.baselines import FROZEN_BASELINE, TFIDF_BASELINE
from headstart.contract import Baseline, Figure, Json, Prediction
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.contract import Floats

MAX_BARS = 40  # labels of the bar chart, the most frequent ones
MAX_ERRORS = 20  # texts with wrong labels
MAX_TUNING_ROWS = 20_000  # training rows at most for a baseline's thresholds; they are tuned on a fifth of them


def chosen_thresholds(setting: float | str, labels: Sequence[str], tuned: Sequence[float]) -> list[float]:
    """One threshold for all labels (0.3), or for some of them ("toxic=0.3,insult=0.6"), the others as tuned; raises
    UserError (78).
    """
    if not isinstance(setting, str):
        return [float(setting)] * len(labels)
    threshold_of = dict(zip(labels, tuned, strict=True))
    for part in filter(None, setting.split(",")):
        label, equals, text = (word.strip() for word in part.rpartition("="))
        if not equals or label not in threshold_of:
            problem = f"there is no label {label!r}" if equals else "a number, or LABEL=NUMBER, was expected"
            raise UserError(f"task.threshold says {part.strip()!r}; {problem}.",
                            fix=f"The labels are {', '.join(labels[:20])}.", exit=Exit.SETTINGS)
        try:
            threshold_of[label] = float(text)
        except ValueError:
            threshold_of[label] = float("nan")
        if not 0 <= threshold_of[label] <= 1:
            raise UserError(f"task.threshold of {label!r} takes a number from 0 to 1, but it is {text!r}.",
                            exit=Exit.SETTINGS)
    return list(threshold_of.values())


def as_prediction(row: int, labels: Sequence[str], probabilities: Sequence[float],
                  thresholds: Sequence[float]) -> Prediction:
    """Probabilities (C,) in the user's terms."""
    predicted = [(label, probability) for label, probability, threshold in zip(labels, probabilities, thresholds,
                                                                               strict=True)
                 if probability >= threshold]
    return Prediction(row, {"prediction": [label for label, _ in predicted],
                            "probability": [probability for _, probability in predicted],
                            "probabilities": dict(zip(labels, probabilities, strict=True))})


def figures(examples: Sequence[Any], predictions: Sequence[Prediction], tables: Mapping[str, Json]) -> list[Figure]:
    """Per-label table, effect of the thresholds, and the texts with most wrong labels."""
    per_label: dict[str, Any] = tables["per_label"]
    columns = {"rows": "support", "predicted": "predicted", "precision": "precision", "recall": "recall", "F1": "f1",
               "threshold": "threshold", "F1 at 0.5": "f1_at_half"}
    rows = [[label, *(label_scores[name] for name in columns.values())] for label, label_scores in per_label.items()]
    frequent = sorted(per_label, key=lambda label: -per_label[label]["support"])[:MAX_BARS]
    series = {"F1 at its threshold": [per_label[label]["f1"] for label in frequent],
              "F1 at 0.5": [per_label[label]["f1_at_half"] for label in frequent],
              "threshold": [per_label[label]["threshold"] for label in frequent]}
    wrong_labels = [set(example.labels or ()) ^ set(prediction.values["prediction"])
                    for example, prediction in zip(examples, predictions, strict=True)]
    order = sorted((index for index in range(len(wrong_labels)) if wrong_labels[index]),
                   key=lambda index: -len(wrong_labels[index]))
    items = [{"text": examples[index].joined_text[:2000], "title": f"row {examples[index].row}",
              "fields": {"in the file": ", ".join(examples[index].labels or ()) or "(none)",
                         "prediction": ", ".join(predictions[index].values["prediction"]) or "(none)"}}
             for index in order[:MAX_ERRORS]]
    return [Figure("per_label", "Each label", "table", {"columns": ["label", *columns], "rows": rows},
                   "A label is predicted where its probability reaches its threshold."),
            Figure("thresholds", "Effect of the thresholds", "bars",
                   {"labels": frequent, "series": series, "unit": "share"},
                   "Thresholds tuned on dev may raise F1 on dev by chance; the gain on test is unbiased."),
            Figure("errors", "Texts with most wrong labels", "texts", {"items": items},
                   f"{len(order):,} of {len(wrong_labels):,} texts have a label too many or too few; those with most.")]


@dataclass(frozen=True)
class FittedMultilabel:
    """A fitted baseline: `probabilities(examples, states)` gives (M, C)."""

    labels: tuple[str, ...]
    probabilities: Callable[[Sequence[Any], Floats | None], Floats]
    thresholds: Sequence[float]
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each example."""
        return [as_prediction(example.row, self.labels, probabilities.tolist(), self.thresholds)
                for example, probabilities in zip(examples, self.probabilities(examples, states), strict=True)]


def fit_one_vs_rest(features: Any, gold: Any, seed: int) -> tuple[Callable[[Any], Any], int]:
    """A logistic regression for each label: a function from features to probabilities (M, C), and its bytes."""
    import numpy as np

    from headstart.baselines.linear import fit_logistic

    models = [fit_logistic(features, gold[:, index], 2, seed) for index in range(gold.shape[1])]
    return (lambda rows: np.stack([model.probabilities(rows)[:, 1] for model in models],
                                  axis=1)), 8 * sum(model.size for model in models)


def tune_thresholds(features: Any, gold: Any, seed: int) -> list[float]:
    """The threshold of each label with the best F1 on a random fifth of the training rows, as a fair baseline needs."""
    import numpy as np

    from headstart.metrics.multilabel import best_threshold

    order = np.random.default_rng([seed, 23]).permutation(len(gold))[:MAX_TUNING_ROWS]
    judge_rows, train_rows = order[:len(order) // 5], order[len(order) // 5:]
    if not len(judge_rows):
        return [0.5] * gold.shape[1]
    predict, _ = fit_one_vs_rest(features[train_rows], gold[train_rows], seed)
    probabilities = predict(features[judge_rows])
    return [best_threshold(gold[judge_rows, index] == 1, probabilities[:, index]) for index in range(gold.shape[1])]


def baselines(labels: tuple[str, ...], tune: bool) -> tuple[Baseline, ...]:
    """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, one-vs-rest.

    With `tune` the latter two have a threshold for each label, tuned on a part of the training rows.
    """
    def gold_matrix(examples: Sequence[Any]) -> Any:
        import numpy as np

        return np.asarray([[label in (example.labels or ()) for label in labels] for example in examples],
                          dtype=np.int64)

    def fit_label_shares(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedMultilabel:
        import numpy as np

        means = gold_matrix(examples).mean(axis=0)
        return FittedMultilabel(labels, lambda rows, _: np.tile(means, (len(rows), 1)), [0.5] * len(labels),
                                means.nbytes)

    def fit_classifiers(features: Any, examples: Sequence[Any], seed: int, to_features: Callable[[Any, Any], Any],
                        feature_bytes: int) -> FittedMultilabel:
        gold = gold_matrix(examples)
        thresholds = tune_thresholds(features, gold, seed) if tune else [0.5] * len(labels)
        predict, size = fit_one_vs_rest(features, gold, seed)
        return FittedMultilabel(labels, lambda rows, states: predict(to_features(rows, states)), thresholds,
                                size + feature_bytes)

    def fit_tfidf(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedMultilabel:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000,
                                     token_pattern=r"(?u)\b\w+\b|\S")
        features = vectorizer.fit_transform([example.joined_text for example in examples])
        vocabulary_bytes = sum(len(word) + 8 for word in vectorizer.vocabulary_)
        return fit_classifiers(features, examples, seed,
                               lambda rows, _: vectorizer.transform([row.joined_text for row in rows]),
                               vocabulary_bytes)

    def fit_frozen_encoder(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedMultilabel:
        return fit_classifiers(states, examples, seed, lambda _, row_states: row_states, 0)

    return (Baseline("label shares", fit_label_shares), Baseline(TFIDF_BASELINE, fit_tfidf),
            Baseline(FROZEN_BASELINE, fit_frozen_encoder, needs_states=True))
