"""Help in three sizes: one screen (--help), what one task adds (--task NAME --help), and everything (--help-all)."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart import settings, tasks
from headstart.cli import _flags

if TYPE_CHECKING:
    from headstart.contract import Task

FURTHER = "further flags"  # title of flags that only --help-all shows
HELP_POSITION = 24  # where argparse begins the help of a flag
HELP_FLAGS = ("-h", "--help", "--help-all")
CONDITIONS = {"adapter": "with --adapter lora", "mining": "with --index", "distil": "by distil",
              "steering": "with --steer"}


def add_help(parser: argparse.ArgumentParser) -> None:
    """The help flags."""
    parser._positionals.title, parser._optionals.title = "arguments", "flags"
    parser.add_argument("-h", "--help", action="store_true", help="this help")
    parser.add_argument("--help-all", action="store_true", help="every flag and every setting")


def is_asked_for(argv: Sequence[str]) -> bool:
    """Whether help is asked for, and not a text after `--`."""
    return any(text in HELP_FLAGS for text in flags_of(argv))


def flags_of(argv: Sequence[str]) -> Sequence[str]:
    """The command line up to `--`."""
    return argv[:argv.index("--")] if "--" in argv else argv


def named_task(argv: Sequence[str]) -> str | None:
    """The task that --task names."""
    texts = flags_of(argv)
    for index, text in enumerate(texts):
        if text.startswith("--task="):
            return text.removeprefix("--task=")
        if text == "--task" and index + 1 < len(texts):
            return texts[index + 1]
    return None


def help_text(parser: argparse.ArgumentParser, argv: Sequence[str]) -> str:
    """The help that a command line asks for; raises UserError for a task that there is not."""
    positional = [positional_text(action) for action in parser._actions if not action.option_strings]
    parser.usage = " ".join([parser.prog, *positional, "[flags]"])
    task_name = named_task(argv) if parser.get_default("columns_of") == _flags.ALL_TASKS else None
    task = None if task_name is None else tasks.find(task_name)
    if "--help-all" in flags_of(argv):
        parser.epilog = "\n\n".join(full_sections(parser, task))
    else:
        parser._action_groups = [group for group in parser._action_groups if group.title != FURTHER]
        for action in parser._actions:
            action.help = short_help(action.help or "")
        if task is not None:  # the flags of the command are another page
            parser._action_groups, parser.description = [], f"{task.name}: {task.summary}"
        parser.epilog = "\n\n".join(short_sections(parser, task))
    return parser.format_help()


def short_help(text: str) -> str:
    """A flag's help on one line: what comes after a semicolon is left out where it does not fit."""
    room = shutil.get_terminal_size().columns - 2 - HELP_POSITION
    return text if len(text) <= room else text.split(";")[0]


def positional_text(action: argparse.Action) -> str:
    """An argument in the usage line: TRAIN, [INPUT], [TEXT …]."""
    return {"?": f"[{action.metavar}]", "*": f"[{action.metavar} …]"}.get(str(action.nargs), str(action.metavar))


def short_sections(parser: argparse.ArgumentParser, task: type[Task[Any]] | None) -> list[str]:
    """The columns and settings of a task, or how they are found; and the settings by name."""
    reads = settings_read(parser)
    if not reads:
        return []
    if task is not None:
        names = [wrapped(f"{group}{condition(group)}", [setting.key.split(".")[1] for setting in group_settings])
                 for group, group_settings in groups_of(reads, task).items()]
        sections = [f"flags of the command: {parser.prog} --help", columns_section(task),
                    settings_section(f"settings of {task.name}", task_settings(reads, task)),
                    "\n".join([f"{task.name} also reads these settings (--help-all says what each is):", *names])]
        return [section for section in sections if section]
    lines = [f"  --help-all            every flag; every setting of {', '.join(groups_of(reads, None))}"]
    if parser.get_default("columns_of") == _flags.ALL_TASKS:
        lines.insert(0, "  --task NAME --help    the columns and settings of one task (headstart tasks)")
        lines.append("  --text COLUMN …       name a column of the file by the task's own flag")
    return ["\n".join(["more:", *lines])]


def wrapped(title: str, names: Sequence[str]) -> str:
    """Names after a title, in lines of at most 100 characters."""
    return textwrap.fill(f"{title}: {', '.join(names)}", width=100, initial_indent="  ", subsequent_indent="      ")


def full_sections(parser: argparse.ArgumentParser, task: type[Task[Any]] | None) -> list[str]:
    """Every setting, group by group and task by task, or those of one task."""
    reads = settings_read(parser)
    sections = [settings_section(f"settings of the group {group}{condition(group)}", group_settings)
                for group, group_settings in groups_of(reads, task).items()]
    if parser.get_default("columns_of") == _flags.ALL_TASKS:
        for shown_task in [task] if task is not None else tasks.usable()[0]:
            sections += [columns_section(shown_task)]
            sections += [settings_section(f"settings of {shown_task.name}", task_settings(reads, shown_task))]
    return [section for section in sections if section]


def settings_read(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """The groups and keys that a command reads."""
    reads: tuple[str, ...] = parser.get_default("settings_read") or ()
    return reads


def groups_of(reads: tuple[str, ...], task: type[Task[Any]] | None) -> dict[str, list[settings.Setting]]:
    """The settings that a command reads, for one task, by group."""
    groups: dict[str, list[settings.Setting]] = {}
    writes = task is None or task.generative or task.draws_samples()
    for setting in _flags.all_settings(with_tasks=False):
        group = setting.key.split(".")[0]
        if setting.key.startswith(reads) and (writes or group != "generation"):
            groups.setdefault(group, []).append(setting)
    return groups


def task_settings(reads: tuple[str, ...], task: type[Task[Any]]) -> list[settings.Setting]:
    """The task's own settings, where the command reads them."""
    return settings.list_settings("task", task.Settings) if "task.".startswith(reads) else []


def condition(group: str) -> str:
    """When a group is read, if not always."""
    return f" ({CONDITIONS[group]})" if group in CONDITIONS else ""


def columns_section(task: type[Task[Any]]) -> str:
    """The task's columns, with its own words."""
    lines = [f"columns of {task.name} (several, joined by a comma, become one text):"]
    for field in task.fields:
        optional = "" if field.required else " (may be missing)"
        lines.append(f"  {f'--{field.name} COLUMN':<22}{field.help}{optional}")
    return "\n".join(lines)


def settings_section(title: str, group_settings: Sequence[settings.Setting]) -> str:
    """Settings with type, default, bounds and meaning; "" where there are none."""
    if not group_settings:
        return ""
    return "\n".join([f"{title} (--set KEY=VALUE):", *map(setting_text, group_settings)])


def setting_text(setting: settings.Setting) -> str:
    """A setting as help shows it: name, default, type, bounds, meaning."""
    bounds = f", {setting.note.bounds()}" if setting.note.bounds() else ""
    default = settings.default_text(setting.default)
    return f"  {setting.key} = {default}  ({setting.type_name}{bounds})\n      {setting.note.help}"
