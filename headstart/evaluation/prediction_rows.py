"""The rows of a file of predictions, each with the labelled row that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from headstart.contract import Json
from headstart.data.examples import MAX_LISTED, Reading, open_named_file
from headstart.data.table import Table
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.prediction.every_row import REASON, SUFFIX
from headstart.settings import Data
from headstart.text.json_values import parse_json

ID_COLUMNS = ("id", "row", "question_id", "qid", "guid", "example_id", "idx", "index")
ROW_COLUMN = "row"  # of predictions.jsonl: the number of the row in the labelled file, from 0
Values = dict[str, Json]


@dataclass(frozen=True)
class PredictionRows:
    """The rows of a file of predictions, its columns, and what a row is called in findings."""

    path: str
    columns: tuple[str, ...]
    rows: Sequence[Values]


@dataclass(frozen=True)
class Matching:
    """For each example the row of predictions that is its own, and how the two were brought together."""

    rows: Sequence[Values]
    reason: str


def read_prediction_rows(path: str, settings: Data, column: str | None, split: str | None) -> PredictionRows:
    """Every row; SQuAD's predictions.json ({id: answer}) as rows of id and prediction.

    `column` names the column of the predictions, `split` the rows of one split. Raises UserError and DataError.
    """
    answers = official_answers(path)
    if answers is not None:
        return PredictionRows(path, ("id", "prediction"), [{"id": name, "prediction": answer}
                                                           for name, answer in answers.items()])
    table = open_named_file(path, settings)
    if faults := [finding for finding in table.findings if finding.level == "fault"]:
        raise DataError(faults, counts=table.counts)
    names = prediction_names(table, column)
    rows = [{name: record.values[index] for name, index in names.items()} for record in table]
    return PredictionRows(table.path, tuple(names), rows_of_split(rows, split, table.path))


def official_answers(path: str) -> dict[str, str] | None:
    """The answers of a file in the form of SQuAD's predictions.json; None for a file in another form."""
    if Path(path).suffix.lower() != ".json" or not Path(path).is_file():
        return None
    try:
        answers = parse_json(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError):  # the reader of tables says what is wrong with it
        return None
    if isinstance(answers, dict) and answers and all(isinstance(answer, str) for answer in answers.values()):
        return answers
    return None


def prediction_names(table: Table, column: str | None) -> dict[str, int]:
    """Each column by the name that a prediction has for it, with its index: prediction_predicted is the prediction, of
    a file that was predicted several times the last.
    """
    names = {name: index for index, name in enumerate(table.columns)}
    for index, name in enumerate(table.columns):
        root = name
        while root.endswith(SUFFIX) and root.removesuffix(SUFFIX) in table.columns:
            root = root.removesuffix(SUFFIX)
        names[root] = index
    if column is not None:
        if column not in names:
            raise UserError(f'{table.path}: there is no column "{column}"; there are {", ".join(table.columns[:20])}.',
                            fix="Name one of them with --prediction.", exit=Exit.DATA)
        names["prediction"] = names[column]
    if not {"prediction", "spans"} & set(names):
        raise UserError(f'{table.path}: there is no column "prediction"; there are {", ".join(table.columns[:20])}.',
                        fix="Name the column of the predictions: --prediction COLUMN", exit=Exit.DATA)
    return names


def rows_of_split(rows: list[Values], split: str | None, path: str) -> list[Values]:
    """The rows of one split of a run's predictions.jsonl; raises UserError where there are several and none is named.
    """
    splits = list(dict.fromkeys(str(values["split"]) for values in rows if values.get("split") is not None))
    is_run_file = bool(rows) and {"split", "row", "gold"} <= set(rows[0])
    if split is None and not (is_run_file and len(splits) > 1):
        return rows
    if split not in splits:
        raise UserError(f"{path} holds predictions of {', '.join(splits) or 'no split by name'}"
                        + ("." if split is None else f", none of {split!r}."),
                        fix="Name one: --split " + (splits[0] if splits else "NAME"), exit=Exit.DATA)
    return [values for values in rows if str(values.get("split")) == split]


