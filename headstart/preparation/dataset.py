"""The user's files as splits of checked examples, told as they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import tasks
from headstart.contract import Json, Task
from headstart.data.checks.checks import DataCheck, check_splits
from headstart.data.checks.first_look import FirstLook
from headstart.data.column_use import unused_columns, unused_words
from headstart.data.examples import Examples, Reading, finding_json, read_examples, stop_on_faults
from headstart.data.joined import column_words, describe_parts, join_readings
from headstart.data.readers.table_builder import TextReading
from headstart.data.table import Table, find_splits, open_table
from headstart.errors import DataError, Exit, Finding, UserError, findings_text
from headstart.metrics.installed import with_extra_metrics
from headstart.preparation import benchmarks
from headstart.preparation.choose_task import find_task
from headstart.preparation.folding import Folds, fold_arrays, make_folds, wants_folds
from headstart.preparation.slices import check_slice_columns, slice_columns
from headstart.preparation.splitting import describe_split, in_order, make_splits
from headstart.progress import Reporter
from headstart.settings import Data
from headstart.settings.run_settings import RunSettings, parse_task_settings
from headstart.text.running_text import RowsChoice

if TYPE_CHECKING:
    from headstart.preparation.first_row import FirstRow

FEWEST_SPLIT = 10  # rows, of which a tenth is one


@dataclass
class Dataset:
    """The user's rows as splits of examples, with what the check found."""

    task: Task[Any]
    readings: Mapping[str, Reading]
    splits: Mapping[str, Examples]
    check: DataCheck
    skipped_rows: int
    task_reason: str
    slice_columns: tuple[str, ...] = ()
    first_row: FirstRow | None = None  # as the model reads it, once a tokenizer has
    folds: Folds | None = None  # of the training rows, where they are scored in folds and no dev rows are split off

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found: notes, warnings, and the faults of rows that were left out."""
        readings = {id(reading): reading for reading in self.readings.values()}  # of one file several splits are made
        return [finding for reading in readings.values() for finding in reading.findings] + list(self.check.findings)

    def summary(self) -> list[str]:
        """What was read and found, in plain sentences."""
        files = [f"{reading.table.path}: {reading.table.describe_rows()}"
                 for reading in distinct(self.readings)]
        choices = [reading.table.rows_choice.words(reading.table.path) for reading in distinct(self.readings)
                   if reading.table.rows_choice is not None]
        return [*files, *choices, f"task: {self.task.name}, because {self.task_reason}",
                *column_lines(self.readings, self.slice_columns), *self.check.words(),
                *([] if self.folds is None else [self.folds.words()])]

    def all_clear(self) -> str:
        """What is said where nothing was found: no more than what was looked at."""
        if not self.check.tokenization:
            return "No problems found in the rows; how a model reads them was not checked."
        return "No problems found."

    def json(self) -> dict[str, Json]:
        """data.json."""
        return {
            "files": [{"file": reading.table.path, "sha256": reading.table.sha256, "bytes": reading.table.size_bytes,
                       "format": reading.table.format, "encoding": reading.table.encoding,
                       "layout": reading.table.layout, "rows": reading.row_counts(),
                       "columns": {name: list(columns) for name, columns in reading.columns.items()},
                       "unused_columns": unused_columns(reading.table, reading.columns, self.slice_columns)}
                      for reading in distinct(self.readings)],
            "splits": {name: self.readings[name].json() | {"rows": examples.row_ids()}
                       for name, examples in self.splits.items()},
            "skipped_rows": self.skipped_rows,
            "findings": [finding_json(finding) for finding in self.findings],
            "check": self.check.json(),
            **({} if self.first_row is None else {"first_row": self.first_row.json()}),
            **({} if self.folds is None else {"folds": self.folds.json()}),
        }


def column_lines(readings: Mapping[str, Reading], slice_names: Sequence[str]) -> list[str]:
    """Which columns are used, for what, and which are not; of several files, of each."""
    files = distinct(readings)
    return [f"columns{f' of {reading.table.path}' if len(files) > 1 else ''}: {describe_columns(reading, slice_names)}"
            for reading in files]


def describe_columns(reading: Reading, slice_names: Sequence[str]) -> str:
    """Which column is which field, by which slices are made, and which columns nothing reads."""
    slices = [name for name in slice_names if name in reading.table.columns]
    used = column_words(reading.columns) + (f"; slices by {', '.join(slices)}" if slices else "")
    if reading.table.is_running_text:
        return used
    return f"{used}; {unused_words(unused_columns(reading.table, reading.columns, slices))}"


def distinct(readings: Mapping[str, Reading]) -> list[Reading]:
    """Each file once."""
    files = [part for reading in readings.values() for part in reading.parts or (reading,)]
    return list({id(reading): reading for reading in files}.values())


def read_dataset(settings: RunSettings, reporter: Reporter, errors_file: Path | None, *, split: bool = True,
                 memory_tables: Mapping[str, Table] | None = None) -> Dataset:
    """Read, recognise, split (unless told not to) and check the user's files, and splits that stand in memory.

    Raises UserError for what makes a file unusable, or DataError with every fault; faults are listed in `errors_file`.
    """
    memory_tables = memory_tables or {}
    paths = {} if "train" in memory_tables else find_splits(settings.train, settings.data)
    paths |= {name: path for name, path in (("dev", settings.dev), ("test", settings.test)) if path is not None}
    paths |= benchmarks.further_splits(settings.preset, settings.train)
    paths |= {name: table.path for name, table in memory_tables.items()}
    tables = open_tables(paths, settings.data, named_reading(settings.task), memory_tables)
    check_slice_columns(settings.data.slice_by, tables)
    task_class, _, reason = find_task(tables["train"], settings.task, settings.columns)
    if settings.task is None and task_class.reads_text_as != "lines":
        tables = open_tables(paths, settings.data, TextReading(task_class.reads_text_as), memory_tables)
    train = tables["train"]
    task = with_extra_metrics(task_class(parse_task_settings(task_class.Settings, settings.task_settings)),
                              settings.evaluation.extra_metrics)
    reporter.info(f"{train.path}: {train.describe_rows()}")
    if train.rows_choice is not None:
        reporter.info(train.rows_choice.words(train.path))
    look = None if split or settings.further_train else FirstLook()
    readings = read_tables(task, tables, paths, settings, look)
    task = readings["train"].examples.task
    if settings.further_train:
        readings["train"] = join_further_files(task, readings["train"], settings, reporter)
    reporter.info(f"task: {task.name}, because {reason}")
    slice_names = tuple(name for names in slice_columns(settings.data.slice_by) for name in names)
    report_columns(readings["train"], slice_names, reporter)
    try:
        skipped = skip_faulty_rows(readings, settings.data, errors_file, reporter)
    except DataError as error:
        raise with_warnings(error, task, readings, look) from None
    splits, folds = split_or_fold(task, readings, settings, reporter) if split else (in_order(
        {name: reading.examples for name, reading in readings.items()}), None)
    dataset = checked_dataset(task, readings, splits, skipped, reason, look)
    dataset.slice_columns, dataset.folds = slice_names, folds
    report_findings(dataset, reporter, strict=settings.strict)
    return dataset


def split_or_fold(task: Task[Any], readings: Mapping[str, Reading], settings: RunSettings,
                  reporter: Reporter) -> tuple[dict[str, Examples], Folds | None]:
    """The splits; where the rows are scored in folds those too, and no dev rows. What was done is said."""
    folds = None
    if wants_folds(task, readings["train"].examples, settings, readings):
        splits = make_splits(task, readings, settings.data, seed=settings.seed, in_folds=True)
        if (folds := make_folds(task, splits["train"], settings)) is not None:
            reporter.info(folds.words())
            if warning := folds.warning():
                reporter.warning(warning)
            return splits, folds
    splits = make_splits(task, readings, settings.data, seed=settings.seed)
    require_rows(task, splits)
    if sentence := describe_split(readings, settings.data):
        reporter.info(sentence)
    return splits, None


def report_columns(train: Reading, slice_names: Sequence[str], reporter: Reporter) -> None:
    """Say which columns of the training rows are used, and which are not."""
    for line in column_lines({"train": train}, slice_names):
        reporter.info(line)


def skip_faulty_rows(readings: Mapping[str, Reading], settings: Data, errors_file: Path | None,
                     reporter: Reporter) -> int:
    """How many rows are left out, said; raises DataError with all faults where none may be."""
    skipped = stop_on_faults(distinct(readings), settings, errors_file)
    if skipped:
        reporter.info(f"skipped {skipped:,} rows that cannot be used"
                      + (f"; they are listed in {errors_file}" if errors_file else ""))
    return skipped


def read_tables(task: Task[Any], tables: Mapping[str, Table], paths: Mapping[str, str],
                settings: RunSettings, look: FirstLook | None) -> dict[str, Reading]:
    """The examples of each split; how a column is read is decided by the training file."""
    train = read_examples(task, paths["train"], settings.data, columns=settings.columns, training=True,
                          table=tables["train"], look=None if look is None else look.take)
    return {name: train if name == "train" else read_examples(
        train.examples.task, paths[name], settings.data, columns=settings.columns, training=True, table=table)
        for name, table in tables.items()}


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


def open_tables(paths: Mapping[str, str], settings: Data, reading: TextReading,
                memory_tables: Mapping[str, Table]) -> dict[str, Table]:
    """The table of each split; what a row of text is, is decided by the training file."""
    def table_of(name: str, reading: TextReading) -> Table:
        return memory_tables[name] if name in memory_tables else open_table(paths[name], settings, text_reading=reading)

    train = table_of("train", reading)
    if train.rows_choice is not None:
        reading = dataclasses.replace(reading, choice=RowsChoice(train.rows_choice.rows, f"{train.path} is"))
    return {name: train if name == "train" else table_of(name, reading) for name in paths}


def checked_dataset(task: Task[Any], readings: Mapping[str, Reading], splits: Mapping[str, Examples], skipped_rows: int,
                    reason: str, look: FirstLook | None = None) -> Dataset:
    """The splits under what the task learned from the training rows, checked; `look` has seen all of those."""
    learned = look.learned if look is not None and look.learned is not None else task.learn(splits["train"])
    task = task.with_learned(learned)
    splits = {name: Examples(task, examples.rows, examples.indices) for name, examples in splits.items()}
    findings = check_splits(task, splits, {name: examples.place for name, examples in splits.items()}, look)
    findings.unit = "pieces of the text" if splits["train"].is_running_text else "rows"
    return Dataset(task, {name: readings.get(name, readings["train"]) for name in splits}, splits, findings,
                   skipped_rows, reason)


def with_warnings(error: DataError, task: Task[Any], readings: Mapping[str, Reading],
                  look: FirstLook | None) -> DataError:
    """The faults of the rows, and what the check of the other rows finds, so that one pass tells all."""
    splits = {name: reading.examples for name, reading in readings.items()}
    if not all(map(len, splits.values())):
        return error
    try:
        dataset = checked_dataset(task, readings, splits, 0, "", look)
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


def require_rows(task: Task[Any], splits: Mapping[str, Examples]) -> None:
    """Refuse to train without training or dev rows; raises UserError (65)."""
    train = splits.get("train", ())
    for name in ("train", "dev"):
        if len(splits.get(name, ())):
            continue
        if len(train) > 1 and len(set(fold_arrays(task, splits["train"])[0].tolist())) == 1:
            raise UserError(f"There are no {name} rows: all {len(train):,} rows have the same text, or one passage or "
                            "group, and such rows are never split.",
                            fix="Give rows with other texts, name a file with --dev, or check the column of the text.",
                            exit=Exit.DATA)
        count = sum(map(len, splits.values()))
        too_few = (f": {count:,} row{' is' if count == 1 else 's are'} too few to set some aside"
                   if count < FEWEST_SPLIT else "")
        folds = ("leave --folds and the settings of the split out (all rows are then scored in folds), "
                 if too_few and count > 1 else "")
        raise UserError(f"There are no {name} rows{too_few}.", fix=f"Give more rows, {folds}name a file with --dev, or "
                        "set data.split so that dev gets a share.", exit=Exit.DATA)
