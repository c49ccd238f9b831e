"""Flags that commands share, made from settings and tasks so that they can never disagree with them.

A flag means the same in every command that has it. The flags of columns are the tasks' field names, and only ever name
columns of the user's file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from headstart import settings, tasks
from headstart.errors import Exit, UserError
from headstart.progress import Reporter, console_reporter
from headstart.settings.keywords import COMMON_SETTINGS, RUN_FLAGS

ALL_TASKS = "all"  # the columns of every task are flags
TEXT_TASK = "masked-language-model"  # reads rows of one text, as embed and tokenizer do
SHARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # meaning, and what argparse is told
    "--dev": ("dev rows", {"metavar": "FILE"}),
    "--test": ("test rows", {"metavar": "FILE"}),
    "--task": ("the task", {"metavar": "NAME"}),
    "--model": ("the model", {"metavar": "REF"}),
    "--preset": ("a known dataset", {"metavar": "NAME"}),
    "--to": ("where the result is written", {"metavar": "PATH"}),
    "--seed": ("random seed", {"metavar": "N", "type": int}),
    "--strict": ("warnings about the data are faults too (exit 65)", {"action": "store_true", "default": None}),
    "--overwrite": ("replace what is there already", {"action": "store_true"}),
    "--writer": ("a long-answer run or another generative model", {"metavar": "MODEL"}),
    "--rerank": ("a run that labels pairs and re-ranks passages", {"metavar": "RUN"}),
    "--retrieval": ("by words (sparse), by vectors (dense), or both (mixed)", {"metavar": "HOW"}),
    "--top": ("passages for each answer", {"metavar": "N", "type": int}),
    "--port": ("port of the server", {"metavar": "N", "type": int}),
    "--no-header": ("the first line is data; columns are called 0, 1, 2 …", {"action": "store_true"}),
    "--settings": ("read settings from a file (RUN/settings.toml)", {"metavar": "FILE.toml"}),
    "--set": ("any setting that --help-all lists", {"metavar": "KEY=VALUE", "action": "append", "default": []}),
    "--device": ("auto, cpu, cuda, cuda:1, mps …", {"metavar": "NAME"}),
    "--processes": ("processes that share the work on this machine; auto: one a GPU", {"metavar": "N|auto"}),
    "--on": ("share the work on a Ray cluster; RAY_ADDRESS's, else one on this machine",
             {"choices": ("ray",), "metavar": "ray"}),
    "--allow-pickle": ("read old pytorch_model.bin weights", {"action": "store_true", "default": None}),
    "--quiet": ("print only errors and results", {"action": "store_true"}),
    "--json": ("print the result as JSON", {"action": "store_true"}),
}


def add_shared(parser: argparse._ActionsContainer, flag: str, detail: str = "", **options: Any) -> None:
    """A flag that several commands have; `detail` says what is particular to this one."""
    meaning, shared_options = SHARED[flag]
    parser.add_argument(flag, help=f"{meaning}; {detail}" if detail else meaning, **{**shared_options, **options})


def shared_processes(arguments: argparse.Namespace) -> str:
    """What --processes and --on say together: 4, auto, ray, ray:4."""
    processes = str(arguments.processes)
    if arguments.on is None:
        return processes
    return arguments.on if processes in ("1", "auto") else f"{arguments.on}:{processes}"


def refuse_processes(arguments: argparse.Namespace, reason: str) -> None:
    """Refuse several processes for what one does; raises UserError (2)."""
    cluster = getattr(arguments, "on", None)
    if cluster is None and arguments.processes in ("1", "auto"):
        return
    flag = f"--processes {arguments.processes}" if cluster is None else f"--on {cluster}"
    raise UserError(f"{flag} shares parts of the rows of a file that a model predicts; {reason}.", fix="Leave it out.")


def add_columns(parser: argparse.ArgumentParser, task: str = ALL_TASKS) -> None:
    """A flag for each column of a task; those of every task are added when the line is parsed."""
    parser.set_defaults(columns_of=task)
    if task != ALL_TASKS:
        group = parser.add_argument_group("columns", "which column of the file is what")
        for field in tasks.find(task).fields:
            add_column(group, field.name, field.help)


def add_column(parser: argparse._ActionsContainer, name: str, help_text: str) -> None:
    """A flag that names a column of the user's file."""
    parser.add_argument(f"--{name}", metavar="COLUMN", dest=f"column_{name}", help=help_text)


def add_column_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of each task, where the command takes any task's columns."""
    if parser.get_default("columns_of") == ALL_TASKS:
        for name in dict.fromkeys(field.name for task in tasks.usable()[0] for field in task.fields):
            if f"--{name}" not in parser._option_string_actions:  # predict has more to say of --labels
                add_column(parser, name, "a column of the task")


