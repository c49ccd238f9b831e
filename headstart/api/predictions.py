"""Predictions in Python: rows of any kind in, predictions of the same kind out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart import tasks
from headstart.api.inputs import find_paths, names_file
from headstart.api.keywords import name_columns, require_column_mapping
from headstart.contract import Json, Task
from headstart.data.columns import remembered_columns
from headstart.data.examples import Reading, read_examples, stop_on_faults
from headstart.data.frames import Frame, add_columns
from headstart.data.object_table import object_table
from headstart.data.objects import EXPECTED, ObjectRows, read_rows
from headstart.data.table import Table
from headstart.errors import Exit, UserError, nearest
from headstart.prediction.every_row import REASON, input_rows, prediction_columns, row_count, stop_on_broken_rows
from headstart.prediction.predictor import TRUNCATED
from headstart.settings import Data, build

if TYPE_CHECKING:
    from headstart.contract import Prediction, Predictor, Tokens
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer

EMBEDDING_TASK = "masked-language-model"  # reads rows of one text
SECOND_FIELDS = ("pair", "passage")  # optional ones that the second text of a tuple is


class PredictedRow(dict[str, Json]):
    """The prediction of one row, by name: prediction, probability …; a notebook draws its probabilities as bars.

    >>> row = headstart.load("reviews-run").predict(["a fine day"])[0]
    >>> print(row["prediction"], row["probability"])
    """

    def __init__(self, values: Mapping[str, Json] | None = None, **entries: Json) -> None:
        super().__init__({} if values is None else values, **entries)

    def _repr_html_(self) -> str:
        from headstart.api.html import prediction_html

        return prediction_html(self)


class Predictions(list[dict[str, Json]]):
    """A list of predictions, one dict a row; a notebook shows it as a table. `truncated` is how many texts were longer
    than the model reads, so that their end was left out.

    >>> predictions = headstart.load("reviews-run").predict(["a fine day", "rain again"])
    >>> labels = [prediction["prediction"] for prediction in predictions]
    """

    truncated = 0

    def __init__(self, rows: Iterable[Mapping[str, Json]] = ()) -> None:
        super().__init__(map(PredictedRow, rows))

    def _repr_html_(self) -> str:
        from headstart.api.html import predictions_html

        return predictions_html(self)


def task_columns(task: Task[Any], columns: Mapping[str, Any] | None, keywords: Mapping[str, Any],
                 parameters: Sequence[str]) -> dict[str, str]:
    """The columns of a task's fields as they were named; raises UserError (2) for a name that is no field of it."""
    fields = [field.name for field in task.fields]
    require_column_mapping(columns)
    for name in (*(columns or {}), *keywords):
        if name not in fields:
            suggestion = nearest(name, [*fields, *parameters])
            hint = f"Did you mean {suggestion}? " if suggestion else ""
            raise UserError(f"{task.name} has no column {name!r}; it has {', '.join(fields)}.",
                            fix=f'{hint}A column is named by its field: {fields[0]}="COLUMN".')
    return name_columns(columns, keywords)


def data_settings(task: Task[Any], data: Data | Mapping[str, Any] | None,
                  keywords: Mapping[str, Any]) -> tuple[Data, dict[str, Any]]:
    """The settings of the group data, of `data` and of keywords (bad_rows="skip"), and the other keywords.

    Raises UserError (78).
    """
    fields = {field.name for field in task.fields}
    values = {name: value for name, value in keywords.items() if name in Data.__dataclass_fields__
              and name not in fields}
    column_names = {name: value for name, value in keywords.items() if name not in values}
    group_values = dict(data) if isinstance(data, Mapping) else {}
    base = data if isinstance(data, Data) else Data()
    if not group_values and not values:
        return base, column_names
    settings: Data = build({f"data.{name}": value for name, value in (group_values | values).items()})["data"]
    return replace(base, **{name: getattr(settings, name) for name in group_values | values}), column_names


def text_fields(task: Task[Any]) -> list[str]:
    """The fields that a tuple is, in its order; a plain text is the first."""
    fields = [field.name for field in task.fields if field.required and not field.target] or [task.text_field]
    optional = [field.name for field in task.fields if field.name in SECOND_FIELDS and not field.required]
    return [*fields, *optional[:1]]


def file_of(source: Any) -> str | None:
    """The path that rows are named by; None for rows in memory. Raises UserError (2) for several, and for one text."""
    if isinstance(source, str) and not names_file(source):
        return None  # whoever reads it as rows says why it is none
    paths = find_paths(source, "rows")
    return None if paths is None else paths[0]


def require_path(source: Any) -> str:
    """A path; raises UserError (2) for rows in memory, where only a file is taken."""
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"A path was expected, but a {type(source).__name__} came.",
                        fix="Write the rows to a file first.")
    return os.fspath(source)


