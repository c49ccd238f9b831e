"""Normal forms of texts, for finding the same text written differently."""

from __future__ import annotations

import hashlib
import re
import unicodedata


def normalise_text(text: str) -> str:
    """The text without case, accent forms, punctuation and extra space: 'Hello,  WORLD!' -> 'hello world'."""
    if text.isascii():
        lowered = text.lower()
        return " ".join("".join(character if character.isalnum() else " " for character in lowered).split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(character if is_word_character(character) else " " for character in folded).split())


def normalise_label(label: str) -> str:
    """The label without what cannot be seen or does not matter: case, space, accent forms, invisible characters, how a
    whole number is written: "1.0" -> "1", "Caf\u00e9 " -> "caf\u00e9".
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    visible = " ".join("".join(character for character in folded if unicodedata.category(character) != "Cf").split())
    if re.fullmatch(r"[+-]?\d+\.0+", visible):
        return str(int(visible.split(".")[0]))
    return visible


def is_word_character(character: str) -> bool:
    """Letters, digits, what is written on them, and symbols beyond ASCII (an emoji is a word)."""
    return character.isalnum() or (not character.isascii() and unicodedata.category(character)[0] in "MS")


def hash_text(text: str) -> int:
    """A 64-bit number that is the same for equal texts on every machine (blake2b), as a signed integer."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
