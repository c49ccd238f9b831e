"""JSON as users' files hold it: numbers that a float holds, and values that are not nested without end."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Callable
from typing import Any, NoReturn, TypeGuard

MAX_DEPTH = 100  # lists and objects in each other; a row of a data set has a handful
SUSPECT = re.compile(r"\d{300}|[eE]\+?\d{3}")  # what a number that is too large must have
# numpy's lists of several values, as pandas writes them in a csv: array(['a', 'b'], dtype=object)
ARRAY = re.compile(r"\barray\((\[[^\[\]]*\])(?:,\s*dtype=\w+)?\)")
HALF_CHARACTER = re.compile(  # an escaped surrogate without its partner; escaped backslashes are passed over
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL)


def parse_json(text: str, repeated_keys: list[str] | None = None) -> Any:
    """A value of JSON; keys that stand twice in one object are added to `repeated_keys`.

    Raises ValueError for text that is none, for numbers that are none (NaN) or beyond what a float holds (1e999), and
    for values nested more than 100 deep.
    """
    is_suspect = SUSPECT.search(text) is not None  # the library is quicker with its own numbers
    try:
        value = json.loads(text, parse_constant=refuse_constant, parse_float=finite_number if is_suspect else None,
                           parse_int=finite_whole_number if is_suspect else None,
                           object_pairs_hook=None if repeated_keys is None else object_of(repeated_keys))
    except RecursionError:
        value = None
        is_too_deep = True
    else:
        is_too_deep = nests_deeper(value, MAX_DEPTH)
    if is_too_deep:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    return value


def parse_list_text(text: str) -> Any:
    """A list or object that a cell holds as text: JSON, or as Python writes it (what pandas makes of lists in a csv).

    Raises ValueError for text that is neither, such as numpy's lists, which have no commas.
    """
    try:
        return parse_json(text)
    except ValueError:
        return parse_python(ARRAY.sub(r"\1", text))


def parse_cell(value: Any) -> Any:
    """A cell, read where it is a text that holds a list or an object; any other as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return parse_list_text(value)
    except ValueError:
        return value


def parse_python(text: str) -> Any:
    """Lists, tuples, objects, texts, numbers, True, False and None as Python writes them; raises ValueError."""
    try:
        value = ast.literal_eval(text.strip())
        text_tokens = sum(token.type == tokenize.STRING for token in tokenize.generate_tokens(
            io.StringIO(text.strip()).readline))
    except (SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        raise ValueError("it is not a Python value") from None
    plain, texts = plain_value(value)
    if texts != text_tokens:  # ['a' 'b'] is one text to Python, and two to numpy, which writes so
        raise ValueError("two texts stand without a comma between them")
    if nests_deeper(plain, MAX_DEPTH):
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    return plain


def plain_value(value: Any) -> tuple[Any, int]:
    """A value of Python as JSON has it, and how many texts are in it; raises ValueError for what JSON has not."""
    if isinstance(value, dict):
        keys, values = [plain_value(key) for key in value], [plain_value(part) for part in value.values()]
        if not all(isinstance(key, str) for key, _ in keys):
            raise ValueError("a name in it is not a text")
        return ({key: part for (key, _), (part, _) in zip(keys, values, strict=True)},
                sum(count for _, count in (*keys, *values)))
    if isinstance(value, list | tuple):
        parts = [plain_value(part) for part in value]
        return [part for part, _ in parts], sum(count for _, count in parts)
    if isinstance(value, str):
        return value, 1
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value, 0
    raise ValueError(f"it holds {value!r:.40}")


def object_of(repeated_keys: list[str]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """What makes an object of pairs, and adds keys that it has met to a list."""
    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated_keys.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return entries

    return make_object


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def half_characters(text: str) -> list[int]:
    """Where the text of a JSON value has an escape for half a character, as a cut emoji leaves it."""
    return [match.start() for match in HALF_CHARACTER.finditer(text) if match.group(1) is not None]


def nests_deeper(value: Any, depth: int) -> bool:
    """Whether lists and objects stand in each other more than `depth` times."""
    layer = [value]
    for _ in range(depth):
        layer = [part for entry in layer for part in (
            entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ())
            if isinstance(part, dict | list)]
        if not layer:
            return False
    return True


def finite_number(text: str) -> float:
    """A number with a point or an exponent; raises ValueError where it is beyond what a float holds."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def finite_whole_number(text: str) -> int:
    """A whole number; raises ValueError where it is beyond what a float holds."""
    finite_number(text)
    return int(text)


def refuse_constant(word: str) -> NoReturn:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{word} is not JSON")
