"""ShareGPT's conversations: [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, column_named, filled_cells
from headstart.data.schemas.schema import Schema, row_by_row
from headstart.text.json_values import parse_cell

NAMES = ("conversations", "conversation", "messages")
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
         "model": "assistant", "bot": "assistant", "bing": "assistant", "bard": "assistant", "system": "system"}
TOOLS = ("function_call", "function", "function_response", "tool", "tool_call", "tool_response", "observation")
FIX = f'Speakers are {", ".join(ROLES)}: rename the turn\'s "from", or {LEAVE_OUT}'


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A column `conversations` of lists of {"from", "value"}; one of roles and contents needs no schema."""
    column = column_named(columns, NAMES)
    cells = filled_cells(column)
    if column is None or not any(isinstance(cell, list) and cell and is_turn(cell[0]) for cell in cells[:20]):
        return None
    name = column.name
    system = next((column.name for column in columns if column.name == "system"), None)

    def read(values: Mapping[str, Json]) -> tuple[Json, ...]:
        turns = parse_cell(values[name])
        if not isinstance(turns, list) or not turns:
            raise RowFault("E338", f'"{name}" holds no conversation.', fix=f"Fill it in, or {LEAVE_OUT}")
        messages = [message_of(turn, index) for index, turn in enumerate(turns)]
        if system is not None and isinstance(values[system], str) and values[system].strip():
            messages.insert(0, {"role": "system", "content": values[system]})
        return (messages,)

    further = ' after "system"' if system is not None else ""
    return Schema("sharegpt", f'ShareGPT layout: messages are the turns of "{name}"{further}', ("messages",),
                  (name, *([system] if system is not None else [])),
                  row_by_row([column.name for column in columns], read))


def is_turn(turn: Json) -> bool:
    """Whether it is {"from", "value"}."""
    return isinstance(turn, Mapping) and {"from", "value"} <= set(turn)


def message_of(turn: Json, index: int) -> dict[str, Json]:
    """A turn as a message with role and content; raises RowFault."""
    if not is_turn(turn):
        raise RowFault("E338", f'turn {index} is {turn!r:.60}; {{"from", "value"}} was expected.', fix=FIX)
    speaker = turn["from"]
    role = ROLES.get(speaker.lower()) if isinstance(speaker, str) else None
    if isinstance(speaker, str) and speaker.lower() in TOOLS:
        raise RowFault("E338", f"turn {index} ({speaker}) is the call of a tool or its answer, which no model here "
                               "learns.", fix=f"Write it as a text of gpt or human, or {LEAVE_OUT}")
    if role is None:
        raise RowFault("E338", f"turn {index} is from {speaker!r:.40}, which is none of the known speakers.", fix=FIX)
    return {"role": role, "content": turn["value"]}
