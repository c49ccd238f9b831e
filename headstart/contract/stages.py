"""One frozen type for each stage of a row's way.

    row -> Example -> [Feature] -> Batch -> outputs -> [Piece] -> Prediction -> scores

Shapes: N features of a batch, B rows of a batch, S tokens of a row, L tokens of a feature, T tokens of all features
of a batch one after the other, A of them that are asked, C classes, M examples of a split, R resamples. Arrays are
numpy arrays; this file knows neither torch nor transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from headstart.contract.results import Json as Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

Kind = Literal["encoder", "decoder", "encoder-decoder"]
Per = Literal["feature", "token", "asked"]
Measures = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True)
class Field:
    """One column that a task knows; its name is the flag (`--text`) that names the user's column."""

    name: str
    help: str
    type: Literal["text", "label", "number", "list"] = "text"
    required: bool = True  # to train; a target may be missing when predicting
    target: bool = False
    usual: tuple[str, ...] = ()  # other names that such a column often has, best first
    empty: bool = False  # whether an empty value is an answer (no label applies, nothing answers the question)


@dataclass(frozen=True)
class Row:
    """One row of the user's file under the task's field names. `id` counts rows of the file from 0, `line` from 1."""

    id: int
    values: Mapping[str, Json]
    file: str = ""
    line: int | None = None


class RowFault(Exception):
    """This row cannot be used; the machinery adds file, line and column and goes on to the next row."""

    def __init__(self, code: str, message: str, *, fix: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.fix, self.field = code, message, fix, field


@dataclass(frozen=True)
class Example:
    """What a task reads from a row; every task adds its own fields. `row` is the row's id."""

    row: int


@dataclass(frozen=True)
class Target:
    """What the model should answer, and what the answer belongs to: the feature, each token, or each asked token.

    -100 stands where there is none. A place in the feature (where an answer begins) is an answer of the feature.
    """

    value: Any
    per: Per = "feature"


@dataclass(frozen=True)
class Feature:
    """One piece of model input made from an example: L token ids, their segment numbers, its targets.

    An example of k windows has k features of weight 1/k, so that a long text counts once. `cut` is how many tokens
    of the text no feature holds.
    """

    ids: Sequence[int]
    types: Sequence[int] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    weight: float = 1.0
    cut: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)  # the task's own: window borders, offsets
    asks: Sequence[int] | None = None  # places, ascending, that a head over the vocabulary answers; None for all
    group: Hashable = None  # features of one group are never split by a batcher (choices of one question)
    role: str = ""
    stream: Hashable = None  # features of one stream are read in their order by a model that remembers what it read

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Batch:
    """Features side by side, padded or packed. Arrays: ids and types (B, S); segments (N, 3) = row, begin, end.

    Segment n holds feature n. Targets stand by name: (N, …) per feature, (T,) per token, (A,) per asked token, in the
    order of the features (-100 where there is none). `weights` is (N,); `groups` (N,) numbers what belongs together
    (choices of one question); `asks` (A,) are places in T, `asked` (N,) how many each feature has; `per` says what each
    target belongs to. Tokens outside every segment are padding.
    """

    ids: Ints
    types: Ints
    segments: Ints
    targets: Mapping[str, NDArray[Any]]
    weights: Floats
    groups: Ints
    asks: Ints
    asked: Ints
    per: Mapping[str, Per]

    @property
    def lengths(self) -> Ints:
        """Tokens of each feature, (N,)."""
        return self.segments[:, 2] - self.segments[:, 1]

    @property
    def tokens(self) -> int:
        """Real tokens, padding left out."""
        return int((self.segments[:, 2] - self.segments[:, 1]).sum())


@dataclass(frozen=True)
class Layout:
    """How features become a batch: packed (all in one row, end to end) or padded (one a row, on this side)."""

    packed: bool
    pad_id: int = 0
    side: Literal["right", "left"] = "right"


