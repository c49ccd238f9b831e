"""Objects on the disk, a line of JSON each, read one by one when they are asked for.

N lines. Beside LINES.jsonl stands LINES.npy: where each line begins, and where the last one ends, (N + 1,).
"""

from __future__ import annotations

import array
import json
import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np


class Written:
    """Writes objects one after the other; memory grows by 8 bytes a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb", buffering=2**20)
        self.borders = array.array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if kind is None:
            np.save(self.path.with_suffix(".npy"), np.frombuffer(self.borders, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.borders) - 1

    def write(self, held: Mapping[str, Any]) -> None:
        """One more object."""
        self.raw(json.dumps(held, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n")

    def raw(self, line: bytes) -> None:
        """One more line as it is."""
        self.file.write(line)
        self.borders.append(self.borders[-1] + len(line))


class Lines:
    """Objects that were written; several threads may read."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        weakref.finalize(self, self.file.close)
        self.borders = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self.borders) - 1

    def __getitem__(self, row: int) -> dict[str, Any]:
        return parsed(self.raw(row))

    def raw(self, row: int) -> bytes:
        """The line as it stands."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        begin, end = int(self.borders[row]), int(self.borders[row + 1])
        return os.pread(self.file.fileno(), end - begin, begin)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (parsed(line) for line in self.stream())

    def stream(self) -> Iterator[bytes]:
        """All lines in order."""
        return (self.raw(row) for row in range(len(self)))

    def close(self) -> None:
        """No more will be read."""
        self.file.close()


def parsed(line: bytes) -> dict[str, Any]:
    """A line as an object."""
    held: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
    return held
