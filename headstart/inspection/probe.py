"""What each layer knows of a label: a logistic regression on the mean token state of each layer, judged on rows kept back.

After Alain and Bengio 2016. Shapes: N layers with the embeddings, M rows, W width, C labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.contract import Feature
from headstart.data.features.batches import collate
from headstart.data.splits import split
from headstart.errors import Exit, UserError
from headstart.inspection.states import watched
from headstart.metrics import classification, intervals
from headstart.metrics.intervals import Interval

if TYPE_CHECKING:
    from headstart.contract import Ints, Json
    from headstart.models.model import Model

SHARES = (0.75, 0.25)  # of the rows: to learn from, to judge on
NEARLY = 0.95  # of the last layer's score


@dataclass(frozen=True)
class Layer:
    """One layer's scores on the rows kept back; `gap` is its macro F1 minus the last layer's, on the same rows."""

    number: int
    macro_f1: Interval
    accuracy: Interval
    gap: Interval


@dataclass(frozen=True)
class Probe:
    """Every layer's scores (0 is the embeddings), the majority class's macro F1, and how many rows taught and judged."""

    layers: tuple[Layer, ...]
    majority: float
    labels: tuple[str, ...]
    learned_from: int
    judged_on: int

    def share(self, layer: Layer) -> float | None:
        """A layer's macro F1 as a share of the last layer's; None where that is 0."""
        last = self.layers[-1].macro_f1.value
        return layer.macro_f1.value / last if last and layer.macro_f1.value is not None else None

    def sentence(self) -> str:
        """The first layer that nearly reaches the last one, and the best."""
        reached = [layer for layer in self.layers if (self.share(layer) or 0.0) >= NEARLY]
        best = max(self.layers, key=lambda layer: layer.macro_f1.value or 0.0)
        if not reached:
            return "The last layer's macro F1 is 0: it knows nothing of these labels."
        share = 100 * (self.share(reached[0]) or 0.0)
        return (f"The first with {100 * NEARLY:.0f} % of the last layer's macro F1 or more: {named(reached[0])} ({share:.0f} %). "
                f"The best: {named(best)} ({best.macro_f1.value or 0.0:.3f}).")

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        layers = [{"layer": layer.number, "macro_f1": vars(layer.macro_f1), "accuracy": vars(layer.accuracy),
                   "minus_last": vars(layer.gap), "share_of_last": self.share(layer)} for layer in self.layers]
        return {"layers": layers, "majority_macro_f1": self.majority, "labels": list(self.labels),
                "learned_from": self.learned_from, "judged_on": self.judged_on}


def named(layer: Layer) -> str:
    """A layer in words."""
    return f"layer {layer.number}" if layer.number else "the embeddings"


def layer_states(model: Model, features: Sequence[Feature], *, batch_tokens: int,
                 tell: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
    """The mean token state of each feature after every layer, special tokens included: (N, M, W)."""
    import torch

    found = np.zeros((model.facts.layers + 1, len(features), model.facts.width), dtype=np.float32)
    model.module.eval()
    done = 0
    for places in by_length(features, batch_tokens):
        batch = collate([features[place] for place in places], model.layout(packed=model.can_pack))
        with torch.inference_mode(), watched(model, attentions=False) as seen:
            model.states(batch)
        for number, states in enumerate(seen[0].hidden_states):
            for place, (row, begin, end) in zip(places, batch.segments.tolist(), strict=True):
                found[number, place] = states[row, begin:end].float().mean(dim=0).cpu().numpy()
        done += len(places)
        if tell is not None:
            tell(done, len(features))
    return found


def by_length(features: Sequence[Feature], batch_tokens: int) -> Iterator[list[int]]:
    """Places of features in batches of like length, each of at most this many tokens, padding included."""
    order = sorted(range(len(features)), key=lambda place: len(features[place]))
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * len(features[order[end]]) <= batch_tokens:
            end += 1
        yield order[begin:end]
        begin = end


def probe(states: NDArray[np.float32], labels: Sequence[str], subjects: Ints, *, seed: int, resamples: int) -> Probe:
    """Fit and judge each layer, (N, M, W): rows with equal subjects stand on one side.

    States are put to mean 0 and spread 1 on the rows that teach. Raises UserError (65) for rows that teach nothing.
    """
    names, gold = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    learn, judge = split(subjects, gold, SHARES, seed)
    if len(names) < 2 or not len(judge):
        raise UserError(f"A probe needs two labels or more and rows to judge on, but {len(gold)} rows have {len(names)} of them.",
                        fix="Give more rows.", exit=Exit.DATA)
    told = [answers(table[learn], gold[learn], table[judge], len(names), seed) for table in states]
    common = np.full(len(judge), np.bincount(gold[learn], minlength=len(names)).argmax())
    found = intervals.bootstrap(scorer(gold[judge], [*told, common], len(names)), len(judge), resamples, seed)
    made = [Layer(number, found[f"macro_f1 {number}"], found[f"accuracy {number}"], found[f"gap {number}"]) for number in range(len(told))]
    majority = found[f"macro_f1 {len(told)}"].value or 0.0
    return Probe(tuple(made), majority, tuple(map(str, names)), len(learn), len(judge))


def answers(learn: NDArray[np.float32], gold: Ints, judge: NDArray[np.float32], classes: int, seed: int) -> Ints:
    """The classes that a logistic regression of one layer gives the rows kept back, (M,)."""
    from headstart.baselines.linear import fit_logistic

    centre, spread = learn.mean(axis=0), np.maximum(learn.std(axis=0), 1e-6)
    fitted = fit_logistic((learn - centre) / spread, gold, classes, seed)
    found: Ints = fitted.probabilities((judge - centre) / spread).argmax(axis=1)
    return found


def scorer(gold: Ints, told: Sequence[Ints], classes: int) -> intervals.Scorer:
    """Macro F1 and accuracy of several answers (M,) to the same rows, and the gap to the last layer's.

    `told` holds the layers' answers and, at its end, the most frequent class.
    """
    def score(weights: NDArray[np.float64]) -> Mapping[str, NDArray[Any]]:
        """The scores, (R,) each."""
        found: dict[str, NDArray[Any]] = {}
        times = classification.whole(weights)
        for number, predicted in enumerate(told):
            hits, support, answered = classification.counts(gold, predicted, times, classes)
            f1 = classification.safe(2 * hits, support + answered)
            found[f"macro_f1 {number}"] = f1.sum(axis=1) / ((support + answered) > 0).sum(axis=1)
            found[f"accuracy {number}"] = hits.sum(axis=1) / weights.sum(axis=1)
        for number in range(len(told)):
            found[f"gap {number}"] = found[f"macro_f1 {number}"] - found[f"macro_f1 {len(told) - 2}"]
        return found

    return score
