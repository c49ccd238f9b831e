"""The body of a request: read within bounds of size and time, and parsed as strict JSON."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from headstart.contract import Json
from headstart.serving.refusal import Refusal
from headstart.settings.values import is_unicode

LARGE_BODY = 2**16  # bytes that are parsed in a thread of their own


@dataclass(frozen=True)
class Bounds:
    """What one request may hold at most, and how long its body may take to come, in seconds."""

    body_bytes: int = 8 * 2**20
    rows: int = 1024
    tokens: int = 131_072  # of all rows together, as the model reads them
    characters: int = 1_000_000  # of all texts together, before they are tokenized
    nesting: int = 16  # lists and objects within one another
    body_seconds: float = 20.0


async def read_json(request: Request, bounds: Bounds) -> dict[str, Json]:
    """The body of a request, an object; raises Refusal (400, 408, 413, 415, 499)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(415, f"application/json was expected, but {media_type or 'no content type'!r:.80} came.",
                      "Send the header Content-Type: application/json.")
    try:
        body = await asyncio.wait_for(read_body(request, bounds.body_bytes), bounds.body_seconds)
    except TimeoutError:
        raise Refusal(408, f"The body did not come within {bounds.body_seconds:.0f} s.", "Send it faster.") from None
    except ClientDisconnect:
        raise Refusal(499, "The client disconnected.") from None
    if len(body) < LARGE_BODY:
        return parse_object(body, bounds)
    return await asyncio.to_thread(parse_object, body, bounds)  # other requests are read meanwhile


async def read_body(request: Request, most: int) -> bytes:
    """The bytes of the body; raises Refusal (413) as soon as there are too many."""
    too_large = Refusal(413, f"The body has more than {most:,} bytes.", "Send fewer rows at once.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def parse_object(body: bytes, bounds: Bounds) -> dict[str, Json]:
    """Bytes as a JSON object; raises Refusal: 400 for anything else, NaN and half characters included, 413 for too much
    text.
    """
    if not body.strip():
        raise Refusal(400, "A JSON object was expected, but the body is empty.", 'Send {"rows": [{…}]}.')
    try:
        parsed = json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant, object_pairs_hook=unique_pairs)
    except UnicodeDecodeError as error:
        raise Refusal(400, f"The body is not UTF-8 (byte {error.start:,}).", "Encode it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Refusal(400, f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
                      "Write it with a JSON library.") from None
    except RecursionError:
        raise too_deep(bounds.nesting) from None
    except ValueError as error:  # a number of thousands of digits
        raise Refusal(400, f"The body holds a number that cannot be read: {error}."[:200],
                      "Send a smaller number.") from None
    if not isinstance(parsed, dict):
        raise Refusal(400, f"A JSON object was expected, but {json_kind(parsed)} came.", 'Send {"rows": [{…}]}.')
    check_values(parsed, bounds)
    return parsed


def refuse_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise Refusal(400, f"The body holds {name}, which is not JSON.", "Send null, or leave it out.")


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ; raises Refusal (400): of two values one would be lost."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(400, f"The body names {twice!r:.80} twice in one object.", "Name it once.")
    return values


def check_values(parsed: Mapping[str, Any], bounds: Bounds) -> None:
    """Refuse deep nesting, infinite numbers and half characters wherever they stand, and too much text; raises Refusal
    (400, 413).
    """
    level: list[tuple[str, Any]] = [("", parsed)]
    characters = 0
    for _ in range(bounds.nesting + 1):
        deeper: list[tuple[str, Any]] = []
        for place, value in level:
            check_scalar(place, value)
            characters += len(value) if isinstance(value, str) else 0
            if isinstance(value, Mapping):
                for name in value:
                    check_scalar(f"a name in {place or 'the body'}", name)
                deeper += [(f"{place}.{name}".lstrip("."), child) for name, child in value.items()]
            elif isinstance(value, list):
                deeper += [(f"{place}[{index}]", child) for index, child in enumerate(value)]
        if characters > bounds.characters:
            raise Refusal(413, f"The texts have more than {bounds.characters:,} characters together.",
                          "Send fewer or shorter ones.")
        if not deeper:
            return
        level = deeper
    raise too_deep(bounds.nesting)


def check_scalar(place: str, value: Any) -> None:
    """Refuse a number beyond a float's range and a text with half a surrogate pair; raises Refusal (400)."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(400, f"{place:.80} is a number beyond what a float holds.", "Send a smaller number.", place[:80])
    if isinstance(value, str) and not is_unicode(value):
        raise Refusal(400, f"{ascii(place)[1:-1]:.80} holds half a character (a lone surrogate).",
                      "Encode the text as UTF-8 before it becomes JSON.", ascii(place)[1:-1][:80])


def too_deep(nesting: int) -> Refusal:
    """The refusal of a body that is nested too deep."""
    return Refusal(400, f"The body nests lists and objects more than {nesting} deep.", "Send plain rows.")


def json_kind(value: Any) -> str:
    """A JSON value's kind in words."""
    if value is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list",
             dict: "an object"}
    return kinds[type(value)]
