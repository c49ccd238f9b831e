"""Simple baselines of classification, and class probabilities as predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headstart.baselines import FROZEN_BASELINE, TFIDF_BASELINE
from headstart.contract import Baseline, Prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats


def as_prediction(row: int, labels: Sequence[str], probabilities: NDArray[np.float64]) -> Prediction:
    """Probabilities (C,) in the user's terms."""
    values = probabilities.tolist()
    predicted_class = max(range(len(labels)), key=values.__getitem__)
    return Prediction(row, {
        "prediction": labels[predicted_class],
        "probability": values[predicted_class],
        "probabilities": dict(zip(labels, values, strict=True)),
    })


def softmax_prediction(row: int, labels: Sequence[str], logits: NDArray[np.float64]) -> Prediction:
    """Logits (C,) in the user's terms."""
    import numpy as np

    powers = np.exp(logits - logits.max())
    return as_prediction(row, labels, powers / powers.sum())


@lru_cache(maxsize=8)
def label_indices(labels: tuple[str, ...]) -> dict[str, int]:
    """The class index of each label."""
    return {label: index for index, label in enumerate(labels)}


@dataclass(frozen=True)
class FittedClassifier:
    """A fitted baseline: `probabilities(examples, states)` gives (M, C)."""

    labels: tuple[str, ...]
    probabilities: Callable[[Sequence[Any], Floats | None], Floats]
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each example."""
        class_probabilities = self.probabilities(examples, states)
        return [as_prediction(example.row, self.labels, probabilities)
                for example, probabilities in zip(examples, class_probabilities, strict=True)]


def baselines(labels: tuple[str, ...], text_of: Callable[[Any], str]) -> tuple[Baseline, ...]:
    """Majority class, TF-IDF + logistic regression, frozen encoder + logistic regression."""
    class_indices = {label: index for index, label in enumerate(labels)}

    def gold_classes(examples: Sequence[Any]) -> Any:
        import numpy as np

        return np.array([class_indices[example.label] for example in examples], dtype=np.int64)

    def fit_majority(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedClassifier:
        import numpy as np

        from headstart.baselines.majority import class_frequencies

        frequencies = class_frequencies(gold_classes(examples), len(labels))
        return FittedClassifier(labels, lambda rows, _: np.tile(frequencies, (len(rows), 1)), frequencies.nbytes)

    def fit_tfidf(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedClassifier:
        from headstart.baselines.tfidf import TfidfLogistic

        model = TfidfLogistic.fit([text_of(example) for example in examples], gold_classes(examples), len(labels), seed)
        return FittedClassifier(labels, lambda rows, _: model.probabilities([text_of(row) for row in rows]),
                                model.size_bytes)

    def fit_frozen_encoder(examples: Sequence[Any], states: Floats | None, seed: int) -> FittedClassifier:
        from headstart.baselines.linear import fit_logistic

        assert states is not None
        model = fit_logistic(states, gold_classes(examples), len(labels), seed)
        return FittedClassifier(labels, lambda _, row_states: model.probabilities(row_states), model.size * 8)

    return (
        Baseline("majority", fit_majority),
        Baseline(TFIDF_BASELINE, fit_tfidf),
        Baseline(FROZEN_BASELINE, fit_frozen_encoder, needs_states=True),
    )
