"""Features cached between runs, under a hash of everything that they are made from.

A file holds arrays (numpy, no objects) and one line of JSON; it is read back whole and checked before it is trusted.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contract import Example, Json, Target, Task
from headstart.data.features.features import Features
from headstart.errors import UserError
from headstart.files import disk_errors, make_folder, staged_file

ARRAYS = ("tokens", "token_types", "feature_ends", "example_ends", "feature_weights", "truncated_counts",
          "label_count_array")
SOURCE_FOLDERS = ("contract", "tasks", "text", "data")  # whose code decides what a feature is


class NotSerializable(Exception):
    """A value that JSON would not give back as it was."""


def code_hash() -> str:
    """A hash of the code that makes features: other code, other features."""
    folder = Path(__file__).parents[2]
    sha256 = hashlib.sha256()
    for source_folder in SOURCE_FOLDERS:
        for file in sorted((folder / source_folder).rglob("*.py")):
            sha256.update(file.read_bytes())
    return sha256.hexdigest()


def cache_key(task: Task[Any], examples: Sequence[Example], tokenizer: Any, seed: int | None, epoch: int) -> str | None:
    """The cache file's name for the features of these examples; None for a tokenizer written in Python, whose state is
    no text.
    """
    if not hasattr(tokenizer.backend, "to_str"):
        return None
    sha256 = hashlib.sha256(code_hash().encode())
    task_file = Path(str(getattr(__import__(type(task).__module__, fromlist=["x"]), "__file__", "")))
    sha256.update(task_file.read_bytes() if task_file.is_file() else b"")
    state = task.state.json() if task.state is not None else None
    sha256.update(repr((type(task).__qualname__, task.settings, state, seed, epoch)).encode())
    sha256.update(tokenizer.backend.to_str().encode())
    sha256.update(repr((tokenizer.target.max_length, tokenizer.target.single_template)).encode())
    sha256.update(repr((tokenizer.max_length, tokenizer.pooled_token, tokenizer.single_template,
                        tokenizer.pair_template,
                        tokenizer.segment_types, tokenizer.mask_id, tokenizer.end_id, tokenizer.start_id,
                        tokenizer.hf_tokenizer.chat_template, tokenizer.causal)).encode())
    for example in examples:
        sha256.update(repr(example).encode("utf-8", "surrogatepass"))
    return sha256.hexdigest()


def encode(task: Task[Any], examples: Sequence[Example], tokenizer: Any, *, seed: int, epoch: int = 0, workers: int = 0,
           folder: str = "", warn: Callable[[str], None] | None = None) -> Features:
    """`Features.encode`, or the same from a cache folder; an empty folder name caches nothing.

    Where the cache cannot be written, that is said by `warn` and the features are given all the same; without `warn`
    raises UserError (74).
    """
    name = cache_key(task, examples, tokenizer, seed, epoch) if folder else None
    if name is None:
        return Features.encode(task, examples, tokenizer, seed=seed, epoch=epoch, workers=workers)
    path = Path(folder).expanduser() / f"{name}.npz"
    cached = read(path)
    if cached is not None:
        return cached
    features = Features.encode(task, examples, tokenizer, seed=seed, epoch=epoch, workers=workers)
    try:
        write(path, features)
    except UserError as error:
        if warn is None:
            raise
        warn(f"data.cache is not used: {error.message}")
    return features


def to_json(value: Any) -> Json:
    """A value as JSON that says what is a tuple and what an array; raises NotSerializable."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, array):
        return {"array": [value.typecode, value.tolist()]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iufb":
        return {"numpy": [value.dtype.str, list(value.shape), value.ravel().tolist()]}
    if isinstance(value, np.generic):
        return {"number": [value.dtype.str, value.item()]}
    if isinstance(value, tuple):
        return {"tuple": [to_json(item) for item in value]}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, Target):
        return {"target": [to_json(value.value), value.level]}
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {"dict": {name: to_json(item) for name, item in value.items()}}
    raise NotSerializable(type(value).__name__)


def from_json(stored: Json) -> Any:
    """The value that `to_json` was given."""
    if isinstance(stored, list):
        return [from_json(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    (type_name, value), = stored.items()
    if type_name == "array":
        return array(value[0], value[1])
    if type_name == "numpy":
        return np.array(value[2], dtype=value[0]).reshape(value[1])
    if type_name == "number":
        return np.dtype(value[0]).type(value[1])
    if type_name == "tuple":
        return tuple(from_json(item) for item in value)
    if type_name == "target":
        return Target(from_json(value[0]), value[1])
    return {name: from_json(item) for name, item in value.items()}


def write(path: Path, features: Features) -> None:
    """Cache features in a file, which appears complete or not at all. What JSON cannot say is not cached."""
    try:
        json_text = json.dumps([[to_json(dict(feature_targets)) for feature_targets in features.targets],
                                [[index, to_json(fields)] for index, fields in features.optional_fields.items()]])
    except NotSerializable:
        return
    arrays = {name: np.frombuffer(getattr(features, name), dtype=getattr(features, name).typecode) for name in ARRAYS}
    json_bytes = np.frombuffer(json_text.encode("ascii"), dtype=np.uint8)
    arrays |= {"words": json_bytes, "check": np.frombuffer(digest([*arrays.values(), json_bytes]), dtype=np.uint8)}
    with disk_errors(path):
        make_folder(path.parent)
        with staged_file(path, "wb") as file:
            save: Any = np.savez  # its stub takes names of arrays for its own flags
            save(file, **arrays)


def digest(arrays: Sequence[Any]) -> bytes:
    """The SHA-256 of arrays, one after the other."""
    sha256 = hashlib.sha256()
    for values in arrays:
        sha256.update(values.tobytes())
    return sha256.digest()


def read(path: Path) -> Features | None:
    """Cached features; None where there are none, or where the file is not what was written."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            stored = {name: file[name] for name in (*ARRAYS, "words", "check")}
    except (OSError, ValueError, KeyError, EOFError, zipfile_error()):
        return None
    if digest([stored[name] for name in (*ARRAYS, "words")]) != stored["check"].tobytes():
        return None
    features = Features()
    for name in ARRAYS:
        setattr(features, name, array(getattr(features, name).typecode, stored[name].tobytes()))
    targets, optional_fields = json.loads(stored["words"].tobytes())
    features.targets = [from_json(target) for target in targets]
    features.optional_fields = {index: from_json(target_fields) for index, target_fields in optional_fields}
    return features


def zipfile_error() -> type[Exception]:
    """What a truncated file raises."""
    import zipfile

    return zipfile.BadZipFile
