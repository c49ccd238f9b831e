"""The run folder: locked while in use, never overwritten unasked, every file whole or not there."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError
from headstart.files import locked_folder, remove, write_text

RUN_FILES = (
    "settings.toml", "scores.json", "report.html", "report.md", "log.jsonl", "data.json", "predictions.jsonl",
    "checkpoints", "official", "first_batch.json", "environment.json", "adapter", "model", "data_errors.jsonl", ".lock",
    "failed_parts.txt", "mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json", ".replaced",
)
REPLACED = ".replaced"  # a run that is to be replaced waits here until the new one has begun
MINED_FILES = ("mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json")
LEFTOVER_FILES = ("data_errors.jsonl", ".lock", *MINED_FILES)  # what a run that never began may leave
RESUME = "Free some space, then run headstart resume."


class RunFolder:
    """A folder of one run, locked by this process until it is closed.

    Raises UserError: 73 when another process works in it, or when it holds a run or files that are not a run's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = contextlib.ExitStack()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __enter__(self) -> Self:
        self.lock.enter_context(locked_folder(self.path, in_use="is in use by another run",
                                              fix="Wait for it, or choose another folder with --to."))
        for leftover in self.path.glob(".*.part"):  # of a run that was killed while it wrote; the lock is ours
            remove(leftover)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.lock.close()

    @property
    def is_finished(self) -> bool:
        """Whether a run ended here: the report is written last."""
        return (self.path / "report.html").exists()

    def claim(self, *, overwrite: bool, mines: bool = False) -> None:
        """Make the folder ready for a new run; what it holds is put aside only when it is a run and `overwrite` is set.

        `recover` brings it back unless the new run begins. With `mines` the new run makes its own mined rows.
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
        aside = self.path / REPLACED
        aside.mkdir()
        # The report goes first: a half-moved run must not look finished.
        for name in ("report.html", *sorted(names - {"report.html"}), *(MINED_FILES if mines else ())):
            if (self.path / name).exists():
                (self.path / name).rename(aside / name)

    def recover(self) -> None:
        """Let the run that was replaced go where the new one has begun; else put it back as it was."""
        aside = self.path / REPLACED
        if not aside.is_dir():
            return
        if not (self.path / "data.json").exists():
            for name in (*sorted({entry.name for entry in aside.iterdir()} | {"settings.toml"}), "data_errors.jsonl"):
                remove(self.path / name)
            for entry in sorted(aside.iterdir(), key=lambda path: path.name == "report.html"):  # the report comes last
                entry.rename(self.path / entry.name)
        shutil.rmtree(aside)

    def write(self, name: str, text: str) -> None:
        """Write a text file whole; raises UserError (74)."""
        write_text(self.path / name, text, RESUME)

    def write_json(self, name: str, values: Any) -> None:
        """Write JSON whole; NaN and infinity are our own mistake."""
        self.write(name, json.dumps(values, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def default_folder(train: str) -> Path:
    """A new folder named after the training file: reviews-run, reviews-run-2 …"""
    stem = Path(train).name.split(".")[0] or "headstart"
    path = Path(f"{stem}-run")
    number = 2
    while path.exists():
        path, number = Path(f"{stem}-run-{number}"), number + 1
    return path
