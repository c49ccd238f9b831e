"""A task's questions, in the order the data travels.

M examples of a split, R resamples.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self

from headstart.contract.abstention import ABSTENTION, TEMPERATURE, Abstention, Tempered, abstaining
from headstart.contract.metric import AnswerType
from headstart.contract.results import ErrorToExplain, Figure, Json
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
    SamplePrompt,
    Tokenizer,
)
from headstart.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract.stages import Floats
    from headstart.errors import Finding


@dataclass(frozen=True)
class Task(ABC, Generic[E]):
    """One kind of problem, answered in the order the data travels. Tasks are immutable and final.

    `settings` is the task's own frozen dataclass (keys `task.*`); `state` is None until `learn` has seen the
    training rows. Targets are None when predicting.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    pipeline_tag: ClassVar[str] = ""  # the hub's name for such a model ("text-classification"); "" where it has none
    fields: ClassVar[tuple[Field, ...]]
    kinds: ClassVar[tuple[Kind, ...]]
    selection_score: ClassVar[tuple[str, bool]]  # the score that selects the checkpoint, and whether higher is better
    default_model: ClassVar[str]  # "" where there is none for all data
    default_package: ClassVar[str] = ""  # a model in a Python package, the default where that is installed
    Settings: ClassVar[type]
    generative: ClassVar[bool] = False  # whether the prediction is generated text: then outputs are texts
    # what values["prediction"] and `gold` are, for metrics of other packages; None where they are none of these
    answer_type: ClassVar[AnswerType | None] = None
    # scores of predictions in a file that rest on a column beside the prediction: column -> scores
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # how it takes a plain text file: a line a row, or running text, for blocks of tokens or for its sentences
    reads_text_as: ClassVar[Literal["lines", "blocks", "sentences"]] = "lines"
    # what `learned.values` must hold, by name: float, bool, or list (a number for each label); an artifact is checked
    learned_values: ClassVar[Mapping[str, type]] = {}
    # why its rows cannot be scored in folds, each by a model trained without it; "" where they can
    folds_refusal: ClassVar[str] = ""
    # columns of a prediction that are empty where the model abstains, the answer first; none: it answers always
    answer_columns: ClassVar[tuple[str, ...]] = ()
    random_encoding: ClassVar[bool] = False  # whether `encode` uses random numbers: then each epoch encodes anew

    settings: Any = None  # the task's own defaults when None
    state: Learned | None = None
    extra_metrics: tuple[str, ...] = ()  # names of metrics of other packages that are scored beside the task's own
    # field -> the columns that it was trained on: files of the same layout are read by them
    trained_columns: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.settings is None:
            object.__setattr__(self, "settings", self.Settings())

    def with_learned(self, state: Learned) -> Self:
        """The same task with what it learned."""
        return dataclasses.replace(self, state=state)

    @property
    def learned(self) -> Learned:
        """What was learned; reading it before `learn` is our own mistake."""
        assert self.state is not None, f"{self.name} has learned nothing yet"
        return self.state

    @property
    def answer_labels(self) -> tuple[str, ...]:
        """The labels that it can predict."""
        return self.learned.labels

    @classmethod
    @abstractmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Whether these columns look like this task's."""

    def for_rows(self, rows: Iterable[Row]) -> tuple[Self, list[Finding]]:
        """The task once it has seen all rows of a labelled file, and in words what it decided: how a column is to be
        read is decided for all of it, never row by row.

        What is decided is a setting of the task, so that it is kept with the model and further files are read the same
        way; what a setting says already is not decided anew. Raises UserError (65) where two readings fit.
        """
        return self, []

    def unlabelled_marks(self, cells: Sequence[Json]) -> frozenset[str]:
        """What stands in the target column of a row that nobody labelled, beside nothing ("-1"); of the first rows'
        cells. Such rows are left out and counted; they are predicted like any other.
        """
        return frozenset()

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Whether a training row is the same example before and after `learn`, which passes its examples once: a large
        file is then read once.
        """
        return False

    @abstractmethod
    def read(self, row: Row) -> E:
        """The row as an example; raises RowFault."""

    def second_pass(self, example: E, outputs: Sequence[Any]) -> E | None:
        """For a generative task: what to generate for once more, given these outputs; None when they are the answer."""
        return None

    @abstractmethod
    def dedup_key(self, example: E) -> str:
        """The text that must not be in two splits: what leak and duplicate checks compare."""

    def split_key(self, example: E) -> str:
        """What splitting keeps together: rows of the same text, or on the same passage."""
        return self.dedup_key(example)

    def stratum(self, example: E) -> str | None:
        """What splits and samples are stratified by (the label); None when there is no such thing."""
        return None

    def gold(self, example: E) -> Json:
        """The row's gold answer, for predictions.jsonl."""
        return self.stratum(example)

    def group(self, example: E) -> Hashable:
        """Rows that depend on one another share a group; intervals resample whole groups."""
        return example.row

    @abstractmethod
    def learn(self, examples: Iterable[E]) -> Learned:
        """What is learned from the training rows besides weights: labels, scales."""

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """What a published model's config says of labels and scales; None when the model is not for this task."""
        return None

    def check(self, splits: Mapping[str, Sequence[E]]) -> list[Finding]:
        """Faults and warnings that only this task can see."""
        return []

    def compose(self, examples: Sequence[E], tokenizer: Tokenizer, rng: Random) -> Sequence[E]:
        """What is trained and evaluated on, made from the examples that were read; as many whatever the random numbers.
        """
        return examples

    def in_file_order(self, epoch: int) -> bool:
        """Whether an epoch (from 0) takes the rows in the order of their file, not shuffled."""
        return False

    def read_ahead(self, examples: Sequence[E], tokenizer: Tokenizer) -> None:
        """What is quicker for many examples at once than for each; they are encoded next."""

    @abstractmethod
    def encode(self, example: E, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """The example as model input. `rng` is seeded in training, fixed on dev and test, None in prediction."""

    @abstractmethod
    def head(self) -> HeadSpec:
        """The head that this task needs."""

    def head_for(self, kind: Kind) -> HeadSpec:
        """The head for a model of one kind; the same for all kinds unless the task says otherwise."""
        return self.head()

    @abstractmethod
    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """One feature's output, reduced to what `decode` needs, small enough for millions of rows."""

    @abstractmethod
    def decode(self, example: E, outputs: Sequence[Any]) -> Prediction:
        """The reduced outputs of one example's features as one prediction."""

    def learn_from_predictions(self, examples: Sequence[E], rows: Sequence[Mapping[str, Json]]) -> Learned:
        """What is known where a file holds the predictions and there is no model: labels of both files."""
        return self.learn(examples)

    def read_prediction(self, example: E, values: Mapping[str, Json]) -> Prediction:
        """A prediction that a file holds, as `decode` would have made it; raises RowFault, or UserError (2) for a task
        whose scores rest on more than predictions.
        """
        raise UserError(f"{self.name} cannot be scored from a file of predictions: its scores rest on what the model "
                        "says of every token or passage, which no such file holds.",
                        fix="Score the model itself: headstart evaluate MODEL DATA")

    def join_predictions(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> Sequence[Prediction]:
        """Predictions that depend on one another (ranks among all passages of a split); unchanged where they are joined
        already.
        """
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

    def generates(self, columns: Collection[str]) -> bool:
        """Whether the predictions for a file with these fields are generated texts."""
        return self.generative

    def prediction_columns(self, columns: Collection[str], examples: Iterable[E]) -> tuple[str, ...]:
        """All columns of predictions for a file with these fields, where they differ from row to row; else none."""
        return ()

    @property
    def text_field(self) -> str:
        """The field that a plain text is, given in the place of a row."""
        return self.fields[0].name

    def sample_prompt(self, example: E, tokenizer: Tokenizer) -> SamplePrompt | None:
        """For a language model's samples: a prompt from the data, and how the data continues it."""
        return None

    @classmethod
    def draws_samples(cls) -> bool:
        """Whether a run generates samples for its report."""
        return cls.sample_prompt is not Task.sample_prompt

    def tables(self, measures: Measures) -> dict[str, Json]:
        """Arrays for scores.json (confusion matrix, per class)."""
        return {}

    def figures(self, examples: Sequence[E], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Figures and tables for the report."""
        return []

    def errors_to_explain(self, examples: Sequence[E], predictions: Sequence[Prediction], measures: Measures,
                          count: int) -> list[ErrorToExplain]:
        """The worst errors, to be attributed to words in the report; none for a task whose predictions do not rest on
        words.
        """
        return []

    def calibrate(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> Learned:
        """What is tuned on dev after the best checkpoint is loaded: thresholds, temperature."""
        return self.learned

    def is_right(self, example: E, prediction: Prediction) -> bool:
        """Whether an answer counts as right, where the share of wrong ones is promised (evaluation.risk)."""
        return bool(prediction.values["prediction"] == self.gold(example))

    def tempered(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> Callable[[float], Tempered] | None:
        """What another temperature would make of predictions, given as a factor on the present one; None for a task
        whose predictions have no confidence to calibrate.
        """
        return None

    @property
    def temperature(self) -> float:
        """What outputs are divided by before they are probabilities, as it was learned on dev; 1 is no change."""
        return float(self.learned.values.get(TEMPERATURE, 1.0))

    @property
    def abstention(self) -> Abstention | None:
        """When the model abstains; None for one that answers always."""
        learned = None if self.state is None else self.state.values.get(ABSTENTION)
        return None if learned is None else Abstention.from_json(learned)

    def answering_always(self) -> Self:
        """The same task without abstention; raises UserError (2) for one that never abstains."""
        if self.abstention is None:
            raise UserError("This model always answers: its run promised no risk (evaluation.risk).",
                            fix="Leave out what makes it answer always (--no-abstain).")
        values = {name: value for name, value in self.learned.values.items() if name != ABSTENTION}
        return self.with_learned(dataclasses.replace(self.learned, values=values))

    def abstaining(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Predictions as a user gets them: of a model that abstains, those that are not sure enough without an answer.
        """
        abstention = self.abstention
        for prediction in predictions:
            yield prediction if abstention is None else abstaining(prediction, abstention, self.answer_columns)

    def export_state(self) -> tuple[Learned, tuple[float, float] | None]:
        """What is saved with the model, and the (scale, shift) that is folded into its last layer on saving."""
        return self.learned, None

    def official_files(self, examples: Sequence[E], predictions: Sequence[Prediction]) -> dict[str, str]:
        """Files that the field's own scripts read: name -> text."""
        return {}

    def truncates(self) -> bool:
        """Whether tokens that do not fit into the model are lost (windows lose nothing)."""
        return getattr(self.settings, "long_texts", "") != "windows"

    def baselines(self) -> tuple[Baseline, ...]:
        """Simple baselines on the same split, cheapest first."""
        return ()

    def collapse_warning(self, measures: Measures) -> str | None:
        """A warning of a collapsed model ("it answers always …"), printed at the first evaluation that shows it."""
        return None
