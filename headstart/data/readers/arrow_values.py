"""Arrow's columns as JSON has values: class numbers by their names, dates in ISO form, bytes left out."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any


class UnknownClass(ValueError):
    """A class number without a name."""


def schema_features(schema: Any) -> dict[str, Any]:
    """What `datasets` wrote into an Arrow schema about each column; {} where it wrote nothing that can be read."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def class_names(feature: Any) -> Sequence[str] | None:
    """The names of a ClassLabel; None for any other feature."""
    names = feature.get("names") if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def entry_feature(feature: Any) -> Any:
    """The feature of a list's entries: {"feature": …} (Sequence, List, LargeList) or [ … ]."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    return feature.get("feature") if isinstance(feature, Mapping) else None


def holds_classes(feature: Any) -> bool:
    """Whether a ClassLabel stands in a feature, at any depth."""
    if class_names(feature) is not None:
        return True
    parts = feature.values() if isinstance(feature, Mapping) else feature if isinstance(feature, list) else ()
    return any(holds_classes(part) for part in parts if isinstance(part, Mapping | list))


def json_value(value: Any, feature: Any = None) -> Any:
    """A value as JSON has it: times in ISO form, durations in seconds, class numbers by name; bytes are None.

    Raises UnknownClass.
    """
    names = class_names(feature)
    if names is not None and isinstance(value, int):
        return name_of_class(value, names)
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        inner = entry_feature(feature)
        return [json_value(entry, inner) for entry in value]
    if isinstance(value, dict):
        return {str(key): json_value(entry, field_feature(feature, key)) for key, entry in value.items()
                if not isinstance(entry, bytes)}
    return plain_value(value)


def field_feature(feature: Any, key: Any) -> Any:
    """The feature of an object's field; of a Sequence of objects, which is an object of lists, the list's."""
    if isinstance(feature, Mapping):
        if key in feature:
            return feature[key]
        inner = feature.get("feature")
        if isinstance(inner, Mapping) and key in inner:
            return {"feature": inner[key]}
    return None


def plain_value(value: Any) -> Any:
    """A time, a decimal, a duration or bytes as JSON has them."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return decimal_value(value)
    if isinstance(value, bytes):
        return None
    if isinstance(value, uuid.UUID):
        return str(value)
    return str(value)


def decimal_value(value: decimal.Decimal) -> Any:
    """A decimal as a number that is exactly it; as text where there is none."""
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def name_of_class(number: int, names: Sequence[str]) -> str | None:
    """The name of a class number; None for -1, which `datasets` writes where there is no label. Raises UnknownClass."""
    if 0 <= number < len(names):
        return names[number]
    if number == -1:
        return None
    raise UnknownClass(f"the class number {number} has no name; there are {len(names)}, from 0")
