"""Words as the Moses tokenizer cuts them, and the characters of each word.

    The “well-known” 1,500…
    words       The  "    well  @-@    known   "      1      @,@    500    ...
    characters  0:3  4:5  5:9   9:10   10:15   15:16  17:18  18:19  19:22  22:23

The normaliser turns quotation marks and the like into plain ones, by patterns that are followed character by
character here; the tokenizer then only adds and removes blanks, and writes a dash as @-@. English marks after a closing
quotation mark are put before it, so that two neighbouring words may stand the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError

IN_NUMBERS = re.compile(r"(?<=\d)[,.](?=\d)")
MARKED = {"@-@": "-", "@,@": ",", "@.@": "."}  # what the word stands for
DOTS = re.compile("(?:DOT)+MULTI")  # the tokenizer's own sign for a row of dots; also taken for one where a text has it
CONTROLS = r"[\x00-\x08\x0e-\x1b]"  # dropped by the tokenizer; the others below 32 are blanks
GROUP = re.compile(r"\\g<(\d+)>")
Span = tuple[int, int]


class MissingPackage(UserError, ImportError):
    """sacremoses is not installed."""


@dataclass(frozen=True)
class Tracked:
    """A text on its way, and the characters of the first text that each of its own came from."""

    text: str
    spans: Sequence[Span]

    def replaced(self, pattern: str, template: str) -> Tracked:
        """After `re.sub(pattern, template, text)`."""
        parts: list[str] = []
        spans: list[Span] = []
        at = 0
        for match in re.finditer(pattern, self.text):
            new, sources = self.filled(match, template)
            parts += [self.text[at:match.start()], new]
            spans += [*self.spans[at:match.start()], *sources]
            at = match.end()
        if not at:
            return self
        return Tracked("".join([*parts, self.text[at:]]), [*spans, *self.spans[at:]])

    def filled(self, match: re.Match[str], template: str) -> tuple[str, list[Span]]:
        """What takes a match's place: groups keep their characters, the rest comes from what lay outside groups."""
        pieces = GROUP.split(template)  # literal, group, literal, group …
        groups = [int(number) for number in pieces[1::2]]
        text, spans = "", []
        for place, literal in enumerate(pieces[::2]):
            # A literal first in the template may stand for what comes last in the match: "(…) becomes (…)".
            begin = match.end(groups[place - 1]) if place else match.start()
            end = match.start(groups[place]) if place < len(groups) else match.end()
            if literal and begin >= end and groups:
                begin, end = outside(match, groups)
            text += literal
            spans += self.copied(literal, begin, end)
            if place < len(groups):
                text += match[groups[place]]
                spans += self.spans[match.start(groups[place]):match.end(groups[place])]
        return text, spans

    def copied(self, literal: str, begin: int, end: int) -> list[Span]:
        """The sources of a literal that stands for [begin, end): like ends one to one, the middle as a whole."""
        old = self.text[begin:end]
        head = 0
        while head < min(len(old), len(literal)) and old[head] == literal[head]:
            head += 1
        tail = 0
        while tail < min(len(old), len(literal)) - head and old[-1 - tail] == literal[-1 - tail]:
            tail += 1
        middle = (begin + head, end - tail)
        if middle[0] < middle[1]:
            whole = (self.spans[middle[0]][0], self.spans[middle[1] - 1][1])
        else:
            edge = self.spans[middle[0]][0] if middle[0] < len(self.spans) else self.spans[-1][1]
            whole = (edge, edge)
        return [*self.spans[begin:begin + head], *[whole] * (len(literal) - head - tail), *self.spans[end - tail:end]]


def outside(match: re.Match[str], groups: Sequence[int]) -> Span:
    """The part of a match before its first group or after its last, whichever there is."""
    first, last = match.start(groups[0]), match.end(groups[-1])
    return (match.start(), first) if first > match.start() else (last, match.end())


