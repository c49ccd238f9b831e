"""The data check in Python: what a file or rows in memory are, and every fault, before anything is trained.

    check = headstart.check("reviews.csv")
    check.ok            # True where a run would start
    print(check.summary())
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.api import finetune
from headstart.api.html import check_html
from headstart.api.inputs import Inputs, read_inputs
from headstart.api.keywords import name_settings, split_columns
from headstart.data.objects import Rows
from headstart.errors import DataError, Exit, Finding, Level, UserError, findings_text
from headstart.settings.run_settings import RunSettings, parse_task_settings, run_settings

COLUMN_FAULT = re.compile(r"\[(E\d+)\] ")  # the code of a fault that is told before any row is read
LEVEL_WORDS: Mapping[Level, str] = {"fault": "faults", "warning": "warnings", "note": "notes"}


@dataclass(frozen=True)
class Check:
    """What `headstart.check` found: the task, the columns of its fields, what was read in words, and the findings.

    `task` is None and `columns` {} where a fault hides them.

    >>> check = headstart.check("reviews.csv")
    >>> if not check.ok:
    ...     print(check.summary())
    """

    task: str | None
    columns: Mapping[str, Sequence[str]]  # of each field
    unused_columns: tuple[str, ...]
    findings: tuple[Finding, ...]
    words: tuple[str, ...]
    strict: bool = False  # whether warnings count as faults
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of each code, where only the first were kept

    @property
    def ok(self) -> bool:
        """Whether a run would start on this data."""
        levels = ("fault", "warning") if self.strict else ("fault",)
        return not any(finding.level in levels for finding in self.findings)

    def headline(self) -> str:
        """Whether the data can be used, the task, and how many findings there are, in one line."""
        counts = Counter(finding.level for finding in self.findings)
        numbers = [f"{counts[level]:,} {words if counts[level] > 1 else level}"
                   for level, words in LEVEL_WORDS.items() if counts[level]]
        return "; ".join(["the data can be used" if self.ok else "the data cannot be used as it is",
                          *([self.task] if self.task else []), ", ".join(numbers) or "no findings"])

    def summary(self) -> str:
        """What was read, and every finding, as `headstart check` prints it."""
        findings = [findings_text(self.findings, counts=self.counts)] if self.findings else []
        return "\n".join([*self.words, *findings])

    def __repr__(self) -> str:
        return f"<check: {self.headline()}>"

    def _repr_html_(self) -> str:
        return check_html(self.headline(), self.words, self.findings)


def check(train: Rows, dev: Rows | None = None, test: Rows | None = None, *, task: str | None = None,
          model: str | Path | None = None, columns: Mapping[str, str] | None = None, strict: bool = False,
          allow_pickle: bool = False, **overrides: Any) -> Check:
    """What a file or rows in memory are, and what is wrong with them; the same as `headstart check`, with the rows and
    settings of `finetune`.

    Faults of the data are in what it gives, never raised. Raises UserError for what cannot be asked: an unknown task,
    setting or column, a file that is not there.

    >>> check = headstart.check([{"text": "a fine day", "label": "good"}, {"text": "rain", "label": "bad"}])
    >>> print(check.task, check.columns, len(check.findings))
    """
    inputs = read_inputs(train, dev, test)
    named_columns, keywords = split_columns(columns, overrides)
    run_values = {**inputs.run_values(), "task": task, "model": finetune.path_text(model), "strict": strict,
                  "allow_pickle": allow_pickle}
    config: RunSettings | None = None
    try:
        values = name_settings(keywords, run_values, named_columns, inputs)
        config = run_settings(run_values | {"strict": False}, named_columns, values)
        report = finetune.check_settings(config, inputs)
    except DataError as error:
        task_name, field_columns = (None, {}) if config is None else task_and_columns(config, inputs)
        return Check(task_name, field_columns, (), error.findings, tuple(inputs.lines()), strict, error.counts or {})
    except UserError as error:
        code = COLUMN_FAULT.search(error.message)
        if error.exit != Exit.DATA or code is None:
            raise
        return Check(task, {}, (), (Finding(code[1], COLUMN_FAULT.sub("", error.message), error.fix),),
                     tuple(inputs.lines()), strict)
    (first_file, *_) = report["files"]
    findings = tuple(Finding(**finding) for finding in report["findings"])
    words = report["words"][:-1] if findings else report["words"]  # the last are the findings
    return Check(report["task"], first_file["columns"], tuple(first_file.get("unused_columns", ())), findings,
                 (*inputs.lines(), *words), strict)


def task_and_columns(config: RunSettings, inputs: Inputs) -> tuple[str | None, Mapping[str, Sequence[str]]]:
    """The task and the columns of data with faults, where they can be told; else None and {}."""
    from headstart.data.examples import read_examples
    from headstart.preparation.choose_task import find_task

    try:
        table = inputs.train_table(config.train, config.data)
        task = find_task(table, config.task, config.columns)[0]
        task_settings = parse_task_settings(task.Settings, config.task_settings)
        return task.name, read_examples(task(task_settings), table.path, config.data, columns=config.columns,
                                        training=True, table=table).columns
    except UserError:
        return None, {}
