"""Words as the Moses tokenizer splits them, and the characters of each word.

    The “well-known” 1,500…
    words       The  "    well  @-@    known   "      1      @,@    500    ...
    characters  0:3  4:5  5:9   9:10   10:15   15:16  17:18  18:19  19:22  22:23

The normaliser replaces quotation marks and the like by plain ones, with patterns that are tracked character by
character here; the tokenizer then only adds and removes blanks, and writes a dash as @-@. English marks after a closing
quotation
mark are put before it, so that two neighbouring words may change places.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError

IN_NUMBERS = re.compile(r"(?<=\d)[,.](?=\d)")
ESCAPED_MARKS = {"@-@": "-", "@,@": ",", "@.@": "."}  # the character that the word escapes
DOTS = re.compile("(?:DOT)+MULTI")  # the tokenizer's own sign for a row of dots; also taken for one where a text has it
CONTROLS = r"[\x00-\x08\x0e-\x1b]"  # dropped by the tokenizer; the others below 32 are blanks
GROUP = re.compile(r"\\g<(\d+)>")
Span = tuple[int, int]


class MissingPackage(UserError, ImportError):
    """sacremoses is not installed."""


@dataclass(frozen=True)
class TrackedText:
    """A rewritten text, and for each of its characters the span of the original text that it came from."""

    text: str
    spans: Sequence[Span]

    def substituted(self, pattern: str, template: str) -> TrackedText:
        """After `re.sub(pattern, template, text)`."""
        pieces: list[str] = []
        spans: list[Span] = []
        position = 0
        for match in re.finditer(pattern, self.text):
            replacement, source_spans = self.filled_template(match, template)
            pieces += [self.text[position:match.start()], replacement]
            spans += [*self.spans[position:match.start()], *source_spans]
            position = match.end()
        if not position:
            return self
        return TrackedText("".join([*pieces, self.text[position:]]), [*spans, *self.spans[position:]])

    def filled_template(self, match: re.Match[str], template: str) -> tuple[str, list[Span]]:
        """A match's replacement and its spans: groups keep their characters, literals come from outside the groups."""
        pieces = GROUP.split(template)  # literal, group, literal, group …
        groups = [int(group) for group in pieces[1::2]]
        text, spans = "", []
        for index, literal in enumerate(pieces[::2]):
            # A literal first in the template may come from the end of the match: "(…) becomes (…)".
            start = match.end(groups[index - 1]) if index else match.start()
            end = match.start(groups[index]) if index < len(groups) else match.end()
            if literal and start >= end and groups:
                start, end = span_outside_groups(match, groups)
            text += literal
            spans += self.literal_spans(literal, start, end)
            if index < len(groups):
                text += match[groups[index]]
                spans += self.spans[match.start(groups[index]):match.end(groups[index])]
        return text, spans

    def literal_spans(self, literal: str, start: int, end: int) -> list[Span]:
        """The spans of a literal that replaces [start, end): equal prefix and suffix one to one, the middle as one
        span.
        """
        original = self.text[start:end]
        shorter = min(len(original), len(literal))
        prefix_length = 0
        while prefix_length < shorter and original[prefix_length] == literal[prefix_length]:
            prefix_length += 1
        suffix_length = 0
        while suffix_length < shorter - prefix_length and original[-1 - suffix_length] == literal[-1 - suffix_length]:
            suffix_length += 1
        middle = (start + prefix_length, end - suffix_length)
        if middle[0] < middle[1]:
            middle_span = (self.spans[middle[0]][0], self.spans[middle[1] - 1][1])
        else:
            edge = self.spans[middle[0]][0] if middle[0] < len(self.spans) else self.spans[-1][1]
            middle_span = (edge, edge)
        middle_length = len(literal) - prefix_length - suffix_length
        return [*self.spans[start:start + prefix_length], *[middle_span] * middle_length,
                *self.spans[end - suffix_length:end]]


def span_outside_groups(match: re.Match[str], groups: Sequence[int]) -> Span:
    """The part of a match before its first group or after its last, whichever there is."""
    first_start, last_end = match.start(groups[0]), match.end(groups[-1])
    return (match.start(), first_start) if first_start > match.start() else (last_end, match.end())


