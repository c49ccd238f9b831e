"""Whether the lines of a text file are running text (a book, a play) or texts of their own (a list of posts).

Running text is the rule, and a list the exception: signs for each are added up, and the sum decides.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from headstart.text.sentences import CLOSING_MARKS, TERMINATORS, WIDE_TERMINATORS

RowsName = Literal["document", "paragraphs", "lines"]
LONG_LINE = 280  # characters of a line that is a paragraph by itself, more often than not
WRAP_WIDTH = 120  # characters that a line of wrapped text has at most
LEAST_PAIRS = 30  # neighbouring lines from which on shared words say something
DISTANCE = 50  # lines between two that have nothing to do with one another in a list
CONTINUING_MARKS = ",;-–—"
POST_MARKS = re.compile(r"(?:^|\s)(?:[@#]\w+|https?://|RT\b)")
WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class RowsChoice:
    """What a row of a text file is taken for, why in words, and whether another choice was nearly as good."""

    rows: RowsName
    reason: str
    is_close: bool = False

    def words(self, name: str) -> str:
        """The choice as a sentence about a file, with the other one."""
        readings = {"document": "one running text", "lines": "a text a line",
                    "paragraphs": "a document a paragraph, between blank lines"}
        alternative = "document" if self.rows == "lines" else "lines"
        doubt = " (a close choice: look at the file)" if self.is_close else ""
        return (f"{name} is read as {readings[self.rows]} (data.rows={self.rows}), because {self.reason}{doubt}; for "
                f"{readings[alternative]} pass --set data.rows={alternative}")


def choose_rows(lines: Sequence[str], *, needs_sentences: bool = False) -> RowsChoice:
    """What the first lines of a file (blank ones too) look like.

    With `needs_sentences`, a file in BERT's own form (a sentence a line, blank lines between documents) is lines.
    """
    texts = [line for line in lines if line.strip()]
    if len(texts) < 2:
        return RowsChoice("document", "it is one line")
    shape = TextShape.of(lines)
    holds_sentences = shape.complete >= 0.8 and shape.continued < 0.05 and shape.paragraph >= 2
    if needs_sentences and shape.blank > 0 and holds_sentences:
        return RowsChoice("lines", f"{shape.complete:.0%} of the lines are whole sentences, and blank lines separate "
                                   "documents")
    for_running, for_list = signs_of_running_text(shape), signs_of_list(shape)
    total = sum(points for points, _ in for_running) - sum(points for points, _ in for_list)
    is_running = total >= 0
    signs = sorted(for_running if is_running else for_list, key=lambda sign: -sign[0])
    reason = " and ".join(words for _, words in signs[:2]) or "nothing suggests that its lines are separate texts"
    return RowsChoice("document" if is_running else "lines", reason, is_close=-2 < total < 2)


@dataclass(frozen=True)
class TextShape:
    """Shares (0 to 1) of a file's lines, and lengths of its lines."""

    blank: float  # of all lines
    complete: float  # of the others: end as sentences end
    continued: float  # go on in the next line, as far as a mark or a small letter shows
    indented: float
    posts: float  # have marks of posts: @name, #tag, a link
    middle_length: float  # characters, median
    wrapped: bool  # most lines are about as long as the longest, and many end inside a sentence
    paragraph: float  # lines between blank ones, mean
    cohesion: float | None  # words shared by neighbouring lines, for each word shared by distant ones; None if too few

    @classmethod
    def of(cls, lines: Sequence[str]) -> TextShape:
        """The shape of lines, two of them not blank."""
        texts = [line.rstrip() for line in lines if line.strip()]
        lengths = sorted(map(len, texts))
        width = lengths[int(0.95 * (len(lengths) - 1))]
        neighbours = list(neighbouring(lines))
        complete = sum(map(ends_sentence, texts)) / len(texts)
        near_width = sum(length >= 0.75 * width for length in lengths) / len(lengths)
        return cls(blank=1 - len(texts) / len(lines), complete=complete,
                   continued=sum(continues(*pair, width) for pair in neighbours) / max(1, len(texts) - 1),
                   indented=sum(text[:1].isspace() for text in texts) / len(texts),
                   posts=sum(POST_MARKS.search(text) is not None for text in texts) / len(texts),
                   middle_length=median(lengths), wrapped=near_width >= 0.6 and 40 <= width <= WRAP_WIDTH
                   and complete < 0.6, paragraph=len(texts) / paragraph_count(lines), cohesion=cohesion(texts))


