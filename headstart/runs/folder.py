"""The run folder: locked while in use, never overwritten unasked, every file whole or not there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError

OURS = (
    "settings.toml", "scores.json", "report.html", "report.md", "log.jsonl", "data.json", "predictions.jsonl",
    "checkpoints", "official", "first_batch.json", "environment.json", "adapter", "model", "data_errors.jsonl", ".lock",
    "mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json", ".replaced",
)
REPLACED = ".replaced"  # a run that is to be replaced waits here until the new one has begun
MINED = ("mined.jsonl", "mined-dev.jsonl", "mined-test.jsonl", "mined.json")
LEFT_OVER = ("data_errors.jsonl", ".lock", *MINED)  # what a run that never began may leave


class RunFolder:
    """A folder of one run, held by this process until it is closed.

    Raises UserError: 73 when another process holds it, or when it holds a run or files that are not ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock: int | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __enter__(self) -> Self:
        with disk_words(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = os.read(handle, 200).decode(errors="replace").strip()
            os.close(handle)
            raise UserError(f"{self.path} is in use by another run ({held or 'just begun'}).",
                            fix="Wait for it, or choose another folder with --to.", exit=Exit.EXISTS) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()}, started {started()}\n".encode())
        self.lock = handle
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.lock is None:
            return
        # The lock file stays: removing it while another process waits on it would let two in.
        if [entry.name for entry in self.path.iterdir()] == [".lock"]:
            (self.path / ".lock").unlink()
            self.path.rmdir()  # nothing was written
        os.close(self.lock)
        self.lock = None

    @property
    def finished(self) -> bool:
        """Whether a run ended here: the report is written last."""
        return (self.path / "report.html").exists()

    @property
    def begun(self) -> bool:
        """Whether there is a run, finished or not."""
        return (self.path / "settings.toml").exists()

    def claim(self, *, overwrite: bool, mines: bool = False) -> None:
        """Make the folder ready for a new run; what it holds is put aside only when it is a run and `overwrite` is set.

        `recover` brings it back unless the new run begins. With `mines` the new run makes its own mined rows.
        """
        self.recover()
        held = {entry.name for entry in self.path.iterdir()} - set(LEFT_OVER)
        if not held:
            return
        if foreign := sorted(held - set(OURS)):
            raise UserError(f"{self.path} holds files that are not a run's ({foreign[0]}).",
                            fix="Choose another folder with --to.", exit=Exit.EXISTS)
        if not overwrite:
            way = "" if self.finished else f" or go on with it: headstart resume {self.path};"
            raise UserError(f"{self.path} already holds {'a finished' if self.finished else 'an unfinished'} run.",
                            fix=f"Choose another folder with --to,{way} --overwrite replaces it.", exit=Exit.EXISTS)
        aside = self.path / REPLACED
        aside.mkdir()
        # The report goes first: a half-moved run must not look finished.
        for name in ("report.html", *sorted(held - {"report.html"}), *(MINED if mines else ())):
            if (self.path / name).exists():
                (self.path / name).rename(aside / name)

    def recover(self) -> None:
        """Let the run that was replaced go where the new one has begun; else put it back as it was."""
        aside = self.path / REPLACED
        if not aside.is_dir():
            return
        if not (self.path / "data.json").exists():
            for name in (*sorted({one.name for one in aside.iterdir()} | {"settings.toml"}), "data_errors.jsonl"):
                remove(self.path / name)
            for one in sorted(aside.iterdir(), key=lambda place: place.name == "report.html"):  # the report comes last
                one.rename(self.path / one.name)
        shutil.rmtree(aside)

    def write(self, name: str, text: str) -> None:
        """Write a file whole: beside its place first, then renamed."""
        write_whole(self.path / name, text)

    def write_json(self, name: str, data: Any) -> None:
        """Write JSON whole; NaN and infinity are our own mistake."""
        self.write(name, json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def remove(place: Path) -> None:
    """Take a file or a folder away, where it is there."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def write_whole(place: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all; raises UserError (74) when the disk is full."""
    staging = place.with_name(f".{place.name}.part")
    try:
        with disk_words(place), staging.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(place)
    finally:
        staging.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_words(place: Path) -> Iterator[None]:
    """Errors of the disk in the user's words: 74 when it is full or cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk of {place} is full.", fix="Free some space, then go on with headstart resume.",
                            exit=Exit.DISK) from error
        raise UserError(f"{place} cannot be written: {error.strerror or error}.", fix="Choose another place with --to.",
                        exit=Exit.DISK) from error


def started() -> str:
    """When this process started, in local time."""
    import datetime

    try:
        stamp = Path("/proc/self").stat().st_mtime
    except OSError:
        return "at an unknown time"
    return datetime.datetime.fromtimestamp(stamp).astimezone().isoformat(timespec="seconds")


class Log:
    """log.jsonl: one line an event, appended as it happens."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append one event."""
        with disk_words(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}, ensure_ascii=False, allow_nan=False) + "\n")

    def events(self) -> list[dict[str, Any]]:
        """Every whole event so far; a last line that was cut off is left out."""
        if not self.path.exists():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(text))
        return found

    def rewind(self, update: int) -> None:
        """Drop what happened after this update: a resumed run does it again."""
        kept = [event for event in self.events() if event.get("update", 0) <= update]
        write_whole(self.path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))


def default_folder(train: str) -> Path:
    """A new folder named after the training file: reviews-run, reviews-run-2 …"""
    stem = Path(train).name.split(".")[0] or "headstart"
    place = Path(f"{stem}-run")
    number = 2
    while place.exists():
        place, number = Path(f"{stem}-run-{number}"), number + 1
    return place


def toml(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Settings as TOML; what is not set is left out."""
    import tomli_w

    return tomli_w.dumps({group: {name: value for name, value in held.items() if value is not None}
                          for group, held in groups.items()})