def match_rows(predictions: PredictionRows, reading: Reading, input_columns: Sequence[str]) -> Matching:
    """The prediction of each example, by an id that both files have, else by order; raises DataError."""
    table = reading.table
    shared_id = next((name for name in ID_COLUMNS if name in predictions.columns and name in table.columns
                      and are_distinct(record.values[table.columns.index(name)] for record in table)), None)
    if shared_id is not None:
        place = table.columns.index(shared_id)
        keys = [str(table[int(index)].values[place]) for index in reading.examples.indices]
        every_key = {str(record.values[place]) for record in table}
        rows = by_key(predictions, reading, lambda values: str(values.get(shared_id)), keys, every_key)
        return Matching(rows, f"matched by {shared_id!r}")
    if ROW_COLUMN in predictions.columns and ROW_COLUMN not in table.columns:
        ids = [table[int(index)].id for index in reading.examples.indices]
        rows = by_key(predictions, reading, lambda values: row_number(values[ROW_COLUMN]), ids,
                      {record.id for record in table})
        return Matching(rows, "matched by the row numbers that headstart wrote")
    return Matching(by_order(predictions, reading, input_columns), "matched by their order, as no id is in both files")


def are_distinct(values: Iterable[Json]) -> bool:
    """Whether no value is missing or occurs twice."""
    texts = [None if value in (None, "") else str(value) for value in values]
    return None not in texts and len(set(texts)) == len(texts)


def row_number(value: Json) -> Hashable:
    """A row's number, also where a table holds it as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def by_key(predictions: PredictionRows, reading: Reading, key_of: Callable[[Values], Hashable],
           keys: Sequence[Hashable], every_key: Set[Hashable]) -> list[Values]:
    """The prediction of each key; raises DataError for rows without one or with two, and for predictions of no row."""
    row_of: dict[Hashable, Values] = {}
    findings, counts = [], Counter[str]()

    def add_fault(code: str, message: str, fix: str) -> None:
        counts[code] += 1
        if counts[code] <= MAX_LISTED:
            findings.append(Finding(code, message, fix, predictions.path))

    for values in predictions.rows:
        key = key_of(values)
        if key not in every_key and values.get(REASON):
            continue  # a row that could not be read, nor could its key
        if key in row_of:
            add_fault("E335", f"there are two predictions of {key!r}.", "Keep one.")
        elif key not in every_key:
            add_fault("E336", f"there is a prediction of {key!r}, but no such row in {reading.table.path}.",
                      "Is this the file that was predicted?")
        row_of[key] = values
    for key in keys:
        if key not in row_of:
            add_fault("E335", f"there is no prediction of {key!r} of {reading.table.path}.",
                      "Predict every row, or leave such rows out of the labelled file.")
    if findings:
        raise DataError(findings, counts=counts)
    return [row_of[key] for key in keys]


def by_order(predictions: PredictionRows, reading: Reading, input_columns: Sequence[str]) -> list[Values]:
    """The predictions in the order of the rows; raises DataError where their numbers or texts differ."""
    table, examples = reading.table, reading.examples
    rows, indices = list(predictions.rows), [int(index) for index in examples.indices]
    if len(rows) == table.builder.row_count != len(examples):  # a row for each of the file, as predict writes them
        rows = [rows[table[index].id] for index in indices]
    elif len(rows) == len(table) != len(examples):
        rows = [rows[index] for index in indices]
    if len(rows) != len(examples):
        code = "E335" if len(rows) < len(examples) else "E336"
        raise DataError([Finding(code, f"it holds {len(rows):,} predictions, and {table.path} {len(examples):,} "
                                       "labelled rows; without an id only their order matches them.",
                                 "Give both files a column id, or predict exactly these rows.", predictions.path)])
    shared = [name for name in input_columns if name in predictions.columns]
    for values, index in zip(rows, indices, strict=True):
        record: Mapping[str, Json] = dict(zip(table.columns, table[index].values, strict=True))
        for name in shared:
            if str(values[name]) != str(record[name]):
                raise DataError([Finding("E337", f"row {index} has {name} {values[name]!r:.60}, and {table.path} "
                                                 f"{record[name]!r:.60}.", "The files must have the same rows in the "
                                                                           "same order, or a column id in both.",
                                         predictions.path, row=index)])
    return rows
