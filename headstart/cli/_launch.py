"""`--processes N`: the same command in N processes of this machine, which end together and speak with one voice.

This process only watches: it loads no model, starts the others with the variables that torchrun would set, and hands
requests to stop to the first of them, which leads. Where one is lost it ends the rest within half a minute, says which
and why, and with --max-restarts goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags, _help, _results
from headstart.errors import Exit, UserError
from headstart.models.loading.process_count import choose_process_count, chosen_threads, threads_text
from headstart.progress import Reporter
from headstart.runs.signals import handling_stop_signals
from headstart.training.distributed import LOST_NOTE, RUN_NOTE, World, resume_advice
from headstart.training.open_world import FOLDER, LAUNCHER, shared_run

if TYPE_CHECKING:
    from headstart.api.finetune import Run

PATIENCE = (8.0, 20.0)  # seconds after a loss in which the others end by themselves, then are asked to; then killed
ORPHANED = 4.0  # seconds after the leader's end in which the others end by themselves; they have nothing to save
TICK = 0.05  # seconds between two looks
MOST_RESTARTS = 1000
FLAGS = ("--processes", "--max-restarts")  # that the started processes do not get
KEPT_FLAGS = ("--quiet", "--json", "--accept-changes")  # that a command which goes on has again
START = f"""
import sys
try:
    from headstart.cli.main import entry
except KeyboardInterrupt:
    print("headstart: interrupted.", file=sys.stderr)
    sys.exit({int(Exit.INTERRUPTED)})
entry()
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The flags of commands that train."""
    group = parser.add_argument_group(_help.FURTHER)
    _flags.add_shared(group, "--processes", "gradients are added up")
    group.add_argument("--max-restarts", metavar="N", default="0",
                       help="begin again so often from the last checkpoint where a process is lost; 0 when not given")


def train(arguments: argparse.Namespace, make_run: Callable[[World, Reporter], Run]) -> int:
    """Run a command that trains, here or in several processes, and print the scores; gives the exit code."""
    reporter = _flags.make_reporter(arguments)
    code = run_in_processes(arguments, reporter)
    if code is not None:
        return code
    with shared_run() as world:
        if not world.leads:
            make_run(world, Reporter())
            return Exit.SUCCESS
        _results.print_run(make_run(world, reporter), reporter, as_json=arguments.json)
        return Exit.SUCCESS


def run_in_processes(arguments: argparse.Namespace, reporter: Reporter) -> int | None:
    """Run the command in as many processes as were asked for, and give its exit code; None where this process runs it.

    Raises UserError (2, 69) for a number that cannot be.
    """
    restarts = str(arguments.max_restarts)
    if not (restarts.isascii() and restarts.isdigit() and int(restarts) <= MOST_RESTARTS):
        raise UserError(f"--max-restarts takes a number from 0 to {MOST_RESTARTS:,}, but it is {restarts!r}.")
    if arguments.processes is None:
        if int(restarts):
            raise UserError("--max-restarts goes with --processes, which it starts again.", fix="Pass --processes 2.")
        return None
    if os.environ.get("WORLD_SIZE"):
        raise UserError(f"--processes {arguments.processes} starts processes, but this one was started by torchrun "
                        "already (WORLD_SIZE is set).", fix="Leave out --processes, or unset WORLD_SIZE.")
    count = choose_process_count(arguments.processes, getattr(arguments, "device", None) or "auto", reporter)
    if count == 1:
        if int(restarts):
            reporter.warning("--max-restarts is for several processes; this is one, and is not started again")
        return None
    reporter.info(f"{count} processes of {threads_text(count)} each")
    return Launch(without_flags(arguments.command_line), count, chosen_threads(count), int(restarts), reporter).run()


def without_flags(argv: Sequence[str]) -> list[str]:
    """A command line without the flags that are for the launcher alone."""
    remaining, skips = list[str](), False
    for argument in argv:
        if skips:
            skips = False
        elif argument in FLAGS:
            skips = True
        elif not argument.startswith(tuple(f"{flag}=" for flag in FLAGS)):
            remaining.append(argument)
    return remaining


@dataclass
class Launch:
    """A command in several processes, started again where that was asked for."""

    command: Sequence[str]
    count: int
    threads: str
    restarts: int
    reporter: Reporter
    signals: list[int] = field(default_factory=list)  # that came, and were handed on

    def run(self) -> int:
        """Start the processes, watch them to their end, and give the exit code; raises UserError (69) for one that was
        lost.
        """
        with handling_stop_signals(lambda number, _: self.signals.append(number)):
            for restart in range(self.restarts + 1):
                with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
                    ending = self.start_and_watch(Path(folder))
                if ending.lost is None:
                    return ending.code
                if restart == self.restarts or self.signals:
                    raise UserError(ending.lost, fix=ending.fix, exit=Exit(ending.code))
                begins = "" if ending.run else ", from the start: nothing was saved"
                self.reporter.warning(f"{ending.lost} Going on by itself{begins} (restart {restart + 1} of "
                                      f"{self.restarts}).")
                if ending.run:
                    self.command = ["resume", ending.run, *(flag for flag in KEPT_FLAGS if flag in self.command)]
            raise AssertionError("the last restart returns or raises")

    def start_and_watch(self, folder: Path) -> Ending:
        """Start all processes, and wait until none is left."""
        reading, writing = os.pipe()
        processes = list[subprocess.Popen[bytes]]()
        try:
            processes += [self.start(rank, folder, reading) for rank in range(self.count)]
            return Watch(processes, folder, self.signals).ending()
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
            os.close(reading)
            os.close(writing)

    def start(self, rank: int, folder: Path, pipe: int) -> subprocess.Popen[bytes]:
        """Start one process; only the leader reads and prints."""
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(self.count), "LOCAL_RANK": str(rank),
                       "LOCAL_WORLD_SIZE": str(self.count), FOLDER: str(folder), "OMP_NUM_THREADS": self.threads}
        environment.setdefault("RAYON_NUM_THREADS", self.threads)  # of tokenizers
        options: dict[str, Any] = {"start_new_session": True}  # so that Ctrl-C comes once, by way of this process
        if rank:
            options |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        elif sys.platform != "win32":
            environment[LAUNCHER] = str(pipe)
            options["pass_fds"] = (pipe,)
        safe_path = [] if starts_in_folder() else ["-P"]
        return subprocess.Popen([sys.executable, *safe_path, "-c", START, *self.command], env=environment, **options)


def starts_in_folder() -> bool:
    """Whether Python looks for modules in the working folder, as with `python -m headstart`; else files in it that have
    a module's name must not be taken for one."""
    return any(os.path.abspath(path) == os.getcwd() for path in sys.path)


