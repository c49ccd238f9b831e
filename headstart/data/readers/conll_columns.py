"""Which column of a CoNLL file holds the words and which the tags: told by what stands in them.

A column of tags holds O, B-person, I-person …; one that counts the words of a sentence, is the same in all lines of a
sentence, or holds the same everywhere is neither. The words are the column with the most different values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

TAG = re.compile(r"O|[BIESLUM]-\S+")
RANGE = re.compile(r"\d+[-.]\d+")
LONE_TAGS = frozenset("BIESLUMO")  # tags of a scheme without types
# Types of phrases (CoNLL-2000): beside names and the like they are not what a file is tagged for.
PHRASES = frozenset(("NP", "VP", "PP", "ADVP", "SBAR", "ADJP", "PRT", "CONJP", "INTJ", "LST", "UCP"))
MIN_FITTING = 0.8  # share of the lines that must be tags, or count the words
MORE_ENTITIES = 4  # a layer of tags with so many times the entities of every other one is the one
CLEARLY_MORE = 1.25  # different values of the words against those of a column before them
CONLL_U = 10  # columns of CoNLL-U: number, word, lemma, part of speech …
Lines = Sequence[Sequence[str]]  # the columns of each line
Question = tuple[str, str] | None


@dataclass(frozen=True)
class Roles:
    """The columns, from 0, of the words, the tags (None where there are none) and the words' numbers (None: none)."""

    word: int
    tag: int | None
    number: int | None = None
    has_prefixes: bool = False  # whether tags are O, B-person …, or B, I and O alone
    question: Question = None  # what the user is asked where two columns fit equally well, and the answers

    def describe(self, width: int) -> str:
        """In words, for the user; "" for a column of words, or one of words and one of tags."""
        usual = (self.word, self.tag) in ((0, None), (0, 1)) and width <= 2
        tag = f", tags in column {self.tag + 1}" if self.tag is not None else ", without tags"
        unused = self.unused_columns(width)
        further = f" (not used: {', '.join(map(str, unused))})" if unused else ""
        return "" if usual else f"words in column {self.word + 1}{tag}{further}"

    def unused_columns(self, width: int) -> list[int]:
        """The columns, from 1, that nothing reads."""
        return [index + 1 for index in range(width) if index not in (self.word, self.tag, self.number)]

    def is_comment(self, text: str, fields: Sequence[str], width: int) -> bool:
        """Whether the first line of a sentence is a remark: it begins with #, and is no word with its tag."""
        if not text.startswith("#"):
            return False
        is_tagged = self.tag is None or not self.has_prefixes or len(fields) != width or is_tag(fields[self.tag])
        return len(fields) != width or not is_tagged or (self.number is not None
                                                         and not fields[self.number].strip().isdecimal())

    def is_range(self, fields: Sequence[str]) -> bool:
        """Whether a line is no word but a range of them (3-4), or an empty one (5.1), as CoNLL-U has them."""
        return self.number is not None and RANGE.fullmatch(fields[self.number]) is not None


def find_roles(sentences: Sequence[Lines], width: int, word: int | None, tag: int | None) -> Roles:
    """The roles of the columns of these sentences; `word` and `tag` are those that the user named."""
    if width == 1:
        return Roles(0, None)
    lines = [fields for sentence in sentences for fields in sentence if len(fields) == width]
    columns = [[fields[index] for fields in lines] for index in range(width)]
    number = next((index for index in range(width) if index not in (word, tag)
                   and counts_words(sentences, index, width)), None)
    further = [index for index in range(width) if index not in (word, tag, number)]
    tag_question = word_question = None
    is_word_named = word is not None
    if tag is None:
        tag, tag_question = tag_column(columns, further, is_universal=width == CONLL_U and number == 0)
    if word is None:
        rest = [index for index in further if index != tag]
        word, word_question = word_column(sentences, columns, rest, width)
    if tag is None and word is not None:
        tag, tag_question = plain_tag_column(columns, [index for index in further if index != word])
        if tag is not None and width == 2 and not is_word_named and word_question is None:
            word, tag, word_question = in_usual_order(columns, word, tag)
    has_prefixes = tag is not None and is_tag_column(columns[tag])
    return Roles(word if word is not None else 0, tag, number, has_prefixes, word_question or tag_question)


