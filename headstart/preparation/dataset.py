"""The user's files as splits of checked examples, told as they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart import tasks
from headstart.contract import Json, Task
from headstart.data.checks.checks import DataCheck, check_splits
from headstart.data.examples import Examples, Reading, finding_json, read_examples, stop_on_faults
from headstart.data.joined import column_words, describe_parts, join_readings
from headstart.data.readers.table_builder import TextReading
from headstart.data.table import Table, find_splits, open_table
from headstart.errors import DataError, Exit, Finding, UserError, findings_text
from headstart.metrics.installed import with_extra_metrics
from headstart.preparation import benchmarks
from headstart.preparation.choose_task import find_task
from headstart.preparation.slices import check_slice_columns
from headstart.preparation.splitting import describe_split, make_splits
from headstart.progress import Reporter
from headstart.settings import Data
from headstart.settings.run_settings import RunSettings, parse_task_settings
from headstart.text.running_text import RowsChoice


@dataclass
class Dataset:
    """The user's rows as splits of examples, with what the check found."""

    task: Task[Any]
    readings: Mapping[str, Reading]
    splits: Mapping[str, Examples]
    check: DataCheck
    skipped_rows: int
    task_reason: str

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found: notes, warnings, and the faults of rows that were left out."""
        return [finding for reading in self.readings.values()
                for finding in reading.findings] + list(self.check.findings)

    def summary(self) -> list[str]:
        """What was read and found, in plain sentences."""
        files = [f"{reading.table.path}: {reading.table.describe_rows()}"
                 for reading in distinct(self.readings)]
        choices = [reading.table.rows_choice.words(reading.table.path) for reading in distinct(self.readings)
                   if reading.table.rows_choice is not None]
        return [*files, *choices, f"task: {self.task.name}, because {self.task_reason}", *self.check.words()]

    def json(self) -> dict[str, Json]:
        """data.json."""
        return {
            "files": [{"file": reading.table.path, "sha256": reading.table.sha256, "bytes": reading.table.size_bytes,
                       "format": reading.table.format, "encoding": reading.table.encoding,
                       "layout": reading.table.layout,
                       "columns": {name: list(columns) for name, columns in reading.columns.items()}}
                      for reading in distinct(self.readings)],
            "splits": {name: self.readings[name].json() | {"rows": examples.row_ids()}
                       for name, examples in self.splits.items()},
            "skipped_rows": self.skipped_rows,
            "findings": [finding_json(finding) for finding in self.findings],
            "check": self.check.json(),
        }


def distinct(readings: Mapping[str, Reading]) -> list[Reading]:
    """Each file once."""
    files = [part for reading in readings.values() for part in reading.parts or (reading,)]
    return list({id(reading): reading for reading in files}.values())


def read_dataset(settings: RunSettings, reporter: Reporter, errors_file: Path | None, *, split: bool = True) -> Dataset:
    """Read, recognise, split (unless told not to) and check the user's files.

    Raises UserError for what makes a file unusable, or DataError with every fault; faults are listed in `errors_file`.
    """
    paths = find_splits(settings.train, settings.data)
    paths |= {name: path for name, path in (("dev", settings.dev), ("test", settings.test)) if path is not None}
    paths |= benchmarks.further_splits(settings.preset, settings.train)
    tables = open_tables(paths, settings.data, named_reading(settings.task))
    check_slice_columns(settings.data.slice_by, tables)
    task_class, _, reason = find_task(tables["train"], settings.task, settings.columns)
    if settings.task is None and task_class.reads_text_as != "lines":
        tables = open_tables(paths, settings.data, TextReading(task_class.reads_text_as))
    train = tables["train"]
    task = with_extra_metrics(task_class(parse_task_settings(task_class.Settings, settings.task_settings)),
                              settings.evaluation.extra_metrics)
    reporter.info(f"{train.path}: {train.describe_rows()}")
    if train.rows_choice is not None:
        reporter.info(train.rows_choice.words(train.path))
    readings = {name: read_examples(task, paths[name], settings.data, columns=settings.columns, training=True,
                                    table=table)
                for name, table in tables.items()}
    if settings.further_train:
        readings["train"] = join_further_files(task, readings["train"], settings, reporter)
    reporter.info(f"task: {task.name}, because {reason}")
    for part in readings["train"].parts or (readings["train"],):
        reporter.info(f"columns{f' of {part.table.path}' if settings.further_train else ''}: "
                      f"{column_words(part.columns)}")
    try:
        skipped = stop_on_faults(distinct(readings), settings.data, errors_file)
    except DataError as error:
        raise with_warnings(error, task, readings) from None
    if skipped:
        reporter.info(f"skipped {skipped:,} rows that cannot be used"
                      + (f"; they are listed in {errors_file}" if errors_file else ""))
    splits = make_splits(task, readings, settings.data, seed=settings.seed) if split else {
        name: reading.examples for name, reading in readings.items()}
    if split:
        require_rows(splits)
        if sentence := describe_split(readings, settings.data):
            reporter.info(sentence)
    dataset = checked_dataset(task, readings, splits, skipped, reason)
    report_findings(dataset, reporter, strict=settings.strict)
    return dataset


def join_further_files(task: Task[Any], first: Reading, settings: RunSettings, reporter: Reporter) -> Reading:
    """The training rows of all files that were named; raises UserError (2, 65, 66) and DataError."""
    readings = [first]
    for path in settings.further_train or ():
        paths = find_splits(path, settings.data)
        if set(paths) != {"train"}:
            raise UserError(f"{path} holds several splits; of several training sets each is one file.",
                            fix="Name its training file.")
        reading = read_examples(task, paths["train"], settings.data, columns=settings.columns, training=True)
        reporter.info(f"{reading.table.path}: {reading.table.describe_rows()}")
        readings.append(reading)
    reporter.info(describe_parts(readings))
    return join_readings(task, readings)


def named_reading(task_name: str | None) -> TextReading:
    """How plain text is read for a task that was named; a line a row until it is known."""
    return TextReading("lines" if task_name is None else tasks.find(task_name).reads_text_as)


def open_tables(paths: Mapping[str, str], settings: Data, reading: TextReading) -> dict[str, Table]:
    """The table of each split; what a row of text is, is decided by the training file."""
    train = open_table(paths["train"], settings, text_reading=reading)
    if train.rows_choice is not None:
        reading = dataclasses.replace(reading, choice=RowsChoice(train.rows_choice.rows, f"{train.path} is"))
    return {name: train if name == "train" else open_table(path, settings, text_reading=reading)
            for name, path in paths.items()}


def checked_dataset(task: Task[Any], readings: Mapping[str, Reading], splits: Mapping[str, Examples], skipped_rows: int,
                    reason: str) -> Dataset:
    """The splits under what the task learned from the training rows, checked."""
    task = task.with_learned(task.learn(splits["train"]))
    splits = {name: Examples(task, examples.rows, examples.indices) for name, examples in splits.items()}
    findings = check_splits(task, splits, {name: examples.place for name, examples in splits.items()})
    findings.unit = "pieces of the text" if splits["train"].is_running_text else "rows"
    return Dataset(task, {name: readings.get(name, readings["train"]) for name in splits}, splits, findings,
                   skipped_rows, reason)


def with_warnings(error: DataError, task: Task[Any], readings: Mapping[str, Reading]) -> DataError:
    """The faults of the rows, and what the check of the other rows finds, so that one pass tells all."""
    splits = {name: reading.examples for name, reading in readings.items()}
    if not all(map(len, splits.values())):
        return error
    try:
        dataset = checked_dataset(task, readings, splits, 0, "")
    except UserError:  # what the rows that are left cannot tell
        return error
    row_warnings = [finding for reading in distinct(readings) for finding in reading.findings
                    if finding.level == "warning"]
    return error.with_findings([*row_warnings, *(finding for finding in dataset.check.findings
                                                 if finding.level == "warning")])


def report_findings(dataset: Dataset, reporter: Reporter, *, strict: bool) -> None:
    """Say what the check found; raises DataError for faults, and with `strict` for warnings."""
    for sentence in dataset.check.words():
        reporter.info(sentence)
    faults = [finding for finding in dataset.check.findings if finding.level == "fault"]
    warnings = [finding for finding in dataset.findings if finding.level == "warning"]
    notes = [finding for finding in dataset.findings if finding.level == "note"]
    if notes:
        reporter.info(findings_text(notes))
    if faults:
        raise DataError(faults)
    if warnings and strict:
        raise DataError(warnings)
    if warnings:
        reporter.warning(findings_text(warnings))


def require_rows(splits: Mapping[str, Examples]) -> None:
    """Refuse to train without training or dev rows."""
    for name in ("train", "dev"):
        if not len(splits.get(name, ())):
            raise UserError(f"There are no {name} rows.",
                            fix="Give more rows, name a file with --dev, or set data.split "
                            "so that dev gets a share.", exit=Exit.DATA)
