"""What worker processes know of each other: a piece of memory that they share, with a part for each.

A part holds whether the worker is ready, how often it was started again, and its counters as text, which it writes once
a second: any of them answers /metrics for all.

    state 1 byte, 3 free, restarts 4, length of the text 4, its CRC-32 4, the text
"""

from __future__ import annotations

import mmap
import struct
import time
import zlib
from dataclasses import dataclass

HEAD = struct.Struct("<BxxxIII")
TEXT_HEAD = struct.Struct("<II")  # its end, which the worker alone writes
CAPACITY = 2**20  # bytes of a worker's counters; pages that nobody wrote take no memory
PART = HEAD.size + CAPACITY
STARTING, READY, DRAINING = 0, 1, 2
TRIES, PAUSE = 20, 0.001  # of reading a text that is being written; seconds between them


class Board:
    """The shared memory of so many workers; made before they are forked."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.memory = mmap.mmap(-1, workers * PART)

    def head(self, worker: int) -> tuple[int, int, int, int]:
        """State, restarts, length and checksum of a part."""
        state, restarts, length, checksum = HEAD.unpack_from(self.memory, worker * PART)
        return state, restarts, length, checksum

    def set_state(self, worker: int, state: int) -> None:
        """Say what a worker is."""
        self.memory[worker * PART] = state

    @property
    def ready(self) -> int:
        """How many workers are ready."""
        return sum(self.head(worker)[0] == READY for worker in range(self.workers))

    def count_restart(self, worker: int) -> None:
        """One more start of a worker; its counters begin anew."""
        HEAD.pack_into(self.memory, worker * PART, STARTING, self.head(worker)[1] + 1, 0, 0)

    def publish(self, worker: int, text: bytes) -> None:
        """Write a worker's counters; of too long a text the first lines."""
        if len(text) > CAPACITY:
            text = text[:text.rindex(b"\n", 0, CAPACITY) + 1]
        start = worker * PART + HEAD.size
        self.memory[start:start + len(text)] = text
        TEXT_HEAD.pack_into(self.memory, start - TEXT_HEAD.size, len(text), zlib.crc32(text))

    def text(self, worker: int) -> bytes:
        """A worker's counters as it wrote them last; empty where it has written none, or died while it wrote."""
        start = worker * PART + HEAD.size
        for _ in range(TRIES):
            _, _, length, checksum = self.head(worker)
            text = self.memory[start:start + length]
            if zlib.crc32(text) == checksum:
                return text
            time.sleep(PAUSE)
        return b""


@dataclass(frozen=True)
class Seat:
    """The part of one worker."""

    board: Board
    worker: int

    def metrics(self, text: bytes) -> bytes:
        """The counters of all workers, each line with the label `worker`."""
        self.board.publish(self.worker, text)
        texts = [self.board.text(worker) for worker in range(self.board.workers)]
        starts = b"".join(b'headstart_worker_restarts_total{worker="%d"} %d\n' % (worker, self.board.head(worker)[1])
                          for worker in range(self.board.workers))
        return merged(texts) + (b"# HELP headstart_worker_restarts_total workers that ended and were started again\n"
                                b"# TYPE headstart_worker_restarts_total counter\n" + starts)


def merged(texts: list[bytes]) -> bytes:
    """Texts of several workers as one in Prometheus' form: a family's lines stand together, under its HELP and TYPE."""
    families: dict[bytes, list[bytes]] = {}
    for worker, text in enumerate(texts):
        lines: list[bytes] = []
        for line in text.splitlines():
            if line.startswith(b"# HELP "):
                lines = families.setdefault(line, [])
            elif line.startswith(b"#"):
                if line not in lines:
                    lines.append(line)
            elif line:
                lines.append(with_label(line, worker))
    return b"".join(line + b"\n" for head, lines in families.items() for line in (head, *lines))


def with_label(line: bytes, worker: int) -> bytes:
    """A sample's line with the worker as its first label."""
    label = b'worker="%d"' % worker
    end = min(place for place in (line.find(b"{"), line.find(b" ")) if place >= 0)
    if line[end:end + 1] == b"{":
        return line[:end + 1] + label + (b"" if line[end + 1:end + 2] == b"}" else b",") + line[end + 1:]
    return line[:end] + b"{" + label + b"}" + line[end:]
