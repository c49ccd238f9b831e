"""Works for worker processes of tests: one that fails as it is told to, and one that opens others, to start once."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headstart.errors import DataError, Exit, Finding, UserError


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; what is no number says what is to happen."""

    opens: bool = True

    def open(self, number: int) -> Callable[[Any], Any]:
        if not self.opens:
            raise UserError("no such model", fix="Name another.", exit=Exit.NO_INPUT)
        return double


def double(part: Any) -> Any:
    match part:
        case int():
            time.sleep(0.02 if part % 2 else 0)
            return 2 * part
        case ("wait", seconds):
            time.sleep(seconds)
        case "identity":
            time.sleep(0.02)
            return os.getpid(), os.environ["OMP_NUM_THREADS"]
        case "words":
            raise UserError("the third row is odd", fix="Mend it.", exit=Exit.DATA)
        case "findings":
            raise DataError([Finding("E103", "it is not UTF-8", "Save it anew.", "a.csv", 3)])
        case "memory":
            raise RuntimeError("std::bad_alloc")
        case "bug":
            raise KeyError("odd")
        case "no pickle":
            return lambda: None
        case ("end", path):  # of the first that comes here, by a signal; the next answers
            if not os.path.exists(path):
                open(path, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return "done"
        case "end always":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            print("a library says a word")
            return "quiet"
    return part


@dataclass(frozen=True)
class AnyWork:
    """Answers (a pickled work, a part): each work is opened when it first comes."""

    def open(self, number: int) -> Callable[[Any], Any]:
        works: dict[bytes, Callable[[Any], Any]] = {}

        def answer(request: tuple[bytes, Any]) -> Any:
            pickled, part = request
            if pickled not in works:
                works[pickled] = pickle.loads(pickled).open(number)
            return works[pickled](part)

        return answer


class WarmPool:
    """Stands where a WorkerPool is started; its processes are those of a pool that is there already."""

    def __init__(self, pool: Any, work: Any, count: int) -> None:
        self.pool, self.work = pool, pickle.dumps(work)

    def __enter__(self) -> WarmPool:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def results(self, parts: Any) -> Any:
        return self.pool.results((self.work, part) for part in parts)
