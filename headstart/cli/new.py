"""`headstart new`: three questions, then the command that answers them, and its run."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags
from headstart.cli.main import main
from headstart.errors import UserError
from headstart.progress.visible import visible

if TYPE_CHECKING:
    from headstart.contract import Column

SUMMARY = "ask three questions (file, what to predict, where to), show the command, run it"
MAX_OPTIONS = 8  # readings of the columns that are offered
MAX_COLUMNS = 12  # columns that are shown
SHOWN_CHARACTERS = 60  # of a column's first value


@dataclass(frozen=True)
class Option:
    """A task with its columns, as one answer to the second question."""

    task: str
    columns: Mapping[str, str]
    reason: str

    def words(self) -> str:
        """text-classification: label from text."""
        return f"{self.task} ({', '.join(f'{field}: {column}' for field, column in self.columns.items())})"

    def flags(self) -> list[str]:
        """--task and the columns."""
        return ["--task", self.task, *(part for field, column in self.columns.items()
                                       for part in flag(field, column))]


def flag(name: str, value: str) -> list[str]:
    """A flag with its value, as one word where the value would be read as another flag."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--print", action="store_true", dest="only_print",
                        help="print the command on standard output, and do not run it")
    _flags.add_shared(parser, "--quiet")


def run(arguments: argparse.Namespace) -> int:
    """Ask, print the command, run it."""
    path = ask_file()
    option = ask_option(path)
    name = os.path.splitext(os.path.basename(os.path.abspath(path)))[0]
    place = ask("3. Where to? A folder for the run", default=f"{name}-run")
    file = os.path.join(".", path) if path.startswith("-") else path
    command = ["finetune", file, *option.flags(), *flag("to", place)]
    if arguments.only_print:
        print(shlex.join(["headstart", *command]))
        return 0
    say(f"\n$ {shlex.join(['headstart', *command])}\n")
    return main([*command, *(["--quiet"] if arguments.quiet else [])])


def ask(question: str, *, default: str = "") -> str:
    """The answer to a question, or the default for an empty line; raises UserError (2) where no answer comes."""
    while True:
        say(f"{question} [{default}]: " if default else f"{question}: ", end="")
        line = sys.stdin.readline()
        if not line:
            raise UserError("headstart new asks three questions, and standard input ended before the answers.",
                            fix="Run it in a terminal, or see headstart finetune --help for the command itself.")
        if answer := line.strip() or default:
            return answer


def say(text: str, end: str = "\n") -> None:
    """A line on standard error: standard output is the command's."""
    print(visible(text), end=end, file=sys.stderr, flush=True)


def ask_file() -> str:
    """A file or folder that is there."""
    while True:
        path = os.path.expanduser(ask("1. Which file holds your rows? csv, Excel, JSON lines, parquet, a folder …"))
        if os.path.exists(path):
            return path
        say(f"   {path} is not there (seen from {os.getcwd()}).")


def ask_option(path: str) -> Option:
    """What to predict, of the ways in which the file's columns can be read."""
    columns = read_columns(path)
    say(f"   {path} has these columns, with their first values:")
    for column in columns[:MAX_COLUMNS]:
        first_value = next((str(value) for value in column.values if value not in (None, "")), "(empty)")
        say(f"   {column.name:<20} {first_value[:SHOWN_CHARACTERS]}")
    if len(columns) > MAX_COLUMNS:
        say(f"   and {len(columns) - MAX_COLUMNS} more columns")
    options = list_options(columns)
    if not options:
        return ask_task(columns)
    say("2. What should the model learn?")
    for number, option in enumerate(options, start=1):
        say(f"   {number}  {option.words()}: {option.reason}")
    say(f"   {len(options) + 1}  something else")
    while True:
        answer = ask(f"   A number from 1 to {len(options) + 1}", default="1")
        if answer.isdecimal() and 1 <= int(answer) <= len(options) + 1:
            return options[int(answer) - 1] if int(answer) <= len(options) else ask_task(columns)


def read_columns(path: str) -> list[Column]:
    """The first rows of the file, column by column; raises UserError (65, 66)."""
    from headstart.data.table import find_splits, open_table
    from headstart.settings import Data

    settings = Data()
    return open_table(find_splits(path, settings)["train"], settings).sample()


def list_options(columns: Sequence[Column]) -> list[Option]:
    """The tasks that recognise the columns, the surest first."""
    from headstart import tasks

    return [Option(task.name, choice, detection.reason) for task, detection in tasks.readings(columns, {})[0]
            for choice in detection.choices][:MAX_OPTIONS]


def ask_task(columns: Sequence[Column]) -> Option:
    """A task by its name, and the column of each of its fields."""
    from headstart import tasks

    known_tasks = {task.name: task for task in tasks.usable()[0]}
    say(f"2. What should the model learn? The tasks are {', '.join(known_tasks)}.")
    while (name := ask("   The task")) not in known_tasks:
        say(f"   There is no task {name!r}.")
    names = [column.name for column in columns]
    chosen_columns = {field.name: column for field in known_tasks[name].fields
                      if (column := ask_column(field, names)) is not None}
    return Option(name, chosen_columns, "you chose it")


def ask_column(field: Any, names: Sequence[str]) -> str | None:
    """The column of a field; None for an optional field that the file does not have."""
    if not field.required:
        return None
    while True:
        answer = ask(f"   Which column is the {field.name} ({field.help})? {', '.join(names[:MAX_COLUMNS])}")
        if answer in names:
            return answer
        say(f"   There is no column {answer!r}.")
