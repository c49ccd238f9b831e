"""A split of a dataset whose rows stand in several files, one after the other."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.data.readers.table_builder import FINDINGS_PER_CODE, TableBuilder

ReadFile = Callable[[str, TableBuilder], tuple[str, int]]  # fills a table from a file: its SHA-256, its size


def fill(builder: TableBuilder, paths: Sequence[Path], read_file: ReadFile) -> tuple[str, int]:
    """The rows of all files, in their order; the hash over all of them, and their size.

    A finding names its own file. Raises DataError for files with different columns.
    """
    digest, size = hashlib.sha256(), 0
    for path in paths:
        shard = TableBuilder(str(path), builder.store.memory_limit)
        shard.features, shard.text_reading = builder.features, builder.text_reading
        shard.max_bytes = builder.max_bytes
        sha256, shard_size = read_file(str(path), shard)
        digest.update(path.name.encode() + b"\0" + bytes.fromhex(sha256))
        size += shard_size
        add_shard(builder, shard, is_first=path == paths[0])
    builder.format_parts.append(f"{len(paths)} files")
    builder.layout |= {"files": ", ".join(path.name for path in paths)}
    return digest.hexdigest(), size


def add_shard(builder: TableBuilder, shard: TableBuilder, *, is_first: bool) -> None:
    """The rows and the findings of one file after those of the files before it."""
    if is_first:
        builder.columns, builder.encoding = shard.columns, shard.encoding
        builder.format_parts += shard.format_parts
        builder.layout = dict(shard.layout)
        builder.ambiguous_columns, builder.unused_columns = shard.ambiguous_columns, shard.unused_columns
        builder.dropped_columns = shard.dropped_columns
    if set(shard.columns) != set(builder.columns):
        raise builder.fatal_error("E131", f"{shard.name} has the columns {', '.join(shard.columns)}, the first file "
                                  f"{', '.join(builder.columns)}.", "Give all files of a split the same columns.")
    places = [shard.columns.index(name) for name in builder.columns]
    first_row = builder.row_count
    for record in shard.store:
        # A line would be one of the shard, and the row's place is told with the name of all.
        values = tuple(record.values[place] for place in places)
        size = sum(len(value) if isinstance(value, str) else 60 for value in values)
        builder.store.append(first_row + record.id, values, None, size + 60 * len(places))
    builder.row_count = first_row + shard.row_count
    known_codes = set(builder.counts)
    for finding in shard.findings:
        is_repeated = finding.level == "note" and finding.code in known_codes
        listed_count = sum(kept_finding.code == finding.code for kept_finding in builder.findings)
        if not is_repeated and listed_count < FINDINGS_PER_CODE:
            row = None if finding.row is None else finding.row + first_row
            builder.findings.append(dataclasses.replace(finding, row=row))
    builder.counts.update({code: count for code, count in shard.counts.items()
                           if code[0] != "N" or code not in known_codes})
