"""Where a server listens, and where a fault of our own is written down."""

from __future__ import annotations

import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError

HOST = "127.0.0.1"
WAITING = 1024  # connections that wait to be taken up
MOMENT, LONGEST_WAIT = 0.001, 0.004  # seconds that a process waits for each connection it holds, and at most


class SharedListener(socket.socket):
    """A listening socket that several processes share: who holds fewer connections takes up the next one.

    Clients keep their connections, so one process that was quicker a few times would answer nearly all of them while
    another has nothing to do. Each waits a moment for every connection that it holds, and then looks whether one is
    still there.
    """

    def __init__(self, listener: socket.socket, count_connections: Callable[[], int]) -> None:
        super().__init__(fileno=listener.detach())
        self.count_connections, self.last = count_connections, -LONGEST_WAIT

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; raises BlockingIOError where another process took it up."""
        took_one = time.monotonic() - self.last < LONGEST_WAIT  # which may not be counted yet
        time.sleep(min((self.count_connections() + took_one) * MOMENT, LONGEST_WAIT))
        connection = super().accept()
        self.last = time.monotonic()
        return connection


def bind_socket(port: int, host: str = HOST, *, listens: bool = True) -> socket.socket:
    """A socket bound to a host, this machine alone by default; until it `listens`, who comes is turned away.

    Raises UserError (2, 69).
    """
    if not 0 <= port <= 65535:
        raise UserError(f"A port is a number from 0 to 65535, but it is {port}.", fix="Choose another with --port.")
    # The protocol is named, as asyncio sends small answers at once only where it is: 40 ms sooner.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        if listens:
            listener.listen(WAITING)
    except OSError as error:
        listener.close()
        raise UserError(f"Port {port} of {host} cannot be opened ({error.strerror}).", exit=Exit.UNAVAILABLE,
                        fix="Choose another with --port, or 0 for any free one.") from None
    return listener


def address(host: str, port: int) -> str:
    """The address that a browser takes."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def write_traceback(error: BaseException) -> str:
    """Write a fault of our own to a file, and say where it is."""
    with tempfile.NamedTemporaryFile("w", prefix="headstart-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return f"Please report it with {Path(file.name)}."
