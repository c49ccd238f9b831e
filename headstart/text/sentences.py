"""Where sentences begin and end; nothing of the text is lost, and every sentence keeps its place.

A sentence ends at a full stop, question or exclamation mark (or …) with the quotes and brackets that close after it, when
space or the end of the text follows; at a Chinese or Japanese one also without space; and at an empty line. It does not
end after an abbreviation ("Dr. Reed", "e.g. tea"), an initial ("J. R. Reed"), a number before a small letter ("on the 3.
of May"), inside a number ("3.5") or an address ("https://example.org/a.b?c"), or before a small letter or a comma.
In a text without any capital letter a small one may begin a sentence. Abbreviations are English and German ones; one that
may close a sentence ("etc.", "Inc.") does so before a capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Never the last word of a sentence: what they belong to follows.
TITLES = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "sen", "rep", "gov", "gen", "col", "capt", "lt", "sgt", "cmdr", "pres", "supt",
    "messrs", "mme", "mlle", "vs", "cf", "viz", "approx", "dept", "fig", "figs", "eq", "eqs", "sec", "vol", "vols", "ch", "chap", "pp",
    "nos", "art", "e.g", "i.e", "z.b", "d.h", "u.a", "bzw", "ca", "vgl", "hr", "fr", "nr", "abb", "tab", "bspw", "sog", "inkl", "zzgl"))
# May be the last word: a capital letter after them begins a sentence.
CLOSING = frozenset((
    "etc", "inc", "ltd", "co", "corp", "bros", "jr", "sr", "al", "ph.d", "m.d", "b.a", "m.a", "a.m", "p.m", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "usw", "ff", "str", "ave",
    "blvd", "no", "est", "min", "max", "ed", "eds", "ser"))
# "no." is an abbreviation before a number only: "No. 5" but "She said no."
BEFORE_NUMBER = frozenset(("no", "nos", "nr", "p", "pp", "fig", "vol", "ch", "sec", "art", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
                           "sep", "sept", "oct", "nov", "dec"))
MONTHS = frozenset((
    "januar", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november", "dezember"))  # "am 3. Mai"
STARTERS = frozenset((
    "the", "a", "an", "he", "she", "it", "they", "we", "you", "this", "that", "these", "those", "there", "in", "on", "at", "but", "and",
    "if", "when", "while", "after", "as", "for", "his", "her"))
MARKS = ".!?…"
WIDE = "。！？｡"  # no space follows them
CLOSERS = "\"'”’»)]}›」』）】＂"
# No mark is looked at twice (++, *+, and no begin inside a run of marks), so that a megabyte of dots takes no hours.
END = re.compile(rf"[{WIDE}][{WIDE}{MARKS}{re.escape(CLOSERS)}]*|"
                 rf"(?<![{MARKS}])[{MARKS}]++[{re.escape(CLOSERS)}]*+(?=\s|$|[\[(]\d+[\])])|\n[^\S\n]*(?=\n)")
NEXT = re.compile(r"[\s\"'“„‘«(\[{‹]*(\w+|\S?)")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Begin and end of each sentence, without the space around it; only space lies between two of them."""
    found = []
    begin = 0
    for end in ends(text):
        part = text[begin:end]
        lead = len(part) - len(part.lstrip())
        if lead < len(part):
            found.append((begin + lead, begin + len(part.rstrip())))
        begin = end
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [text[begin:end] for begin, end in sentence_spans(text)]


def ends(text: str) -> Iterator[int]:
    """Where a sentence ends, ascending; the end of the text last."""
    small = text == text.lower()
    for found in END.finditer(text):
        if found.group()[0] in WIDE or found.group()[0] == "\n" or closes(text, found.start(), found.end(), small=small):
            yield found.end()
    yield len(text)


def closes(text: str, mark: int, after: int, *, small: bool) -> bool:
    """Whether the mark at a place, with what closes after it, ends a sentence; `small`: the text has no capital letter."""
    follows = NEXT.match(text, after)
    word = follows.group(1) if follows else ""
    if not word:
        return True
    if (word[0].islower() and not small) or word[0] in ",;:":
        return False
    if text[mark] != "." or text[mark:after].rstrip(CLOSERS) != ".":
        return True
    before = word_before(text, mark)
    return not abbreviated(before.upper() if small and len(before) == 1 else before, word)


def word_before(text: str, mark: int) -> str:
    """The letters, digits, inner full stops and hyphens that a mark follows; a long run is no abbreviation."""
    begin = mark
    while begin > max(0, mark - 20) and (text[begin - 1].isalnum() or text[begin - 1] in ".-&"):
        begin -= 1
    return text[begin:mark].lstrip(".-&")


def abbreviated(word: str, follows: str) -> bool:
    """Whether a full stop belongs to the word, by the word that follows it."""
    small = word.lower()
    if follows[0].isdigit():
        return small in BEFORE_NUMBER or small in TITLES or initial(word)
    if small in CLOSING:
        return False
    if word.isdigit() and len(word) < 3:
        return follows.lower() in MONTHS
    return small in TITLES or (initial(word) and not (len(word) > 1 and follows.lower() in STARTERS))


def initial(word: str) -> bool:
    """A capital letter alone, or several parted by full stops or hyphens ("J", "J.R", "J.-P"); but not "I", the pronoun."""
    parts = re.split(r"[.\-]+", word)
    return word != "I" and all(len(part) == 1 and part.isupper() for part in parts)
