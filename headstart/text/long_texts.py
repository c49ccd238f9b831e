"""Texts of any length as tokens, in flat memory: tokenised window by window, with the tokens of the text as a whole.

Windows overlap. Near a window's border the tokens may be others than in the text, so each window hands over to the next
in the middle of their overlap, where both have the same tokens to the left and to the right.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headstart.contract import Tokenizer

WINDOW, OVERLAP = 2**17, 2**12  # characters that are tokenised at once, and that neighbours share
AGREEMENT = 8  # tokens on each side of a handover that must be the same


@dataclass(frozen=True)
class TokenRun:
    """Tokens of a text, (L,): ids, and the characters of the text at which each begins and ends."""

    ids: array[int]
    starts: array[int]
    ends: array[int]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, begin: int, end: int) -> TokenRun:
        """The tokens from one place to another."""
        return TokenRun(self.ids[begin:end], self.starts[begin:end], self.ends[begin:end])

    def triples(self) -> list[tuple[int, int, int]]:
        """Each token as one value: (start, end, id)."""
        return list(zip(self.starts, self.ends, self.ids, strict=True))


def tokenize_pieces(pieces: Iterable[str], tokenizer: Tokenizer, *, window: int = WINDOW,
                    overlap: int = OVERLAP) -> Iterator[TokenRun]:
    """The tokens of the text that these pieces are, one after the other, window by window.

    They are those of tokenising the text whole. Where two windows agree nowhere in their overlap (one letter repeated
    over pages), the text is cut between two tokens there: still every character has its token.
    """
    text, start = "", 0  # what was not handed over yet, and the character of the document that it begins at
    last_run: TokenRun | None = None  # the tokens of this text's beginning, as the window before has them
    for piece in pieces:
        text += piece
        if len(text) >= window:
            ready, run = join_windows(last_run, text, start, tokenizer)
            yield ready
            border = start + len(text) - overlap
            sure = next((index for index, position in enumerate(run.starts) if position >= border), len(run))
            yield run.part(0, sure)
            last_run, text, start = run.part(sure, len(run)), text[-overlap:], border
    yield from join_windows(last_run, text, start, tokenizer)


def token_run(text: str, start: int, tokenizer: Tokenizer) -> TokenRun:
    """The tokens of a window that begins at this character of the document."""
    tokens = tokenizer.tokenize(text)
    assert tokens.offsets is not None, "blocks of running text need a tokenizer that gives offsets"
    return TokenRun(array("i", tokens.ids), array("q", (begin + start for begin, _ in tokens.offsets)),
                    array("q", (end + start for _, end in tokens.offsets)))


def join_windows(last_run: TokenRun | None, text: str, start: int, tokenizer: Tokenizer) -> tuple[TokenRun, TokenRun]:
    """What is left to take of the last window's tokens, and this window's tokens from there on."""
    run = token_run(text, start, tokenizer)
    if last_run is None or not len(last_run):
        return run.part(0, 0), run
    places = handover(last_run, run)
    if places is not None:
        return last_run.part(0, places[0]), run.part(places[1], len(run))
    index = border_near(last_run, len(last_run) // 2)
    cut = last_run.starts[index] - start
    return last_run.part(0, index), token_run(text[cut:], start + cut, tokenizer)


def handover(last_run: TokenRun, run: TokenRun) -> tuple[int, int] | None:
    """The places nearest the middle where the runs agree on both sides; None where they do nowhere."""
    last_triples, triples = last_run.triples(), run.triples()
    places = {triple: place for place, triple in enumerate(triples)}
    middle = len(last_triples) // 2
    for index in sorted(range(len(last_triples)), key=lambda index: abs(index - middle)):
        place = places.get(last_triples[index])
        if place is None:
            continue
        has_room = min(index, place) >= AGREEMENT and len(last_triples) >= index + AGREEMENT
        if has_room and last_triples[index - AGREEMENT:index + AGREEMENT] == triples[place - AGREEMENT:
                                                                                   place + AGREEMENT]:
            return index, place
    return None


def border_near(run: TokenRun, middle: int) -> int:
    """The token nearest this place that begins where the one before has ended (two may share a character)."""
    return min((index for index in range(len(run)) if not index or run.starts[index] >= run.ends[index - 1]),
               key=lambda index: abs(index - middle))
