"""Blocks of tokens for language models: short texts joined, or a running text cut, with nothing lost.

L tokens of a block.
"""

from __future__ import annotations

import tempfile
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, overload

from headstart.contract import Piece, Tokenizer
from headstart.text.long_texts import TokenRun, tokenize_pieces

MEMORY_LIMIT = 2**26  # bytes of tokens that stay in memory; more are kept in a temporary file
DISTINCT_SIZE = 200  # characters of a piece that does not occur twice by chance, as a speaker's name does
COLUMNS = 3  # numbers that are kept of each token: its id, and where it begins and ends


class TextPiece(Protocol):
    """An example that may be a piece of a running text."""

    @property
    def row(self) -> int:
        """The row's id."""

    @property
    def text(self) -> str:
        """Its text."""

    @property
    def piece(self) -> Piece | None:
        """Which document it is a piece of; None for a text of its own."""


@dataclass(frozen=True)
class TextBlock:
    """Consecutive tokens of a document, (L,), and what they were made of.

    Their ids, one block's after the other's, are the document's. `offsets` point into `text`; `context` are the ids
    before the block. `row` is the row of its first token, `continues_word` whether the text begins inside a word.
    """

    row: int
    text: str
    ids: array[int]
    offsets: list[tuple[int, int]]
    context: array[int]
    document: int
    continues_word: bool

    def scored_text(self, *, skips_first: bool) -> tuple[str, bool]:
        """The text of the tokens that are predicted, and whether it begins inside a word.

        With `skips_first` the first token is only read.
        """
        if not skips_first:
            return self.text, self.continues_word
        end = self.offsets[0][1]
        return self.text[end:], bool(self.text[end - 1:end].strip()) and bool(self.text[end:end + 1].strip())


@dataclass(frozen=True)
class Document:
    """A run of pieces: the first one's index, the characters at which each begins, and where its tokens are kept."""

    first_piece: int
    piece_starts: array[int]
    tokens_begin: int
    tokens_end: int
    size: int  # characters


B = TypeVar("B")


