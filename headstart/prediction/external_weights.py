"""Whether an ONNX file reads weights from other files: it could name any file of this machine, and no hash covers it.

An ONNX file is a protobuf message (onnx.proto): fields of a number, a kind, and a value. The onnx package would read it
too, but predicting does not need that package. Messages with tensors inside, by the number of the field:

    model     graph 7, functions 25          attribute  tensor 5, graph 6, tensors 10, graphs 11, sparse 22 and 23
    graph     nodes 1, tensors 5, sparse 15  sparse     values 1, indices 2
    function  nodes 7                        tensor     external data 13, data location 14
    node      attributes 5
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of a field
MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"}, "graph": {1: "node", 5: "tensor", 15: "sparse"}, "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"}, "tensor": {}}
EXTERNAL_DATA, DATA_LOCATION = 13, 14
NO_PLACE = -1


class Field(NamedTuple):
    """One field of a message: its number, the bytes of the whole, and where its content begins; or its value."""

    number: int
    begin: int
    place: int  # -1 for a value
    end: int
    value: int


def has_external_weights(file: Path) -> bool:
    """Whether any tensor of the file lies in another one; raises ValueError for what is no ONNX file."""
    with file.open("rb") as stream:
        if not file.stat().st_size:
            raise ValueError("the file is empty")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            waiting = [("model", 0, len(content))]
            while waiting:
                message, start, end = waiting.pop()
                for field in fields(content, start, end):
                    number = field.number
                    if message == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and field.value)):
                        return True
                    if number in MESSAGES[message] and field.place != NO_PLACE:
                        waiting.append((MESSAGES[message][number], field.place, field.end))
    return False


def fields(content: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in these bytes; raises ValueError where they are none."""
    while start < end:
        begin = start
        key, start = varint(content, start, end)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, start = varint(content, start, end)
            yield Field(number, begin, NO_PLACE, start, value)
            continue
        if kind == BYTES:
            length, start = varint(content, start, end)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a field of the kind {kind}")
        if start + length > end:
            raise ValueError("a field that ends after its message")
        yield Field(number, begin, start, start + length, 0)
        start += length


def varint(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """The number that begins at a byte, seven bits a byte with the lowest first, and the byte after it."""
    value = shift = 0
    while start < end and shift < 64:
        value |= (content[start] & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if not content[start - 1] & 0x80:
            return value, start
    raise ValueError("a number that does not end")
