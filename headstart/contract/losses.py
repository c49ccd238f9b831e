"""What a head is trained on, as a task says it: light objects that answer the machinery's questions.

The arithmetic of each stands in a file of its name under `training/losses/`: that of `CrossEntropy` in
`cross_entropy.py`, with its formula, its source and its inputs. This file knows no torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Loss:
    """What a head is trained on; its fields are what can be set of it, its class says the rest.

    | fact | what it decides |
    |---|---|
    | reads_settings | names in `training.*` that change it; the others are refused when they are set |
    | is_joint | one number from all texts of a step, so that micro-batches are encoded twice |
    | over_vocabulary | logits of all label positions are too many to keep: predicting keeps -log p alone |
    | needs_lm_head | it reads scores of the next token too, so that a model without such a head is refused |
    | exit_answer | what two layers compare where a text may be answered early: class, number; "" where it may not |
    | not_distillable | why a student cannot learn it from a teacher ("compares …"); "" where it can |
    | problem_type | what transformers calls it in the config of a sequence classifier |
    | package | where the file of its name is |
    """

    reads_settings: ClassVar[frozenset[str]] = frozenset()
    is_joint: ClassVar[bool] = False
    over_vocabulary: ClassVar[bool] = False
    needs_lm_head: ClassVar[bool] = False
    exit_answer: ClassVar[Literal["", "class", "number"]] = ""
    not_distillable: ClassVar[str] = ""
    problem_type: ClassVar[str | None] = None
    package: ClassVar[str] = "headstart.training.losses"

    @classmethod
    def file_name(cls) -> str:
        """The file that computes it, without its ending: CrossEntropy -> cross_entropy."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """One class for each feature, token or label position."""

    reads_settings: ClassVar[frozenset[str]] = frozenset({"class_weights", "label_smoothing", "focal_gamma"})
    problem_type: ClassVar[str | None] = "single_label_classification"
    exit_answer: ClassVar[Literal["", "class", "number"]] = "class"


@dataclass(frozen=True)
class VocabularyCrossEntropy(Loss):
    """The token at each label position, among the whole vocabulary."""

    reads_settings: ClassVar[frozenset[str]] = frozenset({"label_smoothing", "focal_gamma"})
    over_vocabulary: ClassVar[bool] = True


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Each label of a feature by itself: it applies or not."""

    problem_type: ClassVar[str | None] = "multi_label_classification"


@dataclass(frozen=True)
class TokenBinaryCrossEntropy(Loss):
    """Each token by itself: yes or no."""


@dataclass(frozen=True)
class SquaredError(Loss):
    """A number for each feature."""

    problem_type: ClassVar[str | None] = "regression"
    exit_answer: ClassVar[Literal["", "class", "number"]] = "number"


@dataclass(frozen=True)
class SpanCrossEntropy(Loss):
    """The start and the end of an answer among the tokens of a feature."""


@dataclass(frozen=True)
class BeamSpan(Loss):
    """The start, the end given the start, and whether there is an answer."""

    not_distillable: ClassVar[str] = "searches several starts and ends"


@dataclass(frozen=True)
class ChoiceCrossEntropy(Loss):
    """The right choice among those of its row."""


@dataclass(frozen=True)
class ChoiceWithLanguageModel(Loss):
    """The right choice, and a language model of its tokens."""

    lm_weight: float  # of the language-model loss, beside 1 for the choice
    needs_lm_head: ClassVar[bool] = True
    not_distillable: ClassVar[str] = "has two heads with one loss"


@dataclass(frozen=True)
class MaskedTokensAndNextSentence(Loss):
    """The masked tokens of a pair of segments, and whether the second follows the first."""


@dataclass(frozen=True)
class InBatchNegatives(Loss):
    """A question's passage among all passages of a step, and a passage's question among all questions."""

    temperature: float  # divides the similarities
    is_joint: ClassVar[bool] = True
    not_distillable: ClassVar[str] = "compares texts of a batch with one another"
