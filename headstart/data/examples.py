"""A file's rows as a task's examples: read, checked row by row, with every fault of a file in one pass."""

from __future__ import annotations

import json
import shlex
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from headstart.contract import Detection, Example, Row, RowFault, Task
from headstart.data.columns import FieldRows, assign_columns, field_rows, remembered_columns, root_column
from headstart.data.readers.table_builder import TextReading
from headstart.data.table import Table, open_table
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.files import disk_errors, make_folder, write_text
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.contract import Ints

MAX_LISTED = 100  # findings of each code that are kept in full


class Examples(Sequence[Example]):
    """Some rows of a file as a task's examples; each is read when it is asked for, so memory stays flat.

    With `predicting`, a target that cannot be read counts as none.
    """

    def __init__(self, task: Task[Any], rows: FieldRows, indices: Ints, *, predicting: bool = False) -> None:
        self.task, self.rows, self.indices, self.predicting = task, rows, indices, predicting

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Examples: ...
    def __getitem__(self, index: int | slice) -> Example | Examples:
        if isinstance(index, slice):
            return Examples(self.task, self.rows, self.indices[index], predicting=self.predicting)
        return self.read(self.rows[int(self.indices[index])])

    def __iter__(self) -> Iterator[Example]:
        return map(self.read, self.rows.rows_at(self.indices.tolist()))

    def read(self, row: Row) -> Example:
        """A row as an example; raises RowFault for one that the task cannot read."""
        try:
            example: Example = self.task.read(row)
        except RowFault:
            targets = [field.name for field in self.task.fields
                       if field.target and row.values.get(field.name) is not None]
            if not self.predicting or not targets:
                raise
            example = self.task.read(row._replace(values={**row.values, **dict.fromkeys(targets)}))
        return example

    def part(self, positions: Ints) -> Examples:
        """The examples at these places."""
        return Examples(self.task, self.rows, self.indices[positions], predicting=self.predicting)

    def place(self, index: int) -> tuple[str, int | None]:
        """File and line of an example; where a format has no lines, its row with the file."""
        row = self.rows[int(self.indices[index])]
        return (row.file if row.line is not None else f"{row.file}, row {row.id + 1:,}"), row.line

    @property
    def is_running_text(self) -> bool:
        """Whether they are pieces of documents, one after the other."""
        return self.rows.table.is_running_text

    def row_ids(self) -> list[int]:
        """The ids of the rows in the file."""
        return [row.id for row in self.rows.rows_at(self.indices.tolist())]


@dataclass
class Reading:
    """One file as read: its table, its usable examples, and what was found."""

    table: Table
    columns: Mapping[str, tuple[str, ...]]
    examples: Examples
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    parts: tuple[Reading, ...] = ()  # the files that it was joined of

    def row_counts(self) -> dict[str, int]:
        """The rows of the file: those that are used, that are faulty, and that are left out as the file says so (not
        labelled, cancelled, empty at the end); `read` is their sum.
        """
        read, used = self.table.builder.row_count, len(self.examples)
        faulty = sum(count for code, count in self.counts.items() if code[0] == "E")
        return {"read": read, "used": used, "faulty": faulty, "left_out": read - used - faulty}

    def json(self) -> dict[str, Any]:
        """Its file for data.json; of several, whose rows are counted on from file to file, each."""
        files = {"files": [part.table.path for part in self.parts]} if self.parts else {}
        return {"file": self.table.path, **files}


