"""Serve the question page on this machine until Ctrl-C."""

from __future__ import annotations

import socket
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.serving.qa_backend import QABackend

HOST, PORT = "127.0.0.1", 8777


def serve(backend: QABackend, *, port: int = PORT, ready: Callable[[str], None] = lambda address: None) -> None:
    """Answer until stopped; `ready` gets the address once it listens. Port 0 takes a free one.

    Raises UserError: 69 where FastAPI is missing or the port is taken.
    """
    try:
        import uvicorn

        from headstart.serving.qa_app import create_app
    except ImportError:
        raise UserError("The page needs FastAPI and uvicorn.", fix="pip install 'headstart[serve]'",
                        exit=Exit.UNAVAILABLE) from None
    with bind_socket(port) as listener:
        app = create_app(backend, report_bug=write_traceback)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, server_header=False))
        ready(f"http://{HOST}:{listener.getsockname()[1]}/")
        server.run(sockets=[listener])


def bind_socket(port: int, host: str = HOST) -> socket.socket:
    """A socket bound to a host, this machine alone by default; raises UserError (2, 69)."""
    if not 0 <= port <= 65535:
        raise UserError(f"A port is a number from 0 to 65535, but it is {port}.", fix="Choose another with --port.")
    # The protocol is named, as asyncio sends small answers at once only where it is: 40 ms sooner.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UserError(f"Port {port} of {host} cannot be opened ({error.strerror}).", exit=Exit.UNAVAILABLE,
                        fix="Choose another with --port, or 0 for any free one.") from None
    return listener


def write_traceback(error: Exception) -> str:
    """Write a fault of our own to a file, and say where it is."""
    with tempfile.NamedTemporaryFile("w", prefix="headstart-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return f"Please report it with {Path(file.name)}."
