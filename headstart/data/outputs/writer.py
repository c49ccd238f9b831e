"""What every writer of rows is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

Row = Mapping[str, Any]


class Writer(Protocol):
    """Takes rows one by one."""

    def write(self, row: Row) -> None:
        """One more row; its keys are the columns."""

    def close(self) -> list[str]:
        """The end of the rows; in words, what could not be written as it was meant."""


def json_text(value: Any) -> str:
    """A value as JSON; a number that is none (NaN, infinity) is null, for JSON has no such numbers."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """A value with None for each number in it that is none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def cell_text(value: Any) -> str:
    """A value as the text of a cell; lists and objects become JSON."""
    if value is None:
        return ""
    return json_text(value) if isinstance(value, dict | list | tuple | bool) else str(value)
