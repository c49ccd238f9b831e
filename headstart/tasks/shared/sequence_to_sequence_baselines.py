"""Cheap rivals of models that write: the source's own sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contract import Baseline, Prediction
from headstart.text.sentences import sentences


@dataclass(frozen=True)
class Rule:
    """A text from a source, by rule."""

    write: Callable[[str], str]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One text an example."""
        return [Prediction(one.row, {"prediction": self.write(one.source), "log_probability": 0.0}, {"ended": "end"}) for one in examples]


def first_sentences(examples: Sequence[Any], states: Any, seed: int) -> Rule:
    """As many first sentences as training targets have."""
    from headstart.baselines.lead import lead, lead_size

    size = lead_size([len(sentences(one.targets[0])) for one in examples if one.targets])
    return Rule(lambda source: lead(source, sentences=size))


def best_sentence(examples: Sequence[Any], states: Any, seed: int) -> Rule:
    """The one sentence that is most like the whole source."""
    from headstart.baselines.sentence import BestSentence

    fitted = BestSentence.fit(one.source for one in examples)
    return Rule(fitted.best, fitted.size_bytes)


SUMMARIES = (Baseline("first sentences", first_sentences), Baseline("best sentence", best_sentence))
COPY = (Baseline("the source itself", lambda examples, states, seed: Rule(lambda source: source)),)
