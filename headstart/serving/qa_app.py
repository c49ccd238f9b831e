"""The question page's app: its static files, what there is to ask, and answers as lines of JSON while they are
generated.

It serves one machine: other hosts' names and other pages' requests are refused, nothing is loaded from elsewhere, and
text reaches the page as text alone.
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
from headstart.serving.gate import HEADERS, LOCAL_HOSTS
from headstart.serving.qa_backend import SOURCES, Options, QABackend

PAGE = Path(__file__).parent / "page"
FILES = {"/": ("index.html", "text/html"), "/page.css": ("page.css", "text/css"),
         "/page.js": ("page.js", "text/javascript"), "/icon.svg": ("icon.svg", "image/svg+xml")}
MAX_QUESTION_LENGTH = 10_000  # characters of a question
MAX_WAITING = 8  # questions that wait for their turn; further ones are turned away


class QuestionRequest(BaseModel):
    """A question as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, max_length=MAX_QUESTION_LENGTH)
    source: str = Field("mixed", pattern=f"^({'|'.join(SOURCES)})$")
    passages: int = Field(5, ge=1, le=50)
    passages_only: bool = False
    do_sample: bool = False
    min_new_tokens: int = Field(0, ge=0, le=512)
    max_new_tokens: int = Field(128, ge=1, le=1024)
    num_beams: int = Field(1, ge=1, le=8)
    top_p: float = Field(1.0, gt=0, le=1)
    temperature: float = Field(1.0, gt=0, le=10)
    no_repeat_ngram_size: int = Field(3, ge=0, le=20)

    def options(self) -> Options:
        """Everything but the question."""
        return Options(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Options)})


class RequestQueue:
    """Answers one question at a time; a few may wait."""

    def __init__(self) -> None:
        self.lock, self.waiting, self.guard = threading.Lock(), 0, threading.Lock()

    def enter(self) -> bool:
        """Join the queue; False where too many wait."""
        with self.guard:
            if self.waiting >= MAX_WAITING:
                return False
            self.waiting += 1
            return True

    def leave(self) -> None:
        """Leave the queue, answered or not."""
        with self.guard:
            self.waiting -= 1


def create_app(backend: QABackend, *, report_bug: Callable[[Exception], str] = repr) -> FastAPI:
    """The app; `report_bug` writes down a fault of our own and says where."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    request_queue = RequestQueue()

    @app.middleware("http")
    async def check_request(request: Request, call_next: Any) -> Response:
        reason = refusal_reason(request.headers)
        response: Response = JSONResponse({"error": reason}, status_code=403) if reason else await call_next(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": validation_message(error.errors()[0])}, status_code=422)

    for path, (name, media_type) in FILES.items():
        app.get(path)(file_route(PAGE / name, media_type))

    @app.get("/about")
    def page_info() -> Mapping[str, Any]:
        return backend.page_info()

    @app.post("/ask")
    async def ask(question: QuestionRequest) -> Response:
        if not request_queue.enter():
            return JSONResponse({"error": "Too many questions are waiting; ask again in a moment."}, status_code=503)
        return StreamingResponse(event_lines(backend, question, request_queue, report_bug),
                                 media_type="application/x-ndjson")

    return app


def file_route(path: Path, media_type: str) -> Callable[[], Response]:
    """A route that serves one of the page's files."""
    content = path.read_bytes()
    return lambda: Response(content, media_type=f"{media_type}; charset=utf-8")


def refusal_reason(headers: Mapping[str, str]) -> str | None:
    """Why a request is refused: a host name that is not this machine's (DNS rebinding), or another page's script."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in LOCAL_HOSTS and host not in LOCAL_HOSTS:
        return f"This page is served as 127.0.0.1 or localhost, not as {host!r:.80}."
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "This request comes from another page."
    return None


def validation_message(error: Any) -> str:
    """What is wrong with a request, in words."""
    field = ".".join(str(part) for part in error["loc"][1:]) or "the request"
    return f"{field}: {error['msg']}"


async def event_lines(backend: QABackend, question: QuestionRequest, request_queue: RequestQueue,
                      report_bug: Callable[[Exception], str]) -> AsyncIterator[bytes]:
    """Lines of JSON: {"passages": …}, {"nearest": …}, {"piece": …} as it is generated, {"answer": …}, or {"error": …,
    "fix": …}.
    """
    events: queue.SimpleQueue[Mapping[str, Json] | None] = queue.SimpleQueue()

    def answer_question() -> None:
        try:
            with request_queue.lock:
                for event in answer_events(backend, question, events.put):
                    events.put(event)
        except UserError as error:
            events.put({"error": error.message, "fix": error.fix})
        except Exception as error:
            events.put({"error": "This is a fault of headstart, not of your question.", "fix": report_bug(error)})
        finally:
            request_queue.leave()
            events.put(None)

    worker = asyncio.get_running_loop().run_in_executor(None, answer_question)
    while (line := await run_in_threadpool(events.get)) is not None:
        yield (json.dumps(line, ensure_ascii=False) + "\n").encode()
    await worker


def answer_events(backend: QABackend, request: QuestionRequest, put_event: Callable[[Mapping[str, Json]], None]) -> Any:
    """The passages, then the answer."""
    if not request.question.strip():
        raise UserError("The question has no words.", fix="Write a question.")
    options = request.options()
    passages = list(backend.passages(request.question, options)) if options.source != "none" else []
    yield {"passages": [{**passage, "number": number} for number, passage in enumerate(passages, start=1)]}
    nearest = backend.nearest(request.question)
    if nearest is not None:
        yield {"nearest": nearest}
    if not options.passages_only:
        yield {"answer": backend.answer(request.question, passages, options, lambda piece: put_event({"piece": piece}))}
