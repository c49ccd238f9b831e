"""What a run or a check reads: files by their paths, and rows in memory, which a run keeps as JSON lines in its folder.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.data.frames import is_kind
from headstart.data.object_table import object_table
from headstart.data.objects import ObjectRows, read_rows
from headstart.data.readers import installed
from headstart.data.readers.dataset_folder import split_name
from headstart.data.table import Table, find_splits, open_table
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.settings import Data
from headstart.settings.run_settings import RunSettings

ROW_FILES = {"train": "rows.jsonl", "dev": "rows-dev.jsonl", "test": "rows-test.jsonl"}  # in the run's folder
MAX_PATH = 1024  # characters; a longer text is none


@dataclass(frozen=True)
class Inputs:
    """The splits that are files, by path, and those that stand in memory; `words` say what was taken of what came."""

    paths: Mapping[str, str]
    rows: Mapping[str, ObjectRows] = field(default_factory=dict)
    further_train: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def run_values(self) -> dict[str, Any]:
        """The files as settings of a run; a train split in memory by the file that it becomes."""
        return {"train": self.paths.get("train", ROW_FILES["train"]), "further_train": list(self.further_train) or None,
                "dev": self.paths.get("dev"), "test": self.paths.get("test")}

    def lines(self, folder: Path | None = None) -> list[str]:
        """What was taken of what came, in sentences; with `folder` also where it is kept."""
        sentences = list(self.words)
        for split, rows in self.rows.items():
            place = "" if folder is None else f", kept in {folder / ROW_FILES[split]}"
            sentences += [f"{split}: {describe(rows)}{place}", *rows.notes]
        return sentences

    def tables(self, settings: Data) -> dict[str, Table]:
        """The tables of the splits in memory; raises UserError (65) and DataError."""
        return {split: object_table(rows, settings) for split, rows in self.rows.items()}

    def train_table(self, path: str, settings: Data) -> Table:
        """The table of the training rows: of those in memory, else of the file, folder or dataset at `path`.

        Raises UserError (65, 66, 69) and DataError.
        """
        if "train" in self.rows:
            return self.tables(settings)["train"]
        return open_table(find_splits(path, settings)["train"], settings)

    def write_rows(self, folder: Path, settings: RunSettings, reporter: Reporter) -> RunSettings:
        """Write the rows in memory into a run's folder; the settings to run on these files.

        Raises UserError (65, also where there are none; 74).
        """
        for split, rows in self.rows.items():
            if not rows.count:
                raise UserError(f"{split}: {describe(rows)} came.", fix="Check what was passed.", exit=Exit.DATA)
            rows.write(folder / ROW_FILES[split])
        for line in self.lines(folder):
            reporter.info(line)
        paths: dict[str, Any] = {split: str((folder / ROW_FILES[split]).resolve()) for split in self.rows}
        return dataclasses.replace(settings, **paths)


def describe(rows: ObjectRows) -> str:
    """Rows in words: what they came as, and how many."""
    return f"{'an' if rows.kind[0] in 'Aa' else 'a'} {rows.kind} of {rows.count:,} rows"


def read_inputs(train: Any, dev: Any = None, test: Any = None) -> Inputs:
    """The splits of a path, of several paths, of rows in memory, or of a DatasetDict; raises UserError (2, 65)."""
    sources = {"train": train, **({} if dev is None else {"dev": dev}), **({} if test is None else {"test": test})}
    words: tuple[str, ...] = ()
    if is_kind(train, "datasets", "DatasetDict"):
        splits, words = dataset_splits(train)
        if repeated := sorted(set(splits) & (set(sources) - {"train"})):
            raise UserError(f"{repeated[0]} was given twice: in the DatasetDict and as {repeated[0]}=…",
                            fix="Leave one out.")
        sources = splits | {name: source for name, source in sources.items() if name != "train"}
    paths: dict[str, str] = {}
    rows: dict[str, ObjectRows] = {}
    further: tuple[str, ...] = ()
    for split, source in sources.items():
        source_paths = find_paths(source, split)
        if source_paths is None:
            rows[split] = read_split(source, split)
        else:
            paths[split], *further_paths = source_paths
            further = tuple(further_paths) or further
    return Inputs(paths, rows, further, words)


def read_split(source: Any, split: str) -> ObjectRows:
    """The rows of a split in memory; raises UserError (2, 65) that names it."""
    try:
        return read_rows(source)
    except UserError as error:
        raise UserError(f"{split}: {error.message}", fix=error.fix, exit=error.exit) from None


def dataset_splits(splits: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The train, dev and test split of a DatasetDict by our names, and in words what was taken; raises UserError."""
    sources: dict[str, Any] = {}
    taken_words, unused_names = [], []
    for name, source in splits.items():
        split = split_name(str(name))
        if split in ROW_FILES and split not in sources:
            sources[split] = source
            taken_words.append(f"{name!r} as {split}")
        else:
            unused_names.append(repr(name))
    if "train" not in sources:
        raise UserError(f"The DatasetDict has no split called train; it has {', '.join(map(repr, splits))}.",
                        fix="Pass the split to train on: dataset[…].")
    unused = f"; not used: {', '.join(unused_names)}" if unused_names else ""
    return sources, (f"splits of the DatasetDict: {', '.join(taken_words)}{unused}",)


def find_paths(source: Any, split: str) -> list[str] | None:
    """The paths that a source is, of train several; None for rows in memory. Raises UserError (2)."""
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str) and not source:
            raise UserError(f"{split} is an empty text; a path or rows were expected.")
        return [os.fspath(source)]
    if not isinstance(source, list | tuple) or not source or not all(isinstance(entry, str | os.PathLike)
                                                                     for entry in source):
        return None
    named_files = [entry for entry in source if names_file(entry)]
    if not named_files:
        return None
    if len(named_files) < len(source):
        text = next(entry for entry in source if not names_file(entry))
        raise UserError(f"{split} is a list of paths ({str(named_files[0])!r}) and of texts ({str(text)[:60]!r}).",
                        fix='Pass paths alone, or texts as dicts: [{"text": …}].')
    if split != "train":
        raise UserError(f"{split} is a list of {len(source)} files; it takes one.", fix="Join them, or name one.")
    return [os.fspath(entry) for entry in source]


def names_file(entry: str | os.PathLike[str]) -> bool:
    """Whether a text is a path: of something that is there, or, without a blank, of a name that a data file has."""
    if not isinstance(entry, str):
        return True
    if not entry or len(entry) > MAX_PATH or "\n" in entry or "\0" in entry:
        return False
    path = Path(entry)
    endings = {*installed.endings(), "gz", "zip", "bz2", "xz", "zst"}
    if " " not in entry and path.suffix.removeprefix(".").lower() in endings:
        return True
    try:
        return path.exists()
    except OSError:  # a text that no file system takes as a name
        return False
