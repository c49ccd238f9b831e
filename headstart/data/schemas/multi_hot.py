"""Labels as rows of 0 and 1: [0, 1, 0] says that the second of three labels is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, column_named, filled_cells
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row
from headstart.text.json_values import parse_cell

NAMES = ("labels", "label", "targets", "target", "categories", "classes", "tags")
NUMPY_VECTOR = re.compile(r"\[\s*[01]\.?(?:\s+[01]\.?)*\s*\]")
NOT_BESIDE = ("tokens", "words", "input_ids")  # beside these such a list tags words


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A column of labels whose cells are all lists of 0 and 1 of the same length; a few may be of another one where a
    number stands twice in a list, which no list of names has.
    """
    column = column_named(columns, NAMES)
    cells = [vector(cell) for cell in filled_cells(column)]
    if column is None or not cells or column_named(columns, NOT_BESIDE) is not None:
        return None
    if not all(map(is_multi_hot, cells)) or len({number for cell in cells for number in cell}) < 2:
        return None
    lengths = Counter(map(len, cells))
    ((length, count),) = lengths.most_common(1)
    repeats = any(len(set(cell)) < len(cell) for cell in cells)
    if length < 2 or (count < len(cells) and (not repeats or count < len(cells) / 2)):
        return None
    name = column.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        cell = vector(parse_cell(values[name]))
        if cell in (None, ""):
            return LeftOutRow("not labelled", (None,))
        if not is_multi_hot(cell) or len(cell) != length:
            raise RowFault("E306", f'"{name}" is {cell!r:.60}; a list of {length} numbers, 0 or 1, was expected.',
                           fix=f"Fix it, or {LEAVE_OUT}")
        return ([f"label_{position}" for position, number in enumerate(cell, start=1) if number == 1],)

    return Schema("multi-hot", f'lists of {length} zeros and ones in "{name}": label_1 is there where the first is 1, '
                               f"… label_{length} where the last is", ("labels",), (name,),
                  row_by_row([column.name for column in columns], read))


def vector(cell: Json) -> Json:
    """A cell, read as a list of numbers where it is one as numpy writes it, without commas: "[0 1 0]"."""
    if not isinstance(cell, str) or NUMPY_VECTOR.fullmatch(cell.strip()) is None:
        return cell
    return [int(digit) for digit in re.findall("[01]", cell)]


def is_multi_hot(cell: Json) -> bool:
    """Whether it is a list of nothing but 0 and 1."""
    return isinstance(cell, list) and bool(cell) and all(
        isinstance(number, int | float) and number in (0, 1) for number in cell)
