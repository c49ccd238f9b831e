"""Simple baselines of sequence-to-sequence tasks: sentences of the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contract import Baseline, Prediction
from headstart.text.sentences import split_sentences


@dataclass(frozen=True)
class RuleBaseline:
    """A baseline that makes a text from a source by rule."""

    generate: Callable[[str], str]
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One text for each example."""
        return [Prediction(example.row, {"prediction": self.generate(example.source), "log_probability": 0.0},
                           {"ended": "end"})
                for example in examples]


def first_sentences(examples: Sequence[Any], states: Any, seed: int) -> RuleBaseline:
    """As many first sentences as training targets have."""
    from headstart.baselines.lead import lead, lead_size

    sentence_count = lead_size([len(split_sentences(example.targets[0])) for example in examples if example.targets])
    return RuleBaseline(lambda source: lead(source, sentences=sentence_count))


def best_sentence(examples: Sequence[Any], states: Any, seed: int) -> RuleBaseline:
    """The sentence that is most similar to the whole source."""
    from headstart.baselines.centroid import CentroidSentence

    fitted = CentroidSentence.fit(example.source for example in examples)
    return RuleBaseline(fitted.central_sentence, fitted.size_bytes)


EXTRACTIVE_BASELINES = (Baseline("first sentences", first_sentences), Baseline("best sentence", best_sentence))
COPY_BASELINE = (Baseline("the source itself", lambda examples, states, seed: RuleBaseline(lambda source: source)),)
