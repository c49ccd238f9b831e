"""How long the user's texts are in tokens, where inputs are cut, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import ChatLayout, Example, Json, Task, Tokenizer
from headstart.data.features.ahead import read_ahead

if TYPE_CHECKING:
    from headstart.contract import Ints

SAMPLE_ROWS = 20_000  # rows whose lengths are measured when there are more than SAMPLING_THRESHOLD
SAMPLING_THRESHOLD = 100_000
COVERAGE = 0.995  # share of the rows that must fit whole
MULTIPLE = 8
# Texts that come later may be longer than those of a few training rows, and room for them costs nothing.
LEAST = 128
BLOCK_LENGTH = 1024  # tokens of a running text's block, unless it is set or the model takes fewer


@dataclass(frozen=True)
class LengthChoice:
    """The longest model input, why, and what is lost: shares of rows and of tokens that are cut."""

    max_length: int
    reason: str
    cut_rows: float
    cut_tokens: float
    quantiles: Mapping[str, float] = field(default_factory=dict)
    sampled: int | None = None

    def json(self) -> dict[str, Json]:
        """The same as data.json holds it."""
        return dict(vars(self))


class UntruncatedTokenizer:
    """A tokenizer that never cuts: what lengths are measured with."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.max_length = tokenizer, 10**9

    def tokenize(self, text: str) -> Any:
        """As the tokenizer does."""
        return self.tokenizer.tokenize(text)

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """As the tokenizer does."""
        return self.tokenizer.pieces(token_ids)

    @property
    def has_memory(self) -> bool:
        """No: texts are measured whole."""
        return False

    @property
    def causal(self) -> bool:
        """As the tokenizer's."""
        return self.tokenizer.causal

    @property
    def unknown_id(self) -> int | None:
        """As the tokenizer's."""
        return self.tokenizer.unknown_id

    @property
    def mask_id(self) -> int | None:
        """As the tokenizer's."""
        return self.tokenizer.mask_id

    @property
    def end_id(self) -> int | None:
        """As the tokenizer's."""
        return self.tokenizer.end_id

    @property
    def start_id(self) -> int | None:
        """As the tokenizer's."""
        return self.tokenizer.start_id

    @property
    def chat(self) -> ChatLayout:
        """As the tokenizer's."""
        return self.tokenizer.chat

    def random_token_id(self, rng: Random) -> int:
        """As the tokenizer does."""
        return self.tokenizer.random_token_id(rng)

    def max_content_length(self, segment_count: int) -> int:
        """All of it."""
        return self.max_length

    def pooled_position(self, length: int) -> int:
        """As the tokenizer says."""
        return self.tokenizer.pooled_position(length)

    @property
    def target(self) -> Tokenizer:
        """As the tokenizer's: targets are truncated as ever."""
        return self.tokenizer.target

    def with_special_tokens(self, *segments: Sequence[int]) -> tuple[list[int], list[int]]:
        """As the tokenizer does."""
        return self.tokenizer.with_special_tokens(*segments)


def measure_lengths(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, *, limit: int,
                    requested: int | None, seed: int) -> LengthChoice:
    """Count tokens of the training examples and choose the longest input."""
    sample: Sequence[Example] = examples
    if len(examples) > SAMPLING_THRESHOLD:
        positions = np.sort(np.random.default_rng([seed, 13]).choice(len(examples), SAMPLE_ROWS, replace=False))
        sample = [examples[int(position)] for position in positions]
    untruncated = UntruncatedTokenizer(tokenizer)
    lengths = np.asarray([max(len(feature) for feature in task.encode(example, untruncated))
                          for example in read_ahead(task, sample, untruncated)], dtype=np.int64)
    return choose_max_length(lengths, limit=limit, requested=requested, truncates=task.truncates(),
                             sampled=len(lengths) if len(examples) > SAMPLING_THRESHOLD else None)


def choose_block_length(limit: int, requested: int | None) -> LengthChoice:
    """The length of a running text's blocks: as requested, else the most that the model takes, at most 1,024."""
    if requested is not None:
        max_length, reason = min(requested, limit), "you chose it"
        if requested > limit:
            reason = f"you asked for {requested}, the model takes {limit}"
    else:
        max_length = min(limit, BLOCK_LENGTH)
        reason = "the most that the model takes" if max_length == limit else (
            f"of the {limit:,} that the model takes, unless data.max_length is set")
    return LengthChoice(max_length, f"the running text is read in blocks of {max_length} tokens: {reason}", 0.0, 0.0)


def choose_max_length(lengths: Ints, *, limit: int, requested: int | None, truncates: bool = True,
                      sampled: int | None = None) -> LengthChoice:
    """As requested (at most the model's limit), else so that 99.5 % of the rows fit whole, in steps of 8.

    `truncates` is whether what does not fit is lost (windows lose nothing): then it is 128 at least, for longer texts
    that come later.
    """
    covering_length = int(np.quantile(lengths, COVERAGE, method="higher"))
    if requested is not None:
        max_length, reason = min(requested, limit), "you chose it"
        if requested > limit:
            reason = f"you asked for {requested}, the model takes {limit}"
    elif int(lengths.max()) <= limit and int(lengths.max()) <= 2 * covering_length:
        max_length, reason = round_up(int(lengths.max()), limit), "every training row fits"
    else:
        max_length = round_up(covering_length, limit)
        reason = (f"{COVERAGE:.1%} of the training rows fit" if max_length >= covering_length
                  else "the most that the model takes")
    if requested is None and truncates:
        max_length = max(max_length, min(LEAST, limit))
    excess = np.maximum(0, lengths - max_length)
    truncated_rows, truncated_tokens = float((excess > 0).mean()), float(excess.sum() / max(1, lengths.sum()))
    cost = f"; {truncated_rows:.1%} of the rows are longer, {truncated_tokens:.1%} of all tokens are " + \
        ("cut" if truncates else "read in further windows") if truncated_rows else ""
    sampling = f" (measured on {sampled:,} rows drawn at random)" if sampled else ""
    median, ninth_decile = (float(value) for value in np.quantile(lengths, [0.5, 0.9]))
    explanation = (f"max_length {max_length} tokens: {reason}{cost}{sampling}; half of the rows have at most "
                   f"{median:g} tokens, 90 % at most {ninth_decile:g}")
    quantiles = {"0.5": median, "0.9": ninth_decile, "0.99": float(np.quantile(lengths, 0.99)),
                 "1": float(lengths.max())}
    return LengthChoice(max_length, explanation, truncated_rows, truncated_tokens if truncates else 0.0, quantiles,
                        sampled)


def round_up(length: int, limit: int) -> int:
    """Up to the next multiple of 8, within the limit."""
    return min(limit, -(-length // MULTIPLE) * MULTIPLE)
