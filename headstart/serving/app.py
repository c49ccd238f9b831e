"""The app over served models: predictions of rows, what there is, and whether it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headstart.serving.answers import json_response, truncation, wait_for
from headstart.serving.attributions import attribute
from headstart.serving.body import read_json
from headstart.serving.completions import chat, complete
from headstart.serving.engine import DeadlineExceeded
from headstart.serving.gate import Admission, Gate, RequestRecord, refusal_response
from headstart.serving.http_service import Handler, HttpEndpoints, file_routes
from headstart.serving.metrics import METRICS_TYPE
from headstart.serving.openapi import document, model_card
from headstart.serving.refusal import Refusal, refusal_for
from headstart.serving.rows import rows_of_body
from headstart.serving.service import Service
from headstart.serving.vectors import embeddings, rerank

PAGE_FILES = {"/": ("try_page/index.html", "text/html"), "/try.css": ("try_page/try.css", "text/css"),
              "/draw.js": ("try_page/draw.js", "text/javascript"), "/try.js": ("try_page/try.js", "text/javascript"),
              "/icon.svg": ("page/icon.svg", "image/svg+xml")}


def answering(handler: Handler, seconds: float, report_bug: Callable[[Exception], object]) -> Handler:
    """The handler with every error as an answer in words, within so many seconds."""
    async def answer(request: Request) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await handler(request)
        except Exception as error:
            refusal = refusal_for(DeadlineExceeded() if isinstance(error, TimeoutError) else error, report_bug)
            request.state.code = refusal.reason
            return refusal_response(refusal)
    return answer


class Endpoints:
    """The handlers of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def predict(self, request: Request) -> Response:
        """Predictions of rows, as Model.predict has them."""
        body = await read_json(request, self.service.bounds)
        with_details = isinstance(body.get("detail"), bool) and bool(body.pop("detail"))  # a column may be called so
        served = self.service.find(body.get("model"))
        request.state.model = served.name
        rows = rows_of_body(served.model.task, body, self.service.bounds)
        request.state.rows = len(rows)
        prepared = await self.service.read(served.prepare, rows)
        request.state.tokens = sum(prepared.tokens)
        predictions = await wait_for(request, served.predict(prepared), self.service.limits.deadline)
        values = await self.service.read(served.values, prepared, predictions)
        details = {"details": served.details(prepared, predictions)} if with_details else {}
        return json_response({"model": served.name, "version": served.version, "task": served.model.task.name,
                              "predictions": values, **truncation(predictions), **details,
                              "usage": {"tokens": sum(prepared.tokens)}})

    async def models(self, request: Request) -> Response:
        """What is served."""
        return json_response({"object": "list",
                              "data": [model_card(served) for served in self.service.models.values()]})

    async def health(self, request: Request) -> Response:
        """That the process lives."""
        return json_response({"status": "ok", "phase": self.service.phase})

    async def ready(self, request: Request) -> Response:
        """That every model still says of its golden rows what it said when it was loaded."""
        seat = self.service.seat
        if seat is not None and seat.board.ready < seat.board.workers:
            raise Refusal(503, f"{seat.board.ready} of {seat.board.workers} workers are ready.",
                          "Try again in a moment.", code="workers_starting", retry_after=1)
        for name in self.service.models:
            predictions = await wait_for(request, self.service.replay(name), self.service.limits.deadline)
            if not self.service.same_as_golden(name, predictions):
                raise Refusal(503, f"{name} predicts its golden rows differently than when it was loaded.",
                              "Restart the server.", code="golden_rows_differ")
        return json_response({"status": "ready", "models": list(self.service.models)})

    async def metrics(self, request: Request) -> Response:
        """What was counted."""
        return Response(self.service.metrics_text(), headers={"content-type": METRICS_TYPE})

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document."""
        return json_response(document(list(self.service.models.values()), self.service.bounds))

    def further_routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Those that some models answer: attributions, and what takes OpenAI's form."""
        handlers = {"/v1/attribute": attribute, "/v1/embeddings": embeddings, "/v1/rerank": rerank,
                    "/v1/completions": complete, "/v1/chat/completions": chat}
        return [("POST", path, partial(handler, self.service)) for path, handler in handlers.items()]

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Method, path and handler of each."""
        return (("POST", "/v1/predict", self.predict), ("GET", "/v1/models", self.models),
                ("GET", "/health", self.health), ("GET", "/ready", self.ready), ("GET", "/metrics", self.metrics),
                ("GET", "/openapi.json", self.openapi), *self.further_routes(),
                *file_routes(Path(__file__).parent, PAGE_FILES))


def create_app(endpoints: HttpEndpoints, *, report_bug: Callable[[Exception], object]) -> Starlette:
    """The app without its gate; `report_bug` writes down a fault of our own."""
    routes = [Route(path, answering(handler, endpoints.service.limits.deadline, report_bug), methods=[method])
              for method, path, handler in endpoints.routes()]

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        paths = ", ".join(route.path for route in routes)
        refusal = (Refusal(404, "There is no such page.", f"There is {paths}.") if error.status_code == 404 else
                   Refusal(405, f"{request.url.path:.80} does not take {request.method:.20}.",
                           "See /openapi.json."))
        return refusal_response(refusal)

    return Starlette(routes=routes, exception_handlers={HTTPException: http_error})


def gated_app(endpoints: HttpEndpoints, admission: Admission, *, observe: Callable[[RequestRecord], None],
              report_bug: Callable[[Exception], object]) -> Gate:
    """What a server listens with: the app behind its gate; `observe` is told of every request."""
    app = create_app(endpoints, report_bug=report_bug)
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    return Gate(app, admission, paths, refuse=endpoints.service.refusal, observe=observe, report_bug=report_bug)
