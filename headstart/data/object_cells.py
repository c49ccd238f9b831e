"""A value of Python, numpy, pandas or Arrow as a cell of a table: what JSON has, missing values as None."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from headstart.contract import Json
from headstart.text.json_values import MAX_DEPTH

MISSING_TYPES = ("NAType", "NaTType")  # of pandas.NA and pandas.NaT, which compare equal to nothing


def cell_value(value: Any, depth: int = 0) -> Json:
    """A value as JSON has it: dates in ISO form, NaN and pandas' other missing values None, infinity the text "inf".

    Raises TypeError, with the kind of value as its words, for what no file of rows can hold.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value) if math.isfinite(value) else str(float(value))
    if type(value).__name__ in MISSING_TYPES:
        return None
    if isinstance(value, Enum):
        return cell_value(value.value, depth)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta | uuid.UUID | PurePath):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return cell_value(float(value))
    return nested_value(value, depth)


def nested_value(value: Any, depth: int) -> Json:
    """A list, an object, or an array of numpy or torch; raises TypeError for anything else."""
    if depth >= MAX_DEPTH:
        raise TypeError(f"values nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        if unnamed := next((key for key in value if not isinstance(key, str)), None):
            raise TypeError(f"an object with the key {unnamed!r}, which is not a text")
        return {str.__str__(key): cell_value(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cell_value(inner, depth + 1) for inner in value]
    if type(value).__name__ == "datetime64":
        return None if str(value) == "NaT" else str(value)
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        return cell_value(value.tolist(), depth + 1)
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes")
    raise TypeError(f"a value of the class {type(value).__name__}")


def is_missing(value: Any) -> bool:
    """Whether a value stands for nothing: None, NaN, pandas.NA or pandas.NaT."""
    return value is None or type(value).__name__ in MISSING_TYPES or (isinstance(value, float) and math.isnan(value))
