"""One thread works for all requests to a model: they wait in one queue and share its batches.

A request has units (rows, prompts) that cost tokens. The thread takes units, oldest request first, until a batch has
its tokens; a request of many units is cut, and what is left of it goes behind the requests that came meanwhile. Units
are only batched with others of the same key (the same settings).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Unit = TypeVar("Unit")
Answer = TypeVar("Answer")
Compute = Callable[[Hashable, Sequence[Unit]], Sequence[Answer]]  # (key, units) -> a result for each, in order


@dataclass(frozen=True)
class Limits:
    """How much is taken at once, and how long a request may wait; times in seconds."""

    batch_tokens: int = 4096  # of one batch; a unit of more goes alone
    batch_wait: float = 0.005  # for further requests, once the first is there and where the last batch was shared
    queue_units: int = 4096  # that wait at most
    deadline: float = 30.0  # of a request, from its arrival to its last result


class QueueFull(Exception):
    """More would wait than may; `retry_after` seconds from now there should be room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


class DeadlineExceeded(Exception):
    """The request was not answered in time."""


class EngineClosed(Exception):
    """No further request is taken."""


@dataclass(frozen=True)
class BatchRecord:
    """What a batch took: for metrics."""

    units: int
    tokens: int
    seconds: float
    waits: Sequence[float]  # from the arrival of each request that begins in this batch
    failed: bool


@dataclass(eq=False)
class Request(Generic[Unit, Answer]):
    """Units that were asked for together, and what they gave so far."""

    units: Sequence[Unit]
    tokens: Sequence[int]
    key: Hashable
    arrived: float
    deadline: float
    future: Future[list[Answer]]
    results: list[Answer] = field(default_factory=list)
    has_begun: bool = False

    def begin(self) -> bool:
        """Whether it is still wanted; from here on it cannot be cancelled."""
        if not self.has_begun:
            self.has_begun = self.future.set_running_or_notify_cancel()
        return self.has_begun

    @property
    def waiting(self) -> int:
        """Units that have no result yet."""
        return len(self.units) - len(self.results)


