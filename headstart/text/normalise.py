"""Normal forms of texts, for finding the same text written differently."""

from __future__ import annotations

import hashlib
import unicodedata


def normalised(text: str) -> str:
    """The text without case, accent forms, punctuation and extra space: 'Hello,  WORLD!' -> 'hello world'."""
    if text.isascii():
        lowered = text.lower()
        return " ".join("".join(mark if mark.isalnum() else " " for mark in lowered).split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(mark if kept(mark) else " " for mark in folded).split())


def kept(mark: str) -> bool:
    """Letters, digits, what is written on them, and signs beyond ASCII (an emoji is a word)."""
    return mark.isalnum() or (not mark.isascii() and unicodedata.category(mark)[0] in "MS")


def hash_text(text: str) -> int:
    """A 64-bit number that is the same for equal texts on every machine (blake2b), as a signed integer."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
