"""The JSON files of a model folder: bounded, whole, and of the types that they should have, before anything uses them.

A value that is wrong is refused with the file's and the field's name (69); published folders keep keys that are unknown
here, of whatever type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.settings.values import value_text

MAX_JSON_BYTES = 20_000_000  # the largest published config with labels has about 1 MB
MAX_DEPTH = 64  # objects and lists inside one another; published configs have 5
MAX_SHOWN = 60  # characters of a value in an error
COPY_AGAIN = "Copy or download the folder again."


def damaged(message: str, fix: str = COPY_AGAIN) -> UserError:
    """A folder that cannot be used as it is (69)."""
    return UserError(message, fix=fix, exit=Exit.UNAVAILABLE)


def read_json(file: Path, reference: str) -> dict[str, Any]:
    """A JSON object of a model folder; raises UserError (69)."""
    try:
        content = bounded_json(file)
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{file.name} of {reference} cannot be read: {str(error)[:200]}.") from None
    return content


def bounded_json(file: Path) -> Any:
    """The JSON of a file; raises OSError, ValueError and RecursionError for what is no file, too large, or not JSON."""
    if not file.is_file() or file.stat().st_size > MAX_JSON_BYTES:
        raise ValueError(f"it is not a file of at most {MAX_JSON_BYTES:,} bytes")
    content = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    check_values(content)
    return content


def refuse_constant(constant: str) -> float:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{constant} is no number")


def check_values(content: Any, path: str = "", depth: int = 0) -> None:
    """Raise ValueError for numbers that are too large for a float, halves of characters, and too deep nesting."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{path[:MAX_SHOWN]} … is nested more than {MAX_DEPTH} deep")
    if isinstance(content, float) and not math.isfinite(content):
        raise ValueError(f"{path} is a number too large")
    if isinstance(content, str) and not content.isascii():
        check_text(content, path)
    if isinstance(content, dict):
        for key, value in content.items():
            check_text(key, path)
            check_values(value, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(content, list):
        for index, value in enumerate(content):
            check_values(value, f"{path}[{index}]", depth + 1)


def check_text(text: str, path: str) -> None:
    """Raise ValueError for a text that UTF-8 cannot hold: half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path or 'a key'} holds half of a character (a lone surrogate)") from None


class Kind:
    """What values of a field are allowed: in words, and as a test."""

    def __init__(self, words: str, allows: Callable[[Any], bool]) -> None:
        self.words, self.allows = words, allows

    def __or__(self, alternative: Kind) -> Kind:
        return Kind(f"{self.words} or {alternative.words}",
                    lambda value: self.allows(value) or alternative.allows(value))


def whole_number(low: int, high: int) -> Kind:
    """A whole number within bounds, that are allowed themselves."""
    return Kind(f"a whole number from {low:,} to {high:,}",
                lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)


def number(low: float | None = None, high: float | None = None) -> Kind:
    """A number within bounds, that are allowed themselves."""
    bounds = "".join(f" {word} {bound:,}" for word, bound in (("from", low), ("to", high)) if bound is not None)
    return Kind(f"a number{bounds}", lambda value: isinstance(value, int | float) and not isinstance(value, bool)
                and (low is None or value >= low) and (high is None or value <= high))


def one_of(*words: str) -> Kind:
    """One of some words."""
    return Kind(" or ".join(words), lambda value: value in words)


def list_of(kind: Kind) -> Kind:
    """A list of such values."""
    return Kind(f"a list of {kind.words}", lambda value: isinstance(value, list) and all(map(kind.allows, value)))


def object_of(kind: Kind) -> Kind:
    """A JSON object of such values."""
    return Kind(f"an object of {kind.words}", lambda value: isinstance(value, dict)
                and all(map(kind.allows, value.values())))


NULL = Kind("null", lambda value: value is None)
TEXT = Kind("text", lambda value: isinstance(value, str))
BOOLEAN = Kind("true or false", lambda value: isinstance(value, bool))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))


def check_fields(content: Mapping[str, Any], kinds: Mapping[str, Kind], place: str, *,
                 required: tuple[str, ...] = (), fix: str = COPY_AGAIN) -> None:
    """Refuse fields of a wrong type or out of bounds, and required ones that are missing; raises UserError (69).

    `place` is the file as an error names it: "config.json of FOLDER".
    """
    for name in required:
        if name not in content:
            raise damaged(f"{place} lacks {name}, which should be {kinds[name].words}.", fix)
    for name, kind in kinds.items():
        if name in content and not kind.allows(content[name]):
            raise damaged(f"{place} says {name} = {value_text(content[name])}; {kind.words} was expected.", fix)