@dataclass(frozen=True)
class Tokens:
    """A text as token ids with the characters that each came from: offsets (L, 2), None where not to be had."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]] | None = None


class Tokenizer(Protocol):
    """How a task sees any family's tokenizer: text to pieces, and pieces laid out the way its kind wants them."""

    longest: int  # tokens of one feature, special tokens included

    def tokenize(self, text: str) -> Tokens:
        """Ids and offsets of a text, without special tokens and without cutting."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id as the tokenizer writes it."""

    @property
    def remembers(self) -> bool:
        """Whether the model that it belongs to carries what it read from one feature of a stream to the next."""

    @property
    def continues(self) -> bool:
        """Whether the model that it belongs to goes on with a text: then source and target are one text."""

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for what the vocabulary cannot spell; None where it can spell all."""

    @property
    def mask_id(self) -> int | None:
        """The id that stands for a hidden token; None where there is none."""

    @property
    def end_id(self) -> int | None:
        """The id that ends a text; None where there is none."""

    @property
    def start_id(self) -> int | None:
        """The id that begins a text for a model that writes."""

    def as_prompt(self, text: str, *, chat: bool) -> str:
        """A prompt as the model's chat template lays it out up to where the response begins; else with a line's end."""

    def any_piece(self, draw: Random) -> int:
        """The id of an ordinary piece, drawn."""

    def room(self, parts: int) -> int:
        """How many tokens of the user's own fit into one feature of this many parts."""

    def summary_place(self, length: int) -> int:
        """The place of the token that stands for a feature of this many tokens: the first, for a decoder the last."""

    @property
    def target(self) -> Tokenizer:
        """The same for texts that an encoder-decoder writes."""

    def lay_out(self, *parts: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and segment numbers of one feature, special tokens added."""


@dataclass(frozen=True)
class HeadSpec:
    """Which head a task needs; models/ builds it, and refuses a model that cannot carry it before reading weights.

    `kind` is the field's name of the head ("sequence-classification"); `size` its outputs; `loss` what it is
    trained on: "cross-entropy", "binary" (each label by itself), "squared", "span" (begin and end), "beam-span" (begin, end
    after a begin, whether there is one), "choice" (one of a group), "choice+words" (and the right one's own words),
    "token-binary" (each token by itself), "pretraining", "vocabulary" (the token at each asked place, where scores of all
    pieces are too many to keep), "in-batch" (a question's own passage among all of the batch). A joint head sees all of one
    update at once.
    """

    kind: str
    size: int
    labels: tuple[str, ...] = ()
    loss: str = "cross-entropy"
    joint: bool = False
    temperature: float = 0.05  # that similarities are divided by in the loss "in-batch"
    words: float = 0.0  # the share of the right choice's own words in the loss "choice+words"
    drawn_order: bool = False  # train on tokens in drawn orders (XLNet), not from left to right


@dataclass(frozen=True)
class Learned:
    """What a task learned from data, beside the weights; it is JSON and travels in headstart.json."""

    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()  # how often each label stood in the training rows
    values: Mapping[str, Json] = field(default_factory=dict)

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return {"labels": list(self.labels), "counts": list(self.counts), "values": dict(self.values)}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Learned:
        """Read back what `json` gave."""
        return cls(tuple(data["labels"]), tuple(data.get("counts", ())), dict(data.get("values", {})))


@dataclass(frozen=True)
class Prediction:
    """An answer in the user's terms: `values` are the columns that are added to the row (prediction, probability …).

    `detail` is what only the task's own figures, official files and calibration need; it is not written beside the row.
    """

    row: int
    values: Mapping[str, Json]
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Column:
    """What a task's detection sees of one column: its name and the first values (up to 1,000 rows)."""

    name: str
    values: Sequence[Json]


@dataclass(frozen=True)
class Detection:
    """A task recognises a file: which column is which field, how sure (0 to 1), and why in words."""

    columns: Mapping[str, str]
    confidence: float
    reason: str


E = TypeVar("E", bound=Example)


class Rival(Protocol):
    """A fitted baseline."""

    @property
    def size_bytes(self) -> int:
        """How much it takes to keep."""

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One prediction an example, in the task's own form; `states` (M, W), or features, where the baseline needs them."""


@dataclass(frozen=True)
class Baseline:
    """A cheap rival on the same split: `fit(examples, states, seed)` gives something that predicts."""

    name: str
    fit: Callable[[Sequence[Any], Any, int], Rival]
    needs_states: bool = False  # states are the pooled ones of the untrained model, (M, W)
    needs_features: bool = False  # in their place each example's features, with the model's own draws (masked words); else None
