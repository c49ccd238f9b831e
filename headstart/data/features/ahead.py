"""Examples one by one, after what a task does for many of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from headstart.contract import Example, Task, Tokenizer

EXAMPLES_AT_ONCE = 128


def read_ahead(task: Task[Any], examples: Iterable[Example], tokenizer: Tokenizer) -> Iterator[Example]:
    """The examples in their order; the task has seen each among its neighbours before it comes."""
    source = iter(examples)
    while chunk := list(islice(source, EXAMPLES_AT_ONCE)):
        task.read_ahead(chunk, tokenizer)
        yield from chunk
