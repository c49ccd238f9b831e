"""OpenAssistant's messages: each with its parent; the replies of a tree that are ranked first as one conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.row_store import Record
from headstart.data.schemas._cells import LEAVE_OUT, column_named, filled_cells
from headstart.data.schemas.schema import ConvertedRow, FaultyRow, LeftOutRow, Schema, SchemaRow

NAMES = ("message_id", "parent_id", "text", "role")
ROLES = {"prompter": "user", "assistant": "assistant"}
OTHER_THREAD = "messages of other threads of a tree, or without an answer"
UNRANKED = 10**6  # behind all ranks


def recognise(columns: Sequence[Column]) -> Schema | None:
    """Columns message_id, parent_id, text and role, which is prompter or assistant."""
    found_columns = [column_named(columns, (name,)) for name in NAMES]
    if None in found_columns or not set(map(str, filled_cells(found_columns[3]))) <= set(ROLES):
        return None
    places = [columns.index(column) for column in found_columns if column is not None]
    rank = column_named(columns, ("rank",))
    rank_place = None if rank is None else columns.index(rank)

    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        return conversations(list(records), places, rank_place)

    return Schema("oasst", "OpenAssistant's messages: messages are the replies of a tree that are ranked first",
                  ("messages",), (*NAMES, *(() if rank is None else ("rank",))), convert, keeps_others=False)


def conversations(records: Sequence[Record], places: Sequence[int], rank_place: int | None) -> Iterator[SchemaRow]:
    """One conversation for each tree, up to its last answer; the messages that it does not hold are left out."""
    id_place, parent_place, text_place, role_place = places
    replies: dict[Json, list[Record]] = {}
    identifiers = {record.values[id_place] for record in records}
    for record in records:
        parent = record.values[parent_place] or None
        if parent is not None and parent not in identifiers:
            yield FaultyRow(RowFault("E338", f"the parent {parent!r:.60} of this message is not in the file.",
                                     fix=f"Take the whole file, or {LEAVE_OUT}"), record.line)
            continue
        replies.setdefault(parent, []).append(record)
    message_count = sum(map(len, replies.values()))
    for start in replies.pop(None, []):
        thread = [start]
        while following := replies.get(thread[-1].values[id_place]):
            thread.append(min(following, key=lambda record: rank_of(record, rank_place)))
        while thread and ROLES.get(str(thread[-1].values[role_place])) != "assistant":
            thread.pop()
        if thread:
            yield ConvertedRow(([{"role": ROLES[str(record.values[role_place])], "content": record.values[text_place]}
                                 for record in thread],), start.line)
        size = tree_size(start, replies, id_place)
        message_count -= size
        for _ in range(size - len(thread)):
            yield LeftOutRow(OTHER_THREAD, line=start.line)
    for _ in range(message_count):
        yield LeftOutRow("messages that are no answer to a first one")


def rank_of(record: Record, rank_place: int | None) -> float:
    """The rank of a reply among its like; 0 is the best."""
    rank = None if rank_place is None else record.values[rank_place]
    return float(rank) if rank not in (None, "") else UNRANKED


def tree_size(start: Record, replies: dict[Json, list[Record]], id_place: int) -> int:
    """How many messages a tree has."""
    size, waiting = 0, [start]
    while waiting:
        size, message = size + 1, waiting.pop()
        waiting += replies.get(message.values[id_place], [])
    return size