def read_examples(task: Task[Any], path: str, settings: Data, *, columns: Mapping[str, str], training: bool,
                  table: Table | None = None,
                  look: Callable[[Task[Any], Iterator[Example]], None] | None = None) -> Reading:
    """Read a file for a task: every row is tried once, faults are collected with file, line and column.

    `look` may take the examples while they are read for the first time, each once.
    Columns are those that the user named, else those that the task was trained on, else those that it detects. With
    `training`, a row without its target is a fault too. Raises UserError for what makes the file unusable.
    """
    table = table if table is not None else open_table(
        path, settings, every_row=not training, text_reading=TextReading(task.reads_text_as, keeps_whole=not training))
    refuse_unread_rows(task, table, settings)
    nested_names = table.nested_names()
    columns = {**columns, **remembered_columns(task.trained_columns, (*table.columns, *nested_names), columns)}
    detection = type(task).detect(table.sample())
    if detection is not None:
        detection = detection.with_named(columns)
        require_choice(task, detection, table.path, training)
    detected = detection.columns if detection is not None else None
    refuse_unused_columns(table, columns)
    field_columns = assign_columns(table.columns, task.fields, columns, detected, table.path, training,
                                   nested_names)
    refuse_ambiguous_columns(table, field_columns, columns)
    view = field_rows(table, field_columns, task.fields)
    task, decisions = task.for_rows(view) if training else (task, [])
    reading = Reading(table, field_columns, Examples(task, view, no_rows(), predicting=not training),
                      [*table.findings, *decisions], Counter(table.counts))
    places = array("i")
    passing = readable_examples(task, view, reading, training, places)
    if look is not None:
        look(task, passing)
    for _ in passing:
        pass
    reading.examples = Examples(task, view, places_of(places), predicting=not training)
    return reading


def require_choice(task: Task[Any], detection: Detection, path: str, training: bool) -> None:
    """Ask which column is meant where several fit equally (2); targets only where they are trained on."""
    for task_field in task.fields:
        name = task_field.name
        columns = list(dict.fromkeys(choice[name] for choice in detection.choices if name in choice))
        if len(columns) > 1 and (training or not task_field.target):
            options = " or ".join(f"--{name} {shlex.quote(column)}" for column in columns)
            raise UserError(f"{path}: {' and '.join(map(repr, columns))} fit {name!r} ({task_field.help}) equally "
                            "well.",
                            fix=f"Choose: {options}.")


def refuse_unread_rows(task: Task[Any], table: Table, settings: Data) -> None:
    """Refuse data.rows where the file or the task has no running text; raises UserError (78)."""
    if settings.rows != "auto" and table.rows_choice is None:
        reason = (f"{task.name} reads a line a row" if task.reads_text_as == "lines" else
                  f"{table.path} is not plain text ({table.format})")
        raise UserError(f"data.rows is {settings.rows!r}, but {reason}.", fix="Leave it out.", exit=Exit.SETTINGS)


def refuse_unused_columns(table: Table, columns: Mapping[str, str]) -> None:
    """Refuse a column that the user named and that holds nothing to be read (bytes); raises UserError (65)."""
    for name, reason in table.builder.unused_columns.items():
        if name in columns.values():
            raise UserError(f'{table.path}: the column "{name}" {reason}.',
                            fix="Write it as strings, or name another column.", exit=Exit.DATA)


def refuse_ambiguous_columns(table: Table, field_columns: Mapping[str, tuple[str, ...]],
                             columns: Mapping[str, str]) -> None:
    """Refuse a column that was found and of whose name there are two; raises DataError (E107)."""
    for field_name, names in field_columns.items():
        for name in names:
            if field_name not in columns and name in table.builder.ambiguous_columns:
                raise table.builder.fatal_error("E107", f"{table.builder.ambiguous_columns[name]}.",
                                                f'Choose one (--{field_name} {shlex.quote(name)}), or rename it.')


def no_rows() -> Ints:
    """No rows."""
    import numpy as np

    return np.zeros(0, dtype=np.int64)


def places_of(places: array[int]) -> Ints:
    """Places of rows, without a copy."""
    import numpy as np

    return np.frombuffer(places, dtype=np.int32) if len(places) else no_rows()


