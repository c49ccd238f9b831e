"""One frozen type for each stage of the data.

    row -> Example -> [Feature] -> Batch -> outputs -> reduced outputs -> Prediction -> scores

Shapes: N features of a batch, B rows of a batch, S tokens of a row, L tokens of a feature, T tokens of all features of
a batch, A of them label positions, C classes, M examples of a split, R resamples. Arrays are numpy's, never torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from headstart.contract.losses import CrossEntropy, Loss
from headstart.contract.results import Json as Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

Kind = Literal["encoder", "decoder", "encoder-decoder"]
TargetLevel = Literal["feature", "token", "position"]
Measures = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True)
class Field:
    """One column that a task knows; its name is the flag (`--text`) that names the user's column."""

    name: str
    help: str
    type: Literal["text", "label", "number", "list"] = "text"
    required: bool = True  # to train; a target may be missing when predicting
    target: bool = False
    aliases: tuple[str, ...] = ()  # other names that such a column often has, best first
    may_be_empty: bool = False  # whether an empty value is an answer (no label applies, nothing answers the question)
    keeps_places: bool = False  # whether of several columns an empty one counts, as later ones are known by their place
    instead_of: tuple[str, ...] = ()  # fields that nothing reads where this one is there


@dataclass(frozen=True)
class Piece:
    """Which document a row is a piece of, and whether the document ends with it; the next row continues it, else."""

    document: str
    ends: bool


class Row(NamedTuple):  # of ten million rows as many are made, in a third of a frozen dataclass's time
    """One row of the user's file under the task's field names. `id` counts rows of the file from 0, `line` from 1."""

    id: int
    values: Mapping[str, Json]
    file: str = ""
    line: int | None = None
    piece: Piece | None = None  # of which document the row is a piece, where the rows are a running text


class RowFault(Exception):
    """This row cannot be used; the caller adds file, line and column and continues with the next row."""

    def __init__(self, code: str, message: str, *, fix: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.fix, self.field = code, message, fix, field


@dataclass(frozen=True)
class Example:
    """What a task reads from a row; every task adds its own fields. `row` is the row's id."""

    row: int


@dataclass(frozen=True)
class Target:
    """What the model should predict for the feature, each token or each label position; -100 where there is none."""

    value: Any
    level: TargetLevel = "feature"


@dataclass(frozen=True)
class Feature:
    """One model input made from an example: L token ids, their token types, its targets.

    An example of k windows has k features of weight 1/k, so that a long text counts once. `truncated_tokens` is how
    many tokens of the text are in no feature.
    """

    ids: Sequence[int]
    types: Sequence[int] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    weight: float = 1.0
    truncated_tokens: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)  # the task's own: window borders, offsets
    label_positions: Sequence[int] | None = None  # ascending: tokens that a vocabulary head predicts; None: all
    group: Hashable = None  # features of one group are never split by a batcher (choices of one question)
    role: str = ""
    stream: Hashable = None  # features of one stream are read in their order by a model with memory

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Batch:
    """Features side by side, padded or packed. Arrays: ids and types (B, S); segments (N, 3) = row, begin, end.

    Segment n is feature n. Targets by name: (N, …) per feature, (T,) per token, (A,) per label position, in
    the order of the features (-100 where there is none). `weights` is (N,); `groups` (N,) numbers what belongs together
    (choices of one question); `label_positions` (A,) index T, `label_counts` (N,) says how many each feature has;
    `target_levels` gives each target's level. Tokens outside every segment are padding.
    """

    ids: Ints
    types: Ints
    segments: Ints
    targets: Mapping[str, NDArray[Any]]
    weights: Floats
    groups: Ints
    label_positions: Ints
    label_counts: Ints
    target_levels: Mapping[str, TargetLevel]

    @property
    def lengths(self) -> Ints:
        """Tokens of each feature, (N,)."""
        return self.segments[:, 2] - self.segments[:, 1]

    @property
    def tokens(self) -> int:
        """How many tokens there are, without padding."""
        return int((self.segments[:, 2] - self.segments[:, 1]).sum())


@dataclass(frozen=True)
class Layout:
    """How features become a batch: packed (all in one row, end to end) or padded (one a row, on this side)."""

    packed: bool
    pad_id: int = 0
    side: Literal["right", "left"] = "right"


@dataclass(frozen=True)
class Tokens:
    """A text as token ids with the characters that each came from: offsets (L, 2), None where unknown."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]] | None = None


class ChatLayout(Protocol):
    """How a tokenizer writes a conversation, [{"role": "user", "content": "Hi"}, …], as ids."""

    @property
    def has_template(self) -> bool:
        """Whether the model has a layout of its own for conversations."""

    @property
    def control_ids(self) -> frozenset[int]:
        """The ids of control tokens: a template writes them, and no text becomes them."""

    def spelled_in(self, text: str) -> list[str]:
        """The control tokens that a text spells; they are read as text."""

    def ids(self, conversations: Sequence[tuple[Sequence[Mapping[str, str]], bool]]) -> list[list[int]]:
        """Each conversation in the model's chat template; one that asks (True), up to where the answer begins."""

    def read_ahead(self, conversations: Sequence[tuple[Sequence[Mapping[str, str]], bool]]) -> None:
        """Many at once, whose ids are asked for next."""


