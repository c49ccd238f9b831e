"""One word a row with the number of its sentence: Kaggle's NER table, simpletransformers' table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from headstart.contract import Column, Json, RowFault
from headstart.data.row_store import Record
from headstart.data.schemas._cells import LEAVE_OUT, column_named
from headstart.data.schemas.schema import ConvertedRow, FaultyRow, Schema, SchemaRow

SENTENCES = ("sentence #", "sentence_id", "sentence_idx", "sentence_number", "sentence_no", "sentence id", "sent_id",
             "sentenceid")
WORDS = ("word", "words", "token", "tokens")
TAGS = ("tag", "tags", "ner_tag", "ner_tags", "ner", "label", "labels")


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A sentence's number, a word and mostly a tag a row, where neighbouring rows share a sentence."""
    sentence, word, tag = (column_named(columns, names) for names in (SENTENCES, WORDS, TAGS))
    if sentence is None or word is None or not shares_sentences(sentence) or not holds_words(word):
        return None
    names = [column.name for column in columns]
    places = [names.index(sentence.name), names.index(word.name)] + ([names.index(tag.name)] if tag else [])
    unused = [name for name in names if names.index(name) not in places]
    tags_words = f', tags are "{tag.name}"' if tag is not None else ", without tags"
    further = f"; {', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not used" if unused else ""
    return Schema("word-rows", f'a word a row: neighbouring rows of one "{sentence.name}" are a sentence, tokens are '
                               f'"{word.name}"{tags_words}{further}',
                  ("tokens", "tags") if tag is not None else ("tokens",), tuple(names[place] for place in places),
                  sentences_of(places), keeps_others=False)


def is_blank(cell: Json) -> bool:
    """Whether a cell is empty: the sentence goes on."""
    return cell is None or not str(cell).strip()


def shares_sentences(column: Column) -> bool:
    """Whether a sentence's number stands on several rows in a row, or on its first row alone."""
    values = column.values
    if not values or all(map(is_blank, values)):
        return False
    return any(is_blank(after) or before == after for before, after in pairwise(values))


def holds_words(column: Column) -> bool:
    """Whether every cell is at most one word."""
    return all(cell is None or (not isinstance(cell, list | dict) and len(str(cell).split()) <= 1)
               for cell in column.values)


def sentences_of(places: Sequence[int]) -> Callable[[Iterable[Record]], Iterator[SchemaRow]]:
    """A `convert` that puts the words of neighbouring rows of one sentence together."""
    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        sentence: list[Record] = []
        number: Json = None
        for record in records:
            cell = record.values[places[0]]
            if sentence and not is_blank(cell) and cell != number:
                yield sentence_row(sentence, places)
                sentence = []
            number = number if is_blank(cell) else cell
            sentence.append(record)
        if sentence:
            yield sentence_row(sentence, places)

    return convert


def sentence_row(records: Sequence[Record], places: Sequence[int]) -> SchemaRow:
    """The rows of a sentence as one, at the line of its first word; a fault where a word or tag is missing."""
    for record in records:
        for place, cell_name in zip(places[1:], ("word", "tag"), strict=False):
            if is_blank(record.values[place]):
                fault = RowFault("E201" if cell_name == "word" else "E301", f"a {cell_name} of the sentence is empty.",
                                 fix=f"Fill it in, or {LEAVE_OUT}")
                return FaultyRow(fault, record.line)
    return ConvertedRow(tuple([str(record.values[place]).strip() for record in records] for place in places[1:]),
                        records[0].line)