def predict(predictor: Predictor, source: Any, columns: Mapping[str, str], data: Data) -> Any:
    """Predictions of rows: a table gives a table of its kind, anything else a list of dicts, one a row.

    A row without a text has in a table, and in the list of a file, None and a reason; in a list it is a fault. Raises
    UserError (2, 65, 66) and DataError.
    """
    path, task = file_of(source), predictor.task
    if path is not None:
        reading = read_examples(task, path, data, columns=columns, training=False)
        return row_predictions(predictor, reading, data, keeps_empty=True)
    rows = read_rows(source, text_fields(task))
    if not rows.count:
        return Predictions() if rows.frame is None else as_table(rows.frame, [], ["prediction"])
    reading = read_memory(task, rows, columns, data)
    if row_count(reading) != rows.count:
        raise UserError(f"{reading.table.path} is read as {reading.table.format}: its {rows.count:,} rows become "
                        f"{row_count(reading):,}.",
                        fix="Pass rows of plain columns, or predict a file of them: model.predict_file.")
    predictions = row_predictions(predictor, reading, data, keeps_empty=rows.frame is not None)
    return predictions if rows.frame is None else as_table(rows.frame, predictions, list(predictions[0]))


def read_memory(task: Task[Any], rows: ObjectRows, columns: Mapping[str, str], data: Data) -> Reading:
    """Rows in memory as a task's examples to predict, found as in a file; raises UserError and DataError.

    In dicts, names that are the task's own are meant as they stand.
    """
    table = object_table(rows, data, every_row=True)
    if rows.frame is None:
        remembered = remembered_columns(task.trained_columns, table.columns, columns)
        exact = {field.name: field.name for field in task.fields if field.name in table.columns
                 and not any(field.name in names.split(",") for names in (*columns.values(), *remembered.values()))}
        columns = exact | dict(columns) | remembered
    return read_examples(task, table.path, data, columns=columns, training=False, table=table)


def memory_table(task: Task[Any], source: Any, data: Data) -> tuple[str, Table | None]:
    """Labelled rows as the path of their file, or as a table with its name; raises UserError (2, 65)."""
    if isinstance(source, str):
        return source, None
    path = file_of(source)
    if path is not None:
        return path, None
    table = object_table(read_rows(source, text_fields(task)), data)
    return table.path, table


def row_predictions(predictor: Predictor, reading: Reading, data: Data, *,
                    keeps_empty: bool) -> Predictions:
    """The values of every row in order, all under the same names; raises DataError for rows that cannot be used."""
    if keeps_empty:
        stop_on_broken_rows(reading, data)
    else:
        stop_on_faults([reading], data, None)
    predictions = list(predictor.predict(reading.examples))
    rows = Predictions(values_of_rows(predictor.task, reading, predictions))
    rows.truncated = sum(bool(prediction.detail.get(TRUNCATED)) for prediction in predictions)
    return rows


def values_of_rows(task: Task[Any], reading: Reading, predictions: Sequence[Prediction]) -> list[dict[str, Json]]:
    """The values of every row in order, all under the same names, from the predictions of those that are usable."""
    values_of_usable = [dict(prediction.values) for prediction in task.abstaining(predictions)]
    names = dict.fromkeys(task.prediction_columns(list(reading.columns), reading.examples))
    names |= dict.fromkeys(name for values in values_of_usable for name in values)
    blank: dict[str, Json] = dict.fromkeys(names or ["prediction"])
    if len(values_of_usable) == row_count(reading):
        return [blank | values for values in values_of_usable]
    usable = iter(values_of_usable)
    return [blank | ({} if row.reason else next(usable)) | {REASON: row.reason or None} for row in input_rows(reading)]


def as_table(frame: Frame, predictions: Sequence[Mapping[str, Json]], names: Sequence[str]) -> Any:
    """A table with the predictions as columns; one whose name is taken gets the suffix _predicted, as in files."""
    output_names = prediction_columns(frame.names, names)
    return add_columns(frame.table, {output_names[name]: [values[name] for values in predictions] for name in names})


def encode(tokenizer: FamilyTokenizer, texts: Any, *, add_special_tokens: bool) -> list[Tokens]:
    """Token ids and character offsets of each text."""
    return [tokenizer.tokenize_with_special_tokens(text) if add_special_tokens else tokenizer.tokenize(text)
            for text in texts_of(texts)]


def embedding_texts(source: Any, column: str | None) -> Sequence[str]:
    """The texts of a file or of rows in memory, to embed; raises UserError and DataError."""
    path = file_of(source)
    if path is None:
        return texts_of(source, column)
    task = tasks.find(EMBEDDING_TASK)()
    reading = read_examples(task, path, Data(), columns={} if column is None else {"text": column}, training=False)
    stop_on_faults([reading], Data(), None)
    return [task.dedup_key(example) for example in reading.examples]


def texts_of(source: Any, column: str | None = None) -> list[str]:
    """Texts of a list, or of a column of a table; raises UserError (2, 65) for anything else."""
    if isinstance(source, list | tuple) and column is None and all(type(text) is str for text in source):
        return list(source)
    rows = read_rows(source)
    records = list(rows.records())
    names = list(dict.fromkeys(name for record in records for name in record))
    name = column or (names[0] if len(names) == 1 else "text")
    if records and name not in names:
        suggestion = nearest(name, names)
        raise UserError(f"The {rows.kind} has no column {name!r}; it has {', '.join(map(repr, names[:20]))}.",
                        fix=f"Name one: text={suggestion or names[0]!r}.", exit=Exit.DATA)
    for index, record in enumerate(records):
        if not isinstance(record.get(name), str):
            raise UserError(f"row {index + 1} has no text in {name!r}: it is {record.get(name)!r}.",
                            fix="Leave such rows out. " + ("" if rows.frame is not None else EXPECTED), exit=Exit.DATA)
    return [record[name] for record in records]
