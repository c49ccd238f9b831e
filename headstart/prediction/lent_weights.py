"""An ONNX file in two parts: its graph as a short message, and its large weights, which lie where the file has them.

    graph, weights = split(content)
    options.add_external_initializers(list(weights), …)

onnxruntime reads a whole file into its own memory, takes the message apart, and copies each weight out of it: three
times the size, and the larger part of a cold start. Of weights that are lent it makes the one copy that it keeps, so
that the file may change afterwards. Numbers of fields are those of onnx.proto:

    model   graph 7           tensor  sizes 1, type 2, name 8, raw data 9, external data 13, data location 14
    graph   tensors 5         entry of the external data  key 1, value 2
"""

from __future__ import annotations

import math
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.prediction.external_weights import NO_PLACE, VARINT, Field, fields, varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[Any]]

GRAPH, TENSOR = 7, 5
SIZES, TYPE, NAME, RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 1, 2, 8, 9, 13, 14
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 10: np.float16}
SMALLEST = 65_536  # bytes: below, a copy costs nothing, and what onnxruntime folds into others stays in the graph
BYTES = 2


def split(content: mmap.mmap) -> tuple[bytes, Weights]:
    """The message without its large weights, and these by name, read-only and without a copy.

    Raises ValueError for what is no ONNX file.
    """
    weights: Weights = {}
    parts = []
    for field in fields(content, 0, len(content)):
        if field.number != GRAPH or field.place == NO_PLACE:
            parts.append(content[field.begin:field.end])
            continue
        tensors = [lend(content, part, weights) if is_large_tensor(part) else content[part.begin:part.end]
                   for part in fields(content, field.place, field.end)]
        parts.append(message(GRAPH, b"".join(tensors)))
    return b"".join(parts), weights


def is_large_tensor(field: Field) -> bool:
    """Whether a field of a graph is a tensor that is worth lending."""
    return field.number == TENSOR and field.place != NO_PLACE and field.end - field.place >= SMALLEST


def lend(content: mmap.mmap, tensor: Field, weights: Weights) -> bytes:
    """The tensor with a reference in the place of its numbers, which join the weights; itself where it cannot be lent.
    """
    parts = list(fields(content, tensor.place, tensor.end))
    raw = [part for part in parts if part.number == RAW_DATA]
    kinds = [part.value for part in parts if part.number == TYPE]
    names = [content[part.place:part.end].decode() for part in parts if part.number == NAME]
    sizes = [size for part in parts if part.number == SIZES for size in numbers(content, part)]
    if not len(raw) == len(kinds) == len(names) == 1 or kinds[0] not in TYPES or names[0] in weights:
        return content[tensor.begin:tensor.end]
    length, kind = raw[0].end - raw[0].place, np.dtype(TYPES[kinds[0]])
    if length < SMALLEST or math.prod(sizes) * kind.itemsize != length:
        return content[tensor.begin:tensor.end]
    weights[names[0]] = np.frombuffer(content, np.uint8, length, raw[0].place).view(kind).reshape(sizes)
    rest = b"".join(content[part.begin:part.end] for part in parts if part.number != RAW_DATA)
    return message(TENSOR, rest + reference(length))


def numbers(content: mmap.mmap, field: Field) -> list[int]:
    """The whole numbers of a field: one, or several packed."""
    if field.place == NO_PLACE:
        return [field.value]
    values, place = [], field.place
    while place < field.end:
        value, place = varint(content, place, field.end)
        values.append(value)
    return values


def reference(length: int) -> bytes:
    """That a tensor's numbers come from elsewhere: it names no file that could be there."""
    entries = {"location": "lent", "offset": "0", "length": str(length)}
    return encoded(DATA_LOCATION << 3 | VARINT) + encoded(1) + b"".join(
        message(EXTERNAL_DATA, message(1, key.encode()) + message(2, value.encode())) for key, value in entries.items())


def message(number: int, content: bytes) -> bytes:
    """A field of this number that holds bytes."""
    return encoded(number << 3 | BYTES) + encoded(len(content)) + content


def encoded(value: int) -> bytes:
    """A number, seven bits a byte with the lowest first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