def readable_examples(task: Task[Any], view: FieldRows, reading: Reading, training: bool,
                      places: array[int]) -> Iterator[Example]:
    """The rows that the task can read, one by one, with their places in `places`; the others become findings."""
    optional = [field.name for field in task.fields if field.target and not field.required
                and field.name in reading.columns]
    targets = [field.name for field in task.fields if training and field.target and not field.may_be_empty
               and (field.required or optional == [field.name])]
    marks = unlabelled_marks(task, view) if training else {}
    unlabelled: Counter[str] = Counter()
    for index, row in enumerate(islice(view, len(view) - reading.table.builder.empty_rows_at_end)):
        if marks and (mark := mark_of(row, marks)):
            unlabelled[mark] += 1
            continue
        try:
            example = reading.examples.read(row)
            for name in targets:
                if is_blank(row.values.get(name)):
                    raise RowFault("E202", f"the row has no value for {quoted_columns(reading, name)}.", field=name,
                                   fix="Fill it in, or leave such rows out (--bad-rows skip).")
        except RowFault as fault:
            reading.counts[fault.code] += 1
            if reading.counts[fault.code] <= MAX_LISTED:
                reading.findings.append(Finding(fault.code, fault.message, fault.fix, row.file, row.line,
                                                field_column(reading, fault.field), row.id))
        else:
            places.append(index)
            yield example
    if unlabelled:
        words = ", ".join(f"{count:,} with {mark!r}" for mark, count in unlabelled.items())
        reading.findings.append(Finding("N106", f"rows that are not labelled: {words}.", "They are left out; they can "
                                        "be predicted.", file=reading.table.path))


def unlabelled_marks(task: Task[Any], view: FieldRows) -> dict[str, frozenset[str]]:
    """What marks a row that nobody labelled, for each target that has such marks; of the first 1,000 rows."""
    names = [field.name for field in task.fields if field.target and field.name in view.field_columns]
    marks = {name: task.unlabelled_marks([row.values.get(name) for row in view[:1000]]) for name in names}
    return {name: found_marks for name, found_marks in marks.items() if found_marks}


def mark_of(row: Row, marks: Mapping[str, frozenset[str]]) -> str:
    """The mark of a row that nobody labelled; "" for one that has its label."""
    for name, target_marks in marks.items():
        cell = row.values.get(name)
        if isinstance(cell, str | int) and str(cell).strip() in target_marks:
            return str(cell).strip()
    return ""


def is_blank(value: Any) -> bool:
    """Whether a target is missing: null, or nothing but space."""
    return value is None or (isinstance(value, str) and not value.strip())


def quoted_columns(reading: Reading, name: str) -> str:
    """The user's column of a field, quoted."""
    return ", ".join(f'"{column}"' for column in reading.columns.get(name, (name,)))


def field_column(reading: Reading, name: str | None) -> int | None:
    """The number of the field's column in the file, from 1."""
    columns = reading.columns.get(name or "", ())
    return reading.table.column_number(root_column(columns[0], reading.table.columns)[0]) if columns else None


def stop_on_faults(readings: Sequence[Reading], settings: Data, errors_file: Path | None) -> int:
    """Raise DataError with all faults, or, with bad_rows="skip", say how many rows were left out.

    All faults are written to `listed` (the first 100 of each code), one JSON object a line.
    """
    findings = [finding for reading in readings for finding in reading.findings if finding.level == "fault"]
    total = sum((reading.counts for reading in readings), Counter[str]())
    faults = sum(count for code, count in total.items() if code[0] == "E")
    if not faults:
        return 0
    if errors_file is not None:
        texts = [json.dumps(finding_json(finding), ensure_ascii=False) for finding in findings]
        with disk_errors(errors_file):
            make_folder(errors_file.parent)
        write_text(errors_file, "\n".join(texts) + "\n")
    file_findings = [finding for finding in findings if finding.row is None and finding.line is None]
    is_any_left = all(len(reading.examples) for reading in readings if any(code[0] == "E" for code in reading.counts))
    if settings.bad_rows == "skip" and not file_findings and is_any_left:
        return faults
    raise DataError(findings, errors_file=str(errors_file) if errors_file is not None else "", counts=total)


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as data_errors.jsonl and data.json hold it."""
    return {name: value for name, value in vars(finding).items()
            if value not in (None, "") and (name != "count" or value > 1)}


def open_named_file(path: str, settings: Data, text_reading: TextReading | None = None) -> Table:
    """Open a file the user named; raises UserError (66) when it is not there."""
    if path != "-" and not Path(path).exists() and Path(path).suffix:
        raise UserError(f"There is no file {path}.", fix="Check the path.", exit=Exit.NO_INPUT)
    return open_table(path, settings, text_reading=text_reading)
