"""Several processes behind one port, which share the weights of the models.

The parent binds the port, loads every model, and forks the workers: what was loaded is in their memory without a copy,
and one that ends is started again in a moment. It computes nothing itself, as threads of a computation would not live
on in a fork: torch has one thread until then. A model of another runtime (ONNX) is loaded by each worker, as its
sessions have threads of their own.

All workers take up connections from one socket, so that none is lost with a worker but those that it was answering.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from headstart.api.model import Model
from headstart.errors import Exit, UserError
from headstart.prediction.worker_pool import signal_name
from headstart.progress import Reporter
from headstart.serving.app import Endpoints
from headstart.serving.board import DRAINING, READY, Board, Seat
from headstart.serving.body import Bounds
from headstart.serving.engine import Limits
from headstart.serving.listener import WAITING, address, bind_socket
from headstart.serving.server import Log, Place, ReceiveEvent, RunningServer, report_ready, running
from headstart.serving.service import Service

STOPS = (signal.SIGTERM, signal.SIGINT)
LOOK_EVERY = 0.05  # seconds
PUBLISH_EVERY = 1.0  # seconds
QUICK_DEATH = 5.0  # seconds: who ends sooner is started again after a growing pause
LONGEST_PAUSE = 30.0  # seconds
FAILED_STARTS = 3  # of one worker, one after the other, that end the server
AFTER_DEADLINE = 5.0  # seconds that a worker has for its last answers beyond the deadline


@dataclass
class Worker:
    """One place for a process, and the process that has it now."""

    number: int
    pid: int = 0  # 0: none
    started: float = 0.0
    start_at: float = 0.0  # not before
    failed_starts: int = 0
    quick_deaths: int = 0


@dataclass
class Fleet:
    """The workers of one server, and what each of them does."""

    workers: list[Worker]
    board: Board
    work: Callable[[int], int]  # what a worker does until it is to end; its exit code
    reporter: Reporter
    receive: ReceiveEvent | None

    def start(self, worker: Worker) -> None:
        """Fork the process of a worker."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # neither process may be stopped half-way
        with warnings.catch_warnings():
            # Python 3.12 counts threads of libraries (OpenBLAS has an own handler for forks) and warns.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            run_worker(self.work, worker.number, Log(self.reporter))
        worker.pid, worker.started = pid, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def tend(self) -> None:
        """Start who is to be started, and note who ended; raises UserError (69) where a worker ends again and again."""
        for worker in self.workers:
            if not worker.pid and time.monotonic() >= worker.start_at:
                self.start(worker)
                continue
            if worker.pid:
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    self.note_end(worker, os.waitstatus_to_exitcode(status))

    def note_end(self, worker: Worker, code: int) -> None:
        """Tell that a worker ended, and when it is started again."""
        was_ready = self.board.head(worker.number)[0] == READY
        worker.failed_starts = 0 if was_ready else worker.failed_starts + 1
        is_quick = time.monotonic() - worker.started < QUICK_DEATH
        worker.quick_deaths = worker.quick_deaths + 1 if is_quick else 0
        pause = min(LONGEST_PAUSE, 2.0 ** (worker.quick_deaths - 2)) if worker.quick_deaths > 1 else 0.0
        reason = f"by signal {-code} ({signal_name(-code)})" if code < 0 else f"with exit code {code}"
        self.board.count_restart(worker.number)
        self.report_end(worker, code, f"worker {worker.number} (process {worker.pid}) ended {reason}; what it was "
                        f"answering is lost; it is started again{f' in {pause:.1f} s' if pause else ''}")
        worker.pid, worker.start_at = 0, time.monotonic() + pause
        if worker.failed_starts >= FAILED_STARTS:
            raise UserError(f"Worker {worker.number} ended {worker.failed_starts} times before it was ready, at last "
                            f"{reason}.", fix="Is the memory enough? Try fewer --workers.", exit=Exit.UNAVAILABLE)

    def report_end(self, worker: Worker, code: int, message: str) -> None:
        """Lines of the log about a worker that ended; a log that nobody reads any more stops no worker."""
        with contextlib.suppress(OSError):
            self.reporter.warning(message)
            if self.receive is not None:
                self.receive({"event": "worker", "state": "ended", "worker": worker.number, "pid": worker.pid,
                              "code": code})

    def stop(self, seconds: float) -> None:
        """Let every worker answer what it has, and end it; those that take longer than `seconds` are killed."""
        for worker in self.workers:
            self.send(worker, signal.SIGTERM)
        until = time.monotonic() + seconds
        for worker in self.workers:
            while worker.pid and not self.has_ended(worker):
                if time.monotonic() > until:
                    self.send(worker, signal.SIGKILL)
                time.sleep(0.01)

    def has_ended(self, worker: Worker) -> bool:
        """Whether a worker's process is gone."""
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(worker.pid, os.WNOHANG) == (0, 0):
                return False
        worker.pid = 0
        return True

    def send(self, worker: Worker, number: signal.Signals) -> None:
        """Send a worker a signal, where it lives."""
        if worker.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, number)


