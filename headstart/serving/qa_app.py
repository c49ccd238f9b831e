"""The question page's endpoints: its files, what there is to ask, and answers as lines of JSON while they are written.

Text reaches the page as text alone, and nothing is loaded from elsewhere; who may come in is the Gate's to say.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headstart.contract import Json
from headstart.serving.answers import json_response
from headstart.serving.body import Bounds, read_json
from headstart.serving.engine import Engine, Limits
from headstart.serving.http_service import Handler, HttpService, file_routes
from headstart.serving.metrics import METRICS_TYPE, Metrics
from headstart.serving.parameters import Parameters
from headstart.serving.piece_stream import PieceStream
from headstart.serving.qa_backend import SOURCES, Options, QABackend
from headstart.serving.refusal import Refusal, refusal_for

PAGE = Path(__file__).parent / "page"
FILES = {"/": ("index.html", "text/html"), "/page.css": ("page.css", "text/css"),
         "/page.js": ("page.js", "text/javascript"), "/icon.svg": ("icon.svg", "image/svg+xml")}
MAX_QUESTION_LENGTH = 10_000  # characters of a question
MAX_WAITING = 8  # questions that wait for their turn; further ones are turned away
QUESTION_LIMITS = Limits(batch_tokens=1, batch_wait=0.0, queue_units=MAX_WAITING, deadline=300.0)
QUESTION_BOUNDS = Bounds(body_bytes=2**17, characters=2 * MAX_QUESTION_LENGTH)
WHOLE_NUMBERS = {"passages": (1, 50), "min_new_tokens": (0, 512), "max_new_tokens": (1, 1024), "num_beams": (1, 8),
                 "no_repeat_ngram_size": (0, 20)}
NUMBERS = {"top_p": (0.01, 1.0), "temperature": (0.01, 10.0)}
SERIAL_NUMBERS = itertools.count()
PutEvent = Callable[[Mapping[str, Json]], None]


@dataclass(frozen=True, eq=False)
class Question:
    """A question with its options, and where its events go."""

    text: str
    options: Options
    put: PutEvent


class QuestionService(HttpService):
    """Answers one question at a time, as one index and its models can; a few may wait."""

    def __init__(self, backend: QABackend, limits: Limits = QUESTION_LIMITS, bounds: Bounds = QUESTION_BOUNDS) -> None:
        super().__init__(limits, bounds)
        self.backend = backend
        self.engine: Engine[Question, None] = Engine(self.answer, limits)
        self.metrics = Metrics(lambda: {"questions": self.engine.queued_units})

    def answer(self, key: Hashable, questions: Sequence[Question]) -> list[None]:
        """What the engine's thread does: the events of each question."""
        for question in questions:
            answer_question(self.backend, question)
        return [None] * len(questions)

    def close(self, *, drain: bool = True) -> None:
        """Take no further question."""
        self.phase = "draining"
        self.engine.close(drain=drain, timeout=self.limits.deadline)


class QuestionEndpoints:
    """The handlers of the question page."""

    def __init__(self, service: QuestionService) -> None:
        self.service = service

    async def page_info(self, request: Request) -> Response:
        """What there is to ask."""
        return json_response(dict(await self.service.read(self.service.backend.page_info)))

    async def ask(self, request: Request) -> Response:
        """Lines of JSON: {"passages": …}, {"nearest": …}, {"piece": …} as it is generated, {"answer": …}, or
        {"error": …}.
        """
        text, options = read_question(await read_json(request, self.service.bounds))
        return StreamingResponse(start_events(self.service, text, options), media_type="application/x-ndjson")

    async def health(self, request: Request) -> Response:
        """That the process lives."""
        return json_response({"status": "ok", "phase": self.service.phase})

    async def ready(self, request: Request) -> Response:
        """That questions are answered."""
        return json_response({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """What was counted."""
        return Response(self.service.metrics.text(), headers={"content-type": METRICS_TYPE})

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Method, path and handler of each."""
        return (("GET", "/about", self.page_info), ("POST", "/ask", self.ask), ("GET", "/health", self.health),
                ("GET", "/ready", self.ready), ("GET", "/metrics", self.metrics), *file_routes(PAGE, FILES))


def read_question(body: Mapping[str, Json]) -> tuple[str, Options]:
    """A question as the page sends it; raises Refusal (400, 422)."""
    options = Options()
    parameters = Parameters(body, ("question", *(field.name for field in dataclasses.fields(Options))))
    text = parameters.values.get("question")
    if not isinstance(text, str) or len(text) > MAX_QUESTION_LENGTH:
        raise Refusal(422, f"question: a text of at most {MAX_QUESTION_LENGTH:,} characters was expected.",
                      'Send "question": "…".', "question")
    if not text.strip():
        raise Refusal(422, "The question has no words.", "Write a question.", "question")
    source = parameters.values.get("source", options.source)
    if source not in SOURCES:
        raise Refusal(422, f"source: one of {', '.join(SOURCES)} was expected.", "Send one of them.", "source")
    changes: dict[str, Json] = {"source": source}
    changes |= {name: parameters.whole_number(name, low, high) for name, (low, high) in WHOLE_NUMBERS.items()}
    changes |= {name: parameters.number(name, low, high) for name, (low, high) in NUMBERS.items()}
    changes |= {name: parameters.flag(name) for name in ("passages_only", "do_sample")}
    return text, dataclasses.replace(options, **{name: value for name, value in changes.items() if value is not None})


def start_events(service: QuestionService, text: str, options: Options) -> AsyncIterator[bytes]:
    """The events of a question as lines; raises QueueFull before the first. A reader that goes away ends it, and the
    deadline holds for each event.
    """
    stream = PieceStream[Mapping[str, Json]]()
    future = service.engine.submit([Question(text, options, stream.put)], [1], key=next(SERIAL_NUMBERS))
    stream.end_with(future)

    async def events() -> AsyncIterator[bytes]:
        try:
            while (event := await stream.take(service.limits.deadline)) is not None:
                yield line_of(event)
            future.result()
        except Exception as error:
            yield line_of(refusal_for(error, service.report_bug).json())
        finally:
            stream.close()

    return events()


def answer_question(backend: QABackend, question: Question) -> None:
    """The passages, the nearest known question, then the answer."""
    options = question.options
    passages = list(backend.passages(question.text, options)) if options.source != "none" else []
    question.put({"passages": [{**passage, "number": number} for number, passage in enumerate(passages, start=1)]})
    nearest = backend.nearest(question.text)
    if nearest is not None:
        question.put({"nearest": nearest})
    if not options.passages_only:
        question.put({"answer": backend.answer(question.text, passages, options,
                                               lambda piece: question.put({"piece": piece}))})


def line_of(event: Mapping[str, Json]) -> bytes:
    """An event as a line of JSON."""
    return (json.dumps(event, ensure_ascii=False) + "\n").encode()