class TextBlocks(Sequence[B], Generic[B]):
    """A running text's blocks as a task's examples; each is made when it is asked for, so memory stays flat.

    `size` is the tokens of a block (a document's last one has fewer), `context` how many before it are given along.
    `begin_id` stands before each document, `end_id` after each that ends with its last piece.
    """

    def __init__(self, pieces: Sequence[TextPiece], tokenizer: Tokenizer, make: Callable[[TextBlock], B], *, size: int,
                 context: int = 0, begin_id: int | None = None, end_id: int | None = None) -> None:
        self.pieces, self.make, self.size, self.context = pieces, make, size, context
        self.skipped = int(begin_id is not None)  # tokens of each document that are context alone
        self.file = tempfile.SpooledTemporaryFile(MEMORY_LIMIT, prefix="headstart-tokens-")  # noqa: SIM115 - lives as long as the blocks
        weakref.finalize(self, self.file.close)
        self.documents: list[Document] = []
        self.block_ends = array("q", [0])  # how many blocks the documents have up to each
        for indices in documents(pieces):
            self.add_document(indices, tokenizer, begin_id, end_id)

    def add_document(self, indices: range, tokenizer: Tokenizer, begin_id: int | None, end_id: int | None) -> None:
        """Tokenise a document and keep its tokens."""
        piece_starts = array("q", [0])
        ends = False

        def texts() -> Iterator[str]:
            nonlocal ends
            for index in indices:
                example = self.pieces[index]
                ends = example.piece is None or example.piece.ends
                piece_starts.append(piece_starts[-1] + len(example.text))
                yield example.text

        begin = self.token_count()
        self.keep(TokenRun(array("i", [] if begin_id is None else [begin_id]), array("q", [0] * self.skipped),
                           array("q", [0] * self.skipped)))
        for run in tokenize_pieces(texts(), tokenizer):
            self.keep(run)
        size = piece_starts.pop()
        if ends and end_id is not None:
            self.keep(TokenRun(array("i", [end_id]), array("q", [size]), array("q", [size])))
        self.documents.append(Document(indices.start, piece_starts, begin, self.token_count(), size))
        count = self.token_count() - begin - self.skipped
        self.block_ends.append(self.block_ends[-1] + -(-count // self.size))

    def keep(self, run: TokenRun) -> None:
        """Tokens at the end of what is kept."""
        numbers = array("i", bytes(4 * COLUMNS * len(run)))
        numbers[0::COLUMNS], numbers[1::COLUMNS], numbers[2::COLUMNS] = (
            run.ids, array("i", run.starts), array("i", run.ends))
        self.file.seek(0, 2)
        self.file.write(numbers.tobytes())

    def token_count(self) -> int:
        """How many tokens are kept."""
        return self.file.seek(0, 2) // (4 * COLUMNS)

    def tokens(self, begin: int, end: int) -> TokenRun:
        """The kept tokens from one place to another."""
        self.file.seek(4 * COLUMNS * begin)
        numbers = array("i", self.file.read(4 * COLUMNS * (end - begin)))
        return TokenRun(numbers[0::COLUMNS], numbers[1::COLUMNS], numbers[2::COLUMNS])

    def __len__(self) -> int:
        return self.block_ends[-1]

    @overload
    def __getitem__(self, index: int) -> B: ...
    @overload
    def __getitem__(self, index: slice) -> list[B]: ...
    def __getitem__(self, index: int | slice) -> B | list[B]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.make(self.block(index % len(self)))

    def block(self, index: int) -> TextBlock:
        """The block of this number."""
        number = bisect_right(self.block_ends, index) - 1
        document = self.documents[number]
        first_token = document.tokens_begin + self.skipped
        begin = first_token + (index - self.block_ends[number]) * self.size
        end = min(begin + self.size, document.tokens_end)
        context_begin = max(document.tokens_begin, begin - self.context)
        run = self.tokens(context_begin, min(end + 1, document.tokens_end))
        own_tokens = run.part(begin - context_begin, end - context_begin)
        text_start = 0 if begin == first_token else own_tokens.starts[0]
        text_end = run.starts[-1] if end < document.tokens_end else document.size
        row, text, continues_word = self.text(document, text_start, text_end)
        offsets = [(start - text_start, stop - text_start)
                   for start, stop in zip(own_tokens.starts, own_tokens.ends, strict=True)]
        return TextBlock(row, text, own_tokens.ids, offsets, run.ids[:begin - context_begin], number, continues_word)

    def text(self, document: Document, start: int, end: int) -> tuple[int, str, bool]:
        """The row that a document's text begins in, the text between two characters, whether it begins inside a word.
        """
        place = min(bisect_right(document.piece_starts, start), len(document.piece_starts)) - 1
        row, texts, before = self.pieces[document.first_piece + place].row, [], ""
        position = document.piece_starts[place]
        if start == position and place:
            before = self.pieces[document.first_piece + place - 1].text[-1:]
        while position < end and place < len(document.piece_starts):
            piece_text = self.pieces[document.first_piece + place].text
            if position < start:
                before = piece_text[start - position - 1:start - position]
            texts.append(piece_text[max(0, start - position):end - position])
            position += len(piece_text)
            place += 1
        text = "".join(texts)
        return row, text, bool(before.strip()) and bool(text[:1].strip())


def documents(pieces: Sequence[TextPiece]) -> Iterator[range]:
    """Where each document's pieces stand: consecutive rows of one document, with no row left out between them."""
    start, previous = 0, None
    for index, example in enumerate(pieces):
        if previous is not None and not follows(previous, example):
            yield range(start, index)
            start = index
        previous = example
    if previous is not None:
        yield range(start, len(pieces))


def follows(previous: TextPiece, example: TextPiece) -> bool:
    """Whether a piece goes on where the one before it stops."""
    return (previous.piece is not None and example.piece is not None and not previous.piece.ends
            and previous.piece.document == example.piece.document and example.row == previous.row + 1)


def is_running_text(examples: Sequence[TextPiece]) -> bool:
    """Whether examples are pieces of documents, to be cut into blocks."""
    return len(examples) > 0 and examples[0].piece is not None


def piece_key(example: TextPiece) -> str:
    """What duplicate and leak checks compare of a piece: short ones may recur in a text, and only with their place are
    they one.
    """
    is_short_piece = example.piece is not None and len(example.text) < DISTINCT_SIZE
    return f"{example.row}\n{example.text}" if is_short_piece else example.text


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
