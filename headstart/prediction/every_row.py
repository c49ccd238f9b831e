"""Every row of the input in its place, also those that have no prediction: each with the reason why.

    text           prediction   prediction_reason
    the roses      good
                                the text is empty
    a river        bad
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contract import RowFault, Task
from headstart.data.examples import Reading
from headstart.data.outputs.layout import Layout
from headstart.data.outputs.sheet_dates import SheetDates
from headstart.data.row_store import Record
from headstart.errors import DataError, Finding, findings_text
from headstart.progress import Reporter
from headstart.settings import Data

SUFFIX = "_predicted"  # of a prediction's column whose name the input has already
REASON = "prediction_reason"  # a column that the output has where a row of the input has no prediction
PAIR = "pair"  # the field of a second text, in every task that has one
EMPTY = "E201"  # the fault of a row without a text: nothing is there to predict, and nothing is broken
MAX_TOLD = 3  # places of rows without a prediction that are told on the console


@dataclass(frozen=True)
class InputRow:
    """One row of the input: its columns, and why it has no prediction ("" where it has one)."""

    values: Mapping[str, Any]
    reason: str = ""


def stop_on_broken_rows(reading: Reading, settings: Data) -> None:
    """Raise DataError for rows that cannot be read, unless they are to be skipped; rows without a text stop nothing."""
    faults = [finding for finding in reading.findings if finding.level == "fault" and finding.code != EMPTY]
    counts = Counter({code: count for code, count in reading.counts.items() if code[0] == "E" and code != EMPTY})
    of_the_file = [finding for finding in faults if finding.row is None and finding.line is None]
    if counts and (settings.bad_rows != "skip" or of_the_file):
        raise DataError(faults, counts=counts)


def row_count(reading: Reading) -> int:
    """How many rows the input has, those that cannot be used counted."""
    return reading.table.builder.row_count


def input_rows(reading: Reading, layout: Layout | None = None) -> Iterator[InputRow]:
    """The rows of the input in their order, one for each that can be told from its neighbours; dates of a workbook for
    a workbook stay dates.

    Of a row that could not be read the columns are empty: what stood there is in the input, whose line is named.
    """
    table, usable = reading.table, iter(reading.examples.indices.tolist())
    place_of_example = next(usable, None)
    findings = {finding.row: finding for finding in reading.findings if finding.level == "fault"}
    unread = dict.fromkeys(table.columns)
    dates = SheetDates(table) if layout is not None and layout.format == "xlsx" and layout.source else None
    next_id = 0
    for place, record in enumerate(table):
        for row_id in range(next_id, record.id):
            yield InputRow(unread, reason_of(findings.get(row_id)))
        next_id = record.id + 1
        values = dict(zip(table.columns, record.values, strict=True))
        values |= dates.of_line(record.line) if dates is not None else {}
        if place == place_of_example:
            place_of_example = next(usable, None)
            yield InputRow(values)
        else:
            yield InputRow(values, reason_not_read(reading, place, record))
    for row_id in range(next_id, row_count(reading)):
        yield InputRow(unread, reason_of(findings.get(row_id)))


def reason_of(finding: Finding | None) -> str:
    """Why a row of the file is no row of the table; only the first faults of a kind are kept in full."""
    if finding is None:
        return "the row cannot be read or is marked as not to be used (headstart check tells more)"
    line = f"line {finding.line}: " if finding.line is not None else ""
    return f"{line}{finding.message.rstrip('.')}"


def reason_not_read(reading: Reading, place: int, record: Record) -> str:
    """Why the task has no example for a row of the table."""
    if place >= len(reading.table) - reading.table.builder.empty_rows_at_end:
        return "the row has empty fields only"
    try:
        reading.examples.read(reading.examples.rows.row_of(record))
    except RowFault as fault:
        return fault.message.rstrip(".")
    return "the row was left out"


def tell_reading(reading: Reading, reporter: Reporter, consequence: str, output: str = "prediction") -> None:
    """What was read, what was guessed on the way, and how many rows will have no output, with what that means."""
    total, missing = row_count(reading), row_count(reading) - len(reading.examples)
    reporter.info(f"{reading.table.path}: {total:,} {'row' if total == 1 else 'rows'}; {reading.table.format}")
    stated = [finding for finding in reading.findings if finding.level != "fault"]
    if stated:
        reporter.info(findings_text(stated, counts=reading.counts))
    if missing:
        faulty_rows = {finding.row: finding for finding in reading.findings
                       if finding.level == "fault" and finding.row is not None}
        places = [place_words(faulty_rows[row]) for row in sorted(faulty_rows)][:MAX_TOLD]
        words = f" ({', '.join(places)}{' …' if missing > len(places) else ''})" if places else ""
        rows = "1 row has" if missing == 1 else f"{missing:,} rows have"
        reporter.warning(f"{rows} no {output}{words}: {consequence}")


def tell_other_columns(task: Task[Any], reading: Reading, reporter: Reporter) -> None:
    """Warn where a model that was trained on pairs of texts gets single ones, or the other way round."""
    trained, columns, path = task.trained_columns, reading.columns, reading.table.path
    if PAIR in trained and PAIR not in columns:
        reporter.warning(f"the model was trained on pairs of texts ({', '.join(trained[PAIR])} the second), and {path} "
                         f"has single ones: its answers for these are guesses; --{PAIR} COLUMN names the second text")
    elif trained and PAIR not in trained and PAIR in columns:
        reporter.warning(f"the model was trained on single texts, and {path} has pairs ({', '.join(columns[PAIR])} the "
                         "second): its answers for these are guesses; without that column each text is read by itself")


def place_words(finding: Finding) -> str:
    """Where a row is, as the user finds it."""
    return f"line {finding.line:,}" if finding.line is not None else f"row {(finding.row or 0) + 1:,}"


def prediction_columns(input_columns: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """A prediction's column names; one that is taken already gets the suffix _predicted, as often as it is taken."""
    all_columns, column_names = {*input_columns}, {}
    for name in names:
        column_name = name
        while column_name in all_columns:
            column_name += SUFFIX
        all_columns.add(column_name)
        column_names[name] = column_name
    return column_names
