"""The run folder: locked while in use, never overwritten unasked, every file whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError
from headstart.files import (
    clear_leftovers,
    disk_errors,
    first_link,
    link_error,
    locked_folder,
    make_folder,
    remove,
    replace,
    write_text,
)

RUN_FILES = (
    "settings.toml", "scores.json", "report.html", "report.md", "log.jsonl", "data.json", "predictions.jsonl",
    "checkpoints", "folds", "official", "first_batch.json", "environment.json", "adapter", "model",
    "data_errors.jsonl", ".lock",
    "failed_parts.txt", "mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json", "log_damaged.txt",
    "rows.jsonl", "rows-dev.jsonl", "rows-test.jsonl", ".replacing", ".replaced", ".discarded",
)
# A run that is to be replaced is moved aside file by file; waits until the new one has begun; is removed. A process may
# be killed anywhere, so each stage has a name of its own, and one rename leads from each to the next.
REPLACING, REPLACED, DISCARDED = ".replacing", ".replaced", ".discarded"
INPUT_FILES = ("mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json",  # made from an index
               "rows.jsonl", "rows-dev.jsonl", "rows-test.jsonl")  # of rows that were passed in memory
LEFTOVER_FILES = ("data_errors.jsonl", ".lock", *INPUT_FILES)  # what a run that never began may leave
RESUME = "Free some space, then run headstart resume."


class RunFolder:
    """A folder of one run, locked by this process until it is closed.

    Raises UserError: 73 when another process works in it, or when it holds a run or files that are not a run's; 74 when
    it is removed or moved meanwhile; 77 for a link in it, through which a run would write elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = contextlib.ExitStack()
        self.status: os.stat_result | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __enter__(self) -> Self:
        self.lock.enter_context(locked_folder(self.path, in_use="is in use by another run",
                                              fix="Wait for it, or choose another folder with --to."))
        try:
            with disk_errors(self.path):
                self.status = self.path.stat()
                self.refuse_links()
                clear_leftovers(self.path, RUN_FILES)
                if (self / "settings.toml").exists():  # else the folders may be another's
                    for folder in (self / "checkpoints", self / "model", *(self / "official").glob("*"),
                                   *(self / "folds").glob("*"), *(self / "folds").glob("*/checkpoints")):
                        clear_leftovers(folder)
                    if self.is_finished:
                        remove(self / "folds")  # killed after the report
        except BaseException:
            self.lock.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        is_there = self.is_there()
        self.lock.close()
        if isinstance(error, Exception) and not is_there:
            raise UserError(f"{self.path} was removed or moved while the run wrote in it.",
                            fix="Start the run again.", exit=Exit.DISK) from error

    def is_there(self) -> bool:
        """Whether the folder stands where it stood when it was locked."""
        try:
            return self.status is not None and os.path.samestat(self.path.stat(), self.status)
        except OSError:
            return False

    def refuse_links(self) -> None:
        """Refuse a run's files that are links, or hold some: a foreign folder must not make a run write elsewhere."""
        for name in RUN_FILES:
            path = self / name
            if path.is_symlink() or (os.path.lexists(path) and not path.is_file() and not path.is_dir()):
                raise link_error(path)
            if path.is_dir() and (link := first_link(path)) is not None:
                raise link_error(link)

    @property
    def is_finished(self) -> bool:
        """Whether a run ended here: the report is written last."""
        return (self.path / "report.html").exists()

    def claim(self, *, overwrite: bool, makes_inputs: bool = False) -> None:
        """Make the folder ready for a new run; what it holds is put aside only when it is a run and `overwrite` is set.

        `recover` brings it back unless the new run begins. With `makes_inputs` the new run makes its own files of rows.
        """
        self.recover()
        names = {entry.name for entry in self.path.iterdir()} - set(LEFTOVER_FILES)
        if not names:
            return
        if foreign := sorted(names - set(RUN_FILES)):
            raise UserError(f"{self.path} holds files that are not a run's ({foreign[0]}).",
                            fix="Choose another folder with --to.", exit=Exit.EXISTS)
        if not overwrite:
            resume = "" if self.is_finished else f" or resume it: headstart resume {self.path};"
            raise UserError(f"{self.path} already holds {'a finished' if self.is_finished else 'an unfinished'} run.",
                            fix=f"Choose another folder with --to,{resume} --overwrite replaces it.", exit=Exit.EXISTS)
        with disk_errors(self.path):
            make_folder(self / REPLACING)
            # The report goes first: a half-moved run must not look finished.
            for name in ("report.html", *sorted(names - {"report.html"}), *(INPUT_FILES if makes_inputs else ())):
                if (self.path / name).exists():
                    replace(self / name, self / REPLACING / name)
            replace(self / REPLACING, self / REPLACED)

    @property
    def replaces(self) -> bool:
        """Whether an older run waits to be replaced by one that has not begun."""
        return (self / REPLACED).is_dir() or (self / REPLACING).is_dir()

    def recover(self) -> bool:
        """Let the run that was replaced go where the new one has begun; else put it back as it was: then True.

        It may be killed anywhere, and does the rest when it is called again.
        """
        with disk_errors(self.path):
            if (self / REPLACED).is_dir():
                if (self / "data.json").exists():
                    replace(self / REPLACED, self / DISCARDED)
                else:
                    for name in self.names_of_new_run():
                        remove(self / name)
                    replace(self / REPLACED, self / REPLACING)
            remove(self / DISCARDED)
            if not (self / REPLACING).is_dir():
                return False
            entries = sorted((self / REPLACING).iterdir(), key=lambda path: path.name == "report.html")
            for entry in entries:  # the report comes last
                replace(entry, self / entry.name)
            remove(self / REPLACING)
            return True

    def names_of_new_run(self) -> Iterator[str]:
        """What a run that has not begun wrote beside the one that it replaces."""
        for name in RUN_FILES:
            if name in (".lock", REPLACING, REPLACED, DISCARDED, "data_errors.jsonl"):
                continue
            if name not in INPUT_FILES or (self / REPLACED / name).exists():
                yield name

    def write(self, name: str, text: str) -> None:
        """Write a text file whole; raises UserError (74)."""
        write_text(self.path / name, text, RESUME)

    def write_json(self, name: str, values: Any) -> None:
        """Write JSON whole; NaN and infinity are our own mistake."""
        self.write(name, json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def read_object(self, name: str) -> dict[str, Any] | None:
        """A JSON object of the run; None where it is missing or damaged."""
        try:
            content = self.read_json(name)
        except (OSError, ValueError, RecursionError):
            return None
        return content if isinstance(content, dict) else None


def default_folder(train: str, *, overwrite: bool = False) -> Path:
    """A new folder named after the training file: reviews-run, reviews-run-2 …; the first to overwrite what is there.
    """
    stem = Path(train).name.split(".")[0] or "headstart"
    path = Path(f"{stem}-run")
    number = 2
    while path.exists() and not overwrite:
        path, number = Path(f"{stem}-run-{number}"), number + 1
    return path
