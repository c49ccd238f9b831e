"""Documents as pairs of segments, for next-sentence prediction and BERT's pre-training."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from headstart.contract import Example, Field, Row, RowFault, Tokenizer
from headstart.errors import Finding
from headstart.tasks.shared.text_pairs import TEXT_NAMES, plain
from headstart.text.sentences import sentences as parted

IS_NEXT, RANDOM = 0, 1  # BERT's own numbers
LABELS = ("is_next", "random")
FIELDS = (
    Field("text", "a document, or one sentence of it, or the first of a pair", usual=TEXT_NAMES),
    Field("pair", "a text that may follow it", required=False, usual=("pair",)),
    Field("document", "rows with the same value, one after the other, are one document", required=False, usual=("document",)),
)


@dataclass(frozen=True)
class Segments(Example):
    """A document (or a sentence of one), or a pair of segments with `follows`: 0 next, 1 random, None when predicting."""

    text: str
    pair: str | None = None
    document: str | None = None
    follows: int | None = None


def read(row: Row) -> Segments:
    """A row; raises RowFault."""
    text, pair, document = (plain(row, name) for name in ("text", "pair", "document"))
    if text is None or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="text")
    if pair is not None and not pair.strip():
        raise RowFault("E201", "the pair is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="pair")
    return Segments(row.id, text, pair, document)


def sentences(text: str) -> list[str]:
    """Lines where there are several, else the text's own sentences."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines if len(lines) > 1 else parted(text)


def documents(examples: Sequence[Segments]) -> list[tuple[int, list[str]]]:
    """The sentences of each document, with the id of its first row."""
    found: list[tuple[int, list[str]]] = []
    before: str | None = None
    for example in examples:
        if example.document is not None and example.document == before and found:
            found[-1][1].extend(sentences(example.text))
        else:
            found.append((example.row, sentences(example.text)))
        before = example.document
    return found


def check(splits: Mapping[str, Sequence[Segments]]) -> list[Finding]:
    """What makes training rows unfit: nothing that follows anything, or no other document to take a random text from."""
    whole = documents(splits.get("train", ()))
    if whole and all(len(parts) < 2 for _, parts in whole):
        return [Finding("E340", "no training document has two sentences: nothing follows anything.",
                        "Part documents by blank lines (text files) or by a column: --document COLUMN.")]
    if len(whole) == 1:
        return [Finding("E341", "all training rows are one document; random next sentences are taken from another one.",
                        "Part documents by blank lines (text files) or by a column: --document COLUMN.")]
    return []


def chunks(parts: Sequence[str], tokenizer: Tokenizer, room: int, short: float, fixed: Random) -> list[list[str]]:
    """Sentences gathered up to the room (or, with the share `short`, to a random shorter length), two at the least."""
    made: list[list[str]] = []
    held: list[str] = []
    size, wanted = 0, room
    for part in parts:
        held.append(part)
        size += len(tokenizer.tokenize(part).ids)
        if size >= wanted and len(held) > 1:
            made.append(held)
            held, size = [], 0
            wanted = fixed.randint(2, room) if fixed.random() < short else room
    if len(held) > 1:
        made.append(held)
    return made


def pairs(examples: Sequence[Segments], tokenizer: Tokenizer, draw: Random, *, short: float, single: bool) -> list[Segments]:
    """Segments A and B of every chunk: B follows A, or (every second, by the draw) comes from another document.

    `single`: chunks are two sentences. Chunks depend on the documents alone, so each epoch has as many pairs.
    """
    whole = documents(examples)
    made = []
    for number, (row, parts) in enumerate(whole):
        fixed = Random(f"{row}:{len(parts)}")
        held = [list(two) for two in itertools.pairwise(parts)] if single else \
            chunks(parts, tokenizer, tokenizer.room(2), short, fixed)
        for chunk in held:
            cut = 1 if single else draw.randint(1, len(chunk) - 1)
            first, second, follows = " ".join(chunk[:cut]), " ".join(chunk[cut:]), IS_NEXT
            if draw.random() < 0.5 and len(whole) > 1:
                other = draw.randrange(len(whole) - 1)
                strange = whole[other + (other >= number)][1]
                at = draw.randrange(len(strange))
                second, follows = " ".join(strange[at:at + len(chunk) - cut]), RANDOM
            made.append(Segments(row, first, second, None, follows))
    return made