class Tokenizer(Protocol):
    """How a task sees any family's tokenizer: text to ids, and ids with the special tokens that its kind wants."""

    max_length: int  # tokens of one feature, special tokens included

    def tokenize(self, text: str) -> Tokens:
        """Ids and offsets of a text, without special tokens and without cutting."""

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """Each id as the subword piece it stands for."""

    @property
    def has_memory(self) -> bool:
        """Whether its model carries memory from one feature of a stream to the next."""

    @property
    def causal(self) -> bool:
        """Whether its model continues a text: then source and target are one text."""

    @property
    def unknown_id(self) -> int | None:
        """The id for what the vocabulary cannot spell; None where it can spell everything."""

    @property
    def mask_id(self) -> int | None:
        """The id of the mask token; None where there is none."""

    @property
    def end_id(self) -> int | None:
        """The id that ends a text; None where there is none."""

    @property
    def start_id(self) -> int | None:
        """The id that begins a text for a generative model."""

    @property
    def chat(self) -> ChatLayout:
        """How it writes conversations."""

    def random_token_id(self, rng: Random) -> int:
        """A random id that is no special token's."""

    def max_content_length(self, segment_count: int) -> int:
        """How many tokens fit into one feature of this many segments, beside its special tokens."""

    def pooled_position(self, length: int) -> int:
        """The position of the pooled token in a feature of this many tokens: the first, for a decoder the last."""

    @property
    def target(self) -> Tokenizer:
        """The same for the target texts of an encoder-decoder."""

    def with_special_tokens(self, *segments: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and token types of one feature, special tokens added."""


@dataclass(frozen=True)
class HeadSpec:
    """Which head a task needs; models/ builds it, and refuses a model that cannot carry it before reading weights.

    `kind` is the field's name of the head ("sequence-classification"); `size` its outputs; `loss` what it is trained
    on, one of `contract/losses.py` or of your own.
    """

    kind: str
    size: int
    labels: tuple[str, ...] = ()
    loss: Loss = field(default_factory=CrossEntropy)
    permutation_order: bool = False  # train on tokens in random orders (XLNet), not from left to right


@dataclass(frozen=True)
class Learned:
    """What a task learned from data, besides the weights; it is JSON and saved in headstart.json."""

    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()  # training rows of each label
    values: Mapping[str, Json] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return {"labels": list(self.labels), "counts": list(self.counts), "values": dict(self.values)}

    def with_value(self, name: str, value: Json) -> Learned:
        """The same with one more value, or another one."""
        return replace(self, values={**self.values, name: value})

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Learned:
        """Read back what `json` gave."""
        return cls(tuple(data["labels"]), tuple(data.get("counts", ())), dict(data.get("values", {})))


@dataclass(frozen=True)
class Prediction:
    """A prediction in the user's terms: `values` are the columns that are added to the row (prediction, probability …).

    `detail` is for the task's figures, official files and calibration; it is not written to the output.

    >>> prediction = headstart.Prediction(0, {"prediction": "good", "probability": 0.93})
    >>> label = prediction.values["prediction"]
    """

    row: int
    values: Mapping[str, Json]
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class SamplePrompt:
    """A prompt of the report's samples: as it is shown, how the data goes on, and its tokens as they are laid out."""

    text: str
    continuation: str
    ids: Sequence[int] | None = None  # None: the tokens of the text as it is


@dataclass(frozen=True)
class Column:
    """What a task's detection sees of one column: its name and the first values (up to 1,000 rows)."""

    name: str
    values: Sequence[Json]


@dataclass(frozen=True)
class Detection:
    """A task recognises a file: which column is which field, how sure (0 to 1), and why in words.

    `alternatives` are other columns that fit as well, field by field: the user is asked.
    """

    columns: Mapping[str, str]
    confidence: float
    reason: str
    alternatives: Sequence[Mapping[str, str]] = ()

    @property
    def choices(self) -> Sequence[Mapping[str, str]]:
        """All columns that fit, the first of them as `columns`."""
        return self.columns, *self.alternatives

    def with_named(self, named_columns: Mapping[str, str]) -> Detection:
        """The same once the user named columns: those are no question any more."""
        settled = [dict(choice) | {field: column for field, column in named_columns.items() if field in choice}
                   for choice in self.choices]
        columns, *alternatives = [choice for index, choice in enumerate(settled) if choice not in settled[:index]]
        return Detection(columns, self.confidence, self.reason, alternatives)


E = TypeVar("E", bound=Example)


class FittedBaseline(Protocol):
    """A fitted baseline."""

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One prediction for each example, in the task's form; `states` (M, W), or features, where it needs them."""


@dataclass(frozen=True)
class Baseline:
    """A simple baseline on the same split: `fit(examples, states, seed)` gives the fitted baseline."""

    name: str
    fit: Callable[[Sequence[Any], Any, int], FittedBaseline]
    needs_states: bool = False  # states are the pooled ones of the untrained model, (M, W)
    needs_features: bool = False  # instead each example's features, with the same masked tokens as the model; else None
