"""Any file of rows as one table; where a dataset's splits are."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from headstart import files
from headstart.contract import Column
from headstart.data.readers import (
    class_folders,
    dataset_folder,
    hub,
    installed,
    parallel_lines,
    plain_text,
    shards,
)
from headstart.data.readers.dataset_folder import split_name
from headstart.data.readers.formats import reader_of
from headstart.data.readers.source_file import SourceFile, check_path
from headstart.data.readers.table_builder import TableBuilder, TextReading
from headstart.data.row_store import MEMORY_LIMIT, Record
from headstart.data.schemas import apply
from headstart.errors import Exit, Finding, UserError, first_names, nearest
from headstart.settings import Data
from headstart.text.running_text import RowsChoice

MAX_NESTED, MAX_NESTING = 200, 4  # names in the objects of columns that are offered, and objects in each other


class Table(Sequence[Record]):
    """The valid rows of a file, its columns, and the findings of reading it."""

    def __init__(self, path: str, builder: TableBuilder, sha256: str, size_bytes: int) -> None:
        self.path, self.builder = path, builder
        self.sha256, self.size_bytes = sha256, size_bytes
        self.columns = builder.columns
        self.format = ", ".join(builder.format_parts)
        self.encoding, self.layout = builder.encoding, builder.layout  # of a text file; of a delimited one its signs

    @property
    def rows_choice(self) -> RowsChoice | None:
        """What a row is, and why, of a text file that may be running text; None for any other table."""
        return self.builder.rows_choice

    @property
    def row_file(self) -> str:
        """The file as its rows' places name it: a workbook with the sheet that was taken."""
        return f'{self.path}, sheet "{self.builder.sheet}"' if self.builder.sheet else self.path

    def column_number(self, index: int) -> int | None:
        """The number of a column in the file, from 1; None where its columns are none of the file's."""
        numbers = self.builder.column_numbers
        return index + 1 if numbers is None else numbers[index] if numbers else None

    @property
    def is_running_text(self) -> bool:
        """Whether the rows are pieces of documents, one after the other."""
        return self.columns[2:] == plain_text.PIECE_COLUMNS[2:] and self.rows_choice is not None

    def describe_rows(self) -> str:
        """How many rows of which format, in words; pieces of a running text are no rows."""
        rows = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return self.format if self.is_running_text else f"{rows}; {self.format}"

    @property
    def findings(self) -> list[Finding]:
        """Faults, warnings and notes; of each code the first 100."""
        return self.builder.findings

    @property
    def counts(self) -> Counter[str]:
        """How many findings of each code there are in all."""
        return self.builder.counts

    def __len__(self) -> int:
        return len(self.builder.store)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self.builder.store[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.builder.store)

    def nested_names(self) -> list[str]:
        """Names like ticket.body, of what stands in the objects of a column, seen in the first 100 rows."""
        names: dict[str, None] = {}
        for record in self[:100]:
            for column, value in zip(self.columns, record.values, strict=True):
                names |= dict.fromkeys(inner_names(value, column))
        return list(names)[:MAX_NESTED]

    def sample(self, count: int = 1000) -> list[Column]:
        """The columns with their first values."""
        records = self[:count]
        return [Column(name, [record.values[index] for record in records]) for index, name in enumerate(self.columns)]


def open_table(path: str, settings: Data, *, memory_limit: int = MEMORY_LIMIT, every_row: bool = False,
               text_reading: TextReading | None = None) -> Table:
    """Read one file, folder of labels or texts, split of a dataset ("hub::NAME::SPLIT", "folder::PATH::SPLIT"; of a
    folder that is named alone its test, dev or only rows) or standard input ("-", JSON lines); what another program
    exported gets plain columns (data/schemas).

    Row faults are collected in the table. With `every_row` (to predict) rows that an export marks as not to be used
    stay; `text_reading` is how plain text is taken, a line a row when not given. Raises UserError (66, 69) or DataError
    (65) for what makes all of it unusable.
    """
    return with_schema(read_table(path, settings, memory_limit, text_reading or TextReading()), settings,
                       every_row=every_row)


def with_schema(table: Table, settings: Data, *, every_row: bool) -> Table:
    """A table with plain columns where it is what another program exported; raises UserError (2)."""
    schema = apply.recognise(table.sample(), settings.schema, table.path)
    if schema is None:
        return table
    return Table(table.path, apply.convert(table.builder, schema, every_row=every_row), table.sha256, table.size_bytes)


