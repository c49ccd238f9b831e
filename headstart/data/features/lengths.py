"""How long the user's texts are in tokens, where inputs are cut, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Example, Json, Task, Tokenizer

if TYPE_CHECKING:
    from headstart.contract import Ints

SAMPLE = 20_000  # rows whose lengths are measured when there are more than SMALL
SMALL = 100_000
COVER = 0.995  # share of the rows that must fit whole
STEP = 8


@dataclass(frozen=True)
class LengthChoice:
    """The longest model input, why, and what is lost: shares of rows and of tokens that are cut."""

    longest: int
    reason: str
    cut_rows: float
    cut_tokens: float
    quantiles: Mapping[str, float] = field(default_factory=dict)
    sampled: int | None = None

    def json(self) -> dict[str, Json]:
        """The same as data.json holds it."""
        return dict(vars(self))


class Unlimited:
    """A tokenizer that never cuts: what lengths are measured with."""

    def __init__(self, held: Tokenizer) -> None:
        self.held, self.longest = held, 10**9

    def tokenize(self, text: str) -> Any:
        """As the tokenizer does."""
        return self.held.tokenize(text)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """As the tokenizer does."""
        return self.held.pieces(ids)

    @property
    def remembers(self) -> bool:
        """No: texts are measured whole."""
        return False

    @property
    def continues(self) -> bool:
        """As the tokenizer's."""
        return self.held.continues

    @property
    def unknown_id(self) -> int | None:
        """As the tokenizer's."""
        return self.held.unknown_id

    @property
    def mask_id(self) -> int | None:
        """As the tokenizer's."""
        return self.held.mask_id

    @property
    def end_id(self) -> int | None:
        """As the tokenizer's."""
        return self.held.end_id

    @property
    def start_id(self) -> int | None:
        """As the tokenizer's."""
        return self.held.start_id

    def as_prompt(self, text: str, *, chat: bool) -> str:
        """As the tokenizer does."""
        return self.held.as_prompt(text, chat=chat)

    def any_piece(self, draw: Random) -> int:
        """As the tokenizer does."""
        return self.held.any_piece(draw)

    def room(self, parts: int) -> int:
        """All of it."""
        return self.longest

    def summary_place(self, length: int) -> int:
        """As the tokenizer says."""
        return self.held.summary_place(length)

    @property
    def target(self) -> Tokenizer:
        """As the tokenizer's: what is written is cut as ever."""
        return self.held.target

    def lay_out(self, *parts: Sequence[int]) -> tuple[list[int], list[int]]:
        """As the tokenizer does."""
        return self.held.lay_out(*parts)


def measure(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, *, limit: int, given: int | None,
            seed: int) -> LengthChoice:
    """Count tokens of the training examples and choose the longest input."""
    chosen: Sequence[Example] = examples
    if len(examples) > SMALL:
        places = np.sort(np.random.default_rng([seed, 13]).choice(len(examples), SAMPLE, replace=False))
        chosen = [examples[int(place)] for place in places]
    whole = Unlimited(tokenizer)
    lengths = np.asarray([max(len(one) for one in task.encode(example, whole)) for example in chosen], dtype=np.int64)
    return choose_longest(lengths, limit=limit, given=given, cuts=task.cuts(),
                          sampled=len(lengths) if len(examples) > SMALL else None)


def choose_longest(lengths: Ints, *, limit: int, given: int | None, cuts: bool = True,
                   sampled: int | None = None) -> LengthChoice:
    """As given (at most the model's limit), else so that 99.5 % of the rows fit whole, in steps of 8.

    `cuts` is whether what does not fit is lost (windows lose nothing).
    """
    cover = int(np.quantile(lengths, COVER, method="higher"))
    if given is not None:
        longest, why = min(given, limit), "you chose it"
        if given > limit:
            why = f"you asked for {given}, the model takes {limit}"
    elif int(lengths.max()) <= limit and int(lengths.max()) <= 2 * cover:
        longest, why = rounded(int(lengths.max()), limit), "every training row fits"
    else:
        longest = rounded(cover, limit)
        why = f"{COVER:.1%} of the training rows fit" if longest >= cover else "the most that the model takes"
    over = np.maximum(0, lengths - longest)
    rows, tokens = float((over > 0).mean()), float(over.sum() / max(1, lengths.sum()))
    cost = f"; {rows:.1%} of the rows are longer, {tokens:.1%} of all tokens are " + \
        ("cut" if cuts else "read in further windows") if rows else ""
    sample = f" (measured on {sampled:,} rows drawn at random)" if sampled else ""
    median, high = (float(value) for value in np.quantile(lengths, [0.5, 0.9]))
    words = f"longest input {longest} tokens: {why}{cost}{sample}; half of the rows have at most {median:g} tokens, 90 % at most {high:g}"
    quantiles = {"0.5": median, "0.9": high, "0.99": float(np.quantile(lengths, 0.99)), "1": float(lengths.max())}
    return LengthChoice(longest, words, rows, tokens if cuts else 0.0, quantiles, sampled)


def rounded(length: int, limit: int) -> int:
    """Up to the next multiple of 8, within the limit."""
    return min(limit, -(-length // STEP) * STEP)
