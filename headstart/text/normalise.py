"""Normal forms of texts, for finding the same text written differently."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

SHORT = 1000  # characters, whose accents are put in order in no time however many there are
MAX_ACCENTS = 30  # on one letter, before a joiner stands in the stream-safe format (Unicode Standard Annex 15)
JOINER = "\u034f"
LOWER_CASE = bytes(range(128)).lower() + bytes(range(128, 256))
NO_WORD_CHARACTERS = bytes(code for code in range(128) if not chr(code).isalnum())


def compose(text: str) -> str:
    """NFKC: accents composed, forms of one letter as one. Of more than 30 accents on a letter each 30 stay by
    themselves, as ordering n of them takes n² steps.
    """
    if not text.isascii() and len(text) > SHORT:
        text = accent_runs().sub(lambda match: JOINER.join(
            match.group()[start:start + MAX_ACCENTS] for start in range(0, len(match.group()), MAX_ACCENTS)), text)
    return unicodedata.normalize("NFKC", text)


@lru_cache(maxsize=1)
def accent_runs() -> re.Pattern[str]:
    """More than 30 accents one after the other."""
    accents = "".join(character for character in map(chr, range(0x300, 0x20000)) if unicodedata.combining(character))
    return re.compile(f"[{re.escape(accents)}]{{{MAX_ACCENTS + 1},}}+")


def fold(text: str) -> str:
    """The text without case and forms of letters."""
    return compose(compose(text).casefold())


def normalise_text(text: str) -> str:
    """The text without case, accent forms, punctuation and extra space: 'Hello,  WORLD!' -> 'hello world'."""
    folded = text.lower() if text.isascii() else fold(text)
    return " ".join(folded.translate(WORD_CHARACTERS).split())


def letters_of(text: str) -> bytes:
    """What `normalise_text` keeps but for its spaces, in UTF-8: texts of the same normal form have the same letters."""
    if text.isascii():
        return text.encode().translate(LOWER_CASE, NO_WORD_CHARACTERS)
    return normalise_text(text).replace(" ", "").encode("utf-8", "surrogatepass")


def normalise_label(label: str) -> str:
    """The label without what cannot be seen or does not matter: case, space, accent forms, invisible characters, how a
    whole number is written: "1.0" -> "1", "Caf\u00e9 " -> "caf\u00e9".
    """
    folded = fold(label)
    visible = " ".join("".join(character for character in folded if unicodedata.category(character) != "Cf").split())
    if re.fullmatch(r"[+-]?\d+\.0+", visible):
        return str(int(visible.split(".")[0]))
    return visible


def visible_label(label: str) -> str:
    """A label in quotes, in which what cannot be seen is escaped."""
    is_composed = unicodedata.is_normalized("NFC", label)
    return repr(label) if is_composed and not any(unicodedata.category(character) == "Cf" for character in label) \
        else ascii(label)


def is_word_character(character: str) -> bool:
    """Letters, digits, what is written on them, and symbols beyond ASCII (an emoji is a word)."""
    return character.isalnum() or (not character.isascii() and unicodedata.category(character)[0] in "MS")


class WordCharacters(dict[int, str]):
    """What `str.translate` makes of a character that stands in no word: a space. Filled as characters are met."""

    def __missing__(self, code: int) -> str:
        """A character that is met for the first time."""
        character = chr(code)
        self[code] = character if is_word_character(character) else " "
        return self[code]


WORD_CHARACTERS = WordCharacters()


def hash_text(text: str) -> int:
    """A 64-bit number that is the same for equal texts on every machine (blake2b), as a signed integer."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
