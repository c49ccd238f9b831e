"""Parts of one work, each done by one of several processes; their answers come in the order of the parts.

The processes are started anew (nothing is forked) and share no state with this one: each opens the same work, gets one
part at a time, and ends when this process closes its input, by intent or by its own end, however that came. The part of
one that is lost is given to another.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Self, cast

from headstart.errors import Exit, UserError
from headstart.models.loading.process_count import threads_per_process
from headstart.prediction.worker import Work, receive, send
from headstart.progress import Reporter

COMMAND = ("-P", "-c", "from headstart.prediction.worker import main; main()")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")  # of torch and onnxruntime; of tokenizers
PARTS_AHEAD = 2  # for each process, that are asked for before the part whose turn it is has come
SECONDS_TO_END = 5.0

Part = tuple[int, bytes]  # its place, and what is asked


class WorkerTraceback(Exception):
    """Where in a worker process an error came up: the cause of the error that is raised here."""

    def __str__(self) -> str:
        return f"in a worker process\n{self.args[0]}"


@dataclass(frozen=True, eq=False)
class Worker:
    """One process, with which one thread talks."""

    number: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, number: int, count: int) -> Worker:
        """Start one of `count` processes; their libraries share the cores, unless the environment says otherwise."""
        environment = {**dict.fromkeys(THREAD_VARIABLES, str(threads_per_process(count))), **os.environ,
                       "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
        # a process group of its own: Ctrl-C reaches the parent alone, which ends the others
        own_group: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
        return cls(number, subprocess.Popen([sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            env=environment, **own_group))

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Its standard input and output."""
        return cast(IO[bytes], self.process.stdin), cast(IO[bytes], self.process.stdout)

    def ask(self, message: bytes) -> bytes:
        """The answer to a message; raises EOFError or OSError where the process is gone."""
        requests, answers = self.pipes
        send(requests, message)
        return receive(answers)

    def end(self, *, at_once: bool) -> int:
        """End the process; its exit code."""
        if at_once:
            self.process.kill()
        with contextlib.suppress(OSError):
            self.pipes[0].close()
        try:
            return self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@dataclass(frozen=True)
class Answer:
    """What a worker said of a part (None: of the work); no message where it is gone."""

    worker: Worker
    part: Part | None
    message: bytes | None


@dataclass(eq=False)
class WorkerPool:
    """So many processes that do one work; a context, at whose end all of them have ended."""

    work: Work
    count: int
    reporter: Reporter
    workers: list[Worker] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    parts: SimpleQueue[Part | None] = field(default_factory=SimpleQueue)
    answers: SimpleQueue[Answer] = field(default_factory=SimpleQueue)
    lost_parts: set[int] = field(default_factory=set)  # places of those whose worker was lost

    def __enter__(self) -> Self:
        try:
            for number in range(self.count):
                self.workers.append(Worker.start(number, self.count))
                thread = threading.Thread(target=self.converse, args=(self.workers[-1],), daemon=True)
                self.threads.append(thread)
                thread.start()
        except BaseException:
            self.close(at_once=True)
            raise
        return self

    def __exit__(self, error_class: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close(at_once=error_class is not None)

    def close(self, *, at_once: bool) -> None:
        """End all processes and threads; `at_once`: also in the middle of a part."""
        for _ in self.workers:
            self.parts.put(None)
        for worker in self.workers:
            if at_once:
                worker.process.kill()
        for worker in self.workers:
            worker.end(at_once=at_once)
        for thread in self.threads:
            thread.join()
        for worker in self.workers:
            worker.pipes[1].close()

    def converse(self, worker: Worker) -> None:
        """Let a worker open the work, and do parts until there are no more; runs in a thread for each worker."""
        part: Part | None = None
        try:
            self.answers.put(Answer(worker, None, worker.ask(pickle.dumps((self.work, worker.number)))))
            while (part := self.parts.get()) is not None:
                self.answers.put(Answer(worker, part, worker.ask(part[1])))
        except (EOFError, OSError, ValueError):  # it is gone; ValueError: this process has closed its input
            self.answers.put(Answer(worker, part, None))

    def results(self, parts: Iterable[Any]) -> Iterator[Any]:
        """The answer to each part, in their order; parts are asked for a few ahead of the answer whose turn it is.

        To be read to its end before more is asked of the pool. Raises what a worker raised, MemoryError among it, and
        UserError (69) where too many processes are lost.
        """
        ready: dict[int, Any] = {}
        source = enumerate(parts)
        self.lost_parts.clear()
        sent = place = 0
        while True:
            while sent < place + PARTS_AHEAD * self.count and (entry := next(source, None)) is not None:
                self.parts.put((entry[0], pickle.dumps(entry[1], protocol=pickle.HIGHEST_PROTOCOL)))
                sent += 1
            if place == sent:
                return
            while place not in ready:
                ready |= self.receive()
            yield ready.pop(place)
            place += 1

    def receive(self) -> dict[int, Any]:
        """The next answer of any worker, by the place of its part; {} for one that is ready to begin."""
        answer = self.answers.get()
        if answer.message is None:
            self.note_loss(answer)
            return {}
        content = content_of(answer.message)
        return {} if answer.part is None else {answer.part[0]: content}

    def note_loss(self, answer: Answer) -> None:
        """Give the part of a worker that is gone to another; raises UserError (69) where that is hopeless."""
        self.workers.remove(answer.worker)
        code = answer.worker.end(at_once=True)
        answer.worker.pipes[1].close()
        reason = f"ended by signal {-code} ({signal_name(-code)})" if code < 0 else f"ended with exit code {code}"
        place = None if answer.part is None else answer.part[0]
        subject = f"Process {answer.worker.number + 1} of {self.count}"
        if not self.workers or place in self.lost_parts:
            again = ", like another process that had the same rows" if place in self.lost_parts else (
                "; no process is left" if self.count > 1 else "")
            raise UserError(f"{subject} {reason}{again}.", exit=Exit.UNAVAILABLE,
                            fix="Is the memory enough? Try fewer --processes, or a smaller evaluation.batch_tokens.")
        self.reporter.warning(f"process {answer.worker.number + 1} of {self.count} {reason}; its rows are given to "
                              f"{'the others' if len(self.workers) > 1 else 'the other one'}")
        if answer.part is not None:
            self.lost_parts.add(answer.part[0])
            self.parts.put(answer.part)


def content_of(message: bytes) -> Any:
    """What a worker answered; raises what it raised."""
    kind, content = pickle.loads(message)
    if kind == "error":
        raise content
    if kind == "bug":
        raise RuntimeError(content[0]) from WorkerTraceback(content[1])
    return content


def signal_name(number: int) -> str:
    """What a signal is called, and what the one that nothing survives mostly means."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return "unknown"
    return f"{name}: by hand, or because memory ran out" if name == "SIGKILL" else name
