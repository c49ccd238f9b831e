"""A text, or a pair, as the model reads it: each token with its piece, characters, segment and part (text or pair)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headstart.contract import Feature, Tokens
from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.contract import Json
    from headstart.models.model import Model

# A word is a run of letters and digits, or one sign; in scripts without spaces each character is a word.
UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True)
class Token:
    """One token of the model's input.

    `part` is the text that it belongs to: "text", "pair", or None for a special token ([CLS], </s> …). `begin` and
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
        """Whether it belongs to neither text."""
        return self.part is None

    def json(self) -> dict[str, Json]:
        """As the command line prints it."""
        return {"id": self.id, "piece": self.piece, "begin": self.begin, "end": self.end, "segment": self.segment,
                "special": self.special, "part": self.part}


@dataclass(frozen=True)
class EncodedText:
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
        text = self.pair if token.part == "pair" else self.text
        return "" if text is None or token.begin is None else text[token.begin:token.end]


@dataclass(frozen=True)
class Word:
    """A word of the text or of its pair, and the indices of its tokens."""

    text: str
    part: Literal["text", "pair"]
    begin: int
    end: int
    token_indices: tuple[int, ...]


def encode(model: Model, text: str, pair: str | None = None) -> EncodedText:
    """The tokens of a text or a pair, uncut; raises UserError (65) for one without characters or longer than the model
    reads.
    """
    names: tuple[Literal["text", "pair"], ...] = ("text", "pair") if pair is not None else ("text",)
    texts = [text] if pair is None else [text, pair]
    for name, part_text in zip(names, texts, strict=True):
        if not part_text.strip():
            raise UserError(f"The {name} needs at least one character, but it is "
                            f"{'empty' if not part_text else 'only space'}.",
                            fix="Give a text.", exit=Exit.DATA)
    encoded = encode_tokens(model, texts, [model.tokenizer.tokenize(part_text) for part_text in texts])
    if len(encoded.tokens) > model.tokenizer.max_length:
        raise UserError(f"{model.info.reference} reads at most {model.tokenizer.max_length:,} tokens at once, but the "
                        "text has "
                        f"{len(encoded.tokens):,} (special tokens included).", fix="Inspect a part of it.",
                        exit=Exit.DATA)
    return encoded


def encode_tokens(model: Model, texts: Sequence[str], tokenized: Sequence[Tokens]) -> EncodedText:
    """A text, or a text and its pair, of which these tokens are read: all of them, or those of a window."""
    names: tuple[Literal["text", "pair"], ...] = ("text", "pair")
    # With markers instead of ids, the family's own template shows which part each token belongs to.
    part_markers = [[-1 - part] * len(tokens.ids) for part, tokens in enumerate(tokenized)]
    markers, segments = model.tokenizer.with_special_tokens(*part_markers)
    ids, _ = model.tokenizer.with_special_tokens(*(tokens.ids for tokens in tokenized))
    offsets: list[tuple[int | None, int | None]] = []
    for text_tokens in tokenized:
        offsets += text_tokens.offsets if text_tokens.offsets is not None else [(None, None)] * len(text_tokens.ids)
    characters = iter(offsets)
    encoded_tokens = []
    for token_id, piece, marker, segment_id in zip(ids, model.tokenizer.pieces(ids), markers, segments, strict=True):
        begin, end = next(characters) if marker < 0 else (None, None)
        segment = int(segment_id) if model.info.family.has_token_types else 0
        encoded_tokens.append(Token(int(token_id), piece, begin, end, segment,
                                    names[-1 - marker] if marker < 0 else None))
    return EncodedText(texts[0], texts[1] if len(texts) > 1 else None, tuple(encoded_tokens))


def split_words(encoded: EncodedText) -> list[Word]:
    """The words of the text, then of the pair, each with its tokens; a token of several words goes to the first one.

    Where the tokenizer knows no characters, each token is a word.
    """
    words = []
    parts: list[tuple[Literal["text", "pair"], str | None]] = [("text", encoded.text), ("pair", encoded.pair)]
    for part, text in parts:
        if text is None:
            continue
        token_indices = [index for index, token in enumerate(encoded.tokens) if token.part == part]
        if any(encoded.tokens[index].begin is None for index in token_indices):
            words += [Word(encoded.tokens[index].piece, part, 0, 0, (index,)) for index in token_indices]
            continue
        spans = [match.span() for match in WORD.finditer(text)]
        word_indices = word_of_token(encoded, token_indices, spans, text)
        for word_index, (begin, end) in enumerate(spans):
            word_tokens = tuple(index for index in token_indices if word_indices[index] == word_index)
            if word_tokens:
                word_end = max(end, *(encoded.tokens[index].end or 0 for index in word_tokens))  # "'t" may be one token
                words.append(Word(text[begin:word_end], part, begin, word_end, word_tokens))
    return words


def word_of_token(encoded: EncodedText, token_indices: Sequence[int], spans: Sequence[tuple[int, int]],
                  text: str) -> dict[int, int]:
    """The word of each token: the one that holds its first character that is no space, else the nearest before."""
    import bisect

    word_starts = [begin for begin, _ in spans]
    word_indices = {}
    for index in token_indices:
        token = encoded.tokens[index]
        assert token.begin is not None and token.end is not None
        token_text = text[token.begin:token.end]
        first_character = token.begin + len(token_text) - len(token_text.lstrip())
        word_indices[index] = max(0, bisect.bisect_right(word_starts, first_character) - 1)
    return word_indices