def read_table(path: str, settings: Data, memory_limit: int, text_reading: TextReading) -> Table:
    """What `open_table` reads, as it stands there."""
    if path == "-":
        return read_standard_input(settings, memory_limit)
    if path.startswith("hub::"):
        _, name, split = path.split("::")
        builder = TableBuilder(f"{name} ({split})", memory_limit)
        hub.fill(hub.load(name)[split], builder)
        builder.finish()
        return Table(builder.name, builder, "", 0)
    builder = TableBuilder(display_path(path), memory_limit)
    builder.max_bytes = settings.max_bytes
    builder.text_reading = text_reading
    if path.startswith("folder::"):
        return read_split(path, builder, settings)
    folder = Path(path)
    if folder.is_dir():
        if class_folders.label_folders(folder):
            sha256, size = class_folders.read(folder, builder)
        elif plain_text.is_folder(folder):
            sha256, size = plain_text.read_folder(folder, builder, settings)
        else:
            return read_measured_split(path, settings, memory_limit, text_reading)
        builder.finish()
        return Table(builder.name, builder, sha256, size)
    if folder_and_config(path)[1]:
        return read_measured_split(path, settings, memory_limit, text_reading)
    return read_file(path, builder, settings)


def read_measured_split(path: str, settings: Data, memory_limit: int, text_reading: TextReading) -> Table:
    """Of a dataset in a folder the test rows, else the dev rows, else those that there are."""
    splits = splits_in_folder(Path(path))
    split = next(name for name in ("test", "dev", *splits) if name in splits)
    table = read_table(splits[split], settings, memory_limit, text_reading)
    return with_words(table, f"the {split} rows of {display_path(path)}")


def with_words(table: Table, words: str) -> Table:
    """A table with something more told of how it was read."""
    table.builder.format_parts.append(words)
    return Table(table.path, table.builder, table.sha256, table.size_bytes)


def read_split(path: str, builder: TableBuilder, settings: Data) -> Table:
    """A split of a dataset in a folder ("folder::PATH::SPLIT"), from its file or files."""
    folder, _, split = path.removeprefix("folder::").rpartition("::")
    layout = dataset_layout(folder)
    assert layout is not None  # find_splits has found it
    paths, builder.features = layout.splits[split], layout.features
    if len(paths) == 1:
        builder.name = display_path(str(paths[0]))
        return with_words(read_file(str(paths[0]), builder, settings), layout.words())

    def read_shard(shard_path: str, shard: TableBuilder) -> tuple[str, int]:
        """Fill a table from one file; its hash and size."""
        table = read_file(shard_path, shard, settings)
        return table.sha256, table.size_bytes

    builder.name = f"{display_path(folder)} ({split})"
    sha256, size = shards.fill(builder, paths, read_shard)
    builder.format_parts.append(layout.words())
    builder.finish()
    return Table(builder.name, builder, sha256, size)


def read_file(path: str, builder: TableBuilder, settings: Data) -> Table:
    """Read a file by the reader of its format, or by the one that another package adds for its ending."""
    installed_reader = installed.find_reader(path)
    if installed_reader is not None:
        installed.fill(builder, path, installed_reader)
        builder.finish()
        return Table(builder.name, builder, files.sha256(path), Path(path).stat().st_size)
    source_file = SourceFile(path, builder)
    start = source_file.head()
    format_name = source_file.format(start)
    if builder.text_reading.unit != "lines" and format_name == "csv" and not settings.delimiter and \
            plain_text.is_text(source_file.inner_name, start):
        format_name = "text"
    if settings.sheet and format_name != "excel":
        raise UserError(f"data.sheet is {settings.sheet!r}, but {builder.name} is not a workbook ({format_name}).",
                        fix="Leave it out.", exit=Exit.SETTINGS)
    if (settings.word_column or settings.tag_column) and format_name != "conll":
        raise UserError(f"data.word_column and data.tag_column are of CoNLL files; {builder.name} is none "
                        f"({format_name}).", fix="Leave them out.", exit=Exit.SETTINGS)
    reader_of(format_name)(source_file, builder, settings, start, format_name)
    builder.format_parts = [format_name, *(word for word in builder.format_parts if word != format_name)]
    builder.finish()
    sha256, size = parallel_lines.sha256(source_file) if format_name == "source" else (source_file.sha256(),
                                                                                       source_file.size)
    return Table(builder.name, builder, sha256, size)


def read_standard_input(settings: Data, memory_limit: int) -> Table:
    """Standard input, through a temporary file (it can be read only once)."""
    with tempfile.NamedTemporaryFile(prefix="headstart-input-", suffix=".jsonl") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        return read_file(copy.name, TableBuilder("standard input", memory_limit), settings)


def inner_names(value: Any, prefix: str, depth: int = 0) -> Iterator[str]:
    """The names of what stands in an object, joined by points to the name of its column."""
    if isinstance(value, dict) and depth < MAX_NESTING:
        for key, inner in value.items():
            yield f"{prefix}.{key}"
            yield from inner_names(inner, f"{prefix}.{key}", depth + 1)


def display_path(path: str) -> str:
    """A path as the user would write it: below the current folder without the way to it."""
    full_path = Path(path)
    try:
        return str(full_path.relative_to(Path.cwd())) if full_path.is_absolute() else path
    except (ValueError, OSError):
        return path


