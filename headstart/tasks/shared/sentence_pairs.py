"""Documents as pairs of segments, for next-sentence prediction and BERT's pre-training."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from headstart.contract import Example, Field, Piece, Row, RowFault, Tokenizer
from headstart.errors import Finding
from headstart.tasks.shared import text_blocks
from headstart.tasks.shared.text_pairs import TEXT_NAMES, cell_text
from headstart.text.sentences import split_sentences

IS_NEXT, RANDOM = 0, 1  # BERT's class indices
LABELS = ("is_next", "random")
LEAST_SENTENCES = 12  # of one document alone, so that random sentences come from elsewhere in it
FIELDS = (
    Field("text", "a document, or one sentence of it, or the first of a pair", aliases=TEXT_NAMES),
    Field("pair", "a text that may follow it", required=False, aliases=("pair",)),
    Field("document", "rows with the same value, one after the other, are one document", required=False,
          aliases=("document",)),
)


@dataclass(frozen=True)
class SegmentPair(Example):
    """A document (or a sentence of one), or a pair of segments with `follows`: 0 next, 1 random, None when predicting.
    """

    text: str
    pair: str | None = None
    document: str | None = None
    follows: int | None = None
    piece: Piece | None = None  # of which running text it is a piece


def read(row: Row) -> SegmentPair:
    """A row; raises RowFault."""
    text, pair, document = (cell_text(row, name) for name in ("text", "pair", "document"))
    if text is None or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                       field="text")
    if pair is not None and not pair.strip():
        raise RowFault("E201", "the pair is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                       field="pair")
    return SegmentPair(row.id, text, pair, document, piece=row.piece)


def sentences(text: str) -> list[str]:
    """The lines of a text where there are several, else its sentences."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines if len(lines) > 1 else split_sentences(text)


def running_sentences(text: str) -> list[str]:
    """The sentences of a running text, whose lines may break anywhere; a blank line ends a sentence."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n[^\S\n]*\n", text))
    return [sentence for paragraph in paragraphs if paragraph for sentence in split_sentences(paragraph)]


def documents(examples: Sequence[SegmentPair]) -> list[tuple[int, list[str]]]:
    """The sentences of each document, with the id of its first row."""
    if text_blocks.is_running_text(examples):
        return [(examples[places.start].row,
                 running_sentences("".join(examples[place].text for place in places)))
                for places in text_blocks.documents(examples)]
    document_list: list[tuple[int, list[str]]] = []
    previous: str | None = None
    for example in examples:
        if example.document is not None and example.document == previous and document_list:
            document_list[-1][1].extend(sentences(example.text))
        else:
            document_list.append((example.row, sentences(example.text)))
        previous = example.document
    return document_list


def check(splits: Mapping[str, Sequence[SegmentPair]]) -> list[Finding]:
    """Findings: no document of two sentences, or no other document to take a random text from."""
    document_list = documents(splits.get("train", ()))
    if document_list and all(len(document_sentences) < 2 for _, document_sentences in document_list):
        return [Finding("E340", "no training document has two sentences: so there is no next sentence to learn.",
                        "Separate documents by blank lines (text files) or by a column: --document COLUMN.")]
    if len(document_list) == 1 and len(document_list[0][1]) < LEAST_SENTENCES:
        return [Finding("E341", "all training rows are one short document; random next sentences are taken from "
                        "another one, or from elsewhere in a long one.",
                        "Separate documents by blank lines (text files) or by a column: --document COLUMN.")]
    if len(document_list) == 1:
        return [Finding("N340", "all training rows are one document: random next sentences are taken from elsewhere in "
                        "it.")]
    return []


def chunks(document_sentences: Sequence[str], tokenizer: Tokenizer, max_tokens: int, short_sequence_probability: float,
           rng: Random) -> list[list[str]]:
    """Chunks of at least two sentences and about `max_tokens`, or of a random shorter length with some probability."""
    chunk_list: list[list[str]] = []
    chunk: list[str] = []
    token_count, target_length = 0, max_tokens
    for sentence in document_sentences:
        chunk.append(sentence)
        token_count += len(tokenizer.tokenize(sentence).ids)
        if token_count >= target_length and len(chunk) > 1:
            chunk_list.append(chunk)
            chunk, token_count = [], 0
            target_length = rng.randint(2, max_tokens) if rng.random() < short_sequence_probability else max_tokens
    if len(chunk) > 1:
        chunk_list.append(chunk)
    return chunk_list


def pairs(examples: Sequence[SegmentPair], tokenizer: Tokenizer, rng: Random, *, short_sequence_probability: float,
          sentence_pairs: bool) -> list[SegmentPair]:
    """Segments A and B of every chunk: B follows A or, with probability 1/2, comes from another document.

    `sentence_pairs`: chunks are two sentences. Chunks depend on the documents alone, so each epoch has as many pairs.
    """
    document_list = documents(examples)
    sentence_lists = [sentences for _, sentences in document_list]
    pair_list = []
    for index, (row, document_sentences) in enumerate(document_list):
        chunk_rng, position = Random(f"{row}:{len(document_sentences)}"), 0
        chunk_list = [list(neighbours)
                      for neighbours in itertools.pairwise(document_sentences)] if sentence_pairs else \
            chunks(document_sentences, tokenizer, tokenizer.max_content_length(2), short_sequence_probability,
                   chunk_rng)
        for chunk in chunk_list:
            border = 1 if sentence_pairs else rng.randint(1, len(chunk) - 1)
            first, second, follows = " ".join(chunk[:border]), " ".join(chunk[border:]), IS_NEXT
            if rng.random() < 0.5:
                other_sentences = random_sentences(sentence_lists, index, position, len(chunk), len(chunk) - border,
                                                   rng)
                if other_sentences:
                    second, follows = " ".join(other_sentences), RANDOM
            pair_list.append(SegmentPair(row, first, second, None, follows))
            position += 1 if sentence_pairs else len(chunk)
    return pair_list


def random_sentences(sentence_lists: Sequence[Sequence[str]], index: int, begin: int, size: int, count: int,
                     rng: Random) -> Sequence[str]:
    """So many sentences of another document than this one; of one alone from elsewhere in it, neither in the chunk of
    `size` sentences at `begin` nor right after it. Empty where there is no such place.
    """
    if len(sentence_lists) > 1:
        other_index = rng.randrange(len(sentence_lists) - 1)
        other_document = sentence_lists[other_index + (other_index >= index)]
        start = rng.randrange(len(other_document))
        return other_document[start:start + count]
    document = sentence_lists[index]
    before, after_begin = max(0, begin - count + 1), begin + size + 1
    place_count = before + max(0, len(document) - count + 1 - after_begin)
    if not place_count:
        return []
    place = rng.randrange(place_count)
    start = place if place < before else after_begin + place - before
    return document[start:start + count]
