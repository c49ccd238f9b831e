"""Which task a file is for: the named one, the one whose columns were named, or the one that recognises it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from headstart import tasks
from headstart.contract import Column, Detection, Task
from headstart.data.table import Table
from headstart.errors import UserError, first_names
from headstart.tasks.shared.column_detection import filled_values, first_named, holds_written_numbers

LANGUAGES = frozenset((  # names that columns of translations have
    "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "ga", "gl", "he", "hi", "hr",
    "hu", "it", "ja", "ko", "lt", "lv", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "sw", "th",
    "tr", "uk", "vi", "zh", "arabic", "chinese", "czech", "dutch", "english", "french", "german", "hindi", "italian",
    "japanese", "korean", "polish", "portuguese", "russian", "spanish", "swedish", "turkish", "ukrainian"))


def find_task(table: Table, name: str | None, columns: Mapping[str, str]) -> tuple[type[Task[Any]], Detection | None,
                                                                                   str]:
    """The task of a file, how its columns were recognised, and why in words; raises UserError."""
    sample = table.sample()
    if name is not None:
        task = tasks.find(name)
        check_columns(task, columns)
        return task, task.detect(sample), "you chose it"
    if columns:
        fitting = [task for task in tasks.usable()[0] if set(columns) <= {field.name for field in task.fields}]
        if len(fitting) == 1:
            task = tasks.find(fitting[0].name)
            return task, task.detect(sample), f"it is the task with {', '.join('--' + name for name in columns)}"
    try:
        task, detection = tasks.detect(sample, table.path, columns)
    except UserError as error:
        raise with_remarks(preference_error(error, sample, table.path), table, sample) from None
    return task, detection, detection.reason


def with_remarks(error: UserError, table: Table, columns: Sequence[Column]) -> UserError:
    """The error with what is particular to the table's columns: objects whose parts may be named, columns of one name,
    columns of bytes.
    """
    nested_names = table.nested_names()
    remarks = [f"Objects hold further columns: {first_names(nested_names, 10)}."] if nested_names else []
    remarks += [f'The column "{column.name}" holds numbers as {filled_values(column)[0]!r}; to learn them, write '
                "digits and a point alone, and pass --task regression --target "
                f"{shlex.quote(column.name)}." for column in columns if holds_written_numbers(column)]
    remarks += language_remark(columns, table.path)
    reasons = dict.fromkeys(table.builder.ambiguous_columns.values())
    remarks += [f"{reason[0].upper()}{reason[1:]}." for reason in reasons]
    remarks += [f'The column "{name}" {reason}.' for name, reason in table.builder.unused_columns.items()]
    return UserError(" ".join([error.message, *remarks]), fix=error.fix, exit=error.exit) if remarks else error


def preference_error(error: UserError, columns: Sequence[Column], path: str) -> UserError:
    """The error; of rows with a preferred answer and a rejected one, what they are and what can be learned of them."""
    preferred_answers = first_named(columns, ("chosen",))
    prompt = first_named(columns, ("prompt", "question", "instruction"))
    if preferred_answers is None or first_named(columns, ("rejected",)) is None:
        return error
    preferred_name = shlex.quote(preferred_answers.name)
    if prompt is not None and all(isinstance(value, str) for value in preferred_answers.values):
        flags = f"--prompt {shlex.quote(prompt.name)} --response {preferred_name}"
    elif any(isinstance(value, list) for value in preferred_answers.values):
        flags = f"--messages {preferred_name}"
    else:
        flags = f"--text {preferred_name}"
    command = f"headstart finetune {shlex.quote(path)} --task language-model {flags}"
    return UserError(f"{path} holds preferences: of two answers one is chosen and one rejected. No task here learns "
                     "from both.", fix=f"To learn the chosen answers alone:\n  {command}", exit=error.exit)


def language_remark(columns: Sequence[Column], path: str) -> list[str]:
    """How texts in two languages are translated, where two columns are called by languages."""
    names = [column.name for column in columns if column.name.lower() in LANGUAGES]
    return [] if len(names) != 2 else [
        f"To translate: headstart finetune {shlex.quote(path)} --task translation --source {names[0]} "
        f"--target {names[1]}."]


def check_columns(task: type[Task[Any]], columns: Mapping[str, str]) -> None:
    """Refuse a column flag that the task does not know."""
    field_names = {field.name for field in task.fields}
    if unknown := sorted(set(columns) - field_names):
        raise UserError(f"{task.name} has no --{unknown[0]}; it has "
                        f"{', '.join('--' + name for name in sorted(field_names))}.",
                        fix="Name the columns with those.")
