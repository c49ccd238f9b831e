"""A tokenizer written in Python, which tells no characters, in the part of one that does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.text.token_offsets import align_pieces

PART = -1  # stands for a text's tokens where only the special ones around them are wanted


@dataclass(frozen=True)
class Encoded:
    """What a tokenizer gives for a text, under the names of the tokenizers library."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    type_ids: list[int]
    sequence_ids: list[int | None]


@dataclass(frozen=True)
class WritingBackend:
    """A tokenizer's part while it reads texts that the model is to write (`text_target` in plain transformers)."""

    inner: Any
    held: Any

    def encode(self, *texts: str, add_special_tokens: bool) -> Any:
        """As the inner one does, in the language or vocabulary of the target."""
        self.held._switch_to_target_mode()
        try:
            return (self.held.backend_tokenizer if self.held.is_fast else self.inner).encode(*texts, add_special_tokens=add_special_tokens)
        finally:
            self.held._switch_to_input_mode()


@dataclass(frozen=True)
class SlowBackend:
    """The library's Python tokenizer; `surface` says which characters a piece stands for."""

    held: Any
    surface: Callable[[str], str]

    def encode(self, *texts: str, add_special_tokens: bool) -> Encoded:
        """One text as pieces with their characters; or the special tokens around parts, each part a single -1."""
        if add_special_tokens:
            parts = [[PART] for _ in texts]
            ids = self.held.build_inputs_with_special_tokens(*parts)
            places = [place for place, token in enumerate(ids) if token == PART]
            owners = [places.index(place) if place in places else None for place in range(len(ids))]
            return Encoded(ids, [(0, 0)] * len(ids), [0] * len(ids), owners)
        (text,) = texts
        if hasattr(self.held, "offsets"):  # our own knows the characters of its words
            ids, offsets = self.held.offsets(text)
            return Encoded(ids, offsets, [0] * len(ids), [0] * len(ids))
        pieces = self.held.tokenize(text)
        offsets = align_pieces(text, [self.surface(piece) for piece in pieces])
        return Encoded(self.held.convert_tokens_to_ids(pieces), offsets, [0] * len(pieces), [0] * len(pieces))

    def no_truncation(self) -> None:
        """It never cuts."""

    def no_padding(self) -> None:
        """It never pads."""
