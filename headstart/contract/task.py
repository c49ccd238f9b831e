"""A task's questions, in the order the data travels.

M examples of a split, R resamples.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from headstart.contract.results import Doubt, Figure, Json
from headstart.contract.stages import (
    Baseline,
    Column,
    Detection,
    E,
    Feature,
    Field,
    HeadSpec,
    Kind,
    Learned,
    Measures,
    Prediction,
    Row,
    Tokenizer,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract.stages import Floats
    from headstart.errors import Finding


@dataclass(frozen=True)
class Task(ABC, Generic[E]):
    """One kind of problem, answered in the order the data travels. Tasks are immutable and final.

    `settings` is the task's own frozen dataclass (keys `task.*`); `learned` is None until `learn` has seen the
    training rows. Targets are None when predicting.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    kinds: ClassVar[tuple[Kind, ...]]
    best: ClassVar[tuple[str, bool]]  # the score that chooses the checkpoint, and whether higher is better
    default_model: ClassVar[str]
    Settings: ClassVar[type]
    writes: ClassVar[bool] = False  # whether it answers with a text that the model writes: then pieces are texts
    draws: ClassVar[bool] = False  # whether `encode` draws: then features are made anew for each epoch

    settings: Any = None  # the task's own defaults when not given
    learned: Learned | None = None

    def __post_init__(self) -> None:
        if self.settings is None:
            object.__setattr__(self, "settings", self.Settings())

    def knowing(self, learned: Learned) -> Self:
        """The same task with what it learned."""
        return dataclasses.replace(self, learned=learned)

    @property
    def known(self) -> Learned:
        """What was learned; asking before `learn` is our own mistake."""
        assert self.learned is not None, f"{self.name} was asked before it learned"
        return self.learned

    @property
    def answers(self) -> tuple[str, ...]:
        """The labels that it can answer with."""
        return self.known.labels

    @classmethod
    @abstractmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Whether these columns look like this task's."""

    @abstractmethod
    def read(self, row: Row) -> E:
        """The row as an example; raises RowFault."""

    def again(self, example: E, pieces: Sequence[Any]) -> E | None:
        """For a task that writes: what is to be written for once more, after these pieces; None when they are the answer."""
        return None

    @abstractmethod
    def subject(self, example: E) -> str:
        """The text that must not stand in two splits: what leak and duplicate checks compare."""

    def unit(self, example: E) -> str:
        """What a split never parts: the text, or the passage that several questions share."""
        return self.subject(example)

    def stratum(self, example: E) -> str | None:
        """What splits and samples keep the shares of (the label); None when there is no such thing."""
        return None

    def gold(self, example: E) -> Json:
        """What the row gives as its answer, for predictions.jsonl."""
        return self.stratum(example)

    def group(self, example: E) -> Hashable:
        """Rows that depend on one another share a group; intervals resample whole groups."""
        return example.row

    @abstractmethod
    def learn(self, examples: Iterable[E]) -> Learned:
        """What the training rows teach beside weights: labels, scales."""

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """What a published model's config says that it learned for this task; None when it is not this task's."""
        return None

    def check(self, splits: Mapping[str, Sequence[E]]) -> list[Finding]:
        """Faults and warnings that only this task can see."""
        return []

    def compose(self, examples: Sequence[E], tokenizer: Tokenizer, draw: Random) -> Sequence[E]:
        """What is trained and measured on, made from the examples that were read; as many whatever is drawn."""
        return examples

    def in_order(self, epoch: int) -> bool:
        """Whether an epoch (from 0) learns the rows in the order of their file, not in a drawn one."""
        return False

    @abstractmethod
    def encode(self, example: E, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """The example as model input. `draw` is seeded in training, fixed on dev and test, None in prediction."""

    @abstractmethod
    def head(self) -> HeadSpec:
        """The head that this task needs."""

    def head_for(self, kind: Kind) -> HeadSpec:
        """The head for a model of one kind; the same for all kinds unless the task says otherwise."""
        return self.head()

    @abstractmethod
    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """What is kept of one feature's output (a Piece), small enough for millions of rows."""

    @abstractmethod
    def decode(self, example: E, pieces: Sequence[Any]) -> Prediction:
        """All pieces of one example as one prediction."""

    def together(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Predictions that know of one another (places among all passages of a split); the same where they already do."""
        return predictions

    @abstractmethod
    def measure(self, example: E, prediction: Prediction) -> Mapping[str, Any]:
        """What one labelled example adds to the scores: numbers or arrays, stacked over examples into Measures."""

    @abstractmethod
    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """Each score under R weightings of the examples: weights (R, M) -> name: (R,), NaN where undefined."""

    @abstractmethod
    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition of a score, whether higher is better, and why it is undefined when it is."""

    def opening(self, example: E, tokenizer: Tokenizer) -> tuple[str, str] | None:
        """For a task that writes, where a sample takes a text up: what comes first, and how it goes on in the data."""
        return None

    def tables(self, measures: Measures) -> dict[str, Json]:
        """Arrays for scores.json (confusion matrix, per class)."""
        return {}

    def figures(self, examples: Sequence[E], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Pictures and tables for the report."""
        return []

    def doubts(self, examples: Sequence[E], predictions: Sequence[Prediction], measures: Measures, count: int) -> list[Doubt]:
        """The worst wrong answers, whose words the report weighs; none for a task whose answers do not rest on words."""
        return []

    def calibrate(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> Learned:
        """What dev teaches after the best checkpoint is loaded: thresholds, temperature."""
        return self.known

    def shipped(self) -> tuple[Learned, tuple[float, float] | None]:
        """What travels with the model, and the (scale, shift) that is folded into its last layer on saving."""
        return self.known, None

    def official(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> dict[str, str]:
        """Files that the field's own scripts read: name -> text."""
        return {}

    def cuts(self) -> bool:
        """Whether tokens that do not fit into the model are lost (windows lose nothing)."""
        return getattr(self.settings, "long_texts", "") != "windows"

    def baselines(self) -> tuple[Baseline, ...]:
        """Cheap rivals on the same split, cheapest first."""
        return ()

    def warn(self, measures: Measures) -> str | None:
        """A word about a model that went wrong ("it answers always …"), told at the first evaluation that shows it."""
        return None
