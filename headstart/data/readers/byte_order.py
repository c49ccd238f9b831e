"""UTF-16 and UTF-32, with and without a byte order mark."""

from __future__ import annotations

import codecs

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")  # without a byte order mark; the stricter first


def wide_encoding(start: bytes) -> str:
    """UTF-16 or UTF-32 of a file's beginning that has no byte order mark, by where its zero bytes stand; "" for others.
    """
    if any(start.startswith(mark) for mark, _ in BOMS):
        return next((name for mark, name in BOMS if start.startswith(mark) and name != "utf-8-sig"), "")
    if b"\0" not in start:
        return ""
    for encoding in WIDE:
        width = 4 if "32" in encoding else 2
        try:
            text = start[:len(start) // width * width].decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(start) - 8:
                continue
            text = start[:error.start].decode(encoding)
        odd = sum(not (letter.isprintable() or letter in "\t\n\r\f") for letter in text)
        line_ends = text.count("\n") + text.count("\r")
        has_zeros = 3 * start.count(0) > len(start)  # as Latin letters have in wide encodings
        if odd <= len(text) / 100 and (line_ends or has_zeros) and 2 * text.count("\0") < len(text):
            return encoding
    return ""
