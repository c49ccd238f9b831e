"""Texts joined to blocks of the longest input: what language models do with many short texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headstart.contract import Tokenizer


def blocks(texts: Iterable[tuple[int, str]], tokenizer: Tokenizer, room: int) -> Iterator[tuple[int, str]]:
    """(row, text) of each block: lines are joined until a block is full; it keeps the id of its first row."""
    held: list[str] = []
    size, first = 0, 0
    for row, text in texts:
        length = len(tokenizer.tokenize(text).ids)
        if held and size + length > room:
            yield first, "\n".join(held)
            held, size = [], 0
        if not held:
            first = row
        held.append(text)
        size += length + 1
    if held:
        yield first, "\n".join(held)
