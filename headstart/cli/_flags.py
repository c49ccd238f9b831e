"""Flags that commands share, made from settings and tasks so that they can never disagree with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart import settings, tasks
from headstart.errors import Exit, UserError
from headstart.progress import Silent, Terminal, Voice

SHORT = {  # the common settings' own flags
    "--epochs": "training.epochs",
    "--batch-size": "training.batch_size",
    "--learning-rate": "training.learning_rate",
    "--adapter": "training.adapter",
    "--bad-rows": "data.bad_rows",
}


def columns(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of each task: it names the user's column."""
    group = parser.add_argument_group("columns", "which column of the file is what (several, joined by a comma, become one text)")
    helps: dict[str, str] = {}
    for name in tasks.names():
        for held in tasks.find(name).fields:
            helps.setdefault(held.name, held.help)
    for name, words in helps.items():
        group.add_argument(f"--{name}", metavar="COLUMN", dest=f"column_{name}", help=words)


def common(parser: argparse.ArgumentParser, *, training: bool, groups: tuple[str, ...] = ("data.", "evaluation.")) -> None:
    """Settings, files, and how much is said."""
    known = [line for line in all_lines() if (not line.key.startswith("index.") if training else line.key.startswith(groups))]
    group = parser.add_argument_group("settings")
    for flag, key in SHORT.items():
        if any(line.key == key for line in known):
            group.add_argument(flag, metavar=key.rsplit(".", 1)[1].upper(), help=f"the same as --set {key}=…")
    group.add_argument("--no-header", action="store_true", help="the first line is data; columns are called 0, 1, 2 …")
    group.add_argument("--settings", metavar="FILE.toml", help="read settings from a file (RUN/settings.toml repeats a run)")
    group.add_argument("--set", metavar="GROUP.NAME=VALUE", action="append", default=[], help="any setting below")
    group.add_argument("--device", default=None, help="auto, cpu, cuda, cuda:1 …")
    group.add_argument("--allow-pickle", action="store_true", default=None,
                       help="read old pytorch_model.bin weights (weights-only reading)")
    group.add_argument("--quiet", action="store_true", help="say nothing but errors and results")
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.epilog = "settings (--set GROUP.NAME=VALUE, or a [GROUP] in --settings):\n" + "\n".join(map(setting, known))


def all_lines() -> list[settings.Line]:
    """Every setting of the machinery and of the tasks."""
    found = [line for group, holder in settings.GROUPS.items() for line in settings.lines(group, holder)]
    for name in tasks.names():
        found += settings.lines("task", tasks.find(name).Settings)
    return found


def setting(line: settings.Line) -> str:
    """A setting as help shows it: name, type, default, bounds, meaning."""
    bounds = f", {line.note.bounds()}" if line.note.bounds() else ""
    return f"  {line.key} = {settings.shown(line.default)}  ({line.type_name}{bounds})\n      {line.note.help}".replace("%", "%%")


def values(given: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """run.*, columns.* and settings: flag beats --set beats file beats default."""
    from headstart.runs.run_config import from_file

    own: dict[str, Any] = {}
    named: dict[str, str] = {}
    found: dict[str, Any] = {}
    if given.settings:
        own, named, found = from_file(Path(given.settings))
    found |= settings.assignments(given.set)
    for flag, key in SHORT.items():
        value = getattr(given, flag.removeprefix("--").replace("-", "_"), None)
        if value is not None:
            found[key] = value
    if given.no_header:
        found["data.header"] = False
    own |= {key.removeprefix("run."): found.pop(key) for key in list(found) if key.startswith("run.")}
    named |= {name.removeprefix("column_"): value for name, value in vars(given).items()
              if name.startswith("column_") and value is not None}
    return own, named, found


def groups(found: Mapping[str, Any]) -> dict[str, Any]:
    """The machinery's settings alone, checked."""
    return settings.build({key: value for key, value in found.items() if not key.startswith("task.")})


def voice(given: argparse.Namespace) -> Voice:
    """Who listens: standard error, unless --quiet."""
    import os

    if given.quiet:
        return Silent()
    return Terminal(moving=sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def one_off(texts: list[str]) -> dict[str, str]:
    """`--value question=… --value passage=@FILE` as a row; raises UserError (2, 66)."""
    row = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--value takes NAME=TEXT or NAME=@FILE, but it is {text!r}.", fix="For example --value text='…'")
        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise UserError(f"There is no file {value[1:]}.", fix="Check the path after @.", exit=Exit.NO_INPUT) from None
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{value[1:]} cannot be read as UTF-8 text: {error}.", exit=Exit.NO_INPUT) from None
        row[name.strip()] = value
    return row
