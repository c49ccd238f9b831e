"""How an endpoint answers: JSON, and what the engine computed, unless the client goes away or time runs out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headstart.contract import Json, Prediction
from headstart.prediction.predictor import TRUNCATED
from headstart.serving.engine import DeadlineExceeded
from headstart.serving.refusal import Refusal


def json_response(content: Any) -> Response:
    """An answer as JSON; raises Refusal (500) for numbers that JSON has not: the model's weights are damaged."""
    try:
        body = json.dumps(content, allow_nan=False)
    except ValueError:
        raise Refusal(500, "The model's scores are not finite (NaN or infinity): its output is meaningless.",
                      "Its weights are damaged or its training went wrong.") from None
    return Response(body, media_type="application/json")


async def wait_for(request: Request, future: Future[list[Any]], seconds: float) -> list[Any]:
    """What the engine computed; a client that goes away meanwhile takes its request with it.

    Raises DeadlineExceeded, Refusal (499), and what the computation raised.
    """
    computed = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(disconnection(request))
    try:
        waiting: set[asyncio.Future[Any]] = {computed, gone}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if computed.done():
            return await computed
        if gone.done():
            raise Refusal(499, "The client disconnected.")
        raise DeadlineExceeded("the request was not answered in time")
    finally:
        gone.cancel()
        computed.cancel()


async def disconnection(request: Request) -> None:
    """Return when the client is gone; the body has been read already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def truncation(predictions: Sequence[Prediction]) -> dict[str, Json]:
    """Which rows, from 1, were longer than the model reads, and how many tokens were left out; {} where none was."""
    truncated = [{"row": number, "tokens": int(prediction.detail[TRUNCATED])}
                 for number, prediction in enumerate(predictions, start=1) if prediction.detail.get(TRUNCATED)]
    return {"truncated": truncated} if truncated else {}
