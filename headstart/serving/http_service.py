"""What every server of headstart has: limits, a phase (loading, ready, going down), and threads that read requests."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from headstart.serving.body import Bounds
from headstart.serving.engine import Limits
from headstart.serving.gate import PAGE_PATHS, RequestRecord
from headstart.serving.metrics import Metrics
from headstart.serving.refusal import Refusal

Read = TypeVar("Read")
Phase = Literal["loading", "ready", "draining"]
Handler = Callable[[Request], Awaitable[Response]]
ALWAYS_ANSWERED = ("/health", "/metrics", *PAGE_PATHS)  # while models load, and while the server goes down
READERS = 4  # threads that read and tokenize requests


class HttpService(ABC):
    """Whether requests are answered now, and within which limits."""

    metrics: Metrics

    def __init__(self, limits: Limits | None = None, bounds: Bounds | None = None) -> None:
        self.limits, self.bounds = limits or Limits(), bounds or Bounds()
        self.phase: Phase = "loading"
        self.report_bug: Callable[[Exception], object] = repr  # where a fault in a stream is written down
        # Few, as they hold Python's lock for long: with forty of them, large requests would starve all others.
        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="headstart-reader")

    def refusal(self, path: str) -> Refusal | None:
        """Why nothing is answered now."""
        if self.phase == "ready" or path in ALWAYS_ANSWERED:
            return None
        words = ("The models are being loaded.", "Try again in a moment.") if self.phase == "loading" else (
            "The server is shutting down.", "Ask another one, or try again in a moment.")
        return Refusal(503, *words, code=self.phase, retry_after=1)

    async def read(self, function: Callable[..., Read], *arguments: Any) -> Read:
        """Read or tokenize in one of the reading threads."""
        return await asyncio.get_running_loop().run_in_executor(self.readers, partial(function, *arguments))

    def observe(self, record: RequestRecord) -> None:
        """Count a request that was answered or refused."""
        self.metrics.observe_request(record.path, record.status, record.seconds)

    @abstractmethod
    def close(self, *, drain: bool = True) -> None:
        """Take nothing more; with `drain` what waits is answered first, within the deadline of a request."""


class HttpEndpoints(Protocol):
    """The handlers of one service."""

    @property
    def service(self) -> HttpService:
        """What they answer from."""

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Method, path and handler of each."""


def file_routes(folder: Path, files: dict[str, tuple[str, str]]) -> list[tuple[str, str, Handler]]:
    """What answers with files of a page: {path: (file, media type)}."""
    return [("GET", path, file_handler(folder / name, media_type)) for path, (name, media_type) in files.items()]


def file_handler(path: Path, media_type: str) -> Handler:
    """What answers with one of the page's files."""
    content = path.read_bytes()

    async def file(request: Request) -> Response:
        return Response(content, media_type=f"{media_type}; charset=utf-8")
    return file
