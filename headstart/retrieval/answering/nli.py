"""Natural language inference: whether a passage entails a sentence, by a model that labels pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.artifacts import artifact
from headstart.contract import Row
from headstart.errors import UserError
from headstart.prediction.torch_runtime import torch_predictor

if TYPE_CHECKING:
    from headstart.metrics.grounding import SupportScorer

LABEL = "entailment"
BATCH_TOKENS = 4096


def load_support_scorer(reference: str, *, device: str = "cpu") -> SupportScorer:
    """The probability of "entailment" for each (passage, sentence), from a pair classifier of ours or a published one.

    Raises UserError (2) for a model without such a label, (66, 69) for one that is not there.
    """
    task, model = artifact.load(reference, task_name="text-classification", device=device)
    entailment_labels = [label for label in task.answer_labels if label.lower() == LABEL]
    if not entailment_labels:
        raise UserError(f"{reference} has the labels {', '.join(task.answer_labels)}; none is {LABEL!r}.",
                        fix="Choose a model of natural language inference: premise, hypothesis, entailment or not.")

    predictor = torch_predictor(task, model, batch_tokens=BATCH_TOKENS)

    def entailment_probabilities(pairs: Sequence[tuple[str, str]]) -> list[float]:
        examples = [task.read(Row(index, {"text": passage, "pair": sentence}))
                    for index, (passage, sentence) in enumerate(pairs)]
        probabilities: list[Any] = [prediction.values["probabilities"][entailment_labels[0]]
                                    for prediction in predictor.predict(examples)]
        return [float(value) for value in probabilities]

    return entailment_probabilities
