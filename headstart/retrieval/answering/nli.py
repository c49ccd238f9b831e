"""Whether a passage entails a sentence, judged by a model that labels pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Row
from headstart.errors import UserError

if TYPE_CHECKING:
    from headstart.metrics.grounding import Judge

LABEL = "entailment"
BATCH_TOKENS = 4096


def judge(reference: str, *, device: str = "cpu") -> Judge:
    """The probability of "entailment" for each (passage, sentence), from a pair classifier of ours or a published one.

    Raises UserError (2) for a model without such a label, (66, 69) for one that is not there.
    """
    from headstart.artifacts import artifact
    from headstart.prediction.predict import predict

    task, model = artifact.load(reference, task_name="text-classification", device=device)
    named = [label for label in task.answers if label.lower() == LABEL]
    if not named:
        raise UserError(f"{reference} has the labels {', '.join(task.answers)}; none is {LABEL!r}.",
                        fix="Choose a model of natural language inference: premise, hypothesis, entailment or not.")

    def judged(pairs: Sequence[tuple[str, str]]) -> list[float]:
        examples = [task.read(Row(place, {"text": passage, "pair": sentence})) for place, (passage, sentence) in enumerate(pairs)]
        found: list[Any] = [one.values["probabilities"][named[0]] for one in predict(task, model, examples, batch_tokens=BATCH_TOKENS)]
        return [float(value) for value in found]

    return judged
