"""Parts without rows, as Spark and its like write them: what is written for one has the columns that predictions of
other parts have, and no rows.

    part-0.csv  text,label                 part-0.csv  text,label,prediction,probability
    part-1.csv  text,label           ─▶    part-1.csv  text,label,prediction,probability
                roses,good                             roses,good,good,0.93
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.contract import Example, Json, Predictor, Task
from headstart.data.columns import root_column
from headstart.data.examples import read_examples
from headstart.data.outputs.arrow_source import source_schema
from headstart.data.outputs.arrow_table import ArrowTableWriter
from headstart.data.outputs.layout import DELIMITED, TABLES, output_layout, split_name
from headstart.data.readers.table_builder import NoRows
from headstart.data.table import Table, open_table
from headstart.data.writers import open_writer
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.prediction.every_row import prediction_columns
from headstart.prediction.on_ray.manifest import FinishedPart, Manifest, finished_part
from headstart.prediction.on_ray.places import FileStatus, Place, local_copy, local_output, with_place
from headstart.settings import Data


@dataclass(frozen=True)
class FirstRows:
    """The first part that has rows, which settles what the columns of every part are."""

    name: str
    columns: Mapping[str, tuple[str, ...]]
    example: Example | None  # the first that can be predicted


def is_empty_part(error: NoRows, settings: Data) -> bool:
    """Whether a file without rows is a part as others are; not so one that should have a header and has nothing."""
    table = error.builder
    return bool(table.columns) or not settings.header or table.format_parts[0] not in DELIMITED


def find_first_rows(task: Task[Any], source: Place, parts: Sequence[FileStatus], settings: Data,
                    columns: Mapping[str, str]) -> tuple[FirstRows, list[FileStatus]]:
    """The first part that has rows, and those before it, which have none; raises UserError, DataError (65), also where
    no part has rows.
    """
    empty_parts: list[FileStatus] = []
    for part in parts:
        place = source / part.name
        with local_copy(place) as path:
            try:
                reading = read_examples(task, str(path), settings, columns=columns, training=False)
            except DataError as error:
                if not (isinstance(error, NoRows) and is_empty_part(error, settings)):
                    raise with_place(error, path, place) from None
                empty_parts.append(part)
            else:
                return FirstRows(part.name, reading.columns, next(iter(reading.examples), None)), empty_parts
    words = f"{parts[0].name} holds no rows" if len(parts) == 1 else f"none of the {len(parts):,} parts holds rows"
    raise DataError([Finding("E102", f"{words}.", "Check that the right files were written.", source.text)])


@dataclass(frozen=True)
class EmptyParts:
    """Writes the predictions of parts without rows, once a part with rows was predicted."""

    predictor: Predictor
    first: FirstRows
    source: Place
    settings: Data
    manifest: Manifest

    @cached_property
    def values(self) -> Mapping[str, Json]:
        """What a prediction has, by the names of its columns: that of the first row."""
        if self.first.example is None:
            return {"prediction": None}
        names = self.predictor.task.prediction_columns(list(self.first.columns), [self.first.example])
        return {**dict.fromkeys(names), **next(iter(self.predictor.predict([self.first.example]))).values}

    @cached_property
    def schema(self) -> Any:
        """The schema of the first part of Arrow data that was predicted: that of its rows; None without one."""
        for name, part in sorted(self.manifest.parts.items()):
            format_name, compression = split_name(name)
            output = self.manifest.folder / name
            if part.rows and format_name in TABLES and not compression and output.lookup() is not None:
                with local_copy(output) as path:
                    return source_schema(str(path))
        return None

    def write(self, part: FileStatus) -> FinishedPart:
        """Write what belongs to a part without rows; raises UserError (65, 74)."""
        place, output = self.source / part.name, self.manifest.folder / part.name
        with local_copy(place) as path, local_output(output) as output_path:
            table = self.table(path, place)
            layout = replace(output_layout(str(output_path), table, self.settings), has_header=self.settings.header)
            names = prediction_columns([*table.columns, *table.builder.unused_columns], list(self.values))
            columns = [*table.columns, *names.values()] if table.columns else []
            with open_writer(str(output_path), columns, layout, overwrite=True) as writer:
                if isinstance(writer, ArrowTableWriter):
                    writer.take_types({names[name]: value for name, value in self.values.items()}, self.schema)
            return finished_part(part, output_path, rows=0)

    def table(self, path: Path, place: Place) -> Table:
        """A part as a table of no rows; raises UserError (65) where it has rows by now, and where its columns are not
        those of the others.
        """
        try:
            open_table(str(path), self.settings, every_row=True)
        except NoRows as error:
            table = Table(error.builder.name, error.builder, "", 0)
        else:
            raise UserError(f"{place.text} was changed while it was predicted.", fix="Give the command again.",
                            exit=Exit.DATA)
        inputs = [field.name for field in self.predictor.task.fields if not field.target]
        for name in (name for field in inputs for name in self.first.columns.get(field, ())):
            if table.columns and not has_column(name, table.columns):
                raise UserError(f"{place.text} has no column {name!r}, as {self.first.name} has; it has "
                                f"{', '.join(table.columns)}.", fix="Write it with the columns of the others.",
                                exit=Exit.DATA)
        return table


def has_column(name: str, columns: Sequence[str]) -> bool:
    """Whether a column is there, or one whose objects may hold a name like ticket.body."""
    try:
        root_column(name, columns)
    except ValueError:
        return False
    return True