def signs_of_running_text(shape: TextShape) -> list[tuple[int, str]]:
    """Points and words of what speaks for running text."""
    signs = []
    if shape.blank >= 0.01:
        signs.append((3 if shape.paragraph >= 1.5 or shape.middle_length >= LONG_LINE else 1,
                      f"blank lines ({shape.blank:.0%} of all) set paragraphs apart"))
    if shape.continued >= 0.05:
        signs.append((4 if shape.continued >= 0.15 else 2,
                      f"{shape.continued:.0%} of the lines continue in the next one"))
    if shape.wrapped:
        signs.append((2, "the lines are wrapped at one width"))
    if shape.middle_length >= LONG_LINE:
        signs.append((3, f"the lines are long, like paragraphs (half of them {shape.middle_length:,.0f} characters "
                         "or more)"))
    if shape.indented >= 0.2:
        signs.append((2, f"{shape.indented:.0%} of the lines are indented"))
    if shape.cohesion is not None and shape.cohesion >= 1.5:
        signs.append((3, f"neighbouring lines share {min(shape.cohesion, 99):.1f} times as many words as distant ones"))
    return signs


def signs_of_list(shape: TextShape) -> list[tuple[int, str]]:
    """Points and words of what speaks for texts of their own."""
    signs = []
    if shape.middle_length < LONG_LINE and shape.continued < 0.05 and not shape.wrapped:
        signs.append((2, f"the lines are short (half of them {shape.middle_length:,.0f} characters or less) and none "
                         "or few continue in the next one"))
        if shape.blank < 0.01:
            signs.append((1, "no blank lines set paragraphs apart"))
    if shape.posts >= 0.1:
        signs.append((7 if shape.posts >= 0.3 else 3,
                      f"{shape.posts:.0%} of the lines have marks of posts (@, #, links)"))
    if shape.cohesion is not None and shape.cohesion < 1.2:
        signs.append((2, "neighbouring lines have hardly more words in common than distant ones"))
    return signs


def neighbouring(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lines that stand one below the other, without a blank line between."""
    for line, next_line in itertools.pairwise(lines):
        if line.strip() and next_line.strip():
            yield line.rstrip(), next_line.strip()


def ends_sentence(line: str) -> bool:
    """Whether a line ends as a sentence does, quotes and brackets aside."""
    return line.rstrip(CLOSING_MARKS)[-1:] in tuple(TERMINATORS + WIDE_TERMINATORS)


def continues(line: str, next_line: str, width: int) -> bool:
    """Whether a line plainly goes on in the next: it ends with a comma or the like, or is full and the next begins
    small.
    """
    if ends_sentence(line):
        return False
    return line[-1] in CONTINUING_MARKS or (next_line[0].islower() and len(line) >= 0.6 * width and " " in line)


def paragraph_count(lines: Sequence[str]) -> int:
    """How many runs of lines there are between blank ones."""
    is_text = [bool(line.strip()) for line in lines]
    return max(1, sum(now and not before for before, now in zip([False, *is_text], is_text, strict=False)))


def cohesion(texts: Sequence[str]) -> float | None:
    """How many more words neighbouring texts share than distant ones (Hearst 1997, TextTiling: lexical cohesion).

    Words that are in more than 5 % of the texts count as none. None where too few texts have words to share.
    """
    word_sets = [set(WORD.findall(text.lower())) for text in texts]
    frequencies = Counter(word for words in word_sets for word in words)
    usual = {word for word, count in frequencies.items() if count > max(3, 0.05 * len(texts))}
    word_sets = [words - usual for words in word_sets]
    if len(texts) < LEAST_PAIRS + DISTANCE:
        return None
    shared_near = [len(words & next_words) for words, next_words in itertools.pairwise(word_sets)]
    shared_far = [len(words & distant_words)
                  for words, distant_words in zip(word_sets, word_sets[DISTANCE:], strict=False)]
    near_mean, far_mean = sum(shared_near) / len(shared_near), sum(shared_far) / len(shared_far)
    if near_mean * len(shared_near) < 10:  # too few shared words to tell
        return None
    return near_mean / max(far_mean, 1 / len(shared_far))