def lowercased(text: TrackedText) -> TrackedText:
    """In lower case; one letter may become two (İ)."""
    spans = [span for letter, span in zip(text.text, text.spans, strict=True) for _ in letter.lower()]
    return TrackedText(text.text.lower(), spans)


class Moses:
    """The Moses rules for English; raises MissingPackage without sacremoses. `protected_words` are never split."""

    def __init__(self, protected_words: Sequence[str]) -> None:
        try:
            import sacremoses
        except ImportError:
            raise MissingPackage("The words of a Transformer-XL are split by sacremoses, which is not installed.",
                                 fix="pip install 'headstart[transfo-xl]'", exit=Exit.UNAVAILABLE) from None
        self.normaliser: Any = sacremoses.MosesPunctNormalizer("en")
        self.tokenizer: Any = sacremoses.MosesTokenizer("en")
        self.detokenizer: Any = sacremoses.MosesDetokenizer("en")
        self.protected_patterns = [re.escape(word) for word in protected_words]

    def words(self, text: str, *, lower: bool) -> list[str]:
        """The words of a text."""
        text = text.strip()
        return self.split(self.normaliser.normalize(text.lower() if lower else text))

    def split(self, normal: str) -> list[str]:
        """The words of a text with plain punctuation; numbers at their commas and points."""
        try:
            words = self.tokenizer.tokenize(normal, aggressive_dash_splits=True, escape=False,
                                            protected_patterns=self.protected_patterns)
        except ValueError as error:  # a limit of sacremoses: 1,000 special words in other letters, as <EOS>
            raise UserError(f"The text cannot be split into words: {error}.", fix="Give the text in parts.",
                            exit=Exit.DATA) from None
        return [piece for word in words for piece in IN_NUMBERS.sub(r" @\g<0>@ ", word).split()]

    def join(self, words: Sequence[str]) -> str:
        """Words as a text again."""
        text: str = self.detokenizer.detokenize(list(words), unescape=False)
        return text.replace(" @,@ ", ",").replace(" @.@ ", ".").strip()

    def words_and_spans(self, text: str, *, lower: bool) -> tuple[list[str], list[Span]]:
        """The same words as `words`, and the characters [start, end) of each in the text."""
        indent = len(text) - len(text.lstrip())
        stripped = text.strip()
        tracked = TrackedText(stripped, [(position, position + 1)
                                         for position in range(indent, indent + len(stripped))])
        if lower:
            tracked = lowercased(tracked)
        for pattern, template in self.normaliser.substitutions:
            tracked = tracked.substituted(pattern, template)
        words = self.split(tracked.text.strip())
        tracked = tracked.substituted(CONTROLS, "")
        return words, [covering_span(text, tracked.spans[start:end]) for start, end in align_words(words, tracked.text)]


def align_words(words: Sequence[str], text: str) -> list[Span]:
    """The span of each word in the text that it was split from: only blanks were added or dropped."""
    spans: list[Span] = []
    position = 0
    for word in words:
        position = skip_blanks(text, position)
        start = position
        if word in ESCAPED_MARKS and not text.startswith(word, position):
            word = ESCAPED_MARKS[word]
        index = 0
        while index < len(word):
            position = skip_blanks(text, position) if index else position
            dots = DOTS.match(text, position) if word[index] == "." else None
            if dots:
                index += (len(dots[0]) - 5) // 3
                position = dots.end()
            elif text[position:position + 1] == word[index]:
                index, position = index + 1, position + 1
            else:
                raise UserError(f"The characters of the word {word!r:.60} cannot be aligned with the text.",
                                fix="Leave the signs around it out.", exit=Exit.DATA)
        spans.append((start, position))
    return spans


def skip_blanks(text: str, position: int) -> int:
    """The next character that is no blank."""
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def covering_span(text: str, spans: Sequence[Span]) -> Span:
    """From the first to the last character of all spans, without blanks at the edges.

    A blank alone stays: the hard one of 1 000, which is read as a point.
    """
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    if text[start:end].isspace():
        return start, end
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
