"""The cheap rivals of question answering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Prediction
from headstart.tasks.question_answering.reading import Question

if TYPE_CHECKING:
    from headstart.contract import Floats


@dataclass(frozen=True)
class Rule:
    """A rival that learns nothing."""

    answer: Callable[[Question], tuple[int, int] | None]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction a question."""
        return [self.one(example) for example in examples]

    def one(self, example: Question) -> Prediction:
        """A place in the passage, or nothing."""
        found = self.answer(example)
        if found is None:
            return Prediction(example.row, {"prediction": "", "start": None, "end": None, "probability": 1.0,
                                            "no_answer_probability": 1.0}, {"best": "", "n_best": []})
        text = example.passage[found[0]:found[1]]
        return Prediction(example.row, {"prediction": text, "start": found[0], "end": found[1], "probability": 1.0,
                                        "no_answer_probability": 0.0}, {"best": text, "n_best": []})


def baselines(may_be_silent: bool) -> tuple[Baseline, ...]:
    """Never an answer (where some questions have none), and the sentence with most overlap."""
    from headstart.baselines.overlap import best_sentence

    silent = Baseline("never answers", lambda examples, states, seed: Rule(lambda example: None))
    sentence = Baseline("sentence with most overlap", lambda examples, states, seed: Rule(
        lambda example: best_sentence(example.question, example.passage)))
    return (silent, sentence) if may_be_silent else (sentence,)
