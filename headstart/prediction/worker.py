"""What a worker process runs: it opens its work once, then answers part after part, until its input ends.

    parent ─ the work, then parts ─▶ standard input │ worker │ standard output ─ "ready", then answers ─▶ parent

Every message is a pickle behind its length. Whatever libraries print goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import IO, Any, Literal, Protocol

from headstart.errors import UserError, out_of_memory

LENGTH = struct.Struct("<Q")  # bytes of the message that follows
Kind = Literal["ready", "answer", "error", "bug"]


class Work(Protocol):
    """What every worker does with the parts that it gets: small to pickle, opened anew in each process."""

    def open(self, number: int) -> Callable[[Any], Any]:
        """What answers a part, in worker `number` (from 0); models are loaded here. Raises UserError."""


def send(stream: IO[bytes], message: bytes) -> None:
    """A message, whole; raises OSError where nobody reads any more."""
    stream.write(LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """The next message; raises EOFError where the other side ended before it was whole."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError
    size = LENGTH.unpack(header)[0]
    message = stream.read(size)
    if len(message) < size:
        raise EOFError
    return message


def main() -> None:
    """Answer parts until the parent closes standard input, or is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=read_messages, args=(sys.stdin.buffer, messages), daemon=True).start()
    with contextlib.suppress(OSError):  # nobody reads the answers any more
        answer_all(messages, answers)
    os._exit(0)  # at once: the thread holds standard input, which Python would wait for


def answer_all(messages: SimpleQueue[bytes], answers: IO[bytes]) -> None:
    """Open the work of the first message, and answer the parts of all others; ends where it cannot be opened."""
    kind, content = attempt(partial(open_work, messages.get()))
    if kind != "answer":
        send(answers, message_of(kind, content))
        return
    send(answers, pickle.dumps(("ready", None)))
    while True:
        send(answers, message_of(*attempt(partial(answer_part, content, messages.get()))))


def open_work(message: bytes) -> Callable[[Any], Any]:
    """What answers the parts of the work that a message holds."""
    work, number = pickle.loads(message)
    answer: Callable[[Any], Any] = work.open(number)
    return answer


def answer_part(answer: Callable[[Any], Any], message: bytes) -> Any:
    """The answer to the part that a message holds."""
    return answer(pickle.loads(message))


def read_messages(stream: IO[bytes], messages: SimpleQueue[bytes]) -> None:
    """Put messages in the queue; at their end this process ends, also in the middle of a part: nobody wants it."""
    try:
        while True:
            messages.put(receive(stream))
    except (EOFError, OSError):
        os._exit(0)


def attempt(step: Callable[[], Any]) -> tuple[Kind, Any]:
    """What a step gives, or what went wrong in it as the parent raises it."""
    try:
        return "answer", step()
    except UserError as error:
        return "error", error
    except Exception as error:
        if out_of_memory(error):
            return "error", MemoryError(str(error))
        return "bug", (f"{type(error).__name__}: {error}", traceback.format_exc())


def message_of(kind: Kind, content: Any) -> bytes:
    """An answer as a message; a bug's where it cannot be pickled."""
    try:
        return pickle.dumps((kind, content), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        if out_of_memory(error):
            return pickle.dumps(("error", MemoryError(str(error))))
        return pickle.dumps(("bug", (f"{type(error).__name__}: {error}", traceback.format_exc())))


if __name__ == "__main__":
    main()
