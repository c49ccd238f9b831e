"""Simple baselines of question answering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Prediction
from headstart.tasks.question_answering.reading import Question

if TYPE_CHECKING:
    from headstart.contract import Floats


@dataclass(frozen=True)
class RuleBaseline:
    """A baseline that learns nothing."""

    find_answer: Callable[[Question], tuple[int, int] | None]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each question."""
        return [self.answer_prediction(example) for example in examples]

    def answer_prediction(self, example: Question) -> Prediction:
        """A span of the passage, or no answer."""
        span = self.find_answer(example)
        if span is None:
            return Prediction(example.row, {"prediction": "", "start": None, "end": None, "probability": 1.0,
                                            "no_answer_probability": 1.0}, {"best": "", "n_best": []})
        text = example.passage[span[0]:span[1]]
        return Prediction(example.row, {"prediction": text, "start": span[0], "end": span[1], "probability": 1.0,
                                        "no_answer_probability": 0.0}, {"best": text, "n_best": []})


def baselines(may_abstain: bool) -> tuple[Baseline, ...]:
    """No answer (where some questions have none), and the sentence with most overlap."""
    from headstart.baselines.overlap import best_sentence

    never_answers = Baseline("never answers", lambda examples, states, seed: RuleBaseline(lambda example: None))
    overlap_sentence = Baseline("sentence with most overlap", lambda examples, states, seed: RuleBaseline(
        lambda example: best_sentence(example.question, example.passage)))
    return (never_answers, overlap_sentence) if may_abstain else (overlap_sentence,)