@dataclass(frozen=True)
class Ending:
    """How all processes ended: with a code or, where one was lost, the words for it."""

    code: int
    lost: str | None = None
    run: str = ""  # the folder of a run that can be resumed

    @property
    def fix(self) -> str:
        """What to do after a loss."""
        return resume_advice(self.run) if self.run else "Nothing was begun: give the command again."


class Watch:
    """Looks after the processes of one start until all have ended."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], folder: Path, signals: Sequence[int]) -> None:
        self.processes, self.folder, self.signals = processes, folder, signals
        self.handed_on = len(signals)
        self.first_end: float | None = None
        self.leader_end: float | None = None
        self.exit_codes: dict[int, int] = {}  # by rank
        self.ranks_ended_here: set[int] = set()  # of those that a signal of this process ended
        self.sent_term = False

    def ending(self) -> Ending:
        """Wait until all have ended, however long the run is; after the first that fails, half a minute."""
        while any(process.poll() is None for process in self.processes):
            self.note_ends()
            self.hand_on_signals()
            if seconds_since(self.first_end) > PATIENCE[0] and not self.sent_term:
                self.sent_term = True
                self.signal_all(signal.SIGTERM)
            if seconds_since(self.first_end) > PATIENCE[1] or seconds_since(self.leader_end) > ORPHANED:
                self.note_ends()
                self.sent_term = True
                self.signal_all(getattr(signal, "SIGKILL", signal.SIGTERM))
            time.sleep(TICK)
        self.note_ends()
        return self.judge()

    def note_ends(self) -> None:
        """Remember which processes ended, and how; with a failure, or the leader, the others' time begins."""
        for rank, process in enumerate(self.processes):
            code = process.poll()
            if code is None or rank in self.exit_codes:
                continue
            self.exit_codes[rank] = code
            if self.first_end is not None and code < 0 and self.sent_term:
                self.ranks_ended_here.add(rank)
            if (code or not rank) and self.first_end is None:
                self.first_end = time.monotonic()
            if not rank:
                self.leader_end = time.monotonic()

    def hand_on_signals(self) -> None:
        """Pass requests to stop to the leader, each once."""
        for number in self.signals[self.handed_on:]:
            self.handed_on += 1
            if self.processes[0].poll() is None:
                self.processes[0].send_signal(number)

    def signal_all(self, number: int) -> None:
        """Send a signal to all that are left."""
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    process.send_signal(number)

    def judge(self) -> Ending:
        """What the ends of all processes mean; a leader that ended well has finished the run, whatever came after."""
        if self.exit_codes.get(0) == 0:
            return Ending(0)
        run, lost_words = read_note(self.folder / RUN_NOTE), read_note(self.folder / LOST_NOTE)
        codes = {rank: code for rank, code in self.exit_codes.items() if rank not in self.ranks_ended_here}
        killed = {rank: code for rank, code in codes.items() if code < 0}
        if killed:
            rank, code = next(iter(killed.items()))
            if not rank and -code in self.signals:  # it came before the leader could listen to it
                return Ending(Exit.INTERRUPTED, "The run was interrupted.", run)
            return Ending(Exit.UNAVAILABLE, f"{self.name(rank)} was ended by {signal_words(-code)}, so the others were "
                                            "stopped.", run)
        failed = {rank: code for rank, code in codes.items() if rank and code not in (0, Exit.INTERRUPTED)}
        if lost_words and not failed:
            return Ending(Exit.UNAVAILABLE, lost_words, run)
        if failed and (lost_words or 0 not in codes):
            return Ending(next(iter(failed.values())))
        if 0 not in codes:
            return Ending(Exit.UNAVAILABLE, f"{self.name(0)} did not end when another had, so it was killed.", run)
        return Ending(codes[0])

    def name(self, rank: int) -> str:
        """A process in words."""
        return f"Process {rank} of {len(self.processes)}"


def seconds_since(moment: float | None) -> float:
    """Seconds from a moment on; 0 where it has not come."""
    return 0.0 if moment is None else time.monotonic() - moment


def signal_words(number: int) -> str:
    """A signal in words; the system sends SIGKILL where memory runs out."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name}, as the system does where memory runs out" if name == "SIGKILL" else name


def read_note(path: Path) -> str:
    """A note that a process left; "" where there is none."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
