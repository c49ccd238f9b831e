"""Predictions that a file holds, as a task would have made them; for scores without a model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

from headstart.contract import Json, RowFault
from headstart.text.json_values import parse_json

CLASS_SCORES = ("roc_auc", "average_precision", "log_loss", "calibration_error")
FIX = "Look at the file of predictions; `headstart predict` writes such ones."


def predicted_text(values: Mapping[str, Json]) -> str:
    """A prediction that is a text; none at all is the empty one."""
    value = values.get("prediction")
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise RowFault("E305", f"the prediction is {value!r:.60}, a text was expected.", field="prediction", fix=FIX)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def predicted_label(values: Mapping[str, Json]) -> str:
    """A prediction that is a label; raises RowFault where there is none."""
    label = predicted_text(values)
    if not label.strip():
        raise RowFault("E202", "there is no predicted label.", field="prediction", fix=FIX)
    return label


def cell_value(values: Mapping[str, Json], name: str) -> Json:
    """A cell that may hold JSON as text, as a csv has it; None where there is none."""
    value = values.get(name)
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return parse_json(value)
        except ValueError:
            raise RowFault("E305", f"{name} is {value!r:.60}, which begins like JSON but is not JSON.", field=name,
                           fix=FIX) from None
    return None if value == "" else value


def number(value: Json, name: str) -> float:
    """A finite number from a cell; raises RowFault."""
    try:
        parsed = float(value) if not isinstance(value, bool | list | dict) and value is not None else math.nan
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        raise RowFault("E305", f"{name} is {value!r:.60}, a number was expected.", field=name, fix=FIX)
    return parsed


def label_probabilities(values: Mapping[str, Json]) -> dict[str, float] | None:
    """The probability of each label, {"label": 0.9, …}; None where the file has none. Raises RowFault."""
    cell = cell_value(values, "probabilities")
    if cell is None:
        return None
    if not isinstance(cell, dict) or not cell:
        raise RowFault("E305", f"probabilities are {cell!r:.60}; an object of labels and numbers was expected.",
                       field="probabilities", fix=FIX)
    return {str(label): number(value, "probabilities") for label, value in cell.items()}


def known_labels(rows: Iterable[Mapping[str, Json]]) -> tuple[str, ...] | None:
    """The labels of the first row that has a probability for each; None where none has."""
    for values in rows:
        try:
            probabilities = label_probabilities(values)
        except RowFault:  # told row by row
            continue
        if probabilities is not None:
            return tuple(probabilities)
    return None


def aligned_probabilities(probabilities: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    """Probabilities in the order of the labels; raises RowFault where the row has others."""
    if set(probabilities) != set(labels):
        difference = sorted(set(probabilities) ^ set(labels))[0]
        raise RowFault("E305", f"probabilities name other labels than the first row's ({difference!r}).",
                       field="probabilities", fix=FIX)
    return {label: probabilities[label] for label in labels}