def lowered(text: Tracked) -> Tracked:
    """In small letters; one letter may become two (İ)."""
    spans = [span for letter, span in zip(text.text, text.spans, strict=True) for _ in letter.lower()]
    return Tracked(text.text.lower(), spans)


class Moses:
    """The Moses rules for English; raises MissingPackage without sacremoses. `kept` are words that are never cut."""

    def __init__(self, kept: Sequence[str]) -> None:
        try:
            import sacremoses
        except ImportError:
            raise MissingPackage("The words of a Transformer-XL are cut by sacremoses, which is not installed.",
                                 fix="pip install 'headstart[transfo-xl]'", exit=Exit.UNAVAILABLE) from None
        self.normaliser: Any = sacremoses.MosesPunctNormalizer("en")
        self.tokenizer: Any = sacremoses.MosesTokenizer("en")
        self.joiner: Any = sacremoses.MosesDetokenizer("en")
        self.kept = [re.escape(word) for word in kept]

    def words(self, text: str, *, lower: bool) -> list[str]:
        """The words of a text."""
        text = text.strip()
        return self.cut(self.normaliser.normalize(text.lower() if lower else text))

    def cut(self, normal: str) -> list[str]:
        """The words of a text with plain punctuation; numbers at their commas and points."""
        try:
            words = self.tokenizer.tokenize(normal, aggressive_dash_splits=True, escape=False, protected_patterns=self.kept)
        except ValueError as error:  # a limit of sacremoses: 1,000 special words in other letters, as <EOS>
            raise UserError(f"The text cannot be cut into words: {error}.", fix="Give the text in parts.", exit=Exit.DATA) from None
        return [part for word in words for part in IN_NUMBERS.sub(r" @\g<0>@ ", word).split()]

    def join(self, words: Sequence[str]) -> str:
        """Words as a text again."""
        text: str = self.joiner.detokenize(list(words), unescape=False)
        return text.replace(" @,@ ", ",").replace(" @.@ ", ".").strip()

    def places(self, text: str, *, lower: bool) -> tuple[list[str], list[Span]]:
        """The same words as `words`, and the characters [begin, end) of each in the text."""
        begin = len(text) - len(text.lstrip())
        stripped = text.strip()
        tracked = Tracked(stripped, [(place, place + 1) for place in range(begin, begin + len(stripped))])
        if lower:
            tracked = lowered(tracked)
        for pattern, template in self.normaliser.substitutions:
            tracked = tracked.replaced(pattern, template)
        words = self.cut(tracked.text.strip())
        tracked = tracked.replaced(CONTROLS, "")
        return words, [trimmed(text, tracked.spans[first:last]) for first, last in found(words, tracked.text)]


def found(words: Sequence[str], text: str) -> list[Span]:
    """Where each word stands in the text that it was cut from: only blanks were added or dropped."""
    places: list[Span] = []
    at = 0
    for word in words:
        at = skipped(text, at)
        begin = at
        if word in MARKED and not text.startswith(word, at):
            word = MARKED[word]
        number = 0
        while number < len(word):
            at = skipped(text, at) if number else at
            dots = DOTS.match(text, at) if word[number] == "." else None
            if dots:
                number += (len(dots[0]) - 5) // 3
                at = dots.end()
            elif text[at:at + 1] == word[number]:
                number, at = number + 1, at + 1
            else:
                raise UserError(f"The characters of the word {word!r:.60} cannot be told in the text.",
                                fix="Leave the signs around it out.", exit=Exit.DATA)
        places.append((begin, at))
    return places


def skipped(text: str, at: int) -> int:
    """The next character that is no blank."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def trimmed(text: str, spans: Sequence[Span]) -> Span:
    """From the first to the last character of all spans, without blanks at the edges.

    A blank alone stays: the hard one of 1 000, which is read as a point.
    """
    begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
    if text[begin:end].isspace():
        return begin, end
    while begin < end and text[begin].isspace():
        begin += 1
    while begin < end and text[end - 1].isspace():
        end -= 1
    return begin, end
