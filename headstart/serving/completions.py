"""Texts in OpenAI's form: /v1/completions and /v1/chat/completions, whole or as server-sent events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headstart.contract import Json
from headstart.generation.generate import GeneratedText
from headstart.serving.answers import json_response, wait_for
from headstart.serving.body import read_json
from headstart.serving.parameters import Parameters, in_words
from headstart.serving.piece_stream import PieceStream
from headstart.serving.refusal import Refusal, refusal_for
from headstart.serving.served_model import ServedModel
from headstart.serving.service import Service
from headstart.serving.writing import (
    StopFilter,
    Writing,
    chat_layout,
    encode_chat,
    encode_prompts,
    request_settings,
    writes,
)
from headstart.tasks.shared.prompt_layout import Turn

SHARED = ("model", "max_tokens", "temperature", "top_p", "n", "seed", "stop", "stream", "stream_options")
MAX_PROMPTS = 64
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True)
class Order:
    """A request to write: encoded prompts, the work, and the form of its answer."""

    served: ServedModel
    prompts: Sequence[Sequence[int]]
    work: Writing
    is_chat: bool
    streams: bool
    counts_at_end: bool

    @property
    def tokens(self) -> list[int]:
        """What each prompt costs: its tokens and those that may be written."""
        return [len(ids) + max(1, self.work.settings.max_new_tokens) for ids in self.prompts]


async def complete(service: Service, request: Request) -> Response:
    """POST /v1/completions."""
    parameters = Parameters(await read_json(request, service.bounds), (*SHARED, "prompt"))
    served = find_writer(service, request, parameters)
    prompts = parameters.texts("prompt", MAX_PROMPTS)
    settings = request_settings(served, parameters.generation(("max_tokens",)))
    encoded = await service.read(encode_prompts, served, prompts, settings)
    return await answer(service, request, make_order(served, encoded, settings, parameters, is_chat=False))


async def chat(service: Service, request: Request) -> Response:
    """POST /v1/chat/completions."""
    parameters = Parameters(await read_json(request, service.bounds), (*SHARED, "messages", "max_completion_tokens"))
    served = find_writer(service, request, parameters)
    layout = chat_layout(served)
    if layout is None:
        raise Refusal(400, f"{served.name} was not trained on conversations and its tokenizer has no chat template.",
                      "Use /v1/completions instead.", "model")
    turns = chat_turns(parameters.values.get("messages"))
    settings = request_settings(served, parameters.generation(("max_tokens", "max_completion_tokens")), layout)
    ids = await service.read(encode_chat, served, turns, settings)
    return await answer(service, request, make_order(served, [ids], settings, parameters, is_chat=True))


def find_writer(service: Service, request: Request, parameters: Parameters) -> ServedModel:
    """The model of a request; raises Refusal (400) for one that writes nothing."""
    served = service.find(parameters.values.get("model"))
    request.state.model = served.name
    if not writes(served):
        raise Refusal(400, f"{served.name} is for {served.model.task.name}; it writes no text.",
                      "Use /v1/predict with rows.", "model")
    return served


def chat_turns(messages: Json) -> list[Turn]:
    """The messages of a conversation that asks for an answer; raises Refusal (422)."""
    if not isinstance(messages, list) or not messages:
        raise Refusal(422, f"messages: a list of messages was expected, but {in_words(messages)} came.",
                      'Send [{"role": "user", "content": "…"}].', "messages")
    turns = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if not isinstance(message, dict) or not {"role", "content"} <= set(message) <= {"role", "content", "name"}:
            raise Refusal(422, f"{place}: an object of role and content was expected.",
                          'Send {"role": "user", "content": "…"}.', place)
        role, content = message["role"], message["content"]
        if not isinstance(role, str) or role not in ROLES:
            raise Refusal(422, f"{place}: the role is {', '.join(ROLES)}, but {role!r:.40} came.", "Send one of them.",
                          place)
        if isinstance(content, list) and content and all(
                isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
                for part in content):
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str) or not content:
            raise Refusal(422, f"{place}: the content is a text, but {in_words(content)} came.", "Send a text.", place)
        turns.append(Turn(ROLES[role], content))
    if turns[-1].is_answer:
        raise Refusal(422, "messages: the last one is the assistant's already.", "End with one of the user's.",
                      "messages")
    return turns


def make_order(served: ServedModel, prompts: Sequence[Sequence[int]], settings: Any, parameters: Parameters, *,
               is_chat: bool) -> Order:
    """Prompts with how they are continued; raises Refusal (413, 422)."""
    streams = parameters.flag("stream")
    if "stream_options" in parameters.values and not streams:
        raise Refusal(422, "stream_options needs stream.", 'Send "stream": true, or leave it out.', "stream_options")
    work = Writing(served.model.in_precision(), settings, parameters.stops())
    seed = parameters.seed()
    if settings.do_sample:
        work = work.alone(seed=seed)
    order = Order(served, prompts, work, is_chat, streams, parameters.streams_usage())
    if streams and (len(prompts) > 1 or settings.num_return_sequences > 1):
        raise Refusal(422, "stream: one text at a time can be streamed.", "Send one prompt and n = 1.", "stream")
    served.check_tokens(sum(order.tokens))
    return order


async def answer(service: Service, request: Request, order: Order) -> Response:
    """The texts of an order, whole or while they are written."""
    request.state.rows, request.state.tokens = len(order.prompts), sum(map(len, order.prompts))
    if order.streams:
        return StreamingResponse(start_stream(service, order), media_type="text/event-stream")
    future = order.served.submit(order.work, order.prompts, order.tokens)
    texts = [text for texts in await wait_for(request, future, service.limits.deadline) for text in texts]
    choices = [choice(order, index, text.text, finish_reason(text)) for index, text in enumerate(texts)]
    return json_response({**head(order), "choices": choices, "usage": usage(order, texts)})


def head(order: Order) -> dict[str, Json]:
    """What every answer and every event begins with."""
    kind = "chat.completion" if order.is_chat else "text_completion"
    prefix = "chatcmpl" if order.is_chat else "cmpl"
    return {"id": f"{prefix}-{uuid.uuid4().hex}",
            "object": f"{kind}.chunk" if order.is_chat and order.streams else kind,
            "created": int(time.time()), "model": order.served.name, "system_fingerprint": order.served.version}


def choice(order: Order, index: int, text: str, reason: str | None) -> dict[str, Json]:
    """One text of an answer, or one piece of a stream."""
    body: dict[str, Json] = {"text": text}
    if order.is_chat:
        body = {"delta" if order.streams else "message": {"role": "assistant", "content": text}}
    return {"index": index, **body, "logprobs": None, "finish_reason": reason}


def finish_reason(text: GeneratedText) -> str:
    """Why a text ended, in OpenAI's words."""
    return "length" if text.finish_reason == "length" else "stop"


