"""Tokenizers written in Python, which give no offsets, behind the interface of the tokenizers library."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.text.token_offsets import align_pieces

SEGMENT_ID = -1  # placeholder for a segment's tokens where only the special tokens around it are needed


@dataclass(frozen=True)
class Encoding:
    """An encoded text with the attributes of tokenizers.Encoding."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    type_ids: list[int]
    sequence_ids: list[int | None]


@dataclass(frozen=True)
class SlowBackend:
    """The library's Python tokenizer; `piece_text` gives a piece's characters."""

    hf_tokenizer: Any
    piece_text: Callable[[str], str]
    reads_targets: bool = False

    def for_targets(self) -> SlowBackend:
        """The same for target texts, with a tokenizer of its own."""
        target_tokenizer = copy.copy(self.hf_tokenizer)
        target_tokenizer._switch_to_target_mode()
        return SlowBackend(target_tokenizer, self.piece_text, reads_targets=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.reads_targets:  # Marian's forgets it when it is pickled
            self.hf_tokenizer._switch_to_target_mode()

    def encode(self, *texts: str, add_special_tokens: bool) -> Encoding:
        """One text as pieces with offsets; or the special tokens around segments, each segment a single -1."""
        if add_special_tokens:
            segments = [[SEGMENT_ID] for _ in texts]
            ids = self.hf_tokenizer.build_inputs_with_special_tokens(*segments)
            positions = [position for position, token in enumerate(ids) if token == SEGMENT_ID]
            sequence_ids = [positions.index(position) if position in positions else None
                            for position in range(len(ids))]
            return Encoding(ids, [(0, 0)] * len(ids), [0] * len(ids), sequence_ids)
        (text,) = texts
        if hasattr(self.hf_tokenizer, "offsets"):  # headstart's own gives offsets
            ids, offsets = self.hf_tokenizer.offsets(text)
            return Encoding(ids, offsets, [0] * len(ids), [0] * len(ids))
        pieces = self.hf_tokenizer.tokenize(text)
        offsets = align_pieces(text, [self.piece_text(piece) for piece in pieces])
        return Encoding(self.hf_tokenizer.convert_tokens_to_ids(pieces), offsets, [0] * len(pieces), [0] * len(pieces))

    def no_truncation(self) -> None:
        """It never truncates."""

    def no_padding(self) -> None:
        """It never pads."""