def serve_with_workers(load: Mapping[str, Callable[[], Model]], count: int, place: Place, limits: Limits,
                       bounds: Bounds, reporter: Reporter, receive: ReceiveEvent | None = None) -> int:
    """Load models by name, and answer with so many processes until SIGTERM or Ctrl-C; the exit code.

    Nobody is answered until all models are loaded. Raises UserError: 69 for a port in use, for a system without fork,
    and for workers that do not live; and what loading raises.
    """
    import torch

    if not hasattr(os, "fork") or sys.platform == "darwin":  # Apple's libraries do not survive a fork
        raise UserError("--workers needs Linux.", fix="Start several servers, each on its own --port.",
                        exit=Exit.UNAVAILABLE)
    threads = max(1, torch.get_num_threads() // count)
    set_threads(1)
    with bind_socket(place.port, place.host, listens=False) as listener:
        models = loaded_models(load, limits, reporter)
        gc.collect()
        gc.freeze()  # what is there stays as it is: a collection in a worker would copy its pages
        listener.listen(WAITING)
        board, parent = Board(count), os.getpid()

        def work(number: int) -> int:
            set_threads(threads)
            seat = Seat(board, number)
            service = Service(limits, bounds, seat)
            for name, model in models.items():
                service.add(name, load[name]() if model is None else model)
            service.phase = "ready"
            with running(Endpoints(service), place, reporter, receive, listener=listener, worker=number) as server:
                board.set_state(number, READY)
                return answer_until_stopped(server, seat, parent)

        fleet = Fleet([Worker(number) for number in range(count)], board, work, reporter, receive)
        url = address(place.host, listener.getsockname()[1])
        memory = "each with models of its own" if None in models.values() else "which share the memory of the models"
        details = f"{count} workers of {threads} thread{'s' if threads > 1 else ''}, {memory}"
        return tend_until_stopped(fleet, url, list(models), details, limits.deadline + AFTER_DEADLINE)


def set_threads(count: int) -> None:
    """The threads of a computation from here on, of torch and of a session of onnxruntime."""
    import torch

    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)  # what a new session goes by


def loaded_models(load: Mapping[str, Callable[[], Model]], limits: Limits,
                  reporter: Reporter) -> dict[str, Model | None]:
    """Models by name as workers may share them; None for one that each must load itself. Raises UserError."""
    models: dict[str, Model | None] = {}
    for name, load_model in load.items():
        model = load_model()
        predictor = model.predictor(batch_tokens=limits.batch_tokens)
        reporter.info(f"serving {name}: {model.task.name}, version {predictor.fingerprint()[:16]}")
        models[name] = None if model.exported is not None else model
    return models


def tend_until_stopped(fleet: Fleet, url: str, models: list[str], details: str, seconds: float) -> int:
    """Keep the workers alive until SIGTERM or Ctrl-C, then let them answer what they have, for so many seconds;
    `details` say what they are, once all are ready.
    """
    is_announced = False
    try:
        while True:
            fleet.tend()
            if not is_announced and fleet.board.ready == len(fleet.workers):
                is_announced = True
                report_ready(url, {"models": models, "workers": [worker.pid for worker in fleet.workers]},
                             fleet.reporter, fleet.receive, details)
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        fleet.reporter.info("shutting down: requests already received are answered first")
        fleet.stop(seconds)
        fleet.reporter.info("stopped")
    finally:
        fleet.stop(0.0)
    return 0


def run_worker(work: Callable[[int], int], number: int, log: Log) -> NoReturn:
    """All that a forked process does; nothing of the parent's own end (its open files, its port) happens here."""
    code = int(Exit.BUG)
    try:
        code = work(number)
        sys.stdout.flush()
    except UserError as error:
        log.reporter.warning(f"worker {number}: {error}")
        code = int(error.exit)
    except BaseException as error:
        log.report_bug(error)
    finally:
        os._exit(code)


def answer_until_stopped(server: RunningServer, seat: Seat, parent: int) -> int:
    """Answer until SIGTERM, or until the parent (its process) is gone; the exit code."""
    stop_requested = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop_requested.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    while not stop_requested.wait(PUBLISH_EVERY):
        if not server.thread.is_alive():
            return int(Exit.UNAVAILABLE)
        if os.getppid() != parent:
            break
        seat.board.publish(seat.worker, server.service.metrics.text())
    seat.board.set_state(seat.worker, DRAINING)
    server.stop()
    return 0
