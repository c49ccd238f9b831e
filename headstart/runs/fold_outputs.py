"""What the folds' models predicted, kept in the run until its end: reduced outputs, which are decoded again once
thresholds are learned on them.

    folds/2/outputs.json    {"places": [0, 7 …], "outputs": […], "layers": […], "steps": 25, "seconds": 3.1, …}

Nothing in such a file is run: numbers, texts and arrays come back as they were, and nothing else is kept.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.contract import Example, Json, Prediction, Task
from headstart.errors import Exit, UserError
from headstart.prediction.predictor import decode_outputs
from headstart.runs.folder import RunFolder
from headstart.runs.record import with_checksum

OUTPUTS_FILE = "outputs.json"
ARRAY_KINDS = "biufSU"  # numbers and texts; objects would have to be unpickled


@dataclass(frozen=True)
class FoldOutputs:
    """One fold: the places of its rows among all training rows, their outputs, and how its model was trained."""

    places: Sequence[int]
    outputs: Sequence[Sequence[Any]]
    layers: Sequence[Sequence[int]]
    steps: int
    seconds: float

    def save(self, folder: RunFolder) -> None:
        """Write it into the fold's folder, whole; raises UserError (74)."""
        content = {"places": list(self.places), "outputs": encoded(list(map(list, self.outputs))),
                   "layers": list(map(list, self.layers)), "steps": self.steps, "seconds": self.seconds}
        # escaped, so that a text with half a surrogate pair is written too; a score may be infinite
        folder.write(OUTPUTS_FILE, json.dumps(with_checksum(content)))

    @classmethod
    def load(cls, folder: RunFolder) -> FoldOutputs | None:
        """Read back what `save` wrote; None where it is missing or damaged."""
        content = folder.read_object(OUTPUTS_FILE)
        if content is None or content.get("checksum") != with_checksum(content)["checksum"]:
            return None
        return cls(content["places"], decoded(content["outputs"]), content["layers"], content["steps"],
                   content["seconds"])


@dataclass(frozen=True)
class OutOfFold:
    """Every training row's outputs, each of the model that was trained without it."""

    folds: Sequence[FoldOutputs]

    def predictions(self, task: Task[Any], examples: Sequence[Example]) -> list[Prediction]:
        """The prediction of each row, decoded with what the task has learned by now."""
        parts: dict[int, Prediction] = {}
        for fold in self.folds:
            rows = [examples[place] for place in fold.places]
            parts |= zip(fold.places, decode_outputs(task, rows, fold.outputs, fold.layers), strict=True)
        return [parts[place] for place in range(len(examples))]


def encoded(value: Any) -> Json:
    """A task's reduced output as JSON from which `decoded` makes the same again; raises UserError (2) for what cannot.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [encoded(part) for part in value]
    if type(value) is tuple:
        return {"kind": "tuple", "of": [encoded(part) for part in value]}
    if isinstance(value, Mapping):
        return {"kind": "dict", "of": [[encoded(key), encoded(part)] for key, part in value.items()]}
    if type(value) is range:
        return {"kind": "range", "of": [value.start, value.stop, value.step]}
    if type(value) is bytes:
        return {"kind": "bytes", "of": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in ARRAY_KINDS:
        array = np.asarray(value)
        return {"kind": "array" if isinstance(value, np.ndarray) else "number", "type": array.dtype.str,
                "shape": list(array.shape), "of": base64.b64encode(array.tobytes()).decode()}
    raise UserError(f"evaluation.folds keeps the outputs of each fold's model, but this task's hold {type(value)!r}, "
                    "which is neither a number, a text, an array nor a collection of these.",
                    fix="Pass --folds 0: dev and test are split off.", exit=Exit.SETTINGS)


def decoded(content: Json) -> Any:
    """What `encoded` was given."""
    if isinstance(content, list):
        return [decoded(part) for part in content]
    if not isinstance(content, dict):
        return content
    kind, parts = content["kind"], content["of"]
    if kind == "tuple":
        return tuple(decoded(part) for part in parts)
    if kind == "dict":
        return {decoded(key): decoded(part) for key, part in parts}
    if kind == "range":
        return range(*parts)
    if kind == "bytes":
        return base64.b64decode(parts)
    array = np.frombuffer(base64.b64decode(parts), dtype=np.dtype(content["type"])).reshape(content["shape"]).copy()
    return array if kind == "array" else array[()]
