"""Where sentences begin and end; nothing of the text is lost, and every sentence keeps its offsets.

A sentence ends at a full stop, question or exclamation mark (or …) with the quotes and brackets that close after it,
when space or the end of the text follows; at a Chinese or Japanese one also without space; and at an empty line. It
does not
end after an abbreviation ("Dr. Reed", "e.g. tea"), an initial ("J. R. Reed"), a number before a small letter ("on the
3. of May"), inside a number ("3.5") or an address ("https://example.org/a.b?c"), or before a small letter or a comma.
In a text without any capital letter a small one may begin a sentence. Abbreviations are English and German ones; one
that may close a sentence ("etc.", "Inc.") does so before a capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Never the last word of a sentence: what they belong to follows.
TITLES = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "sen", "rep", "gov", "gen", "col", "capt", "lt", "sgt", "cmdr",
    "pres", "supt",
    "messrs", "mme", "mlle", "vs", "cf", "viz", "approx", "dept", "fig", "figs", "eq", "eqs", "sec", "vol", "vols",
    "ch", "chap", "pp",
    "nos", "art", "e.g", "i.e", "z.b", "d.h", "u.a", "bzw", "ca", "vgl", "hr", "fr", "nr", "abb", "tab", "bspw", "sog",
    "inkl", "zzgl"))
# May be the last word: a capital letter after them begins a sentence.
CLOSING_ABBREVIATIONS = frozenset((
    "etc", "inc", "ltd", "co", "corp", "bros", "jr", "sr", "al", "ph.d", "m.d", "b.a", "m.a", "a.m", "p.m", "jan",
    "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "usw",
    "ff", "str", "ave", "blvd", "no", "est", "min", "max", "ed", "eds", "ser"))
# "no." is an abbreviation before a number only: "No. 5" but "She said no."
NUMBER_ABBREVIATIONS = frozenset((
    "no", "nos", "nr", "p", "pp", "fig", "vol", "ch", "sec", "art", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
    "sep", "sept", "oct", "nov", "dec"))
GERMAN_MONTHS = frozenset((
    # "am 3. Mai"
    "januar", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november",
    "dezember"))
SENTENCE_STARTERS = frozenset((
    "the", "a", "an", "he", "she", "it", "they", "we", "you", "this", "that", "these", "those", "there", "in", "on",
    "at", "but", "and", "if", "when", "while", "after", "as", "for", "his", "her"))
TERMINATORS = ".!?…"
WIDE_TERMINATORS = "。！？｡"  # no space follows them
CLOSING_MARKS = "\"'”’»)]}›」』）】＂"
# No mark is looked at twice (++, *+, and no begin inside a run of marks), so that a megabyte of dots takes no hours.
SENTENCE_END = (re.compile(rf"[{WIDE_TERMINATORS}][{WIDE_TERMINATORS}{TERMINATORS}{re.escape(CLOSING_MARKS)}]*|"
                           rf"(?<![{TERMINATORS}])[{TERMINATORS}]++[{re.escape(CLOSING_MARKS)}]*+(?=\s|$|[\[(]\d+[\])])|\n[^\S\n]*(?=\n)"))
NEXT_WORD = re.compile(r"[\s\"'“„‘«(\[{‹]*(\w+|\S?)")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Begin and end of each sentence, without the space around it; only space lies between two of them."""
    spans = []
    start = 0
    for end in sentence_ends(text):
        sentence = text[start:end]
        indent = len(sentence) - len(sentence.lstrip())
        if indent < len(sentence):
            spans.append((start + indent, start + len(sentence.rstrip())))
        start = end
    return spans


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_ends(text: str) -> Iterator[int]:
    """Where a sentence ends, ascending; the end of the text last."""
    all_lowercase = text == text.lower()
    for match in SENTENCE_END.finditer(text):
        unambiguous = match.group()[0] in WIDE_TERMINATORS or match.group()[0] == "\n"
        if unambiguous or ends_sentence(text, match.start(), match.end(), all_lowercase=all_lowercase):
            yield match.end()
    yield len(text)


def ends_sentence(text: str, terminator: int, end: int, *, all_lowercase: bool) -> bool:
    """Whether the mark at `terminator`, with the closing quotes up to `end`, ends a sentence; `all_lowercase`: of the
    text.
    """
    next_match = NEXT_WORD.match(text, end)
    next_word = next_match.group(1) if next_match else ""
    if not next_word:
        return True
    if (next_word[0].islower() and not all_lowercase) or next_word[0] in ",;:":
        return False
    if text[terminator] != "." or text[terminator:end].rstrip(CLOSING_MARKS) != ".":
        return True
    previous_word = word_before(text, terminator)
    return not is_abbreviation(previous_word.upper() if all_lowercase and len(previous_word) == 1 else previous_word,
                               next_word)


def word_before(text: str, terminator: int) -> str:
    """The letters, digits, inner full stops and hyphens before a mark; a long run is no abbreviation."""
    start = terminator
    while start > max(0, terminator - 20) and (text[start - 1].isalnum() or text[start - 1] in ".-&"):
        start -= 1
    return text[start:terminator].lstrip(".-&")


def is_abbreviation(word: str, next_word: str) -> bool:
    """Whether a full stop belongs to the word, by the word that follows it."""
    lowered = word.lower()
    if next_word[0].isdigit():
        return lowered in NUMBER_ABBREVIATIONS or lowered in TITLES or is_initial(word)
    if lowered in CLOSING_ABBREVIATIONS:
        return False
    if word.isdigit() and len(word) < 3:
        return next_word.lower() in GERMAN_MONTHS
    return lowered in TITLES or (is_initial(word) and not (len(word) > 1 and next_word.lower() in SENTENCE_STARTERS))


def is_initial(word: str) -> bool:
    """A capital letter alone, or several separated by full stops or hyphens ("J", "J.R", "J.-P"); but not "I", the
    pronoun.
    """
    parts = re.split(r"[.\-]+", word)
    return word != "I" and all(len(part) == 1 and part.isupper() for part in parts)
