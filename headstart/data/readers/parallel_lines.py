"""Two files side by side: a line of X.source, and what is written for it on the same line of X.target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from headstart.data.readers.delimited import lines
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data


def beside(path: str) -> Path | None:
    """The file of targets that lies beside a file of sources, packed or not."""
    place = Path(path)
    stem, _, packing = place.name.rpartition(".source")
    return next((found for end in (packing, "", ".gz") if (found := place.with_name(f"{stem}.target{end}")).exists()), None)


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet: `source`, and `target` when its file is there; a blank line is a blank text.

    Raises DataError (65) when one file has more lines than the other.
    """
    encoding = encoding_of(raw, start, settings.encoding)
    other = beside(raw.path)
    sheet.columns = ("source",) if other is None else ("source", "target")
    sheet.words += ["lines" if other is None else f"lines, with {other.name} line by line", encoding]
    with damaged(sheet):
        sources = lines(raw, encoding)
        if other is None:
            rows: Iterator[tuple[str, ...]] = ((text,) for _, text, _ in sources)
        else:
            targets = Raw(str(other), sheet)
            rows = paired(sources, lines(targets, encoding_of(targets, targets.head(), settings.encoding)), sheet, other.name)
        for number, row in enumerate(rows, start=1):
            if any("\0" in text for text in row):
                sheet.found("E106", "a NUL character stands in the line.", f"Write the file again without it, or {SKIP}",
                            line=number, row=True)
            else:
                sheet.row(row, number, sum(map(len, row)) + 120)


def paired(sources: Iterator[tuple[int, str, bool]], targets: Iterator[tuple[int, str, bool]], sheet: Sheet,
           other: str) -> Iterator[tuple[str, ...]]:
    """Lines that belong together; which line is over, when one is."""
    for source, target in zip_longest(sources, targets):
        if source is None or target is None:
            number, shorter, longer = (target[0], sheet.name, other) if source is None else (source[0], other, sheet.name)
            more = 1 + sum(1 for _ in (targets if source is None else sources))
            raise sheet.stop("E118", f"{shorter} ends after line {number - 1:,}, {longer} has {more:,} more.",
                             "Each line of one belongs to the same line of the other; find the line that is missing.", line=number)
        yield source[1], target[1]


def sha256(raw: Raw) -> tuple[str, int]:
    """One hash over both files, and their size in bytes."""
    other = beside(raw.path)
    if other is None:
        return raw.sha256(), raw.size
    held = other.read_bytes()
    return hashlib.sha256(bytes.fromhex(raw.sha256()) + hashlib.sha256(held).digest()).hexdigest(), raw.size + len(held)
