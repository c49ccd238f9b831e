"""Commands in children forked from this process, which has torch imported: ended, or failed, at the n-th operation on
the disk.

    outcome = run_command(["finetune", …], observer=kill_at(17), watched=tmp_path)

Operations are those that `disk.operations` announces, and whatever else Python opens, renames or removes below the
watched folder (an audit hook sees it): nothing that writes goes around them.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart import disk
from headstart.cli.main import run_guarded

Observer = Callable[[int, str, Path], None]  # number from 1, name, path
CHANGES = {"os.rename": "rename", "os.remove": "remove", "os.mkdir": "make_folder", "os.rmdir": "remove"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
ROOM_IS_NEEDED = ("open", "write", "flush", "make_folder")  # what a full disk refuses; the rest it lets pass


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (minus the signal that ended it), and what it wrote to both streams."""

    code: int
    text: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Counter:
    """Numbers the operations below a folder and passes each on to an observer."""

    def __init__(self, folder: Path, observer: Observer) -> None:
        self.folder, self.observer = str(folder), observer
        self.count, self.busy, self.announced = 0, False, ("", "")

    def operation(self, name: str, path: Path | str) -> None:
        if not self.busy and str(path).startswith(self.folder):
            self.busy = True
            self.count += 1
            try:
                self.observer(self.count, name, Path(path))
            finally:
                self.busy = False

    def announce(self, name: str, path: Path) -> None:
        self.operation(name, path)
        self.announced = (name, str(path))

    def audit(self, event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes) and isinstance(arguments[2], int):
            name, path = "open", os.fsdecode(arguments[0])
            if not arguments[2] & WRITING:
                return
        elif event in CHANGES and not isinstance(arguments[0], int):
            name, path = CHANGES[event], os.fsdecode(arguments[1 if event == "os.rename" else 0])
        else:
            return
        if self.announced == (name, path) or self.announced[0] == "remove_folder":
            self.announced = ("", "")
            return
        self.operation(name, path)


def start_command(arguments: Sequence[object], output: Path, *, observer: Observer | None = None,
                  watched: Path | None = None, first: Callable[[], None] | None = None) -> int:
    """Fork a child that runs a headstart command; gives its process id. `first` is called in the child."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", write_through=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command's entry point does
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if first is not None:
            first()
        if observer is not None:
            counter = Counter(watched or Path("/"), observer)
            disk.operations.observer = counter.announce
            sys.addaudithook(counter.audit)
        code = run_guarded([str(argument) for argument in arguments])
        disk.operations.observer = None
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait_for(process: int, output: Path, seconds: float = 300) -> Outcome:
    """The outcome of a child; one that takes longer is ended, and fails."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
            return Outcome(os.waitstatus_to_exitcode(status), text)
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)


def run_command(arguments: Sequence[object], output: Path, *, observer: Observer | None = None,
                watched: Path | None = None, first: Callable[[], None] | None = None) -> Outcome:
    """Run a headstart command in a child."""
    return wait_for(start_command(arguments, output, observer=observer, watched=watched, first=first), output)


def kill_at(number: int) -> Observer:
    """End the process, as kill -9 does, before its operation of this number."""
    def observer(count: int, name: str, path: Path) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return observer


def fail_from(number: int, code: int) -> Observer:
    """A disk that is full (or broken) from the operation of this number on: every later one fails too."""
    def observer(count: int, name: str, path: Path) -> None:
        if count < number or (code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and name not in ROOM_IS_NEEDED):
            return
        if path.suffix == ".safetensors" and name == "write":
            from safetensors import SafetensorError

            raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(code)} (os error {code})")
        raise OSError(code, os.strerror(code), str(path))

    return observer


def list_operations(listing: list[str] | Path) -> Observer:
    """Write the name and path of each operation on a line of a file."""
    def observer(count: int, name: str, path: Path) -> None:
        with open(listing, "a", encoding="utf-8") as file:
            file.write(f"{name}\t{path}\n")

    return observer


def operations_of(arguments: Sequence[object], watched: Path, scratch: Path) -> tuple[Outcome, list[tuple[str, str]]]:
    """Run a command; its outcome, and its operations below a folder."""
    listing = scratch / "operations.txt"
    listing.unlink(missing_ok=True)
    outcome = run_command(arguments, scratch / "output.txt", observer=list_operations(listing), watched=watched)
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    return outcome, [(line.split("\t")[0], line.split("\t")[1]) for line in lines]