class Engine(Generic[Unit, Answer]):
    """Batches of many requests, computed one after the other by one thread.

    >>> engine = Engine(lambda key, texts: [len(text) for text in texts], Limits())
    >>> engine.submit(["one", "two"], tokens=[1, 1]).result()
    [3, 3]
    >>> engine.close()
    """

    def __init__(self, compute: Compute[Unit, Answer], limits: Limits | None = None, *,
                 observe: Callable[[BatchRecord], None] = lambda record: None) -> None:
        self.compute, self.limits, self.observe = compute, limits or Limits(), observe
        self.queue: deque[Request[Unit, Answer]] = deque()
        self.changed = threading.Condition()
        self.closed = False
        self.was_shared = False  # whether the last batch was of several requests
        self.seconds_per_unit = 0.0  # a running mean, for QueueFull.retry_after
        self.thread = threading.Thread(target=self.work, name="headstart-engine", daemon=True)
        self.thread.start()

    @property
    def queued_units(self) -> int:
        """Units that wait."""
        with self.changed:
            return sum(request.waiting for request in self.queue)

    def submit(self, units: Sequence[Unit], tokens: Sequence[int], *, key: Hashable = None,
               deadline: float | None = None) -> Future[list[Answer]]:
        """A future of the results, one for each unit; cancelled before its turn, it costs nothing.

        Raises QueueFull and EngineClosed; the future raises DeadlineExceeded, or what `compute` raised for these units.
        """
        assert len(units) == len(tokens)
        now = time.monotonic()
        future: Future[list[Answer]] = Future()
        if not units:
            future.set_result([])
            return future
        with self.changed:
            if self.closed:
                raise EngineClosed("the server is shutting down")
            waiting = self.queued_units
            if waiting + len(units) > self.limits.queue_units:
                raise QueueFull(max(1.0, waiting * self.seconds_per_unit))
            self.queue.append(Request(units, tokens, key, now, now + (deadline or self.limits.deadline), future))
            self.changed.notify_all()
        return future

    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Take no further request; with `drain`, answer those that wait first, else they get EngineClosed."""
        with self.changed:
            self.closed = True
            if not drain:
                while self.queue:
                    fail(self.queue.popleft(), EngineClosed("the server was shut down"))
            self.changed.notify_all()
        if self.thread is not threading.current_thread():
            self.thread.join(timeout)

    def work(self) -> None:
        """The thread: batch after batch, until closed and empty."""
        while True:
            batch = self.next_batch()
            if batch is None:
                return
            if batch:
                self.was_shared = len(batch) > 1
                self.run(batch)

    def next_batch(self) -> list[tuple[Request[Unit, Answer], int]] | None:
        """Requests with how many of their next units go now; None when there will be none."""
        with self.changed:
            while not self.queue:
                if self.closed:
                    return None
                self.changed.wait()
            # A client alone waits for nobody: only where batches were shared just now may further requests come.
            full_at = time.monotonic() + (self.limits.batch_wait if self.was_shared else 0.0)
            while not self.closed and self.ready_tokens() < self.limits.batch_tokens:
                remaining = full_at - time.monotonic()
                if remaining <= 0 or not self.changed.wait(remaining):
                    break
            return self.take()

    def ready_tokens(self) -> int:
        """Tokens that could go into the next batch."""
        if not self.queue:
            return 0
        key = self.queue[0].key
        return sum(sum(request.tokens[len(request.results):]) for request in self.queue if request.key == key)

    def take(self) -> list[tuple[Request[Unit, Answer], int]]:
        """Units of the first request and of those with its key, up to the tokens of a batch; the late ones fail."""
        batch: list[tuple[Request[Unit, Answer], int]] = []
        now, free = time.monotonic(), self.limits.batch_tokens
        key: Hashable = None
        for request in list(self.queue):
            if request.future.cancelled() or now > request.deadline:
                self.queue.remove(request)
                fail(request, DeadlineExceeded("the request was not answered in time"))
                continue
            if batch and (request.key != key or free <= 0):
                continue
            count = 0
            for cost in request.tokens[len(request.results):]:
                if cost > free and (batch or count):
                    break
                count, free = count + 1, free - cost
            if count:
                self.queue.remove(request)
                if request.begin():
                    key = request.key
                    batch.append((request, count))
        return batch

    def run(self, batch: list[tuple[Request[Unit, Answer], int]]) -> None:
        """Compute a batch; where it fails, each request alone, so that only the one to blame fails."""
        units = [unit for request, count in batch
                 for unit in request.units[len(request.results):len(request.results) + count]]
        start, failed = time.monotonic(), False
        waits = [start - request.arrived for request, _ in batch if not request.results]
        tokens = sum(sum(request.tokens[len(request.results):len(request.results) + count])
                     for request, count in batch)
        try:
            results = list(self.compute(batch[0][0].key, units))
            if len(results) != len(units):
                raise RuntimeError(f"{len(units)} units gave {len(results)} results")
        except Exception as error:
            failed = True
            if len(batch) == 1:
                fail(batch[0][0], error)
            else:
                for part in batch:
                    self.run([part])
        else:
            self.hand_out(batch, results)
        seconds = time.monotonic() - start
        if not failed:
            self.seconds_per_unit = 0.9 * self.seconds_per_unit + 0.1 * seconds / len(units)
        self.observe(BatchRecord(len(units), tokens, seconds, waits, failed))

    def hand_out(self, batch: list[tuple[Request[Unit, Answer], int]], results: list[Answer]) -> None:
        """Each request its results; one that has more units waits again, behind those that came meanwhile."""
        start_index = 0
        for request, count in batch:
            request.results.extend(results[start_index:start_index + count])
            start_index += count
            if not request.waiting:
                request.future.set_result(request.results)
                continue
            with self.changed:
                self.queue.append(request)


def fail(request: Request[Any, Any], error: Exception) -> None:
    """Hand the error to whoever waits for the request."""
    if not request.future.done():
        request.future.set_exception(error)
