"""The user's files as splits of checked examples, told as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contract import Json, Task
from headstart.data.checks.checks import DataCheck, check_splits
from headstart.data.examples import Examples, Reading, finding_json, read_examples, stop_on_faults
from headstart.data.table import find_splits, open_table
from headstart.errors import DataError, Exit, Finding, UserError, findings_text
from headstart.metrics.installed import with_extra_metrics
from headstart.preparation import benchmarks
from headstart.preparation.choose_task import find_task
from headstart.preparation.slices import check_slice_columns
from headstart.preparation.splitting import make_splits
from headstart.progress import Reporter
from headstart.settings.run_settings import RunSettings, parse_task_settings


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
        files = [f"{reading.table.path}: {len(reading.table):,} rows; {reading.table.format}"
                 for reading in distinct(self.readings)]
        return [*files, f"task: {self.task.name}, because {self.task_reason}", *self.check.words()]

    def json(self) -> dict[str, Json]:
        """data.json."""
        return {
            "files": [{"file": reading.table.path, "sha256": reading.table.sha256, "bytes": reading.table.size_bytes,
                       "format": reading.table.format,
                       "columns": {name: list(columns) for name, columns in reading.columns.items()}}
                      for reading in distinct(self.readings)],
            "splits": {name: {"file": self.readings[name].table.path, "rows": examples.row_ids()}
                       for name, examples in self.splits.items()},
            "skipped_rows": self.skipped_rows,
            "findings": [finding_json(finding) for finding in self.findings],
            "check": self.check.json(),
        }


def distinct(readings: Mapping[str, Reading]) -> list[Reading]:
    """Each file once."""
    return list({id(reading): reading for reading in readings.values()}.values())


def read_dataset(settings: RunSettings, reporter: Reporter, errors_file: Path | None, *, split: bool = True) -> Dataset:
    """Read, recognise, split (unless told not to) and check the user's files.

    Raises UserError for what makes a file unusable, or DataError with every fault; faults are listed in `errors_file`.
    """
    paths = find_splits(settings.train, settings.data)
    paths |= {name: path for name, path in (("dev", settings.dev), ("test", settings.test)) if path is not None}
    paths |= benchmarks.further_splits(settings.preset, settings.train)
    tables = {name: open_table(path, settings.data) for name, path in paths.items()}
    check_slice_columns(settings.data.slice_by, tables)
    train = tables["train"]
    task_class, _, reason = find_task(train, settings.task, settings.columns)
    task = with_extra_metrics(task_class(parse_task_settings(task_class.Settings, settings.task_settings)),
                              settings.evaluation.extra_metrics)
    reporter.info(f"{train.path}: {len(train):,} rows; {train.format}")
    readings = {name: read_examples(task, paths[name], settings.data, columns=settings.columns, training=True,
                                    table=table)
                for name, table in tables.items()}
    reporter.info(f"task: {task.name}, because {reason}")
    column_text = ", ".join(f"{name} = {' + '.join(columns)}" for name, columns in readings["train"].columns.items())
    reporter.info(f"columns: {column_text}")
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
    dataset = checked_dataset(task, readings, splits, skipped, reason)
    report_findings(dataset, reporter, strict=settings.strict)
    return dataset


def checked_dataset(task: Task[Any], readings: Mapping[str, Reading], splits: Mapping[str, Examples], skipped_rows: int,
                    reason: str) -> Dataset:
    """The splits under what the task learned from the training rows, checked."""
    task = task.with_learned(task.learn(splits["train"]))
    splits = {name: Examples(task, examples.rows, examples.indices) for name, examples in splits.items()}
    findings = check_splits(task, splits, {name: examples.place for name, examples in splits.items()})
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
