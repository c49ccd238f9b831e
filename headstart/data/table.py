"""Any file of rows as one table; where a dataset's splits lie."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from headstart.contract import Column
from headstart.data.readers import class_folders, conll, delimited, hub, json_file, jsonl, parallel_lines, parquet, plain_text
from headstart.data.readers.source_file import SUFFIXES, Raw, check_path
from headstart.data.readers.table_builder import Sheet
from headstart.data.row_store import SPILL, Record
from headstart.errors import Exit, Finding, UserError, nearest
from headstart.settings import Data

READERS = {"csv": delimited.read, "tsv": delimited.read, "jsonl": jsonl.read, "json": json_file.read, "parquet": parquet.read,
           "conll": conll.read, "text": plain_text.read, "source": parallel_lines.read}
SPLITS = {"train": "train", "training": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev",
          "eval": "dev", "test": "test", "testing": "test"}


class Table(Sequence[Record]):
    """The good rows of a file, its columns, and everything found while it was read."""

    def __init__(self, path: str, sheet: Sheet, sha256: str, size_bytes: int) -> None:
        self.path, self.sheet = path, sheet
        self.sha256, self.size_bytes = sha256, size_bytes
        self.columns = sheet.columns
        self.format = ", ".join(sheet.words)

    @property
    def findings(self) -> list[Finding]:
        """Faults, warnings and notes; of each code the first 100."""
        return self.sheet.findings

    @property
    def counts(self) -> Counter[str]:
        """How many findings of each code there are in all."""
        return self.sheet.counts

    def __len__(self) -> int:
        return len(self.sheet.store)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self.sheet.store[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.sheet.store)

    def sample(self, count: int = 1000) -> list[Column]:
        """The columns with their first values."""
        first = self[:count]
        return [Column(name, [record.values[place] for record in first]) for place, name in enumerate(self.columns)]


def open_table(path: str, settings: Data, *, spill: int = SPILL) -> Table:
    """Read one file, folder of labels, hub split ("hub::NAME::SPLIT") or standard input ("-", JSON lines).

    Row faults are collected in the table. Raises UserError (66, 69) or DataError (65) for what makes all of it unusable.
    """
    if path == "-":
        return from_input(settings, spill)
    if path.startswith("hub::"):
        _, name, split = path.split("::")
        sheet = Sheet(f"{name} ({split})", spill)
        hub.fill(hub.load(name)[split], sheet)
        sheet.finish()
        return Table(sheet.name, sheet, "", 0)
    sheet = Sheet(shown(path), spill)
    if Path(path).is_dir():
        if not class_folders.labels_in(Path(path)):
            check_path(path)
        sha256, size = class_folders.read(Path(path), sheet)
        sheet.finish()
        return Table(sheet.name, sheet, sha256, size)
    return from_file(path, sheet, settings)


def from_file(path: str, sheet: Sheet, settings: Data) -> Table:
    """Read a file by the reader of its format."""
    raw = Raw(path, sheet)
    start = raw.head()
    form = raw.format(start)
    READERS[form](raw, sheet, settings, start, form)
    sheet.words = [form, *(word for word in sheet.words if word != form)]
    sheet.finish()
    sha256, size = parallel_lines.sha256(raw) if form == "source" else (raw.sha256(), raw.size)
    return Table(sheet.name, sheet, sha256, size)


def from_input(settings: Data, spill: int) -> Table:
    """Standard input, through a temporary file (it can be read only once)."""
    with tempfile.NamedTemporaryFile(prefix="headstart-input-", suffix=".jsonl") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        return from_file(copy.name, Sheet("standard input", spill), settings)


def shown(path: str) -> str:
    """A path as the user would write it: below the current folder without the way to it."""
    place = Path(path)
    try:
        return str(place.relative_to(Path.cwd())) if place.is_absolute() else path
    except (ValueError, OSError):
        return path


def locate(path: str, settings: Data) -> dict[str, str]:
    """Where the splits of a dataset are: a file is "train"; a folder's files go by their names; else a hub dataset.

    Raises UserError (66) when there is nothing, or nothing that is a split.
    """
    place = Path(path)
    if path == "-":
        return {"train": "-"}
    if place.is_dir():
        return in_folder(place)
    if place.exists():
        return {"train": path}
    if place.suffix.removeprefix(".") in (*SUFFIXES, "gz", "zip") or path.startswith((".", "/", "~")) or path.count("/") > 1:
        check_path(path)
    if "/" not in path and place.parent.exists():
        near = nearest(path, [one.name for one in Path(".").iterdir()])
        if near is not None:
            raise UserError(f"There is no file {path}.", fix=f"Did you mean {near}?", exit=Exit.NO_INPUT)
    return {split_name(name) or name: f"hub::{path}::{name}" for name in hub.load(path)}


def in_folder(place: Path) -> dict[str, str]:
    """The splits in a folder."""
    if class_folders.labels_in(place) and not any(split_name(one.name) for one in place.iterdir() if one.is_dir()):
        return {"train": str(place)}
    found: dict[str, str] = {}
    for one in sorted(place.iterdir()):
        parts = one.name.split(".")
        data = (one.is_dir() and class_folders.labels_in(one)) or (one.is_file() and set(parts[1:]) & set(SUFFIXES))
        name = split_name(parts[0])
        if data and name is not None:
            if name in found:
                raise UserError(f"{place} has two files for {name}: {Path(found[name]).name} and {one.name}.",
                                fix="Keep one, or name the files one by one.", exit=Exit.NO_INPUT)
            found[name] = str(one)
    if "train" not in found:
        raise UserError(f"{place} is a folder without a train file (train.csv, train.jsonl …) or folders of labels.",
                        fix="Name a file, or name the files in it train, dev and test.", exit=Exit.NO_INPUT)
    return found


def split_name(name: str) -> str | None:
    """"validation" -> "dev", "test_mismatched" -> "test/mismatched"; None for what is no split."""
    lowered = name.lower()
    for word in sorted(SPLITS, key=len, reverse=True):
        if lowered == word:
            return SPLITS[word]
        if lowered.startswith(word) and lowered[len(word)] in "_-":
            return f"{SPLITS[word]}/{name[len(word) + 1:]}"
    return None
