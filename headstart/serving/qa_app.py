"""The question page's app: three static files, what there is to ask, and answers as lines of JSON while they are written.

It serves one machine: other hosts' names and other pages' requests are refused, nothing is loaded from elsewhere, and text
reaches the page as text alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from headstart.contract import Json
from headstart.errors import UserError
from headstart.serving.qa_backend import SOURCES, Desk, Options

PAGE = Path(__file__).parent / "page"
FILES = {"/": ("index.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript"),
         "/icon.svg": ("icon.svg", "image/svg+xml")}
HOSTS = ("127.0.0.1", "localhost", "[::1]")
LONGEST = 10_000  # characters of a question
WAITING = 8  # questions that wait for their turn; further ones are turned away
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store"}


class Asked(BaseModel):
    """A question as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=LONGEST)
    source: str = Field("mixed", pattern=f"^({'|'.join(SOURCES)})$")
    passages: int = Field(5, ge=1, le=50)
    passages_only: bool = False
    sample: bool = False
    least_tokens: int = Field(0, ge=0, le=512)
    new_tokens: int = Field(128, ge=1, le=1024)
    beams: int = Field(1, ge=1, le=8)
    top_p: float = Field(1.0, gt=0, le=1)
    temperature: float = Field(1.0, gt=0, le=10)
    no_repeat_ngram: int = Field(3, ge=0, le=20)

    def options(self) -> Options:
        """Everything but the question."""
        return Options(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Options)})


class Turns:
    """One question at a time; a few may wait."""

    def __init__(self) -> None:
        self.lock, self.waiting, self.guard = threading.Lock(), 0, threading.Lock()

    def enter(self) -> bool:
        """Whether there is room to wait."""
        with self.guard:
            if self.waiting >= WAITING:
                return False
            self.waiting += 1
            return True

    def leave(self) -> None:
        """Done, or gone."""
        with self.guard:
            self.waiting -= 1


def make(desk: Desk, *, bug: Callable[[Exception], str] = repr) -> FastAPI:
    """The app; `bug` keeps a fault of our own for a report and says where."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    turns = Turns()

    @app.middleware("http")
    async def guarded(request: Request, follow: Any) -> Response:
        reason = refused(request.headers)
        answer: Response = JSONResponse({"error": reason}, status_code=403) if reason else await follow(request)
        for name, value in HEADERS.items():
            answer.headers[name] = value
        return answer

    @app.exception_handler(RequestValidationError)
    async def faulty(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": words(error.errors()[0])}, status_code=422)

    for path, (name, kind) in FILES.items():
        app.get(path)(page_of(PAGE / name, kind))

    @app.get("/about")
    def about() -> Mapping[str, Any]:
        return desk.about()

    @app.post("/ask")
    async def ask(asked: Asked) -> Response:
        if not turns.enter():
            return JSONResponse({"error": "Too many questions are waiting; ask again in a moment."}, status_code=503)
        return StreamingResponse(events(desk, asked, turns, bug), media_type="application/x-ndjson")

    return app


def page_of(path: Path, kind: str) -> Callable[[], Response]:
    """A route that serves one of the page's files."""
    held = path.read_bytes()
    return lambda: Response(held, media_type=f"{kind}; charset=utf-8")


def refused(headers: Mapping[str, str]) -> str | None:
    """Why a request is not served: a name that is not this machine's (a page that had its own name pointed here), or another
    page's script."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        return f"This page is served as 127.0.0.1 or localhost, not as {host!r:.80}."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "This request comes from another page."
    return None


def words(fault: Any) -> str:
    """What is wrong with a question that was sent, in words."""
    where = ".".join(str(part) for part in fault["loc"][1:]) or "the request"
    return f"{where}: {fault['msg']}"


async def events(desk: Desk, asked: Asked, turns: Turns, bug: Callable[[Exception], str]) -> AsyncIterator[bytes]:
    """Lines of JSON: {"passages": …}, {"nearest": …}, {"piece": …} as it is written, {"answer": …}, or {"error": …, "fix": …}."""
    lines: queue.SimpleQueue[Mapping[str, Json] | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            with turns.lock:
                for event in steps(desk, asked, lines.put):
                    lines.put(event)
        except UserError as error:
            lines.put({"error": error.message, "fix": error.fix})
        except Exception as error:
            lines.put({"error": "This is a fault of headstart, not of your question.", "fix": bug(error)})
        finally:
            turns.leave()
            lines.put(None)

    worker = asyncio.get_running_loop().run_in_executor(None, work)
    while (line := await run_in_threadpool(lines.get)) is not None:
        yield (json.dumps(line, ensure_ascii=False) + "\n").encode()
    await worker


def steps(desk: Desk, asked: Asked, put: Callable[[Mapping[str, Json]], None]) -> Any:
    """What is found, then what is written."""
    if not asked.question.strip():
        raise UserError("The question has no words.", fix="Write a question.")
    options = asked.options()
    found = list(desk.passages(asked.question, options)) if options.source != "none" else []
    yield {"passages": [{**one, "number": number} for number, one in enumerate(found, start=1)]}
    near = desk.nearest(asked.question)
    if near is not None:
        yield {"nearest": near}
    if not options.passages_only:
        yield {"answer": desk.answer(asked.question, found, options, lambda piece: put({"piece": piece}))}