def usage(order: Order, texts: Sequence[GeneratedText]) -> dict[str, Json]:
    """Tokens that were read and written."""
    prompt, completion = sum(map(len, order.prompts)), sum(len(text.ids) for text in texts)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def start_stream(service: Service, order: Order) -> AsyncIterator[bytes]:
    """Events of a text while it is written; raises QueueFull before the first. A reader that goes away ends it.

    The deadline holds for each piece.
    """
    stream = PieceStream[str]()
    future = order.served.submit(order.work.alone(stream=stream.put), order.prompts, order.tokens)
    stream.end_with(future)

    async def events() -> AsyncIterator[bytes]:
        stop_filter, start = StopFilter(order.work.stop), head(order)
        try:
            while (piece := await stream.take(service.limits.deadline)) is not None:
                if visible_piece := stop_filter.feed(piece):
                    yield event({**start, "choices": [choice(order, 0, visible_piece, None)]})
            text = future.result()[0][0]
            yield event({**start, "choices": [choice(order, 0, stop_filter.rest(text.text), finish_reason(text))]})
            if order.counts_at_end:
                yield event({**start, "choices": [], "usage": usage(order, [text])})
            yield b"data: [DONE]\n\n"
        except Exception as error:
            yield event(refusal_for(error, service.report_bug).json())
        finally:
            stream.close()

    return events()


def event(content: Json) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"
