"""Text as a terminal may show it: what would move the cursor, change colours or hide words is spelled out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TextIO, cast

LINE_BREAKS = "\n\t"
# Embeddings, overrides and isolates show text in another order than it is read (Boucher and Anderson 2021, Trojan
# Source); marks that only say a direction (200E, 200F) and joiners, which scripts need, stay.
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f"
SEPARATORS = "\u2028\u2029"


@lru_cache(maxsize=1)
def escapes() -> dict[int, str]:
    """Each code point that is spelled out, with its spelling: C0 and C1 controls, reordering, half surrogates."""
    codes = [*range(0x20), *range(0x7F, 0xA0), *map(ord, REORDERING + SEPARATORS), *range(0xD800, 0xE000)]
    return {code: f"\\x{code:02x}" if code < 0x20 else f"\\u{code:04x}"
            for code in codes if chr(code) not in LINE_BREAKS}


def visible(text: str) -> str:
    r"""The text with control sequences spelled out: "\x1b[31mred" is shown as these very characters; lines and tabs
    stay.
    """
    return text if text.isprintable() else text.translate(escapes())


class VisibleStream:
    """A terminal that gets every text as `visible` has it; anything else goes to the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text spelled out; how many of its characters were written."""
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def for_reading(stream: TextIO) -> TextIO:
    """The stream as people read it: a terminal gets visible text, files and pipes get exactly what is written."""
    return cast(TextIO, VisibleStream(stream)) if stream is not None and stream.isatty() else stream


def unfiltered(stream: TextIO) -> TextIO:
    """The stream below, for a writer of colours and bars that makes its words visible by itself."""
    return stream.stream if isinstance(stream, VisibleStream) else stream
