"""Flags that commands share, made from settings and tasks so that they can never disagree with them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart import settings, tasks
from headstart.errors import Exit, UserError
from headstart.progress import Reporter, console_reporter

SHORT_FLAGS = {  # the common settings' own flags
    "--epochs": "training.epochs",
    "--batch-size": "training.batch_size",
    "--learning-rate": "training.learning_rate",
    "--adapter": "training.adapter",
    "--bad-rows": "data.bad_rows",
}


def add_columns(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of each task: it names the user's column."""
    group = parser.add_argument_group("columns", "which column of the file is what (several, joined by a comma, become "
                                                 "one text)")
    help_texts: dict[str, str] = {}
    for name in tasks.names():
        for field in tasks.find(name).fields:
            help_texts.setdefault(field.name, field.help)
    for name, help_text in help_texts.items():
        group.add_argument(f"--{name}", metavar="COLUMN", dest=f"column_{name}", help=help_text)


def add_common(parser: argparse.ArgumentParser, *, training: bool,
               groups: tuple[str, ...] = ("data.", "evaluation.")) -> None:
    """Flags for settings, files, and how much is printed."""
    help_settings = [setting for setting in all_settings()
                     if (not setting.key.startswith("index.") if training else setting.key.startswith(groups))]
    group = parser.add_argument_group("settings")
    for flag, key in SHORT_FLAGS.items():
        if any(setting.key == key for setting in help_settings):
            group.add_argument(flag, metavar=key.rsplit(".", 1)[1].upper(), help=f"the same as --set {key}=…")
    group.add_argument("--no-header", action="store_true", help="the first line is data; columns are called 0, 1, 2 …")
    group.add_argument("--settings", metavar="FILE.toml",
                       help="read settings from a file (RUN/settings.toml repeats a run)")
    group.add_argument("--set", metavar="GROUP.NAME=VALUE", action="append", default=[], help="any setting below")
    group.add_argument("--device", default=None, help="auto, cpu, cuda, cuda:1 …")
    group.add_argument("--allow-pickle", action="store_true", default=None,
                       help="read old pytorch_model.bin weights (weights-only reading)")
    group.add_argument("--quiet", action="store_true", help="print only errors and results")
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.epilog = "settings (--set GROUP.NAME=VALUE, or a [GROUP] in --settings):\n" + "\n".join(
        map(setting_help, help_settings))


def all_settings() -> list[settings.Setting]:
    """Every setting of the groups and of the tasks."""
    every_setting = [setting for group, group_class in settings.GROUPS.items()
                     for setting in settings.list_settings(group, group_class)]
    for name in tasks.names():
        every_setting += settings.list_settings("task", tasks.find(name).Settings)
    return every_setting


def setting_help(setting: settings.Setting) -> str:
    """A setting as help shows it: name, type, default, bounds, meaning."""
    bounds = f", {setting.note.bounds()}" if setting.note.bounds() else ""
    default = settings.default_text(setting.default)
    return f"  {setting.key} = {default}  ({setting.type_name}{bounds})\n      {setting.note.help}".replace("%", "%%")


def read_values(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """run.*, columns.* and settings: a flag overrides --set, which overrides the file, which overrides the default."""
    from headstart.settings.run_settings import read_settings_file

    run_values: dict[str, Any] = {}
    columns: dict[str, str] = {}
    values: dict[str, Any] = {}
    if arguments.settings:
        run_values, columns, values = read_settings_file(Path(arguments.settings))
    values |= settings.parse_assignments(arguments.set)
    for flag, key in SHORT_FLAGS.items():
        value = getattr(arguments, flag.removeprefix("--").replace("-", "_"), None)
        if value is not None:
            values[key] = value
    if arguments.no_header:
        values["data.header"] = False
    run_values |= {key.removeprefix("run."): values.pop(key) for key in list(values) if key.startswith("run.")}
    columns |= {name.removeprefix("column_"): value for name, value in vars(arguments).items()
                if name.startswith("column_") and value is not None}
    return run_values, columns, values


def build_groups(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of every group, without the task's, checked."""
    return settings.build({key: value for key, value in values.items() if not key.startswith("task.")})


def make_reporter(arguments: argparse.Namespace) -> Reporter:
    """Reports on standard error, unless --quiet."""
    return Reporter() if arguments.quiet else console_reporter()


def parse_row(texts: list[str]) -> dict[str, str]:
    """`--value question=… --value passage=@FILE` as a row; raises UserError (2, 66)."""
    row = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--value takes NAME=TEXT or NAME=@FILE, but it is {text!r}.",
                            fix="For example --value text='…'")
        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise UserError(f"There is no file {value[1:]}.", fix="Check the path after @.",
                                exit=Exit.NO_INPUT) from None
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{value[1:]} cannot be read as UTF-8 text: {error}.", exit=Exit.NO_INPUT) from None
        row[name.strip()] = value
    return row
