"""The labelled rows that an exported model is judged on: the run's dev rows, while its files still hold them, or a
file's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contract import Example, Task
from headstart.data.examples import Examples, read_examples, stop_on_faults
from headstart.errors import Exit, UserError
from headstart.preparation.dataset import read_dataset
from headstart.progress import Reporter
from headstart.runs.folder import RunFolder
from headstart.runs.record import SETTINGS_FILE, hash_data, read_record
from headstart.settings import Data
from headstart.settings.run_settings import read_settings_file, run_settings

NAME_ROWS = "Name labelled rows: --data FILE"


@dataclass(frozen=True)
class JudgedRows:
    """Labelled rows, where they are from, and the seed of whatever is encoded at random."""

    examples: Sequence[Example]
    source: str
    seed: int = 0


def judged_rows(reference: str, task: Task[Any], file: str | None, *, settings: Data, columns: Mapping[str, str],
                reporter: Reporter) -> JudgedRows:
    """The rows of the file that was named, else the dev rows of the run; raises UserError (65, 66) and DataError."""
    if file is not None:
        reading = read_examples(task, file, settings, columns=columns, training=True)
        stop_on_faults([reading], settings, None)
        reporter.info(f"{reading.table.path}: {reading.table.describe_rows()}")
        return judged(JudgedRows(list(reading.examples), Path(file).name))
    run = Path(reference)
    if not (run / SETTINGS_FILE).is_file():
        raise UserError(f"{reference} is a model without the run that it is from, and an export is written only if "
                        "it scores like the original.", fix=NAME_ROWS)
    return judged(dev_rows(run, task, reporter))


def judged(rows: JudgedRows) -> JudgedRows:
    """The rows, refused where there are none (65)."""
    if not rows.examples:
        raise UserError(f"{rows.source} has no labelled rows.", fix=NAME_ROWS, exit=Exit.DATA)
    return rows


def dev_rows(run: Path, task: Task[Any], reporter: Reporter) -> JudgedRows:
    """The run's dev rows under the task as it was saved, or all rows of a run scored by folds, which has no dev rows;
    raises UserError (65, 66) where its files are not as they were.
    """
    record = read_record(RunFolder(run))
    settings = run_settings(*read_settings_file(run / SETTINGS_FILE))
    try:
        dataset = read_dataset(settings, Reporter(), None)
    except UserError as error:
        raise UserError(f"The rows that {run} was measured on cannot be read again: {error.message}",
                        fix=NAME_ROWS, exit=error.exit) from None
    if record is None or record.data_hash != hash_data(dataset.json()):
        raise UserError(f"The files of {run} are not those that it was trained on: its dev rows are no longer known.",
                        fix=f"Put them back, or name other rows: {NAME_ROWS.partition(': ')[2]}", exit=Exit.DATA)
    split = "dev" if "dev" in dataset.splits else "train"
    rows = dataset.splits[split]
    if split == "train":
        reporter.warning(f"{run} has no dev rows: both models answer its {len(rows):,} training rows, where they agree "
                         "more easily than on new ones. --data FILE names others")
    return JudgedRows(list(Examples(task, rows.rows, rows.indices)), split, settings.seed)