def counts_words(sentences: Sequence[Lines], index: int, width: int) -> bool:
    """Whether a column counts the words of each sentence, from 0 or from 1; ranges (3-4) stand between them."""
    fitting = total = 0
    for sentence in sentences:
        cells = [fields[index] for fields in sentence if len(fields) == width and not RANGE.fullmatch(fields[index])]
        numbers = [int(cell) if cell.isdecimal() else -1 for cell in cells]
        fitting += any(numbers == list(range(start, start + len(numbers))) for start in (0, 1) if numbers)
        total += bool(numbers)
    return total > 0 and fitting >= MIN_FITTING * total and any(len(sentence) > 1 for sentence in sentences)


def is_tag(cell: str) -> bool:
    """Whether a cell is a tag with a prefix, or one of a scheme without types."""
    return TAG.fullmatch(cell) is not None or cell in LONE_TAGS


def is_tag_column(cells: Sequence[str]) -> bool:
    """Whether cells are tags with prefixes, or B, I and O alone."""
    fitting = sum(TAG.fullmatch(cell) is not None for cell in cells)
    if fitting >= MIN_FITTING * len(cells) and any(cell != "O" and TAG.fullmatch(cell) for cell in cells):
        return True
    distinct = set(cells)
    return distinct <= LONE_TAGS and "B" in distinct and len(distinct) > 1


def tag_column(columns: Sequence[Sequence[str]], further: Sequence[int], *,
               is_universal: bool) -> tuple[int | None, Question]:
    """The column of tags with prefixes, and the question where there are several like it."""
    tagged = [index for index in further if is_tag_column(columns[index])]
    layers = [index for index in tagged if not is_of_phrases(columns[index])] or tagged[-1:]
    if not layers:
        return (3 if is_universal else None), None
    entities = {index: sum(cell[:1] in ("B", "S", "U") for cell in columns[index]) or
                sum(cell != "O" for cell in columns[index]) for index in layers}
    layers.sort(key=lambda index: -entities[index])
    alternatives = [index for index in layers[1:] if MORE_ENTITIES * entities[index] > entities[layers[0]]]
    return layers[0], question("tags", "tag_column", [layers[0], *alternatives]) if alternatives else None


def is_of_phrases(cells: Sequence[str]) -> bool:
    """Whether the types of tags are those of phrases."""
    types = {cell[2:] for cell in cells if cell[1:2] == "-"}
    return bool(types) and types <= PHRASES


def word_column(sentences: Sequence[Lines], columns: Sequence[Sequence[str]], rest: Sequence[int],
                width: int) -> tuple[int | None, Question]:
    """The column of words, and the question where another has as many different values."""
    distinct = {index: len(set(columns[index])) for index in rest}
    usable = [index for index in rest if distinct[index] > 1 and not is_same_in_sentences(sentences, index, width)] \
        or list(rest)
    if not usable:
        return None, None
    first, best = usable[0], max(usable, key=lambda index: distinct[index])
    if distinct[first] == distinct[best]:
        return first, None
    if distinct[best] >= CLEARLY_MORE * distinct[first]:
        return best, None
    return best, question("words", "word_column", [first, best])


def is_same_in_sentences(sentences: Sequence[Lines], index: int, width: int) -> bool:
    """Whether a column is the same in all lines of a sentence: the name of the document, the sentence's number."""
    longer = [{fields[index] for fields in sentence if len(fields) == width} for sentence in sentences
              if len(sentence) > 1]
    return bool(longer) and all(len(values) <= 1 for values in longer)


def plain_tag_column(columns: Sequence[Sequence[str]], rest: Sequence[int]) -> tuple[int | None, Question]:
    """The column of tags without prefixes (parts of speech): the last, and the question where several may be it."""
    usable = [index for index in rest if len(set(columns[index])) > 1] or list(rest[-1:])
    if not usable:
        return None, None
    return usable[-1], question("tags", "tag_column", usable) if len(usable) > 1 else None


def in_usual_order(columns: Sequence[Sequence[str]], word: int, tag: int) -> tuple[int, int, Question]:
    """Words and tags without prefixes in two columns: words first, unless the second has far more different values."""
    first, second = (len(set(columns[index])) for index in (0, 1))
    if first >= second:
        return 0, 1, None
    return word, tag, question("words", "word_column", [0, 1]) if second < 2 * first else None


def question(contents: str, setting: str, indices: Sequence[int]) -> tuple[str, str]:
    """Which of several columns holds the words or the tags; what says so."""
    ordered = sorted(indices)
    columns = " and ".join(str(index + 1) for index in ordered)
    options = " or ".join(f"--set data.{setting}={index + 1}" for index in ordered)
    return f"columns {columns} may hold the {contents}", f"Say which: {options}."
