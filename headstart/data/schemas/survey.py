"""Surveys whose names go over several lines: SurveyMonkey's two, and Qualtrics' three."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from headstart.contract import Column
from headstart.data.row_store import Record
from headstart.data.schemas._cells import column_named
from headstart.data.schemas.schema import ConvertedRow, LeftOutRow, Schema, SchemaRow

FURTHER_HEADER = "a further line of the header"
ANY_RESPONSE = ("", "response", "open-ended response")  # second lines that say nothing
IMPORT_MARK = "ImportId"  # in Qualtrics' third line: {"ImportId":"QID1_TEXT"}


def recognise(columns: Sequence[Column]) -> Schema | None:
    """Respondent and Collector ID, empty in the first row; or ImportIds in the second."""
    firsts = [str(value or "").strip() for column in columns for value in column.values[:1]]
    respondent = column_named(columns, ("respondent id",))
    if respondent is not None and column_named(columns, ("collector id",)) is not None and any(firsts) and not str(
            next(iter(respondent.values), None) or "").strip():
        return survey("SurveyMonkey", columns, joined_names(columns, firsts), 1)
    seconds = [str(column.values[1]) for column in columns if len(column.values) > 1]
    if len(seconds) == len(columns) > 1 and all(IMPORT_MARK in second for second in seconds):
        return survey("Qualtrics", columns, [column.name for column in columns], 2)
    return None


def joined_names(columns: Sequence[Column], second_line: Sequence[str]) -> list[str]:
    """Names of both lines: of a question with several columns ("Which of these?") each is "Which of these?: Tea"."""
    names: list[str] = []
    question = ""
    for index, (column, second) in enumerate(zip(columns, second_line, strict=True)):
        is_named = column.name.strip() and column.name != f"column {index + 1}"
        question = column.name if is_named else question
        name = question if is_named and second.lower() in ANY_RESPONSE else f"{question}: {second or index + 1}"
        names.append(name if name not in names else f"{name} ({index + 1})")
    return names


def survey(maker: str, columns: Sequence[Column], names: Sequence[str], further_lines: int) -> Schema:
    """The schema of a survey whose first rows are lines of the header."""
    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        rows = iter(records)
        for record in islice(rows, further_lines):
            yield LeftOutRow(FURTHER_HEADER, line=record.line)
        for record in rows:
            yield ConvertedRow(tuple(record.values), record.line)

    lines = "the second line belongs" if further_lines == 1 else "the second and the third line belong"
    return Schema("survey", f"{maker} export: {lines} to the header", tuple(names),
                  tuple(column.name for column in columns), convert)
