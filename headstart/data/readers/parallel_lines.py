"""Two parallel files: a source on each line of X.source, and its target on the same line of X.target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.readers.text_encoding import detect_encoding
from headstart.data.readers.text_lines import lines
from headstart.settings import Data


def target_path(path: str) -> Path | None:
    """The file of targets next to a file of sources, compressed or not."""
    source_path = Path(path)
    stem, _, compression = source_path.name.rpartition(".source")
    candidates = (source_path.with_name(f"{stem}.target{suffix}") for suffix in (compression, "", ".gz"))
    return next((candidate for candidate in candidates if candidate.exists()), None)


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table: `source`, and `target` when its file is there; a blank line is a blank text.

    Raises DataError (65) when one file has more lines than the other.
    """
    encoding = detect_encoding(source_file, start, settings.encoding)
    target_file = target_path(source_file.path)
    builder.columns = ("source",) if target_file is None else ("source", "target")
    builder.format_parts += ["lines" if target_file is None else f"lines, with {target_file.name} line by line",
                             encoding]
    with decompression_errors(builder):
        sources = lines(source_file, encoding)
        if target_file is None:
            rows: Iterator[tuple[str, ...]] = ((text,) for _, text, _ in sources)
        else:
            targets = SourceFile(str(target_file), builder)
            target_encoding = detect_encoding(targets, targets.head(), settings.encoding)
            rows = pair_lines(sources, lines(targets, target_encoding), builder, target_file.name)
        for line_number, row in enumerate(rows, start=1):
            if any("\0" in text for text in row):
                builder.add_finding("E106", "the line contains a NUL character.",
                                    f"Write the file again without it, or {SKIP}", line=line_number, row=True)
            else:
                builder.add_row(row, line_number, sum(map(len, row)) + 120)


def pair_lines(sources: Iterator[tuple[int, str, bool]], targets: Iterator[tuple[int, str, bool]],
               builder: TableBuilder, target_name: str) -> Iterator[tuple[str, ...]]:
    """Pairs of lines; raises DataError with the number of the line that has no partner."""
    for source, target in zip_longest(sources, targets):
        if source is None or target is None:
            shorter, longer = (builder.name, target_name) if source is None else (target_name, builder.name)
            line_number = target[0] if source is None else source[0]
            surplus = 1 + sum(1 for _ in (targets if source is None else sources))
            raise builder.fatal_error("E118", f"{shorter} ends after line {line_number - 1:,}, {longer} has "
                                      f"{surplus:,} more.",
                                      "Each line of one belongs to the same line of the other; "
                                      "find the line that is missing.",
                                      line=line_number)
        yield source[1], target[1]


def sha256(source_file: SourceFile) -> tuple[str, int]:
    """One hash over both files, and their size in bytes."""
    target_file = target_path(source_file.path)
    if target_file is None:
        return source_file.sha256(), source_file.size
    content = target_file.read_bytes()
    digests = bytes.fromhex(source_file.sha256()) + hashlib.sha256(content).digest()
    return hashlib.sha256(digests).hexdigest(), source_file.size + len(content)
