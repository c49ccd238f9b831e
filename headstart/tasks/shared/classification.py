"""The cheap rivals of classification, in the form of its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats


def as_prediction(row: int, labels: Sequence[str], probabilities: NDArray[np.float64]) -> Prediction:
    """Probabilities (C,) in the user's terms."""
    values = probabilities.tolist()
    best = max(range(len(labels)), key=values.__getitem__)
    return Prediction(row, {
        "prediction": labels[best],
        "probability": values[best],
        "probabilities": dict(zip(labels, values, strict=True)),
    })


def softmax_prediction(row: int, labels: Sequence[str], logits: NDArray[np.float64]) -> Prediction:
    """Logits (C,) in the user's terms."""
    import numpy as np

    powers = np.exp(logits - logits.max())
    return as_prediction(row, labels, powers / powers.sum())


@lru_cache(maxsize=8)
def class_of(labels: tuple[str, ...]) -> dict[str, int]:
    """The class index of each label."""
    return {label: index for index, label in enumerate(labels)}


@dataclass(frozen=True)
class Fitted:
    """A fitted rival: `probabilities(examples, states)` gives (M, C)."""

    labels: tuple[str, ...]
    probabilities: Callable[[Sequence[Any], Floats | None], Floats]
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction an example."""
        table = self.probabilities(examples, states)
        return [as_prediction(example.row, self.labels, row) for example, row in zip(examples, table, strict=True)]


def baselines(labels: tuple[str, ...], subject: Callable[[Any], str]) -> tuple[Baseline, ...]:
    """Majority class, TF-IDF + logistic regression, frozen encoder + logistic regression."""
    classes = {label: index for index, label in enumerate(labels)}

    def gold(examples: Sequence[Any]) -> Any:
        import numpy as np

        return np.array([classes[example.label] for example in examples], dtype=np.int64)

    def majority(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        import numpy as np

        from headstart.baselines.majority import majority

        shares = majority(gold(examples), len(labels))
        return Fitted(labels, lambda rows, _: np.tile(shares, (len(rows), 1)), shares.nbytes)

    def tfidf(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        from headstart.baselines.tfidf import TfidfLogistic

        model = TfidfLogistic.fit([subject(example) for example in examples], gold(examples), len(labels), seed)
        return Fitted(labels, lambda rows, _: model.probabilities([subject(row) for row in rows]), model.size_bytes)

    def frozen(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        from headstart.baselines.linear import fit_logistic

        assert states is not None
        model = fit_logistic(states, gold(examples), len(labels), seed)
        return Fitted(labels, lambda _, rows: model.probabilities(rows), model.size * 8)

    return (
        Baseline("majority", majority),
        Baseline("tf-idf + logistic regression", tfidf),
        Baseline("frozen encoder + logistic regression", frozen, needs_states=True),
    )
