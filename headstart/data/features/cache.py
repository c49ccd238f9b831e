"""Features kept between runs, found again by a hash of everything that they are made from.

A file holds arrays (numpy, no objects) and one line of JSON; it is read back whole and checked before it is trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contract import Example, Json, Target, Task
from headstart.data.features.features import Features

ARRAYS = ("tokens", "kinds", "ends", "borders", "weight_of", "cut_of", "asked_of")
SOURCES = ("contract", "tasks", "text", "data")  # whose code decides what a feature is


class NotPlain(Exception):
    """A value that JSON would not give back as it was."""


def code() -> str:
    """A hash of the code that makes features: other code, other features."""
    folder = Path(__file__).parents[2]
    found = hashlib.sha256()
    for part in SOURCES:
        for file in sorted((folder / part).rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()


def key(task: Task[Any], examples: Sequence[Example], tokenizer: Any, seed: int | None, epoch: int) -> str | None:
    """What names the features of these examples; None for a tokenizer written in Python, whose state has no one text."""
    if not hasattr(tokenizer.backend, "to_str"):
        return None
    made = hashlib.sha256(code().encode())
    own = Path(str(getattr(__import__(type(task).__module__, fromlist=["x"]), "__file__", "")))
    made.update(own.read_bytes() if own.is_file() else b"")
    known = task.learned.json() if task.learned is not None else None
    made.update(repr((type(task).__qualname__, task.settings, known, seed, epoch)).encode())
    made.update(tokenizer.backend.to_str().encode())
    made.update(repr((tokenizer.target.longest, tokenizer.target.single)).encode())
    made.update(repr((tokenizer.longest, tokenizer.summary, tokenizer.single, tokenizer.double, tokenizer.part_types,
                      tokenizer.mask_id, tokenizer.end_id, tokenizer.start_id, tokenizer.held.chat_template, tokenizer.continues)).encode())
    for example in examples:
        made.update(repr(example).encode("utf-8", "surrogatepass"))
    return made.hexdigest()


def encode(task: Task[Any], examples: Sequence[Example], tokenizer: Any, *, seed: int, epoch: int = 0, workers: int = 0,
           folder: str = "") -> Features:
    """`Features.encode`, or the same from a folder where they were kept; an empty folder name keeps nothing."""
    name = key(task, examples, tokenizer, seed, epoch) if folder else None
    if name is None:
        return Features.encode(task, examples, tokenizer, seed=seed, epoch=epoch, workers=workers)
    place = Path(folder).expanduser() / f"{name}.npz"
    held = read(place)
    if held is not None:
        return held
    made = Features.encode(task, examples, tokenizer, seed=seed, epoch=epoch, workers=workers)
    write(place, made)
    return made


def plain(value: Any) -> Json:
    """A value as JSON that says what is a tuple and what an array; raises NotPlain."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, array):
        return {"array": [value.typecode, value.tolist()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iufb":
        return {"numpy": [value.dtype.str, list(value.shape), value.ravel().tolist()]}
    if isinstance(value, np.generic):
        return {"number": [value.dtype.str, value.item()]}
    if isinstance(value, tuple):
        return {"tuple": [plain(one) for one in value]}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Target):
        return {"target": [plain(value.value), value.per]}
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {"dict": {name: plain(one) for name, one in value.items()}}
    raise NotPlain(type(value).__name__)


def restored(held: Json) -> Any:
    """What `plain` was given."""
    if isinstance(held, list):
        return [restored(one) for one in held]
    if not isinstance(held, dict):
        return held
    (kind, value), = held.items()
    if kind == "array":
        return array(value[0], value[1])
    if kind == "numpy":
        return np.array(value[2], dtype=value[0]).reshape(value[1])
    if kind == "number":
        return np.dtype(value[0]).type(value[1])
    if kind == "tuple":
        return tuple(restored(one) for one in value)
    if kind == "target":
        return Target(restored(value[0]), value[1])
    return {name: restored(one) for name, one in value.items()}


def write(place: Path, features: Features) -> None:
    """Keep features under their name; the file appears whole or not at all. What JSON cannot say is not kept."""
    try:
        words = json.dumps([[plain(dict(one)) for one in features.targets],
                            [[number, plain(held)] for number, held in features.extra.items()]])
    except NotPlain:
        return
    arrays = {name: np.frombuffer(getattr(features, name), dtype=getattr(features, name).typecode) for name in ARRAYS}
    text = np.frombuffer(words.encode("ascii"), dtype=np.uint8)
    arrays |= {"words": text, "check": np.frombuffer(hashed([*arrays.values(), text]), dtype=np.uint8)}
    place.parent.mkdir(parents=True, exist_ok=True)
    number, staged = tempfile.mkstemp(dir=place.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            save: Any = np.savez  # its stub takes names of arrays for its own flags
            save(file, **arrays)
        os.replace(staged, place)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise


def hashed(arrays: Sequence[Any]) -> bytes:
    """The SHA-256 of arrays, one after the other."""
    made = hashlib.sha256()
    for one in arrays:
        made.update(one.tobytes())
    return made.digest()


def read(place: Path) -> Features | None:
    """Features that were kept; None where there are none, or where the file is not what was written."""
    try:
        with place.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {name: file[name] for name in (*ARRAYS, "words", "check")}
    except (OSError, ValueError, KeyError, EOFError, zipfile_error()):
        return None
    if hashed([held[name] for name in (*ARRAYS, "words")]) != held["check"].tobytes():
        return None
    made = Features()
    for name in ARRAYS:
        setattr(made, name, array(getattr(made, name).typecode, held[name].tobytes()))
    targets, extra = json.loads(held["words"].tobytes())
    made.targets = [restored(one) for one in targets]
    made.extra = {number: restored(one) for number, one in extra}
    return made


def zipfile_error() -> type[Exception]:
    """What a cut file raises."""
    import zipfile

    return zipfile.BadZipFile
