"""A text, or a pair, as the model reads it: each token with its piece, characters, segment and owner."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headstart.contract import Feature
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.contract import Json
    from headstart.models.model import Model

# A word is a run of letters and digits, or one sign; scripts without spaces count by the character.
ALONE = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+|[^\w\s]")


@dataclass(frozen=True)
class Token:
    """One token of the model's input.

    `part` says whose it is: "text", "pair", or None for what the model's own form adds ([CLS], </s> …). `begin` and
    `end` are characters of that part; None where there are none. `segment` is the segment number that the model sees.
    """

    id: int
    piece: str
    begin: int | None
    end: int | None
    segment: int
    part: Literal["text", "pair"] | None

    @property
    def special(self) -> bool:
        """Whether the model's form added it."""
        return self.part is None

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        return {"id": self.id, "piece": self.piece, "begin": self.begin, "end": self.end, "segment": self.segment,
                "special": self.special, "part": self.part}


@dataclass(frozen=True)
class Encoded:
    """A text (and its pair) with its tokens, special ones included."""

    text: str
    pair: str | None
    tokens: tuple[Token, ...]

    @property
    def feature(self) -> Feature:
        """The same as model input."""
        return Feature([token.id for token in self.tokens], [token.segment for token in self.tokens])

    def source(self, token: Token) -> str:
        """The characters that a token came from; "" where none did."""
        held = self.pair if token.part == "pair" else self.text
        return "" if held is None or token.begin is None else held[token.begin:token.end]


@dataclass(frozen=True)
class Word:
    """A word of the text or of its pair, and the places of its tokens."""

    text: str
    part: Literal["text", "pair"]
    begin: int
    end: int
    places: tuple[int, ...]


def encode(model: Model, text: str, pair: str | None = None) -> Encoded:
    """The tokens of a text or a pair, whole; raises UserError (65) for one without characters or too long to read at once."""
    names: tuple[Literal["text", "pair"], ...] = ("text", "pair") if pair is not None else ("text",)
    given = [text] if pair is None else [text, pair]
    for name, held in zip(names, given, strict=True):
        if not held.strip():
            raise UserError(f"The {name} needs at least one character, but it is {'empty' if not held else 'only space'}.",
                            fix="Give a text.", exit=Exit.DATA)
    held_tokens = [model.tokenizer.tokenize(held) for held in given]
    # Laid out with marks in the place of ids, every family's own form shows whose each place is.
    marks, segments = model.tokenizer.lay_out(*([-1 - number] * len(held.ids) for number, held in enumerate(held_tokens)))
    ids, _ = model.tokenizer.lay_out(*(held.ids for held in held_tokens))
    if len(ids) > model.tokenizer.longest:
        raise UserError(f"{model.facts.reference} reads at most {model.tokenizer.longest:,} tokens at once, but the text has "
                        f"{len(ids):,} (special tokens included).", fix="Inspect a part of it.", exit=Exit.DATA)
    offsets: list[tuple[int | None, int | None]] = []
    for one in held_tokens:
        offsets += one.offsets if one.offsets is not None else [(None, None)] * len(one.ids)
    characters = iter(offsets)
    found = []
    for number, piece, mark, segment in zip(ids, model.tokenizer.pieces(ids), marks, segments, strict=True):
        begin, end = next(characters) if mark < 0 else (None, None)
        seen = int(segment) if model.facts.row.has_types else 0
        found.append(Token(int(number), piece, begin, end, seen, names[-1 - mark] if mark < 0 else None))
    return Encoded(text, pair, tuple(found))


def words(encoded: Encoded) -> list[Word]:
    """The words of the text, then of the pair, each with its tokens; a token of several words goes to the first one.

    Where the tokenizer knows no characters, each token is a word.
    """
    found = []
    parts: list[tuple[Literal["text", "pair"], str | None]] = [("text", encoded.text), ("pair", encoded.pair)]
    for part, held in parts:
        if held is None:
            continue
        places = [place for place, token in enumerate(encoded.tokens) if token.part == part]
        if any(encoded.tokens[place].begin is None for place in places):
            found += [Word(encoded.tokens[place].piece, part, 0, 0, (place,)) for place in places]
            continue
        borders = [match.span() for match in WORD.finditer(held)]
        owner = owners(encoded, places, borders, held)
        for number, (begin, end) in enumerate(borders):
            mine = tuple(place for place in places if owner[place] == number)
            if mine:
                last = max(end, *(encoded.tokens[place].end or 0 for place in mine))  # "'t" may be one token
                found.append(Word(held[begin:last], part, begin, last, mine))
    return found


def owners(encoded: Encoded, places: Sequence[int], borders: Sequence[tuple[int, int]], held: str) -> dict[int, int]:
    """The word of each token: the one that holds its first character that is no space, else the nearest before."""
    import bisect

    begins = [begin for begin, _ in borders]
    found = {}
    for place in places:
        token = encoded.tokens[place]
        assert token.begin is not None and token.end is not None
        inside = held[token.begin:token.end]
        at = token.begin + len(inside) - len(inside.lstrip())
        found[place] = max(0, bisect.bisect_right(begins, at) - 1)
    return found
