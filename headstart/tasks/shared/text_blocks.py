"""Short texts joined to blocks of the longest input, for language models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headstart.contract import Tokenizer


def join_to_blocks(texts: Iterable[tuple[int, str]], tokenizer: Tokenizer,
                   max_tokens: int) -> Iterator[tuple[int, str]]:
    """(row, text) of each block: texts are joined until a block is full; its row is that of its first text."""
    texts_in_block: list[str] = []
    token_count, first_row = 0, 0
    for row, text in texts:
        length = len(tokenizer.tokenize(text).ids)
        if texts_in_block and token_count + length > max_tokens:
            yield first_row, "\n".join(texts_in_block)
            texts_in_block, token_count = [], 0
        if not texts_in_block:
            first_row = row
        texts_in_block.append(text)
        token_count += length + 1
    if texts_in_block:
        yield first_row, "\n".join(texts_in_block)
