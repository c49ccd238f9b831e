"""Alpaca's and Dolly's instructions: instruction, an input (or context) that may be empty, output (or response)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json
from headstart.data.schemas._cells import column_named
from headstart.data.schemas.schema import Schema, row_by_row

INSTRUCTION, INPUTS, OUTPUTS = "instruction", ("input", "context"), ("output", "response")


def recognise(columns: Sequence[Column]) -> Schema | None:
    """Columns `instruction`, `input` and `output`; without an input there is nothing to join."""
    instruction = column_named(columns, (INSTRUCTION,))
    context_column, output = column_named(columns, INPUTS), column_named(columns, OUTPUTS)
    if instruction is None or context_column is None or output is None:
        return None
    has_texts = all(isinstance(value, str) or value is None for column in (instruction, context_column, output)
                    for value in column.values)
    if not has_texts or column_named(columns, ("prompt", "messages")) is not None:
        return None
    question, context, answer = instruction.name, context_column.name, output.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        parts = [str(values[name]) for name in (question, context) if values[name] is not None
                 and str(values[name]).strip()]
        return "\n\n".join(parts), values[answer]

    return Schema("alpaca", f'Alpaca layout: prompt is "{question}", a blank line, "{context}" where there is one; '
                            f'response is "{answer}"', ("prompt", "response"), (question, context, answer),
                  row_by_row([column.name for column in columns], read))