def find_splits(path: str, settings: Data) -> dict[str, str]:
    """Where the splits of a dataset are: a file is "train"; a folder's files go by their names; else a hub dataset.

    Raises UserError (66) when there is nothing, or nothing that is a split.
    """
    local_path = Path(path)
    if path == "-":
        return {"train": "-"}
    if local_path.is_dir() or folder_and_config(path)[1]:
        return with_train(splits_in_folder(local_path), path,
                          "Name the file to train on, or call one in the folder train.")
    if local_path.exists():
        return {"train": path}
    refuse_near_miss(local_path)
    if local_path.suffix.removeprefix(".") in (*installed.endings(), "gz", "zip") \
            or path.startswith((".", "/", "~")) or path.count("/") > 1:
        check_path(path)
    return with_train({split_name(name) or name: f"hub::{path}::{name}" for name in hub.load(path)}, path,
                      "Save the split to train on as csv, jsonl or parquet, and name that file.")


def with_train(splits: dict[str, str], path: str, fix: str) -> dict[str, str]:
    """The splits, of which one is train; raises UserError (66)."""
    if "train" not in splits:
        raise UserError(f"{path} holds no training rows; it has {', '.join(splits)}.", fix=fix, exit=Exit.NO_INPUT)
    return splits


def refuse_near_miss(path: Path) -> None:
    """Refuse a path that is not there beside one of nearly the same name; raises UserError (66)."""
    is_listed = path.parent.is_dir() and os.access(path.parent, os.R_OK)
    names = [entry.name for entry in path.parent.iterdir() if may_hold_rows(entry)] if is_listed else []
    nearest_name = nearest(path.name, names)
    if nearest_name is not None:
        raise UserError(f"There is no file {path}.", fix=f"Did you mean {path.parent / nearest_name}?",
                        exit=Exit.NO_INPUT)


def may_hold_rows(path: Path) -> bool:
    """Whether a path is worth naming as what was meant: no hidden file, no run, no folder without anything in it."""
    if path.name.startswith(".") or not os.access(path, os.R_OK) or (path / "settings.toml").exists():
        return False
    return not path.is_dir() or any(not entry.name.startswith(".") for entry in path.iterdir())


def folder_and_config(path: str) -> tuple[Path, str]:
    """A folder, and which of several data sets in it is meant (FOLDER:NAME, else "")."""
    folder, _, config = path.rpartition(":")
    is_named = bool(folder and config) and not Path(path).exists() and Path(folder).is_dir()
    return (Path(folder), config) if is_named else (Path(path), "")


def dataset_layout(path: str) -> dataset_folder.DatasetFolder | None:
    """The dataset in a folder (FOLDER, or FOLDER:NAME for one of several); None where it is laid out in no known way.
    """
    folder, config = folder_and_config(path)
    return dataset_folder.find_layout(folder, installed.endings(), config)


def splits_in_folder(folder: Path) -> dict[str, str]:
    """The splits in a folder; raises UserError (66) with what it holds where there are none."""
    layout = dataset_layout(str(folder))
    if layout is not None:
        return {name: f"folder::{folder}::{name}" for name in layout.splits}
    entries = sorted(folder.iterdir())
    is_split = [split_name(entry.name.split(".")[0]) is not None for entry in entries]
    has_split_folder = any(entry.is_dir() for entry, is_named in zip(entries, is_split, strict=True) if is_named)
    endings = set(installed.endings())
    is_all_text = not any(entry.is_file() and entry.suffix != ".txt" and set(entry.name.split(".")[1:]) & endings
                          for entry in entries)
    if (class_folders.label_folders(folder) and not has_split_folder) or (
            plain_text.is_folder(folder) and is_all_text and not any(is_split)):
        return {"train": str(folder)}
    split_paths: dict[str, str] = {}
    for entry in entries:
        name_parts = entry.name.split(".")
        is_data = (entry.is_dir() and (class_folders.label_folders(entry) or plain_text.is_folder(entry))) or (
            entry.is_file() and set(name_parts[1:]) & endings)
        name = split_name(name_parts[0])
        if is_data and name is not None:
            if name in split_paths:
                raise UserError(f"{folder} has two files for {name}: {Path(split_paths[name]).name} and {entry.name}.",
                                fix="Keep one, or name the files one by one.", exit=Exit.NO_INPUT)
            split_paths[name] = str(entry)
    if not split_paths:
        names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
        listing = f"; it holds {first_names(names, 8)}" if names else "; it is empty"
        raise UserError(f"{folder} is a folder without a train file (train.csv, train.jsonl …), and its files are not "
                        f"texts (*.txt), folders of labels, or saved dataset{listing}.",
                        fix="Name a file, or name the files in it train, dev and test.", exit=Exit.NO_INPUT)
    return split_paths
