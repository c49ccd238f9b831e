"""Layer probes: a logistic regression of labels on the mean token state of each layer, evaluated on other rows.

After Alain and Bengio 2016. Shapes: N layers with the embeddings, M rows, W width, C labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.baselines.linear import fit_logistic
from headstart.contract import Feature
from headstart.data.features.batches import collate, length_batches
from headstart.data.splits import split_rows
from headstart.errors import Exit, UserError
from headstart.inspection.states import source_states
from headstart.metrics import classification, intervals
from headstart.metrics.intervals import Interval

if TYPE_CHECKING:
    from headstart.contract import Ints, Json
    from headstart.models.model import Model

SPLIT_SHARES = (0.75, 0.25)  # train and test rows
REACHED_SHARE = 0.95  # of the last layer's score


@dataclass(frozen=True)
class LayerScores:
    """One layer's scores on the test rows; `difference_from_last` is its macro F1 minus the last layer's, on the same
    rows.
    """

    number: int
    macro_f1: Interval
    accuracy: Interval
    difference_from_last: Interval


@dataclass(frozen=True)
class Probe:
    """Every layer's scores (0 is the embeddings), the majority class's macro F1, and the numbers of rows."""

    layers: tuple[LayerScores, ...]
    majority: float
    labels: tuple[str, ...]
    train_rows: int
    test_rows: int

    def share(self, layer: LayerScores) -> float | None:
        """A layer's macro F1 as a share of the last layer's; None where that is 0."""
        last = self.layers[-1].macro_f1.value
        return layer.macro_f1.value / last if last and layer.macro_f1.value is not None else None

    def sentence(self) -> str:
        """The first layer that nearly reaches the last one's macro F1, and the best layer."""
        reached = [layer for layer in self.layers if (self.share(layer) or 0.0) >= REACHED_SHARE]
        best = max(self.layers, key=lambda layer: layer.macro_f1.value or 0.0)
        if not reached:
            return "The last layer's macro F1 is 0: it carries no information about these labels."
        share = 100 * (self.share(reached[0]) or 0.0)
        return (f"The first with {100 * REACHED_SHARE:.0f} % of the last layer's macro F1 or more: "
                f"{layer_name(reached[0])} "
                f"({share:.0f} %). The best: {layer_name(best)} ({best.macro_f1.value or 0.0:.3f}).")

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        layers = [{"layer": layer.number, "macro_f1": vars(layer.macro_f1), "accuracy": vars(layer.accuracy),
                   "minus_last": vars(layer.difference_from_last), "share_of_last": self.share(layer)}
                  for layer in self.layers]
        return {"layers": layers, "majority_macro_f1": self.majority, "labels": list(self.labels),
                "learned_from": self.train_rows, "judged_on": self.test_rows}


def layer_name(layer: LayerScores) -> str:
    """"layer 3", or "the embeddings"."""
    return f"layer {layer.number}" if layer.number else "the embeddings"


def layer_states(model: Model, features: Sequence[Feature], *, batch_tokens: int,
                 on_progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
    """The mean token state of each feature after every layer, special tokens included: (N, M, W); of an
    encoder-decoder after those of its encoder.
    """
    import torch

    means = np.zeros((0, 0, 0), dtype=np.float32)
    model.module.eval()
    finished_features = 0
    for indices in length_batches(features, batch_tokens):
        packed = model.can_pack and not model.generates_from_source
        batch = collate([features[index] for index in indices], model.layout(packed=packed))
        with torch.inference_mode():
            hidden_states = source_states(model, batch)
        if not means.size:  # a pair of models may have two widths
            means = np.zeros((len(hidden_states), len(features), hidden_states[0].shape[-1]), dtype=np.float32)
        for layer, states in enumerate(hidden_states):
            for index, (row, begin, end) in zip(indices, batch.segments.tolist(), strict=True):
                means[layer, index] = states[row, begin:end].float().mean(dim=0).cpu().numpy()
        finished_features += len(indices)
        if on_progress is not None:
            on_progress(finished_features, len(features))
    return means


def probe(states: NDArray[np.float32], labels: Sequence[str], subjects: Ints, *, seed: int, resamples: int) -> Probe:
    """Fit and evaluate a regression on each layer's states, (N, M, W): rows with equal subjects are in one split.

    States are standardized by the train rows. Raises UserError (65) for rows of a single label.
    """
    names, gold = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    train, test = split_rows(subjects, gold, SPLIT_SHARES, seed)
    if len(names) < 2 or not len(test):
        raise UserError(f"A probe needs two labels or more and rows to evaluate on, but {len(gold)} rows have "
                        f"{len(names)} of them.",
                        fix="Give more rows.", exit=Exit.DATA)
    predictions = [predict_layer(table[train], gold[train], table[test], len(names), seed) for table in states]
    majority_predictions = np.full(len(test), np.bincount(gold[train], minlength=len(names)).argmax())
    scorer = probe_scorer(gold[test], [*predictions, majority_predictions], len(names))
    scores = intervals.bootstrap(scorer, len(test), resamples, seed)
    layers = [LayerScores(layer, scores[f"macro_f1 {layer}"], scores[f"accuracy {layer}"],
                          scores[f"difference {layer}"])
              for layer in range(len(predictions))]
    majority = scores[f"macro_f1 {len(predictions)}"].value or 0.0
    return Probe(tuple(layers), majority, tuple(map(str, names)), len(train), len(test))


def predict_layer(train: NDArray[np.float32], gold: Ints, test: NDArray[np.float32], classes: int, seed: int) -> Ints:
    """The classes that a logistic regression on one layer predicts for the test rows, (M,)."""
    mean, spread = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-6)
    regression = fit_logistic((train - mean) / spread, gold, classes, seed)
    predictions: Ints = regression.probabilities((test - mean) / spread).argmax(axis=1)
    return predictions


def probe_scorer(gold: Ints, predictions: Sequence[Ints], classes: int) -> intervals.Scorer:
    """Macro F1 and accuracy of several predictions (M,) of the same rows, and the differences from the last layer's.

    `predictions` are the layers' and, at the end, those of the majority class.
    """
    def score(weights: NDArray[np.float64]) -> Mapping[str, NDArray[Any]]:
        """The scores, (R,) each."""
        scores: dict[str, NDArray[Any]] = {}
        times = classification.integer_weights(weights)
        for index, predicted in enumerate(predictions):
            hits, support, predicted_counts = classification.class_counts(gold, predicted, times, classes)
            f1 = classification.divide_or_zero(2 * hits, support + predicted_counts)
            scores[f"macro_f1 {index}"] = f1.sum(axis=1) / ((support + predicted_counts) > 0).sum(axis=1)
            scores[f"accuracy {index}"] = hits.sum(axis=1) / weights.sum(axis=1)
        for index in range(len(predictions)):
            scores[f"difference {index}"] = scores[f"macro_f1 {index}"] - scores[f"macro_f1 {len(predictions) - 2}"]
        return scores

    return score