def add_common(parser: argparse.ArgumentParser, *, reads: Sequence[str] = ("data.", "evaluation."),
               loads_model: bool = True) -> None:
    """Flags for settings, files, and how much is printed; `reads` are the groups or keys that the command reads."""
    parser.set_defaults(settings_read=tuple(reads))
    group, trains = parser.add_argument_group("settings"), "training." in reads
    for setting in all_settings(with_tasks=False):
        flag = COMMON_FLAGS.get(setting.key)
        if flag is not None and setting.key.startswith(tuple(reads)) and (trains or setting.key not in RUN_FLAGS):
            group.add_argument(flag, metavar=metavar(setting), help=flag_help(setting))
        if setting.key == PRECISION and PRECISION in reads:
            group.add_argument("--precision", choices=get_args(setting.type), metavar="NAME",
                               help=f"{setting.note.help} ({', '.join(get_args(setting.type))})")
    for flag in ("--no-header",) if "data.header".startswith(tuple(reads)) else ():
        add_shared(group, flag)
    add_shared(group, "--settings")
    add_shared(group, "--set")
    for flag in ("--device", "--allow-pickle") if loads_model else ():
        add_shared(group, flag)
    add_shared(group, "--quiet")
    add_shared(group, "--json")


MAX_METAVAR = 11  # characters beside a flag: `--bad-rows stop|skip` is as wide as help's first column
PRECISION = "evaluation.precision"  # a flag of commands that name it: one that trains has a training.precision too
COMMON_FLAGS = {key: f"--{name.replace('_', '-')}" for name, key in COMMON_SETTINGS.items()}


def flag_help(setting: settings.Setting) -> str:
    """The first words of a setting's help, and its choices where they do not stand beside the flag."""
    choices = f"; {', '.join(get_args(setting.type))}" if metavar(setting) == "NAME" else ""
    return setting.note.help.split(";")[0].replace("%", "%%") + choices


def metavar(setting: settings.Setting) -> str:
    """What stands for a setting's value in help: none|lora, N; NAME for more choices than fit beside the flag."""
    choices = "|".join(get_args(setting.type)) if get_origin(setting.type) is Literal else "N"
    return choices if len(choices) <= MAX_METAVAR else "NAME"


def all_settings(*, with_tasks: bool = True) -> list[settings.Setting]:
    """Every setting of the groups, and of the tasks."""
    every_setting = [setting for group, group_class in settings.GROUPS.items()
                     for setting in settings.list_settings(group, group_class)]
    for task in tasks.usable()[0] if with_tasks else ():
        every_setting += settings.list_settings("task", task.Settings)
    return every_setting


def read_values(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """run.*, columns.* and settings: a flag overrides --set, which overrides the file, which overrides the default.

    Raises UserError (78) for a --set that the command never reads; a file may hold the settings of other commands too.
    """
    from headstart.settings.run_settings import read_settings_file

    run_values: dict[str, Any] = {}
    columns: dict[str, str] = {}
    values: dict[str, Any] = {}
    if arguments.settings:
        run_values, columns, values = read_settings_file(Path(arguments.settings))
    assignments = settings.parse_assignments(arguments.set)
    refuse_unread(assignments, arguments.settings_read)
    values |= assignments
    for name, key in COMMON_SETTINGS.items():
        if getattr(arguments, name, None) is not None:
            values[key] = getattr(arguments, name)
    if getattr(arguments, "precision", None) is not None:
        values[PRECISION] = arguments.precision
    if getattr(arguments, "no_header", False):
        values["data.header"] = False
    run_values |= {key.removeprefix("run."): values.pop(key) for key in list(values) if key.startswith("run.")}
    columns |= {name.removeprefix("column_"): value for name, value in vars(arguments).items()
                if name.startswith("column_") and value is not None}
    return run_values, columns, values


def model_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a loaded model takes."""
    return {key: value for key, value in values.items() if key.startswith(("task.", "generation.", "early_exit."))}


def refuse_unread(assignments: Mapping[str, Any], reads: tuple[str, ...]) -> None:
    """Refuse known settings that the command never reads; raises UserError (78). Unknown ones are refused by name."""
    known_keys = {setting.key for setting in all_settings(with_tasks=False)}
    for key in assignments:
        if not key.startswith(reads) and (key in known_keys or key.startswith("task.")):
            groups = ", ".join(f"{prefix}*" if prefix.endswith(".") else prefix for prefix in reads)
            raise UserError(f"This command never reads {key}; it reads {groups}.", fix="Leave it out.",
                            exit=Exit.SETTINGS)


def build_groups(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of every group, without the task's, checked."""
    return settings.build({key: value for key, value in values.items() if not key.startswith("task.")})


def make_reporter(arguments: argparse.Namespace) -> Reporter:
    """Reports on standard error, unless --quiet."""
    return Reporter() if arguments.quiet else console_reporter()
